/* SPDX-License-Identifier: Apache-2.0 */
/* Rows from summaries. The window begins at a checkpoint, which is an earlier summary; one is kept every few seconds.
 */
#include "top/history.h"
#include "top/past.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double CHECKPOINT_SECONDS = 5, SAMPLE_SECONDS = 0.95;

/* -- Tracks -- */

static void free_track(struct top_track *track)
{
    if (track)
        free(track->key);
    free(track);
}

static char *key_of(const struct top_row *row)
{
    char *key = NULL;
    if (asprintf(&key, "%s\n%s\n%s\n%s", row->entry->connector, row->entry->engine, row->entry->model,
                 row->flow ? row->flow->name : "") < 0)
        return NULL;
    return key;
}

static void push_sample(struct top_track *track, double at, double transfers)
{
    size_t newest = (track->first + track->count + TOP_SAMPLES - 1) % TOP_SAMPLES;
    if (track->count > 0 && at - track->at[newest] < SAMPLE_SECONDS)
        return;
    if (track->count == TOP_SAMPLES)
        track->first = (track->first + 1) % TOP_SAMPLES;
    else
        track->count++;
    newest = (track->first + track->count - 1) % TOP_SAMPLES;
    track->at[newest] = at;
    track->transfers[newest] = transfers;
}

/* Finds or makes the track of a row. NULL: no memory. */
static struct top_track *track_of(struct top_history *history, const struct top_row *row, size_t hint, double before)
{
    char *key = key_of(row);
    for (size_t i = 0; key && i < history->track_count; i++) {
        struct top_track *track = history->tracks[(hint + i) % history->track_count];
        if (strcmp(track->key, key) == 0) {
            free(key);
            return track;
        }
    }
    struct top_track **longer =
        key ? realloc(history->tracks, (history->track_count + 1) * sizeof(struct top_track *)) : NULL;
    struct top_track *track = longer ? calloc(1, sizeof *track) : NULL;
    history->tracks = longer ? longer : history->tracks;
    if (!track) {
        free(key);
        return NULL;
    }
    track->key = key;
    track->last_at = (double)NAN;
    if (before > 0) { /* it was not there then */
        track->last_at = before;
        push_sample(track, before, 0);
    }
    history->tracks[history->track_count++] = track;
    return track;
}

static void drop_unused(struct top_history *history)
{
    size_t kept = 0;
    for (size_t i = 0; i < history->track_count; i++) {
        if (history->tracks[i]->used)
            history->tracks[kept++] = history->tracks[i];
        else
            free_track(history->tracks[i]);
    }
    history->track_count = kept;
}

static void update_track(struct top_track *track, struct top_row *row, double now)
{
    double transfers = row->flow ? (double)row->flow->transfers : 0, bytes = row->flow ? row->flow->bytes : 0;
    double seconds = now - track->last_at;
    if (seconds > 0 && transfers >= track->last_transfers && bytes >= track->last_bytes) {
        row->transfers_rate =
            row->flow && row->flow->has_transfers ? (transfers - track->last_transfers) / seconds : (double)NAN;
        row->bytes_rate = row->flow && row->flow->has_bytes ? (bytes - track->last_bytes) / seconds : (double)NAN;
    } else {
        track->count = seconds > 0 ? 0 : track->count; /* the counts fell: what was before says nothing */
    }
    track->last_at = now;
    track->last_transfers = transfers;
    track->last_bytes = bytes;
    push_sample(track, now, transfers);
    track->used = true;
    row->track = track;
}

/* The count at a moment, between its neighbours. */
static double transfers_at(const struct top_track *track, double at)
{
    for (size_t i = 1; i < track->count; i++) {
        size_t left = (track->first + i - 1) % TOP_SAMPLES, right = (track->first + i) % TOP_SAMPLES;
        if (at > track->at[right])
            continue;
        double share = (at - track->at[left]) / (track->at[right] - track->at[left]);
        return track->transfers[left] + fmax(share, 0) * (track->transfers[right] - track->transfers[left]);
    }
    return track->transfers[(track->first + track->count - 1) % TOP_SAMPLES];
}

double top_history_spark(const struct top_history *history, const struct top_row *row, size_t i, size_t parts)
{
    const struct top_track *track = row->track;
    if (!track || track->count < 2 || !row->flow || !row->flow->has_transfers)
        return (double)NAN;
    double step = TOP_WINDOW_SECONDS / (double)parts, end = history->now.time - step * (double)(parts - 1 - i);
    double begin = fmax(end - step, track->at[track->first]);
    if (!(end > begin))
        return (double)NAN;
    return (transfers_at(track, end) - transfers_at(track, begin)) / (end - begin);
}

/* -- Rows -- */

/* Failures of the flow's own classes are in `failed`, where the connector counts by flow. Otherwise the first row of an
 * entry stands for all failures of the entry. */
static bool has_own_failures(const struct top_flow *flow)
{
    return flow && (flow->has_failed || flow->failures.count > 0);
}

static uint64_t growth(uint64_t before, uint64_t now)
{
    return now > before ? now - before : 0;
}

static uint64_t flow_failed(const struct top_flow *flow)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < flow->failures.count; i++)
        sum += flow->failures.all[i].count;
    return flow->has_failed ? flow->failed : sum;
}

static void count_failures(struct top_row *row)
{
    const bool own = has_own_failures(row->flow);
    uint64_t before = 0;
    if (!own && !row->is_first)
        return;
    row->failed_total = own ? flow_failed(row->flow) : row->entry->failed;
    if (own && row->flow_before)
        before = flow_failed(row->flow_before);
    else if (!own && row->entry_before)
        before = row->entry_before->failed;
    row->failed = growth(before, row->failed_total);
}

static void find_before(const struct top_history *history, struct top_row *row, size_t hint)
{
    const struct top_state *base = history->checkpoint_count > 0 ? &history->checkpoints[0] : NULL;
    row->has_window = history->whole || base;
    if (history->whole || !base)
        return;
    if (!(row->entry_before = top_state_find(base, row->entry, hint))) {
        row->has_window = top_state_has_all(base);
        return;
    }
    row->flow_before = row->flow ? top_entry_flow(row->entry_before, row->flow->name) : NULL;
    if (row->flow_before && row->flow_before->transfers > row->flow->transfers) {
        row->has_window = false; /* a store went away */
        row->flow_before = NULL;
    }
}

static double open_of(const struct top_state *state, const struct top_row *row)
{
    double open = (double)NAN;
    for (size_t i = 0; i < state->open_count; i++) {
        const struct top_open_row *told = &state->open[i];
        if (strcmp(told->connector, row->entry->connector) != 0 || strcmp(told->engine, row->entry->engine) != 0 ||
            strcmp(told->model, row->entry->model) != 0)
            continue;
        const bool mine = row->flow && strcmp(told->operation, row->flow->name) == 0;
        const bool nobodys = row->is_first && !top_entry_flow(row->entry, told->operation);
        if (mine || nobodys)
            open = (isnan(open) ? 0 : open) + (double)told->open;
    }
    return open;
}

/* Fills a row. False: no memory. */
static bool fill_row(struct top_history *history, struct top_row *row, size_t hint, double before)
{
    static const double shares[TOP_QUANTILES] = { 0.5, 0.9, 0.99 };
    row->transfers_rate = row->bytes_rate = (double)NAN;
    find_before(history, row, hint);
    for (int i = 0; i < TOP_QUANTILES; i++) {
        const struct top_bins *earlier = row->flow_before ? &row->flow_before->bins[TOP_TIME] : NULL;
        row->quantiles[i] = row->flow && row->has_window
                                ? top_bins_quantile(earlier, &row->flow->bins[TOP_TIME], shares[i])
                                : (double)NAN;
    }
    if (row->has_window)
        count_failures(row);
    row->open = open_of(&history->now, row);
    struct top_track *track = track_of(history, row, history->row_count, before);
    if (track)
        update_track(track, row, history->now.time);
    return track;
}

static void add_up(struct top_history *history)
{
    history->transfers_rate = history->bytes_rate = 0;
    history->open = history->stalled = 0;
    history->has_open = history->now.open_count > 0;
    for (size_t i = 0; i < history->row_count; i++) {
        const struct top_row *row = &history->rows[i];
        history->transfers_rate += isnan(row->transfers_rate) ? 0 : row->transfers_rate;
        history->bytes_rate += isnan(row->bytes_rate) ? 0 : row->bytes_rate;
    }
    for (size_t i = 0; i < history->now.open_count; i++)
        history->open += history->now.open[i].open;
    for (size_t i = 0; i < history->now.oldest_count; i++)
        history->stalled += history->now.oldest[i].stalled;
}

/* Makes room for the rows of all entries. False: no memory. */
static bool reserve_rows(struct top_history *history)
{
    size_t wanted = 0;
    for (size_t e = 0; e < history->now.entry_count; e++)
        wanted += history->now.entries[e].flow_count > 0 ? history->now.entries[e].flow_count : 1;
    if (wanted <= history->row_room)
        return true;
    struct top_row *larger = realloc(history->rows, wanted * sizeof *larger);
    if (!larger)
        return false;
    history->rows = larger;
    history->row_room = wanted;
    return true;
}

/* Makes all rows anew. `before`: the time of the summary before, or 0. False: no memory, and some are missing. */
static bool make_rows(struct top_history *history, double before)
{
    const struct top_state *now = &history->now;
    bool good = reserve_rows(history);
    history->row_count = 0;
    for (size_t i = 0; i < history->track_count; i++)
        history->tracks[i]->used = false;
    for (size_t e = 0; e < now->entry_count; e++) {
        const struct top_entry *entry = &now->entries[e];
        const size_t flows = entry->flow_count > 0 ? entry->flow_count : 1;
        for (size_t f = 0; f < flows && history->row_count < history->row_room; f++) {
            struct top_row *row = &history->rows[history->row_count];
            *row = (struct top_row){ .entry = entry,
                                     .flow = entry->flow_count > 0 ? &entry->flows[f] : NULL,
                                     .is_first = f == 0 };
            good = fill_row(history, row, e, before) && good;
            history->row_count++;
        }
    }
    drop_unused(history);
    add_up(history);
    return good;
}

/* -- Peers -- */

/* What a peer was in a summary that does not list it: nothing, if that summary lists all. NULL: not known. */
static const struct top_peer *nobody_of(const struct top_state *state)
{
    static const struct top_peer nobody = { .name = "" };
    return state && state->has_peers && state->peers_total <= state->peer_count ? &nobody : NULL;
}

/* The rows of the next summary's peers, from it and the one before it. */
static void make_peers(struct top_history *history, const struct top_state *next)
{
    const struct top_state *last = &history->now, *base = NULL;
    const double seconds = history->any ? next->time - last->time : 0;
    for (size_t i = 0; i < history->checkpoint_count && !base; i++)
        base = history->checkpoints[i].has_peers ? &history->checkpoints[i] : NULL;
    base = base || !history->any ? base : last;
    history->peer_count = next->peer_count;
    for (size_t i = 0; i < next->peer_count; i++) {
        const struct top_peer *peer = &next->peers[i];
        struct top_peer_row *row = &history->peers[i];
        *row = (struct top_peer_row){ .peer = peer, .transfers_rate = (double)NAN, .bytes_rate = (double)NAN };
        const struct top_peer *before = base ? top_state_peer(base, peer->name, i) : NULL;
        before = before ? before : nobody_of(base);
        row->failed = before ? growth(before->failed, peer->failed) : 0;
        before = top_state_peer(last, peer->name, i);
        before = before ? before : nobody_of(last);
        if (!before || !(seconds > 0) || peer->transfers < before->transfers || peer->bytes < before->bytes)
            continue;
        row->transfers_rate = (double)(peer->transfers - before->transfers) / seconds;
        row->bytes_rate = (peer->bytes - before->bytes) / seconds;
    }
}

/* -- Summaries -- */

static void forget(struct top_history *history)
{
    for (size_t i = 0; i < history->checkpoint_count; i++)
        top_state_close(&history->checkpoints[i]);
    for (size_t i = 0; i < history->track_count; i++)
        free_track(history->tracks[i]);
    history->checkpoint_count = history->track_count = history->row_count = history->peer_count = 0;
    top_state_close(&history->now);
    history->any = false;
}

/* Removes the oldest checkpoint. */
static void drop_oldest(struct top_history *history)
{
    top_state_close(&history->checkpoints[0]);
    history->checkpoint_count--;
    memmove(history->checkpoints, history->checkpoints + 1, history->checkpoint_count * sizeof *history->checkpoints);
}

/* Keeps the summary that was the newest until now as a checkpoint, or frees it. */
static void keep_now(struct top_history *history, double time)
{
    const size_t count = history->checkpoint_count;
    if (count > 0 && history->now.time - history->checkpoints[count - 1].time < CHECKPOINT_SECONDS) {
        top_state_close(&history->now);
    } else {
        if (count == TOP_CHECKPOINTS)
            drop_oldest(history);
        history->checkpoints[history->checkpoint_count++] = history->now;
        history->now = (struct top_state){ 0 };
    }
    while (history->checkpoint_count > 1 && time - history->checkpoints[1].time >= TOP_WINDOW_SECONDS)
        drop_oldest(history);
}

enum kvtel_status top_history_begin(struct top_history *history, const char *json, size_t size,
                                    struct kvtel_error *error)
{
    return top_state_read(&history->next, json, size, error);
}

enum kvtel_status top_history_more(struct top_history *history, const char *json, size_t size,
                                   struct kvtel_error *error)
{
    return top_state_read_more(&history->next, json, size, error);
}

size_t top_history_missing(const struct top_history *history)
{
    const struct top_state *next = &history->next;
    const bool is_whole = next->given >= next->entries_total || next->given_last == 0; /* the exporter has no more */
    return is_whole || next->entry_count >= TOP_ENTRIES || next->parts >= TOP_PARTS ? 0 : next->given;
}

enum kvtel_status top_history_add(struct top_history *history, const char *json, size_t size, struct kvtel_error *error)
{
    const enum kvtel_status status = top_history_begin(history, json, size, error);
    return status == KVTEL_OK ? top_history_end(history, error) : status;
}

enum kvtel_status top_history_end(struct top_history *history, struct kvtel_error *error)
{
    struct top_state next = history->next;
    history->next = (struct top_state){ 0 };
    if (history->any && !(next.time > history->now.time || next.time < history->now.time)) {
        top_state_close(&next);
        return KVTEL_OK;
    }
    if (history->any && (next.time < history->now.time || next.uptime_seconds < history->now.uptime_seconds))
        forget(history);
    const double before = history->any && top_state_has_all(&history->now) ? history->now.time : 0;
    make_peers(history, &next);
    if (history->any)
        keep_now(history, next.time);
    history->now = next;
    history->any = true;
    history->window_seconds = history->checkpoint_count > 0 ? next.time - history->checkpoints[0].time : 0;
    if (!make_rows(history, before))
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    return KVTEL_OK;
}

/* Puts a flow's counts of the last minute before those that were seen. */
static void add_past_flow(void *context, const struct top_past_flow *past)
{
    struct top_history *history = context;
    for (size_t r = 0; r < history->row_count; r++) {
        const struct top_row *row = &history->rows[r];
        if (!row->track || !row->flow || strcmp(row->flow->name, past->name) != 0 ||
            strcmp(row->entry->connector, past->connector) != 0 || strcmp(row->entry->model, past->model) != 0 ||
            strcmp(row->entry->engine, past->engine) != 0)
            continue;
        struct top_track *track = history->tracks[0];
        for (size_t t = 0; t < history->track_count; t++)
            track = history->tracks[t] == row->track ? history->tracks[t] : track;
        track->count = 0;
        for (size_t i = 0; i < past->count; i++)
            push_sample(track, past->at[i], past->transfers[i]);
        track->last_at = past->at[past->count - 1];
        track->last_transfers = past->transfers[past->count - 1];
        track->last_bytes = isnan(past->bytes) ? 0 : past->bytes;
    }
}

void top_history_add_past(struct top_history *history, const char *json, size_t size)
{
    struct top_state before;
    if (!history->any || history->checkpoint_count > 0 ||
        top_past_read(json, size, &history->now, &before, add_past_flow, history) != KVTEL_OK)
        return;
    if (!(before.time > 0) || !(before.time < history->now.time)) {
        top_state_close(&before);
        return;
    }
    history->checkpoints[history->checkpoint_count++] = before;
    history->window_seconds = history->now.time - before.time;
    (void)make_rows(history, 0);
}

void top_history_close(struct top_history *history)
{
    forget(history);
    top_state_close(&history->next);
    free(history->tracks);
    free(history->rows);
    *history = (struct top_history){ 0 };
}

/* -- Texts -- */

void top_history_failures(const struct top_row *row, bool whole, char *text, size_t size)
{
    const bool own = has_own_failures(row->flow);
    const struct top_classes *now = own ? &row->flow->failures : &row->entry->failures, *before = NULL;
    size_t used = 0;
    text[0] = '\0';
    if (!whole && own && row->flow_before)
        before = &row->flow_before->failures;
    else if (!whole && !own && row->entry_before)
        before = &row->entry_before->failures;
    for (size_t i = 0; (own || row->is_first) && i < now->count && used < size; i++) {
        const struct top_class *class = &now->all[i];
        uint64_t count = growth(before ? top_classes_count(before, class->name) : 0, class->count);
        if (count == 0)
            continue;
        int printed = snprintf(text + used, size - used, "%s%s %llu", used > 0 ? ", " : "", class->name,
                               (unsigned long long)count);
        used += printed > 0 ? (size_t)printed : 0;
    }
}
