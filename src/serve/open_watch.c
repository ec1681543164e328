/* SPDX-License-Identifier: Apache-2.0 */
/* The open transfers of all live stores.
 *
 * A transfer stalls once: where the moment from which it does lies between the last look at its store and this one. So
 * nothing has to be remembered of transfers. */
#include "serve/open_watch.h"

#include "collect/reader.h"

#include <kvtel/recorder.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABELS = 5, ROWS_MOST = 4096, LINES_MOST = 100 };
static const uint64_t ASK_NS = UINT64_C(5000000000);
enum { OPEN, BYTES, OLDEST, STALLED, FAMILIES };

static const char *const labels[LABELS] = { "model_name", "engine", "connector", "operation", STORE_RANK_LABEL };

void open_watch_close(struct open_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        free(watch->rows[i].labels);
    free(watch->rows);
    kvtel_open_list_free(&watch->list);
    kvtel_store_close(watch->store);
    *watch = (struct open_watch){ 0 };
}

/* -- Numbers -- */

static bool open_store(struct open_watch *watch)
{
    static const struct kvtel_family_spec specs[FAMILIES] = {
        [OPEN] = { .name = "kvtel_open_transfers",
                   .type = KVTEL_GAUGE,
                   .help = "Transfers that were begun and have not ended, of all processes that show theirs." },
        [BYTES] = { .name = "kvtel_open_bytes",
                    .type = KVTEL_GAUGE,
                    .help = "Bytes of open transfers, as far as their begin told them.",
                    .unit = KVTEL_UNIT_BYTES },
        [OLDEST] = { .name = "kvtel_oldest_open_seconds",
                     .type = KVTEL_GAUGE,
                     .help = "Seconds since the oldest open transfer began; 0: none is open.",
                     .unit = KVTEL_UNIT_SECONDS },
        [STALLED] = { .name = "kvtel_stalled_transfers",
                      .type = KVTEL_COUNTER,
                      .help = "Transfers that were open for longer than --stalled.after, each counted once." },
    };
    bool good = (watch->store = kvtel_store_create(NULL)) && kvtel_lane_open(watch->store, &watch->lane) == KVTEL_OK;
    for (int i = 0; good && i < FAMILIES; i++) {
        struct kvtel_family_spec spec = specs[i];
        spec.labelnames = labels;
        spec.label_count = watch->by_rank ? LABELS : LABELS - 1;
        good = kvtel_store_family(watch->store, &spec, &watch->families[i]) == KVTEL_OK;
    }
    if (!good) {
        kvtel_store_close(watch->store);
        watch->store = NULL;
    }
    return good;
}

static void split(const char *text, const char *values[LABELS])
{
    for (int i = 0; i < LABELS; i++, text += strlen(text) + 1)
        values[i] = text;
}

static bool has_labels(const struct open_row *row, const char *const values[LABELS])
{
    const char *own[LABELS];
    split(row->labels, own);
    for (int i = 0; i < LABELS; i++)
        if (strcmp(own[i], values[i]) != 0)
            return false;
    return true;
}

static char *join(const char *const values[LABELS])
{
    size_t size = 0;
    for (int i = 0; i < LABELS; i++)
        size += strlen(values[i]) + 1;
    char *text = malloc(size), *end = text;
    for (int i = 0; text && i < LABELS; i++)
        end = stpcpy(end, values[i]) + 1;
    return text;
}

/* Finds or makes a row. NULL: no memory, or there are too many. */
static struct open_row *row_of(struct open_watch *watch, const char *const values[LABELS])
{
    for (size_t i = 0; i < watch->count; i++)
        if (has_labels(&watch->rows[i], values))
            return &watch->rows[i];
    if (watch->count == ROWS_MOST || (!watch->store && !open_store(watch)))
        return NULL;
    if (watch->count == watch->room) {
        size_t room = watch->room ? 2 * watch->room : 8;
        struct open_row *rows = realloc(watch->rows, room * sizeof *rows);
        if (!rows)
            return NULL;
        watch->rows = rows;
        watch->room = room;
    }
    struct open_row row = { .labels = join(values) };
    if (!row.labels)
        return NULL;
    for (int i = 0; i < FAMILIES; i++)
        if (kvtel_store_series(watch->store, watch->families[i], values, watch->by_rank ? LABELS : LABELS - 1,
                               &row.series[i]) != KVTEL_OK)
            row.series[i] = UINT32_MAX;
    watch->rows[watch->count] = row;
    return &watch->rows[watch->count++];
}

static void show_rows(struct open_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct open_row *row = &watch->rows[i];
        (void)kvtel_lane_set(watch->lane, row->series[OPEN], (double)row->open);
        (void)kvtel_lane_set(watch->lane, row->series[BYTES], row->bytes);
        (void)kvtel_lane_set(watch->lane, row->series[OLDEST], row->oldest_seconds);
        if (row->stalled_now > 0)
            (void)kvtel_lane_increase(watch->lane, row->series[STALLED], (double)row->stalled_now);
        row->stalled += row->stalled_now;
    }
}

/* -- Transfers -- */

static void say_stalled(struct open_watch *watch, const char *const values[LABELS],
                        const struct kvtel_open_transfer *transfer, const struct summary_open *shown)
{
    char age[32], bytes[32] = "", pid[24];
    if (watch->said++ >= LINES_MOST)
        return;
    (void)snprintf(age, sizeof age, "%.1f", shown->age_seconds);
    (void)snprintf(pid, sizeof pid, "%" PRIu64, shown->pid);
    if (transfer->bytes != KVTEL_OPEN_NO_BYTES)
        (void)snprintf(bytes, sizeof bytes, "%" PRIu64, transfer->bytes);
    const char *const pairs[] = { "connector",  values[2], "engine",      values[1], "operation", values[3],
                                  "model_name", values[0], "pid",         pid,       "peer",      shown->peer,
                                  "bytes",      bytes,     "age_seconds", age,       NULL };
    serve_log_write(watch->log, WEB_LOG_WARN, "a transfer stalls", pairs);
}

/* Keeps the oldest. */
static void note_oldest(struct open_watch *watch, const struct summary_open *shown)
{
    size_t at = watch->oldest_count;
    while (at > 0 && watch->oldest[at - 1].age_seconds < shown->age_seconds)
        at--;
    if (at == SUMMARY_OPEN)
        return;
    watch->oldest_count += watch->oldest_count < SUMMARY_OPEN;
    memmove(watch->oldest + at + 1, watch->oldest + at, (watch->oldest_count - at - 1) * sizeof *shown);
    watch->oldest[at] = *shown;
}

static void take(struct open_watch *watch, const struct kvtel_view *view, const struct kvtel_open_transfer *transfer,
                 const struct kvtel_store_info *info, uint64_t looked_ns, uint64_t now_ns)
{
    const char *values[LABELS];
    const uint64_t age_ns = transfer->began_ns < now_ns ? now_ns - transfer->began_ns : 0;
    for (int i = 0; i < LABELS; i++)
        values[i] = kvtel_open_label(view, transfer, labels[i]);
    struct open_row *row = row_of(watch, values);
    struct summary_open shown = { .pid = info->pid,
                                  .bytes = transfer->bytes == KVTEL_OPEN_NO_BYTES ? -1 : (double)transfer->bytes,
                                  .age_seconds = (double)age_ns / 1e9 };
    (void)snprintf(shown.connector, sizeof shown.connector, "%s", values[2]);
    (void)snprintf(shown.engine, sizeof shown.engine, "%s", values[1]);
    (void)snprintf(shown.operation, sizeof shown.operation, "%s", values[3]);
    (void)snprintf(shown.peer, sizeof shown.peer, "%s", transfer->peer);
    shown.stalled = watch->stalled_ns > 0 && age_ns >= watch->stalled_ns;
    note_oldest(watch, &shown);
    bool stalls =
        shown.stalled && (looked_ns <= transfer->began_ns || looked_ns - transfer->began_ns < watch->stalled_ns);
    if (stalls)
        say_stalled(watch, values, transfer, &shown);
    if (!row)
        return;
    row->open++;
    row->stalled_now += stalls;
    row->bytes += shown.bytes > 0 ? shown.bytes : 0;
    row->oldest_seconds = shown.age_seconds > row->oldest_seconds ? shown.age_seconds : row->oldest_seconds;
}

static void look_at(struct open_watch *watch, struct store_dir *dir, struct store_entry *entry)
{
    struct kvtel_error error = { 0 };
    struct kvtel_view view;
    struct kvtel_store_info info;
    if (store_dir_resume(dir, entry, &error) != KVTEL_OK)
        return;
    const uint64_t now_ns = kvtel_now_ns();
    bool good = kvtel_store_reader_view(entry->reader, &view, &error) == KVTEL_OK && !view.ended &&
                kvtel_open_read(&view, &watch->list) == KVTEL_OK;
    kvtel_store_reader_info(entry->reader, &info);
    for (size_t i = 0; good && i < watch->list.count; i++)
        take(watch, &view, &watch->list.all[i], &info, entry->open_looked_ns, now_ns);
    if (good)
        entry->open_looked_ns = now_ns;
    store_dir_park(dir, entry);
}

/* Whether a live store may have open transfers. One that had no places for them is asked again now and then. */
static bool may_have(struct store_entry *entry, uint64_t now_ns)
{
    if (entry->state != STORE_LIVE || entry->lost || !entry->reader)
        return false;
    if (kvtel_store_reader_has_open(entry->reader))
        return true;
    bool asks = kvtel_store_reader_is_open(entry->reader) &&
                (entry->open_asked_ns == 0 || now_ns - entry->open_asked_ns >= ASK_NS);
    entry->open_asked_ns = asks ? now_ns : entry->open_asked_ns;
    return asks;
}

void open_watch_look(struct open_watch *watch, struct store_dir *dir)
{
    const uint64_t now_ns = kvtel_now_ns();
    watch->oldest_count = watch->said = 0;
    for (size_t i = 0; i < watch->count; i++) {
        watch->rows[i].open = watch->rows[i].stalled_now = 0;
        watch->rows[i].bytes = watch->rows[i].oldest_seconds = 0;
    }
    for (size_t i = 0; i < dir->count; i++) {
        if (may_have(&dir->entries[i], now_ns))
            look_at(watch, dir, &dir->entries[i]);
    }
    if (watch->said > LINES_MOST)
        serve_log_printf(watch->log, WEB_LOG_WARN, "%zu more transfers stall", watch->said - LINES_MOST);
    show_rows(watch);
}

size_t open_watch_list(const struct open_watch *watch, struct summary_open_row *rows, size_t limit)
{
    size_t count = watch->count < limit ? watch->count : limit;
    for (size_t i = 0; i < count; i++) {
        const struct open_row *row = &watch->rows[i];
        const char *values[LABELS];
        split(row->labels, values);
        rows[i] = (struct summary_open_row){
            .open = row->open, .bytes = row->bytes, .oldest_seconds = row->oldest_seconds, .stalled = row->stalled
        };
        (void)snprintf(rows[i].model_name, sizeof rows[i].model_name, "%s", values[0]);
        (void)snprintf(rows[i].engine, sizeof rows[i].engine, "%s", values[1]);
        (void)snprintf(rows[i].connector, sizeof rows[i].connector, "%s", values[2]);
        (void)snprintf(rows[i].operation, sizeof rows[i].operation, "%s", values[3]);
    }
    return count;
}
