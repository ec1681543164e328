/* SPDX-License-Identifier: Apache-2.0 */
/* Open transfers: the places in the lanes, begin and end.
 *
 * Places that are free are in two lists of their lane: one of the owner's, and one to which other threads that end a
 * transfer add. The owner takes the whole second list when the first is empty, so that no place comes back to the
 * second list while somebody looks at it. The next of a list stands in the place itself. */
#include "record/open.h"
#include "record/lane.h"
#include "record/recorder.h"
#include "record/tables.h"
#include "record/thread.h"

#include <string.h>

/* A token's `place` after the transfer ended. */
#define KVTEL_ENDED_PLACE UINT32_MAX

static const char *const outcome_names[] = { "failed", "lost", "abandoned" };

/* -- Making -- */

enum kvtel_status kvtel_open_make(struct kvtel_store *store, uint32_t count)
{
    enum kvtel_status status = KVTEL_OK;
    struct kvtel_hold hold;
    count = count < KVTEL_LAYOUT_OPEN_MOST ? count : KVTEL_LAYOUT_OPEN_MOST;
    if (!kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    const uint64_t words = (uint64_t)count * KVTEL_OPEN_WORDS;
    if (store->open_count == 0 && (status = kvtel_lanes_reserve(store, 0, words)) == KVTEL_OK) {
        store->open_at = store->header->open_at = kvtel_lanes_take_words(store, words);
        store->open_count = count;
        /* pairs with the acquire load of a reader, which sees where the places begin */
        atomic_store_explicit(&store->header->open_count, count, memory_order_release);
    }
    kvtel_store_release(store, &hold);
    return status;
}

bool kvtel_open_outcomes(struct kvtel_recorder *recorder, struct kvtel_operation *operation)
{
    static const char *const labels[] = { "model_name", "engine", "connector", "operation", "outcome" };
    static const struct kvtel_family_spec spec = {
        .name = KVTEL_OPEN_FAMILY,
        .type = KVTEL_COUNTER,
        .help =
            "Transfers that were begun and did not complete, by outcome. failed: the application says so; lost: its "
            "process was killed or crashed while they were open; abandoned: it ended in order while they were open.",
        .labelnames = labels,
        .label_count = 5,
    };
    enum kvtel_status status = kvtel_store_family(recorder->store, &spec, &recorder->unfinished_family);
    for (size_t i = 0; status == KVTEL_OK && i < KVTEL_OUTCOMES; i++) {
        const char *const values[] = { recorder->store->header->model_name, recorder->engine,
                                       recorder->connector->names[0].name, operation->name, outcome_names[i] };
        const struct kvtel_series_request request = { .family = recorder->unfinished_family,
                                                      .values = values,
                                                      .count = 5 };
        status = kvtel_store_bare_series(recorder->store, &request, &operation->outcomes[i]);
    }
    return status == KVTEL_OK;
}

/* -- Peers -- */

static uint32_t find_peer(const struct kvtel_layout_open *open, uint64_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(open->peers[i], name) == 0)
            return i + 1;
    return 0;
}

/* Copies a name, cut between two characters if it is too long. */
static void cut_name(char cut[KVTEL_LAYOUT_PEER_SIZE], const char *name)
{
    size_t length = strnlen(name, KVTEL_LAYOUT_PEER_SIZE);
    if (length == KVTEL_LAYOUT_PEER_SIZE)
        for (length--; length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80;)
            length--;
    memset(cut, 0, KVTEL_LAYOUT_PEER_SIZE);
    memcpy(cut, name, length);
}

uint32_t kvtel_store_peer(struct kvtel_store *store, const char *name)
{
    char cut[KVTEL_LAYOUT_PEER_SIZE];
    if (!store || !name || !*name || !kvtel_store_is_own(store))
        return 0;
    struct kvtel_layout_open *open = kvtel_store_open_header(store);
    cut_name(cut, name);
    uint64_t count = atomic_load_explicit(&open->peer_count, memory_order_acquire); /* pairs with the store below */
    uint32_t peer = find_peer(open, count, cut);
    if (peer > 0 || count >= KVTEL_LAYOUT_PEERS)
        return peer > 0 ? peer : KVTEL_LAYOUT_PEERS + 1;
    int cancel;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    if (!atomic_exchange_explicit(&store->adds_peer, true, memory_order_acquire)) {
        count = atomic_load_explicit(&open->peer_count, memory_order_relaxed);
        peer = find_peer(open, count, cut);
        if (peer == 0 && count < KVTEL_LAYOUT_PEERS) {
            memcpy(open->peers[count], cut, sizeof(cut));
            atomic_store_explicit(&open->peer_count, count + 1, memory_order_release); /* for readers, too */
            peer = (uint32_t)count + 1;
        } else if (peer == 0) {
            peer = KVTEL_LAYOUT_PEERS + 1;
        }
        atomic_store_explicit(&store->adds_peer, false, memory_order_release);
    }
    (void)pthread_setcancelstate(cancel, NULL);
    return peer;
}

/* -- Places -- */

static inline kvtel_word *place_of(const struct kvtel_lane *lane, uint32_t place)
{
    return lane->words + lane->store->open_at + (size_t)(place - 1) * KVTEL_OPEN_WORDS;
}

/* Takes a free place of the lane. The caller owns the lane and is inside a call. 0: all are taken. */
static inline uint32_t take_place(struct kvtel_lane *lane)
{
    uint32_t place = lane->open_free;
    if (place == 0 && atomic_load_explicit(&lane->open_returned, memory_order_relaxed) != 0)
        place = atomic_exchange_explicit(&lane->open_returned, 0, memory_order_acquire); /* pairs with return_place() */
    if (place == 0)
        return lane->open_fresh < lane->store->open_count ? ++lane->open_fresh : 0;
    lane->open_free = (uint32_t)kvtel_word_load(place_of(lane, place) + KVTEL_OPEN_BEGAN);
    return place;
}

/* Gives back a place of another thread's lane, or of a lane of nobody. */
static __attribute__((noinline)) void return_place(struct kvtel_lane *lane, uint32_t place)
{
    uint32_t next = atomic_load_explicit(&lane->open_returned, memory_order_relaxed);
    do
        kvtel_word_store(place_of(lane, place) + KVTEL_OPEN_BEGAN, next);
    while (!atomic_compare_exchange_weak_explicit(&lane->open_returned, &next, place, memory_order_release,
                                                  memory_order_relaxed));
}

/* Marks the place as free. `own`: the lane of the thread, which is inside a call. */
static inline void free_place(struct kvtel_lane *lane, const struct kvtel_transfer_token *token,
                              const struct kvtel_lane *own)
{
    kvtel_word *words = place_of(lane, token->place);
    kvtel_word_publish(words + KVTEL_OPEN_STATE, token->state + (4 - KVTEL_OPEN_OPEN));
    if (__builtin_expect(lane != own, 0)) {
        return_place(lane, token->place);
        return;
    }
    kvtel_word_store(words + KVTEL_OPEN_BEGAN, lane->open_free);
    lane->open_free = token->place;
}

static void count_untracked(struct kvtel_store *store)
{
    atomic_fetch_add_explicit(&kvtel_store_open_header(store)->untracked, 1, memory_order_relaxed);
}

static bool refuse(struct kvtel_store *store)
{
    atomic_fetch_add_explicit(&kvtel_store_open_header(store)->refused, 1, memory_order_relaxed);
    return false;
}

/* Begins a call of the thread on its lane, or without one where there is none (*lane is NULL). False: the thread is
 * inside a call. */
static inline bool enter(struct kvtel_store *store, struct kvtel_lane **lane, uint64_t *mark)
{
    const uint64_t token = *store->token;
    if (__builtin_expect(kvtel_thread_lane.token == token, 1)) {
        kvtel_thread_lane.token = KVTEL_IN_CALL;
        *lane = kvtel_thread_lane.lane;
        *mark = token;
        if (__builtin_expect((*lane)->store == store, 1))
            return true;
        kvtel_thread_lane.token = KVTEL_NO_TOKEN;
    }
    *lane = kvtel_thread_lane_try(store);
    return kvtel_thread_enter(mark);
}

/* -- Begin -- */

static inline void open_place(struct kvtel_lane *lane, const struct kvtel_operation *operation, uint32_t peer,
                              struct kvtel_transfer_token *token)
{
    const uint32_t place = take_place(lane);
    if (__builtin_expect(place == 0, 0)) {
        count_untracked(lane->store);
        return;
    }
    kvtel_word *words = place_of(lane, place);
    const uint64_t state = kvtel_word_load(words + KVTEL_OPEN_STATE) / 4 * 4 + KVTEL_OPEN_OPEN;
    kvtel_lane_fence(memory_order_release); /* a reader that sees the words below also sees that the place was freed */
    kvtel_word_store(words + KVTEL_OPEN_BEGAN, token->began_ns);
    kvtel_word_store(words + KVTEL_OPEN_BYTES, token->bytes);
    kvtel_word_store(words + KVTEL_OPEN_OUTCOMES, operation->outcomes[KVTEL_OUTCOME_LOST] |
                                                      (uint64_t)operation->outcomes[KVTEL_OUTCOME_ABANDONED] << 32);
    kvtel_word_store(words + KVTEL_OPEN_PEER, peer);
    kvtel_word_store(words + KVTEL_OPEN_WITNESS, 0);
    kvtel_word_publish(words + KVTEL_OPEN_STATE, state);
    token->state = state;
    token->lane = lane->index;
    token->place = place;
}

/* A number of which 0 means "not known". */
static inline bool is_known(uint64_t number)
{
    return number != 0 && number != KVTEL_UNMEASURED;
}

__attribute__((hot)) struct kvtel_transfer_token kvtel_transfer_begin(const struct kvtel_operation *operation,
                                                                      const struct kvtel_transfer_start *start)
{
    struct kvtel_transfer_token token = { .bytes = UINT64_MAX };
    if (!operation || !kvtel_store_is_own(operation->store)) {
        if (operation)
            kvtel_store_count_dropped(operation->store, 1);
        return (struct kvtel_transfer_token){ 0 };
    }
    uint32_t peer = 0;
    token.operation = operation;
    if (start) {
        token.bytes = is_known(start->bytes) ? start->bytes : UINT64_MAX;
        token.began_ns = start->began_ns;
        peer = start->peer;
    }
    if (!is_known(token.began_ns))
        token.began_ns = kvtel_now_ns();
    if (!operation->is_tracked)
        return token;
    struct kvtel_lane *lane;
    uint64_t mark;
    if (__builtin_expect(!enter(operation->store, &lane, &mark), 0)) {
        count_untracked(operation->store);
        return token;
    }
    if (__builtin_expect(lane != NULL, 1))
        open_place(lane, operation, peer, &token);
    else
        count_untracked(operation->store);
    kvtel_thread_leave(mark);
    return token;
}

/* -- End -- */

/* The lane of the token's place, which is `own` as a rule: the thread's. NULL: no such place. */
static inline struct kvtel_lane *lane_of(const struct kvtel_transfer_token *token, struct kvtel_lane *own)
{
    const struct kvtel_store *store = token->operation->store;
    if (token->place > store->open_count)
        return NULL;
    if (__builtin_expect(own && token->lane == own->index, 1))
        return own;
    return token->lane < store->header->max_lanes ? store->lanes[token->lane] : NULL;
}

/* Begins the end of the transfer: only one thread can. `word` is the one whose change records it; NULL: none does. A
 * writer that is killed before it names the word has not recorded the transfer yet. */
static inline bool begin_end(struct kvtel_lane *lane, const struct kvtel_transfer_token *token, uint64_t witness,
                             const kvtel_word *word)
{
    kvtel_word *words = lane ? place_of(lane, token->place) : NULL;
    uint64_t state = token->state;
    /* acquires the begin, so that its stores are before the ones below */
    if (!lane || state % 4 != KVTEL_OPEN_OPEN ||
        !atomic_compare_exchange_strong_explicit(words + KVTEL_OPEN_STATE, &state, state + 1, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return false;
    kvtel_word_store(words + KVTEL_OPEN_BEFORE, word ? kvtel_word_load(word) : 0);
    kvtel_word_store(words + KVTEL_OPEN_WITNESS, word ? witness : KVTEL_OPEN_NO_WITNESS);
    return true;
}

/* The transfer to record: what the caller knows, and what the begin told. Returns `given`, or `made`. */
static __attribute__((noinline)) const struct kvtel_transfer *
complete(const struct kvtel_transfer_token *token, const struct kvtel_transfer *given, struct kvtel_transfer *made)
{
    *made = given ? *given : (struct kvtel_transfer){ 0 };
    if (!is_known(made->bytes) && (!given || token->bytes != UINT64_MAX))
        made->bytes = token->bytes != UINT64_MAX ? token->bytes : KVTEL_UNMEASURED;
    if (is_known(made->duration_ns))
        return made;
    if (!is_known(made->done_ns))
        made->duration_ns = kvtel_now_ns() - token->began_ns; /* a begin in the future is past the limit */
    else if (!is_known(made->submitted_ns))
        made->submitted_ns = token->began_ns;
    return made;
}

/* `exemplar`: NULL: none. */
static inline __attribute__((always_inline)) bool
end_with(struct kvtel_transfer_token *token, const struct kvtel_transfer *given, const struct kvtel_exemplar *exemplar)
{
    if (!token || !token->operation)
        return false;
    const struct kvtel_operation *operation = token->operation;
    struct kvtel_store *store = operation->store;
    if (!kvtel_store_is_own(store) || token->place == KVTEL_ENDED_PLACE)
        return refuse(store);
    struct kvtel_transfer made;
    const struct kvtel_transfer *transfer =
        given && is_known(given->duration_ns) && is_known(given->bytes) ? given : complete(token, given, &made);
    if (token->place == 0) {
        token->place = KVTEL_ENDED_PLACE;
        return kvtel_record_exemplar(operation, transfer, exemplar);
    }
    struct kvtel_lane *own;
    uint64_t mark;
    if (__builtin_expect(!enter(store, &own, &mark), 0)) {
        kvtel_store_count_dropped(store, 1);
        return false;
    }
    struct kvtel_lane *lane = lane_of(token, own);
    const kvtel_word *head = own && operation->group ? own->parts[operation->head_part] + operation->head_at : NULL;
    const uint64_t witness =
        head ? kvtel_open_witness(own->index, operation->head_at, operation->head_part == KVTEL_PART_LINE)
             : KVTEL_OPEN_NO_WITNESS;
    const bool is_open = begin_end(lane, token, witness, head);
    bool recorded = false;
    if (is_open) {
        if (own)
            recorded = exemplar ? kvtel_record_exemplar_inside(own, operation, transfer, exemplar, KVTEL_IN_CALL)
                                : kvtel_record_inside(own, operation, transfer, KVTEL_IN_CALL);
        else
            kvtel_store_count_dropped(store, 1);
        free_place(lane, token, own);
    }
    kvtel_thread_leave(mark);
    token->place = KVTEL_ENDED_PLACE;
    return is_open ? recorded : refuse(store);
}

bool kvtel_transfer_end(struct kvtel_transfer_token *token, const struct kvtel_transfer *transfer)
{
    return end_with(token, transfer, NULL);
}

__attribute__((hot)) bool kvtel_transfer_end_exemplar(struct kvtel_transfer_token *token,
                                                      const struct kvtel_transfer *transfer,
                                                      const struct kvtel_exemplar *exemplar)
{
    return end_with(token, transfer, exemplar);
}

/* Counts the failure in the lane, as the token's operation does. */
static bool fail_place(struct kvtel_store *store, const struct kvtel_transfer_token *token, bool *is_open)
{
    const uint32_t series = token->operation->outcomes[KVTEL_OUTCOME_FAILED];
    const uint64_t at = (uint64_t)store->series[series].slot * KVTEL_SLOT_WORDS + KVTEL_SLOT_DIRECT;
    struct kvtel_lane *own;
    uint64_t mark;
    if (!enter(store, &own, &mark)) {
        kvtel_store_count_dropped(store, 1);
        return false;
    }
    struct kvtel_lane *lane = token->place > 0 ? lane_of(token, own) : NULL;
    *is_open = token->place == 0 ||
               begin_end(lane, token, own ? kvtel_open_witness(own->index, at, 0) : 0, own ? own->words + at : NULL);
    if (*is_open && own)
        (void)kvtel_lane_increase_inside(own, series, 1);
    else if (*is_open)
        kvtel_store_count_dropped(store, 1);
    if (*is_open && lane)
        free_place(lane, token, own);
    kvtel_thread_leave(mark);
    return true;
}

bool kvtel_transfer_fail(struct kvtel_transfer_token *token, enum kvtel_failure failure)
{
    if (!token || !token->operation)
        return false;
    const struct kvtel_operation *operation = token->operation;
    struct kvtel_store *store = operation->store;
    bool is_open = true;
    if (!kvtel_store_is_own(store) || token->place == KVTEL_ENDED_PLACE)
        return refuse(store);
    if (operation->is_tracked && !fail_place(store, token, &is_open))
        return false;
    token->place = KVTEL_ENDED_PLACE;
    if (!is_open)
        return refuse(store);
    const struct kvtel_recorder *recorder = operation->recorder;
    const bool counted = (unsigned)failure < KVTEL_FAILURE_COUNT && recorder && recorder->failures[failure] &&
                         kvtel_record_failure(recorder, failure);
    return counted || operation->is_tracked;
}
