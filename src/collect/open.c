/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the places of open transfers. A place changes hands at any moment, so those of a live store are read three
 * times: where the state was the same before and after the others were read, they belong to it. */
#include "collect/open.h"

#include "base/utf8.h"

#include <kvtel/metric.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Places that are read at once. */
enum { AT_ONCE = 64, WORDS = AT_ONCE * KVTEL_OPEN_WORDS };

struct chunk {
    uint32_t lane, first, count; /* places are counted from 0 here */
    uint64_t words[WORDS];
};

static uint64_t state_of(const uint64_t *words, uint32_t place)
{
    return words[place * KVTEL_OPEN_WORDS + KVTEL_OPEN_STATE];
}

static enum kvtel_status read_places(const struct kvtel_view *view, const struct chunk *chunk, uint64_t *words)
{
    return view->read(view->context, chunk->lane, view->open_at + (uint64_t)chunk->first * KVTEL_OPEN_WORDS,
                      (size_t)chunk->count * KVTEL_OPEN_WORDS, words);
}

/* Calls `take` for chunks of all lanes, up to the first place of a lane that was never used: places are used in their
 * order. */
static enum kvtel_status each_chunk(const struct kvtel_view *view, void *context,
                                    enum kvtel_status (*take)(const struct kvtel_view *view, struct chunk *chunk,
                                                              void *context))
{
    struct chunk chunk;
    uint64_t read = 0;
    enum kvtel_status status = KVTEL_OK;
    for (chunk.lane = 0; chunk.lane < view->lane_count; chunk.lane++) {
        if (view->is_empty && view->is_empty(view->context, chunk.lane))
            continue;
        for (chunk.first = 0; chunk.first < view->open_count; chunk.first += AT_ONCE) {
            const uint32_t left = view->open_count - chunk.first;
            chunk.count = left < AT_ONCE ? left : AT_ONCE;
            read += (uint64_t)chunk.count * KVTEL_OPEN_WORDS;
            if (view->most_words > 0 && read > view->most_words)
                return KVTEL_E_LIMIT;
            if ((status = read_places(view, &chunk, chunk.words)) != KVTEL_OK ||
                (status = take(view, &chunk, context)) != KVTEL_OK)
                return status;
            if (state_of(chunk.words, chunk.count - 1) == KVTEL_OPEN_FREE)
                break;
        }
    }
    return status;
}

/* Whether the series is one that counts what becomes of transfers, and was not removed. */
static bool is_outcome(const struct kvtel_view *view, uint32_t series)
{
    if (series >= view->series_count || kvtel_layout_is_removed(&view->series[series]))
        return false;
    const struct kvtel_layout_family *family = &view->families[view->series[series].family];
    return family->type == KVTEL_COUNTER && strcmp(view->strings + family->text_at, KVTEL_OPEN_FAMILY) == 0;
}

/* -- Live stores -- */

struct listing {
    struct kvtel_open_list *list;
    struct kvtel_layout_open *names; /* NULL: not read yet */
};

static enum kvtel_status append(struct kvtel_open_list *list, struct kvtel_open_transfer **made)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct kvtel_open_transfer *all = realloc(list->all, room * sizeof(*all));
        if (!all)
            return KVTEL_E_NOMEM;
        list->all = all;
        list->room = room;
    }
    *made = &list->all[list->count++];
    **made = (struct kvtel_open_transfer){ 0 };
    return KVTEL_OK;
}

/* Copies a name. Whoever wrote the file may have written anything there. */
static void copy_peer(char peer[KVTEL_LAYOUT_PEER_SIZE], const char *name)
{
    size_t length = strnlen(name, KVTEL_LAYOUT_PEER_SIZE - 1);
    bool valid = kvtel_utf8_is_valid(name, length);
    for (size_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)name[i];
        peer[i] = byte < ' ' || byte == 0x7f || (byte > 0x7f && !valid) ? '?' : name[i];
    }
    peer[length] = '\0';
}

static enum kvtel_status name_peer(const struct kvtel_view *view, struct listing *listing, uint64_t number,
                                   char peer[KVTEL_LAYOUT_PEER_SIZE])
{
    peer[0] = '\0';
    if (number == 0)
        return KVTEL_OK;
    if (!listing->names) {
        listing->names = malloc(sizeof(*listing->names));
        enum kvtel_status status = listing->names ? view->read_open(view->context, listing->names) : KVTEL_E_NOMEM;
        if (status != KVTEL_OK)
            return status;
    }
    const uint64_t count = atomic_load_explicit(&listing->names->peer_count, memory_order_relaxed);
    if (number <= count && number <= KVTEL_LAYOUT_PEERS)
        copy_peer(peer, listing->names->peers[number - 1]);
    else
        (void)snprintf(peer, KVTEL_LAYOUT_PEER_SIZE, "other");
    return KVTEL_OK;
}

static enum kvtel_status list_chunk(const struct kvtel_view *view, struct chunk *chunk, void *context)
{
    struct listing *listing = context;
    uint64_t words[WORDS], after[WORDS];
    bool any = false;
    for (uint32_t i = 0; i < chunk->count; i++)
        any |= state_of(chunk->words, i) % 4 == KVTEL_OPEN_OPEN;
    if (!any)
        return KVTEL_OK;
    enum kvtel_status status = read_places(view, chunk, words);
    if (status == KVTEL_OK)
        status = read_places(view, chunk, after);
    for (uint32_t i = 0; i < chunk->count && status == KVTEL_OK; i++) {
        const uint64_t state = state_of(chunk->words, i), *place = words + (size_t)i * KVTEL_OPEN_WORDS;
        const uint32_t series = (uint32_t)place[KVTEL_OPEN_OUTCOMES];
        struct kvtel_open_transfer *transfer;
        if (state % 4 != KVTEL_OPEN_OPEN || state_of(after, i) != state || !is_outcome(view, series))
            continue;
        if ((status = append(listing->list, &transfer)) != KVTEL_OK)
            return status;
        transfer->began_ns = place[KVTEL_OPEN_BEGAN];
        transfer->bytes = place[KVTEL_OPEN_BYTES];
        transfer->state = state;
        transfer->lane = chunk->lane;
        transfer->place = chunk->first + i;
        transfer->series = series;
        status = name_peer(view, listing, place[KVTEL_OPEN_PEER], transfer->peer);
    }
    return status;
}

enum kvtel_status kvtel_open_read(const struct kvtel_view *view, struct kvtel_open_list *list)
{
    struct listing listing = { .list = list };
    list->count = 0;
    enum kvtel_status status = view->open_count > 0 ? each_chunk(view, &listing, list_chunk) : KVTEL_OK;
    free(listing.names);
    if (status != KVTEL_OK)
        list->count = 0;
    return status;
}

void kvtel_open_list_free(struct kvtel_open_list *list)
{
    free(list->all);
    *list = (struct kvtel_open_list){ 0 };
}

const char *kvtel_open_label(const struct kvtel_view *view, const struct kvtel_open_transfer *transfer,
                             const char *name)
{
    const struct kvtel_layout_series *series = &view->series[transfer->series];
    const struct kvtel_layout_family *family = &view->families[series->family];
    const char *label = view->strings + family->text_at, *value = view->strings + series->text_at;
    label += strlen(label) + 1; /* name */
    label += strlen(label) + 1; /* help */
    for (uint32_t i = 0; i < family->label_count; i++) {
        if (strcmp(label, name) == 0)
            return value;
        label += strlen(label) + 1;
        value += strlen(value) + 1;
    }
    return "";
}

/* -- Ended stores -- */

struct losing {
    const uint8_t *wanted;
    struct kvtel_collected *series;
};

/* Whether the writer recorded the end of a transfer before it ended itself: then the word that the place names is
 * another one than it was. */
static enum kvtel_status was_recorded(const struct kvtel_view *view, const uint64_t *place, bool *recorded)
{
    const uint64_t witness = place[KVTEL_OPEN_WITNESS];
    const uint32_t lane = (uint32_t)(witness >> 32) & UINT16_MAX, word = (uint32_t)witness;
    uint64_t line[KVTEL_LINE_WORDS], now;
    enum kvtel_status status = KVTEL_OK;
    *recorded = witness == KVTEL_OPEN_NO_WITNESS;
    if (*recorded || witness == 0 || lane >= view->lane_count)
        return KVTEL_OK;
    if (witness >> 63 != 0) {
        status = view->read_lines(view->context, lane, 1, line);
        now = word < KVTEL_LINE_WORDS ? line[word] : place[KVTEL_OPEN_BEFORE];
    } else if (word < (uint64_t)view->slot_count * KVTEL_SLOT_WORDS) {
        status = view->read(view->context, lane, word, 1, &now);
    } else {
        return KVTEL_OK;
    }
    if (status == KVTEL_OK)
        *recorded = now != place[KVTEL_OPEN_BEFORE];
    return status;
}

static enum kvtel_status lose_chunk(const struct kvtel_view *view, struct chunk *chunk, void *context)
{
    const struct losing *losing = context;
    for (uint32_t i = 0; i < chunk->count; i++) {
        const uint64_t *place = chunk->words + (size_t)i * KVTEL_OPEN_WORDS, state = place[KVTEL_OPEN_STATE] % 4;
        const uint64_t outcomes = place[KVTEL_OPEN_OUTCOMES];
        const uint32_t series = (uint32_t)(view->in_order ? outcomes >> 32 : outcomes);
        bool recorded = false;
        if (state != KVTEL_OPEN_OPEN && state != KVTEL_OPEN_ENDING)
            continue;
        enum kvtel_status status = state == KVTEL_OPEN_ENDING ? was_recorded(view, place, &recorded) : KVTEL_OK;
        if (status != KVTEL_OK)
            return status;
        if (!recorded && is_outcome(view, series) && (!losing->wanted || losing->wanted[series]))
            losing->series[series].value += 1;
    }
    return KVTEL_OK;
}

enum kvtel_status kvtel_open_add_lost(const struct kvtel_view *view, const uint8_t *wanted,
                                      struct kvtel_collected *series)
{
    struct losing losing = { wanted, series };
    return view->ended && view->open_count > 0 ? each_chunk(view, &losing, lose_chunk) : KVTEL_OK;
}
