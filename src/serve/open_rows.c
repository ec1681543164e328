/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of open transfers by label set. */
#include "serve/open_rows.h"

#include "record/store.h"
#include "serve/store_dir.h"

#include <stdlib.h>
#include <string.h>

enum { OPEN, BYTES, OLDEST, STALLED };

static const char *const labels[OPEN_LABELS] = { "model_name", "engine", "connector", "operation", STORE_RANK_LABEL };

static void close_store(struct open_rows *rows)
{
    kvtel_store_close(rows->store);
    rows->store = NULL;
    rows->lane = NULL;
}

void open_rows_close(struct open_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->rows[i].labels);
    free(rows->rows);
    free(rows->index.entries);
    close_store(rows);
    *rows = (struct open_rows){ 0 };
}

static bool open_store(struct open_rows *rows)
{
    static const struct kvtel_family_spec specs[OPEN_FAMILIES] = {
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
    bool good = (rows->store = kvtel_store_create(NULL)) && kvtel_lane_open(rows->store, &rows->lane) == KVTEL_OK;
    for (int i = 0; good && i < OPEN_FAMILIES; i++) {
        struct kvtel_family_spec spec = specs[i];
        spec.labelnames = labels;
        spec.label_count = rows->by_rank ? OPEN_LABELS : OPEN_LABELS - 1;
        good = kvtel_store_family(rows->store, &spec, &rows->families[i]) == KVTEL_OK;
    }
    if (!good)
        close_store(rows);
    rows->renewed = true;
    return good;
}

void open_row_values(const struct open_row *row, const char *values[OPEN_LABELS])
{
    const char *text = row->labels;
    for (int i = 0; i < OPEN_LABELS; i++, text += strlen(text) + 1)
        values[i] = text;
}

static bool has_labels(const struct open_row *row, const char *const values[OPEN_LABELS])
{
    const char *own[OPEN_LABELS];
    open_row_values(row, own);
    for (int i = 0; i < OPEN_LABELS; i++)
        if (strcmp(own[i], values[i]) != 0)
            return false;
    return true;
}

static uint32_t hash_of(const char *const values[OPEN_LABELS])
{
    uint64_t hash = 0;
    for (int i = 0; i < OPEN_LABELS; i++)
        hash = kvtel_hash(hash, values[i], strlen(values[i]) + 1);
    return kvtel_index_hash(hash);
}

static char *join(const char *const values[OPEN_LABELS])
{
    size_t size = 0;
    for (int i = 0; i < OPEN_LABELS; i++)
        size += strlen(values[i]) + 1;
    char *text = malloc(size), *end = text;
    for (int i = 0; text && i < OPEN_LABELS; i++)
        end = stpcpy(end, values[i]) + 1;
    return text;
}

static void make_series(struct open_rows *rows, struct open_row *row)
{
    const char *values[OPEN_LABELS];
    open_row_values(row, values);
    for (int i = 0; i < OPEN_FAMILIES; i++)
        if (!rows->store ||
            kvtel_store_series(rows->store, rows->families[i], values, rows->by_rank ? OPEN_LABELS : OPEN_LABELS - 1,
                               &row->series[i]) != KVTEL_OK)
            row->series[i] = UINT32_MAX;
    if (row->series[STALLED] == UINT32_MAX)
        return;
    struct kvtel_layout_series *series = kvtel_store_table(rows->store, KVTEL_SERIES);
    uint64_t *started = &series[row->series[STALLED]].started_realtime_ns;
    if (row->started == 0)
        row->started = *started;
    *started = row->started; /* a later one would say that the count began at 0 again */
}

static struct open_row *find(const struct open_rows *rows, const char *const values[OPEN_LABELS], uint32_t hash)
{
    size_t probe = 0;
    for (uint32_t i; (i = kvtel_index_next(&rows->index, hash, &probe)) != KVTEL_INDEX_NONE;)
        if (has_labels(&rows->rows[i], values))
            return &rows->rows[i];
    return NULL;
}

static struct open_row *add(struct open_rows *rows, const char *const values[OPEN_LABELS], uint32_t hash)
{
    if ((!rows->store && !open_store(rows)) || !kvtel_index_reserve(&rows->index))
        return NULL;
    if (rows->count == rows->room) {
        size_t room = rows->room ? 2 * rows->room : 8;
        struct open_row *larger = realloc(rows->rows, room * sizeof *larger);
        if (!larger)
            return NULL;
        rows->rows = larger;
        rows->room = room;
    }
    struct open_row row = { .labels = join(values), .hash = hash };
    if (!row.labels)
        return NULL;
    make_series(rows, &row);
    kvtel_index_put(&rows->index, hash, (uint32_t)rows->count);
    rows->rows[rows->count] = row;
    return &rows->rows[rows->count++];
}

static void add_owner(struct open_row *row, uint64_t owner)
{
    for (size_t i = 0; i < row->owner_count && i < OPEN_ROW_OWNERS; i++)
        if (row->owners[i] == owner)
            return;
    row->owners[row->owner_count++ % OPEN_ROW_OWNERS] = owner;
}

struct open_row *open_rows_get(struct open_rows *rows, const char *const values[OPEN_LABELS], uint64_t owner)
{
    static const char *const other[OPEN_LABELS] = { "other", "other", "other", "other", "other" };
    uint32_t hash = hash_of(values);
    struct open_row *row = find(rows, values, hash);
    if (!row && rows->count >= OPEN_ROWS_MOST - 1) { /* the last one is for the rest */
        rows->full = true;
        values = other;
        hash = hash_of(other);
        row = find(rows, other, hash);
    }
    row = row ? row : add(rows, values, hash);
    if (row) {
        add_owner(row, owner);
        row->ended_ns = 0;
    }
    return row;
}

void open_rows_begin(struct open_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        struct open_row *row = &rows->rows[i];
        row->open = row->stalled_now = 0;
        row->bytes = row->oldest_seconds = 0;
    }
}

static int compare(const void *left, const void *right)
{
    const uint64_t one = *(const uint64_t *)left, other = *(const uint64_t *)right;
    return (one > other) - (one < other);
}

/* Whether the row's time is over. */
static bool is_over(struct open_row *row, const uint64_t *live, size_t live_count, uint64_t now_ns)
{
    bool is_live = false;
    for (size_t i = 0; i < row->owner_count && i < OPEN_ROW_OWNERS && live_count > 0; i++)
        is_live |= bsearch(&row->owners[i], live, live_count, sizeof *live, compare) != NULL;
    if (row->open > 0 || is_live)
        row->ended_ns = 0;
    else if (row->ended_ns == 0)
        row->ended_ns = now_ns;
    return row->ended_ns != 0 && now_ns - row->ended_ns >= OPEN_ROW_KEPT_NS;
}

/* Makes the store anew, because the room of a removed series is not given back. */
static void renew(struct open_rows *rows)
{
    kvtel_index_clear(&rows->index);
    for (size_t i = 0; i < rows->count; i++) /* it had room for more */
        kvtel_index_put(&rows->index, rows->rows[i].hash, (uint32_t)i);
    close_store(rows);
    rows->renewed = true;
    if (rows->count == 0 || !open_store(rows))
        return;
    for (size_t i = 0; i < rows->count; i++) {
        make_series(rows, &rows->rows[i]);
        (void)kvtel_lane_increase(rows->lane, rows->rows[i].series[STALLED], (double)rows->rows[i].stalled);
    }
}

static void write_numbers(struct open_rows *rows)
{
    for (size_t i = 0; i < rows->count && rows->lane; i++) {
        struct open_row *row = &rows->rows[i];
        (void)kvtel_lane_set(rows->lane, row->series[OPEN], (double)row->open);
        (void)kvtel_lane_set(rows->lane, row->series[BYTES], row->bytes);
        (void)kvtel_lane_set(rows->lane, row->series[OLDEST], row->oldest_seconds);
        if (row->stalled_now > 0)
            (void)kvtel_lane_increase(rows->lane, row->series[STALLED], (double)row->stalled_now);
    }
}

void open_rows_end(struct open_rows *rows, const uint64_t *live, size_t live_count, uint64_t now_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++) {
        struct open_row *row = &rows->rows[i];
        if (is_over(row, live, live_count, now_ns))
            free(row->labels);
        else
            rows->rows[kept++] = *row;
    }
    const bool removed = kept < rows->count;
    rows->count = kept;
    if (removed || (!rows->store && kept > 0)) /* or there was no memory the last time */
        renew(rows);
    write_numbers(rows);
    for (size_t i = 0; i < rows->count; i++)
        rows->rows[i].stalled += rows->rows[i].stalled_now;
}
