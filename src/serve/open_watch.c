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

enum { LINES_MOST = 100 };
static const uint64_t ASK_NS = UINT64_C(5000000000);

static const char *const labels[OPEN_LABELS] = { "model_name", "engine", "connector", "operation", STORE_RANK_LABEL };

void open_watch_close(struct open_watch *watch)
{
    open_rows_close(&watch->rows);
    kvtel_open_list_free(&watch->list);
    free(watch->live);
    *watch = (struct open_watch){ 0 };
}

/* -- Transfers -- */

static void say_stalled(struct open_watch *watch, const char *const values[OPEN_LABELS],
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
                 const struct kvtel_store_info *info, const struct store_entry *entry, uint64_t now_ns)
{
    const char *values[OPEN_LABELS];
    const uint64_t age_ns = transfer->began_ns < now_ns ? now_ns - transfer->began_ns : 0;
    for (int i = 0; i < OPEN_LABELS; i++)
        values[i] = kvtel_open_label(view, transfer, labels[i]);
    struct open_row *row = open_rows_get(&watch->rows, values, entry->open_owner);
    const uint64_t looked_ns = entry->open_looked_ns;
    struct summary_open shown = { .pid = info->pid,
                                  .bytes = transfer->bytes == KVTEL_OPEN_NO_BYTES ? -1 : (double)transfer->bytes,
                                  .age_seconds = (double)age_ns / 1e9 };
    (void)snprintf(shown.connector, sizeof shown.connector, "%s", values[2]);
    (void)snprintf(shown.engine, sizeof shown.engine, "%s", values[1]);
    (void)snprintf(shown.operation, sizeof shown.operation, "%s", values[3]);
    (void)snprintf(shown.peer, sizeof shown.peer, "%s", transfer->peer);
    shown.stalled = watch->stalled_ns > 0 && age_ns >= watch->stalled_ns;
    note_oldest(watch, &shown);
    summary_open_peer_note(&watch->peers, shown.peer, shown.age_seconds);
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
    if (entry->open_owner == 0)
        entry->open_owner = ++watch->owners;
    bool good = kvtel_store_reader_view(entry->reader, &view, &error) == KVTEL_OK && !view.ended &&
                kvtel_open_read(&view, &watch->list) == KVTEL_OK;
    kvtel_store_reader_info(entry->reader, &info);
    for (size_t i = 0; good && i < watch->list.count; i++)
        take(watch, &view, &watch->list.all[i], &info, entry, now_ns);
    if (good)
        entry->open_looked_ns = now_ns;
    store_dir_park(dir, entry);
}

static int compare(const void *left, const void *right)
{
    const uint64_t one = *(const uint64_t *)left, other = *(const uint64_t *)right;
    return (one > other) - (one < other);
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

/* Lists the numbers of live stores that had open transfers, ascending. False: no memory. */
static bool list_live(struct open_watch *watch, const struct store_dir *dir, size_t *count)
{
    *count = 0;
    if (dir->count > watch->live_room) {
        uint64_t *larger = realloc(watch->live, 2 * dir->count * sizeof *larger);
        if (!larger)
            return false;
        watch->live = larger;
        watch->live_room = 2 * dir->count;
    }
    for (size_t i = 0; i < dir->count; i++) {
        const struct store_entry *entry = &dir->entries[i];
        if (entry->open_owner != 0 && entry->state == STORE_LIVE)
            watch->live[(*count)++] = entry->open_owner;
    }
    if (*count > 0)
        qsort(watch->live, *count, sizeof *watch->live, compare);
    return true;
}

void open_watch_look(struct open_watch *watch, struct store_dir *dir)
{
    const uint64_t now_ns = kvtel_now_ns();
    size_t live;
    watch->oldest_count = watch->said = watch->peers.count = 0;
    open_rows_begin(&watch->rows);
    for (size_t i = 0; i < dir->count; i++) {
        if (may_have(&dir->entries[i], now_ns))
            look_at(watch, dir, &dir->entries[i]);
    }
    if (watch->said > LINES_MOST)
        serve_log_printf(watch->log, WEB_LOG_WARN, "%zu more transfers stall", watch->said - LINES_MOST);
    if (watch->rows.full && !watch->said_full)
        serve_log_printf(watch->log, WEB_LOG_WARN,
                         "open transfers have more than %d label sets; those of further ones count under \"other\"",
                         OPEN_ROWS_MOST - 1);
    watch->said_full |= watch->rows.full;
    (void)list_live(watch, dir, &live); /* without memory none: no row goes at once */
    open_rows_end(&watch->rows, watch->live, live, now_ns);
}

size_t open_watch_list(const struct open_watch *watch, struct summary_open_row *rows, size_t limit)
{
    size_t count = watch->rows.count < limit ? watch->rows.count : limit;
    for (size_t i = 0; i < count; i++) {
        const struct open_row *row = &watch->rows.rows[i];
        const char *values[OPEN_LABELS];
        open_row_values(row, values);
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
