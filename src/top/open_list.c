/* SPDX-License-Identifier: Apache-2.0 */
/* Lists open transfers. Nothing counts here which of them stall: only an exporter watches long enough. A transfer that
 * is open for so long as the exporter's default says is shown as stalled. */
#include "top/open_list.h"

#include <kvtel/recorder.h>
#include <stdio.h>
#include <string.h>

static const uint64_t STALLED_NS = UINT64_C(30000000000);

void top_open_begin(struct top_open_list *open)
{
    open->oldest_count = open->peers.count = 0;
    for (size_t i = 0; i < open->count; i++) {
        struct summary_open_row *row = &open->rows[i];
        row->open = row->stalled = 0;
        row->bytes = row->oldest_seconds = 0;
    }
}

static void copy(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text);
}

/* Finds or makes a row. NULL: there is no room. */
static struct summary_open_row *row_of(struct top_open_list *open, const struct summary_open_row *like)
{
    for (size_t i = 0; i < open->count; i++) {
        struct summary_open_row *row = &open->rows[i];
        if (strcmp(row->connector, like->connector) == 0 && strcmp(row->model_name, like->model_name) == 0 &&
            strcmp(row->engine, like->engine) == 0 && strcmp(row->operation, like->operation) == 0)
            return row;
    }
    if (open->count == TOP_OPEN_ROWS)
        return NULL;
    open->rows[open->count] = *like;
    return &open->rows[open->count++];
}

static void note_oldest(struct top_open_list *open, const struct summary_open *shown)
{
    size_t at = open->oldest_count;
    while (at > 0 && open->oldest[at - 1].age_seconds < shown->age_seconds)
        at--;
    if (at == SUMMARY_OPEN)
        return;
    open->oldest_count += open->oldest_count < SUMMARY_OPEN;
    memmove(open->oldest + at + 1, open->oldest + at, (open->oldest_count - at - 1) * sizeof *shown);
    open->oldest[at] = *shown;
}

static void add(struct top_open_list *open, const struct kvtel_view *view, const struct kvtel_open_transfer *transfer,
                uint64_t pid, uint64_t now_ns)
{
    const uint64_t age_ns = transfer->began_ns < now_ns ? now_ns - transfer->began_ns : 0;
    struct summary_open shown = { .pid = pid,
                                  .bytes = transfer->bytes == KVTEL_OPEN_NO_BYTES ? -1 : (double)transfer->bytes,
                                  .age_seconds = (double)age_ns / 1e9,
                                  .stalled = age_ns >= STALLED_NS };
    struct summary_open_row like = { 0 };
    copy(like.connector, sizeof like.connector, kvtel_open_label(view, transfer, "connector"));
    copy(like.model_name, sizeof like.model_name, kvtel_open_label(view, transfer, "model_name"));
    copy(like.engine, sizeof like.engine, kvtel_open_label(view, transfer, "engine"));
    copy(like.operation, sizeof like.operation, kvtel_open_label(view, transfer, "operation"));
    copy(shown.connector, sizeof shown.connector, like.connector);
    copy(shown.engine, sizeof shown.engine, like.engine);
    copy(shown.operation, sizeof shown.operation, like.operation);
    copy(shown.peer, sizeof shown.peer, transfer->peer);
    note_oldest(open, &shown);
    summary_open_peer_note(&open->peers, shown.peer, shown.age_seconds);
    struct summary_open_row *row = row_of(open, &like);
    if (!row)
        return;
    row->open++;
    row->stalled += shown.stalled;
    row->bytes += shown.bytes > 0 ? shown.bytes : 0;
    row->oldest_seconds = shown.age_seconds > row->oldest_seconds ? shown.age_seconds : row->oldest_seconds;
}

void top_open_add(struct top_open_list *open, struct kvtel_store_reader *reader)
{
    struct kvtel_view view;
    struct kvtel_store_info info;
    const uint64_t now_ns = kvtel_now_ns();
    if (kvtel_store_reader_view(reader, &view, NULL) != KVTEL_OK || view.ended ||
        kvtel_open_read(&view, &open->list) != KVTEL_OK)
        return;
    kvtel_store_reader_info(reader, &info);
    for (size_t i = 0; i < open->list.count; i++)
        add(open, &view, &open->list.all[i], info.pid, now_ns);
}

void top_open_close(struct top_open_list *open)
{
    kvtel_open_list_free(&open->list);
    *open = (struct top_open_list){ 0 };
}
