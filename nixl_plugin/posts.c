/* SPDX-License-Identifier: Apache-2.0 */
/* Posts that wait for their end: a ring of records in the order of the posts, found by their handles (handles.h).
 * Whoever changes a record's state to TAKEN owns the record until its next change of state, which is some
 * instructions away and needs no lock; a thread that wants the same record looks a bounded number of times. */
#include <time.h>

#include "handles.h"
#include "state.h"

enum {
    TRIES = 16,         /* records that a new post asks for */
    SPINS = 64,         /* looks at a record that another thread has taken */
    WAITS = 2000,       /* ... and further ones, each after wait_ns: that thread does not run */
    CORRECTIONS = 4096, /* records that a look may look at */
    BUDGET = 1 << 22    /* records that the events of one expire_every_ns look at: some milliseconds */
};
static const long wait_ns = 1000000;
static const uint64_t patience_ns = 2000000000; /* a parked post waits this long for its events */
static const uint64_t expire_every_ns = 500000000;

enum state {
    FREE,
    TAKEN,
    OPEN,   /* the table of handles leads to it */
    PARKED, /* its handle was posted again before an end was seen */
    GUESSED /* ended, because an event described it; the table leads to it until its handle is posted again */
};

/* The first line of the cache is all that a post needs which readers do not see as open. */
struct record {
    _Alignas(HANDLE_LINE) _Atomic uint32_t state;
    uint16_t peer;
    bool is_open; /* `token` is there */
    _Atomic uint8_t direction;
    _Atomic uint64_t number; /* of the post, from 1; the record's place is the remainder */
    _Atomic uint64_t bytes;
    _Atomic uint64_t handle;
    _Atomic uint64_t began_ns;
    uint64_t post_ns;
    uint64_t parked_before; /* number of the parked post of the same handle; 0: none */
    _Atomic uint32_t agent;
    _Alignas(HANDLE_LINE) struct kvtel_transfer_token token;
};
_Static_assert(sizeof(struct record) == 2 * HANDLE_LINE, "lines of a record");

static struct record records[PLUGIN_POSTS];
static _Atomic uint64_t tail;   /* number of the newest post */
static _Atomic uint32_t parked; /* records that wait for events */

static struct record *record_of(uint64_t number)
{
    return &records[number % PLUGIN_POSTS];
}

static struct record *record_at(uint64_t word)
{
    return &records[word & HANDLE_PLACES];
}

static bool take(struct record *record, uint32_t from)
{
    return atomic_compare_exchange_strong_explicit(&record->state, &from, TAKEN, memory_order_acquire,
                                                   memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *member)
{
    return atomic_load_explicit(member, memory_order_relaxed);
}

static void set(_Atomic uint64_t *member, uint64_t value)
{
    atomic_store_explicit(member, value, memory_order_relaxed);
}

static void put(struct record *record, uint32_t state)
{
    atomic_store_explicit(&record->state, state, memory_order_release);
}

/* The record's state once no other thread has taken it. TAKEN: that thread was stopped, and for long. */
static uint32_t settled(const struct record *record)
{
    uint32_t state = atomic_load_explicit(&record->state, memory_order_relaxed);
    for (int i = 0; state == TAKEN && i < SPINS + WAITS; i++) {
        if (i >= SPINS)
            (void)nanosleep(&(struct timespec){ .tv_nsec = wait_ns }, NULL);
        state = atomic_load_explicit(&record->state, memory_order_relaxed);
    }
    return state;
}

/* Takes the handle's record in this state, also when another thread has taken it for the moment. */
static bool take_of(struct record *record, uint32_t from, uint64_t handle)
{
    while (get(&record->handle) == handle && settled(record) == from) {
        if (!take(record, from))
            continue;
        if (get(&record->handle) == handle)
            return true;
        put(record, from); /* of another post by now */
    }
    return false;
}

void plugin_posts_expect(uint64_t handle)
{
    const struct record *record = record_of(get(&tail) + 1);
    __builtin_prefetch((const void *)handle_slots(handle), 1);
    __builtin_prefetch((const void *)record, 1);
    __builtin_prefetch((const char *)record + HANDLE_LINE, 1);
}

static void empty_slot(const struct record *record)
{
    uint64_t word;
    _Atomic uint64_t *slot = handle_find(get(&record->handle), &word);
    if (word != 0 && record_at(word) == record)
        (void)atomic_compare_exchange_strong(slot, &word, 0);
}

static struct plugin_ending ending_of(const struct record *record, enum kvtel_nixl_outcome outcome,
                                      uint64_t duration_ns)
{
    return (struct plugin_ending){
        .direction = atomic_load_explicit(&record->direction, memory_order_relaxed),
        .outcome = outcome,
        .peer = record->peer,
        .duration_ns = duration_ns,
        .bytes = get(&record->bytes),
        .ended_ns = duration_ns != KVTEL_UNMEASURED ? get(&record->began_ns) + duration_ns : 0,
    };
}

/* Records the end of a post that the caller has taken, and gives its record the state `then`. */
static void end_as(struct record *record, const struct plugin_ending *ending, uint32_t then)
{
    if (!record->is_open) {
        put(record, then);
        plugin_record_ending(ending, NULL);
        return;
    }
    struct kvtel_transfer_token token = record->token;
    put(record, then);
    plugin_record_ending(ending, &token);
}

static void finish(struct record *record, enum kvtel_nixl_outcome outcome, int status, uint64_t duration_ns)
{
    struct plugin_ending ending = ending_of(record, outcome, duration_ns);
    ending.status = status;
    end_as(record, &ending, FREE);
}

/* Takes the parked post of the handle. NULL: it has ended. */
static struct record *take_parked(uint64_t number, uint64_t handle)
{
    struct record *record = record_of(number);
    if (number == 0 || get(&record->number) != number || !take_of(record, PARKED, handle))
        return NULL;
    if (get(&record->number) != number) {
        put(record, PARKED); /* another post has its place */
        return NULL;
    }
    atomic_fetch_sub(&parked, 1);
    return record;
}

static void end_parked(uint64_t number, uint64_t handle)
{
    struct record *record = take_parked(number, handle);
    if (record)
        finish(record, KVTEL_NIXL_UNKNOWN, 0, KVTEL_UNMEASURED);
}

/* Whether events will tell of the posts of this agent. */
static bool has_events(uint32_t agent)
{
    return atomic_load_explicit(&plugin_records.source, memory_order_relaxed) == PLUGIN_FROM_EVENTS &&
           plugin_agent_has_events(agent);
}

/* Ends an open post that the caller has taken, and the one before it on the same handle if nothing will tell of it. */
static void end_open(struct record *record, enum kvtel_nixl_outcome outcome, int status, uint64_t duration_ns)
{
    const uint64_t before = record->parked_before, handle = get(&record->handle);
    const bool waits = has_events(atomic_load_explicit(&record->agent, memory_order_relaxed));
    empty_slot(record);
    finish(record, outcome, status, duration_ns);
    if (before != 0 && !waits)
        end_parked(before, handle);
}

/* Takes the handle's post in the state OPEN or GUESSED. NULL: there is none. */
static struct record *take_post(uint64_t handle, uint32_t state)
{
    uint64_t word;
    if (!handle_is_one(handle) || !handle_find(handle, &word) || word == 0)
        return NULL;
    struct record *record = record_at(word);
    return take_of(record, state, handle) ? record : NULL;
}

/* A free record, taken, with its number. NULL: too many posts are open. */
static struct record *new_record(void)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t number = atomic_fetch_add_explicit(&tail, 1, memory_order_relaxed) + 1;
        struct record *record = record_of(number);
        const uint32_t state = atomic_load_explicit(&record->state, memory_order_relaxed);
        if ((state == FREE || state == GUESSED) && take(record, state)) {
            if (state == GUESSED)
                empty_slot(record);
            atomic_store_explicit(&record->number, number, memory_order_relaxed);
            return record;
        }
    }
    return NULL;
}

static uint64_t park_taken(struct record *record, uint64_t handle)
{
    const uint64_t before = record->parked_before, number = atomic_load_explicit(&record->number, memory_order_relaxed);
    const bool waits = has_events(atomic_load_explicit(&record->agent, memory_order_relaxed));
    record->parked_before = 0;
    atomic_fetch_add(&parked, 1);
    put(record, PARKED);
    if (before != 0 && !waits)
        end_parked(before, handle);
    return number;
}

/* Parks the open post that the slot leads to, because its handle is posted again. Returns its number, or 0. */
static uint64_t park(uint64_t word, uint64_t handle)
{
    struct record *record = record_at(word);
    if (take_of(record, GUESSED, handle))
        put(record, FREE);
    else if (take_of(record, OPEN, handle))
        return park_taken(record, handle);
    return 0;
}

/* Makes the table lead to the record. False: no slot is free. */
static bool enter(struct record *record)
{
    for (int i = 0; i < TRIES; i++) {
        const uint64_t handle = get(&record->handle);
        uint64_t word, new = handle_word(handle, (uint64_t)(record - records));
        _Atomic uint64_t *slot = handle_find(handle, &word);
        if (!slot)
            return false;
        if (word != 0 && record->parked_before == 0)
            record->parked_before = park(word, handle);
        if (atomic_compare_exchange_strong(slot, &word, new))
            return true;
    }
    return false;
}

void plugin_posts_add(const struct plugin_call *call, uint64_t now_ns)
{
    struct record *record = handle_is_one(call->handle) ? new_record() : NULL;
    if (record) {
        set(&record->handle, call->handle);
        set(&record->began_ns, call->began_ns);
        record->post_ns = now_ns - call->began_ns;
        record->peer = (uint16_t)call->peer;
        record->parked_before = 0;
        set(&record->bytes, call->bytes);
        atomic_store_explicit(&record->agent, plugin_agent_index(call->agent), memory_order_relaxed);
        atomic_store_explicit(&record->direction, (uint8_t)call->direction, memory_order_relaxed);
        if (enter(record)) {
            record->is_open = plugin_record_open(call, &record->token);
            put(record, OPEN);
            return;
        }
        put(record, FREE);
    }
    const struct plugin_ending ending = { .direction = call->direction,
                                          .outcome = KVTEL_NIXL_UNKNOWN,
                                          .peer = call->peer,
                                          .duration_ns = KVTEL_UNMEASURED,
                                          .bytes = call->bytes };
    plugin_count(plugin_records.untracked);
    plugin_record_ending(&ending, NULL);
}

/* Whether the record is an unended post as an event describes it; takes it. */
static bool take_described(struct record *record, uint64_t number, uint32_t agent, enum plugin_direction direction,
                           uint64_t bytes, uint32_t *state)
{
    *state = atomic_load_explicit(&record->state, memory_order_relaxed);
    if ((*state != OPEN && *state != PARKED) || atomic_load_explicit(&record->bytes, memory_order_relaxed) != bytes ||
        atomic_load_explicit(&record->direction, memory_order_relaxed) != direction ||
        atomic_load_explicit(&record->agent, memory_order_relaxed) != agent || !take(record, *state))
        return false;
    if (atomic_load_explicit(&record->number, memory_order_relaxed) == number &&
        atomic_load_explicit(&record->bytes, memory_order_relaxed) == bytes &&
        atomic_load_explicit(&record->direction, memory_order_relaxed) == direction &&
        atomic_load_explicit(&record->agent, memory_order_relaxed) == agent)
        return true;
    put(record, *state);
    return false;
}

/* Takes the first post from `number` to `last` that is as described. NULL: there is none. */
static struct record *find_described(struct plugin_agent *agent, uint64_t number, uint64_t last,
                                     enum plugin_direction direction, uint64_t bytes, uint32_t *state)
{
    for (; number <= last && agent->budget > 0; number++, agent->budget--) {
        if (take_described(record_of(number), number, plugin_agent_index(agent), direction, bytes, state)) {
            agent->cursor = number + 1;
            return record_of(number);
        }
    }
    return NULL;
}

/* Ends the first post of `from` to `last` that the ending describes, as this ending. False: there is none. */
static bool end_described(const struct plugin_ending *ending, uint32_t agent, uint64_t from, uint64_t last)
{
    for (uint64_t number = from; number <= last; number++) {
        struct record *record = record_of(number);
        uint32_t state;
        if (!take_described(record, number, agent, ending->direction, ending->bytes, &state))
            continue;
        if (state == PARKED)
            atomic_fetch_sub(&parked, 1);
        end_as(record, ending, state == PARKED ? FREE : GUESSED);
        return true;
    }
    return false;
}

/* A look found a transfer done of which an event had told, it seemed, that it was done in its post. So that event was
 * of another post, as large and in the same direction: that one ends now, and is counted as the transfer which the look
 * found. */
static void correct(struct record *guessed, uint64_t now_ns)
{
    const uint32_t agent = atomic_load_explicit(&guessed->agent, memory_order_relaxed);
    const struct plugin_ending ending = ending_of(guessed, KVTEL_NIXL_COMPLETED, now_ns - get(&guessed->began_ns));
    const uint64_t number = get(&guessed->number), newest = get(&tail);
    empty_slot(guessed);
    put(guessed, FREE);
    if (!end_described(&ending, agent, number + 1, newest < number + CORRECTIONS ? newest : number + CORRECTIONS) &&
        !end_described(&ending, agent, number > CORRECTIONS ? number - CORRECTIONS : 1, number - 1))
        plugin_record_ending(&ending, NULL);
}

bool plugin_posts_complete(uint64_t handle, uint64_t now_ns)
{
    struct record *record = take_post(handle, OPEN);
    if (record) {
        end_open(record, KVTEL_NIXL_COMPLETED, 0, now_ns - get(&record->began_ns));
        return true;
    }
    record = take_post(handle, GUESSED);
    if (record)
        correct(record, now_ns);
    return record != NULL;
}

/* Events come in the order in which transfers are done, which is nearly that of posts: the search begins behind the
 * last post that was found. */
bool plugin_posts_done_in_post(struct plugin_agent *agent, enum plugin_direction direction, uint64_t bytes)
{
    const uint64_t newest = atomic_load_explicit(&tail, memory_order_relaxed);
    const uint64_t oldest = newest > PLUGIN_POSTS ? newest - PLUGIN_POSTS + 1 : 1;
    const uint64_t cursor = agent->cursor < oldest ? oldest : agent->cursor;
    uint32_t state;
    struct record *record = find_described(agent, cursor, newest, direction, bytes, &state);
    if (!record)
        record = find_described(agent, oldest, cursor - 1, direction, bytes, &state);
    if (!record)
        return false;
    if (state == PARKED)
        atomic_fetch_sub(&parked, 1);
    const struct plugin_ending ending = ending_of(record, KVTEL_NIXL_IN_POST, record->post_ns);
    end_as(record, &ending, state == PARKED ? FREE : GUESSED);
    return true;
}

/* A post may have begun after the caller read the clock. */
static bool is_old(const struct record *record, uint64_t now_ns)
{
    const uint64_t began_ns = get(&record->began_ns);
    return now_ns > began_ns && now_ns - began_ns >= patience_ns;
}

uint64_t plugin_posts_expire(struct plugin_agent *agent, uint64_t now_ns)
{
    agent->budget = BUDGET;
    for (size_t i = 0; i < PLUGIN_POSTS && atomic_load_explicit(&parked, memory_order_relaxed) > 0; i++) {
        struct record *record = &records[i];
        if (atomic_load_explicit(&record->state, memory_order_relaxed) != PARKED ||
            atomic_load_explicit(&record->agent, memory_order_relaxed) != plugin_agent_index(agent) ||
            !is_old(record, now_ns) || !take(record, PARKED))
            continue;
        if (!is_old(record, now_ns)) {
            put(record, PARKED);
            continue;
        }
        atomic_fetch_sub(&parked, 1);
        finish(record, KVTEL_NIXL_UNKNOWN, 0, KVTEL_UNMEASURED);
    }
    return now_ns + expire_every_ns;
}

void plugin_posts_abandon(const struct plugin_agent *agent)
{
    for (size_t i = 0; i < PLUGIN_POSTS; i++) {
        struct record *record = &records[i];
        const uint32_t state = settled(record);
        if (state == FREE || state == TAKEN ||
            atomic_load_explicit(&record->agent, memory_order_relaxed) != plugin_agent_index(agent) ||
            !take(record, state))
            continue;
        if (state == PARKED)
            atomic_fetch_sub(&parked, 1);
        else
            empty_slot(record);
        if (state == GUESSED)
            put(record, FREE);
        else
            finish(record, state == OPEN ? KVTEL_NIXL_ABANDONED : KVTEL_NIXL_UNKNOWN, 0, KVTEL_UNMEASURED);
    }
}

void plugin_posts_clear(void)
{
    for (size_t i = 0; i < PLUGIN_POSTS; i++)
        atomic_store(&records[i].state, FREE);
    handles_clear();
    atomic_store(&tail, 0);
    atomic_store(&parked, 0);
}

/* NIXL refused a post because the one before on the same handle is active: that one is the handle's open post again. */
static void refuse(struct record *record)
{
    const uint64_t before = record->parked_before, handle = get(&record->handle);
    record->parked_before = 0;
    empty_slot(record);
    finish(record, KVTEL_NIXL_FAILED, PLUGIN_REPOST_ACTIVE, KVTEL_UNMEASURED);
    struct record *earlier = take_parked(before, handle);
    if (earlier && enter(earlier))
        put(earlier, OPEN);
    else if (earlier)
        finish(earlier, KVTEL_NIXL_UNKNOWN, 0, KVTEL_UNMEASURED);
}

void kvtel_nixl_outcome(uint64_t handle, int status)
{
    if (!plugin_is_on())
        return;
    plugin_note_source(PLUGIN_FROM_APPLICATION);
    struct record *record = status > 0 ? NULL : take_post(handle, OPEN);
    if (!record)
        return;
    if (status == 0)
        end_open(record, KVTEL_NIXL_IN_POST, 0, record->post_ns);
    else if (status == PLUGIN_REPOST_ACTIVE)
        refuse(record);
    else
        end_open(record, KVTEL_NIXL_FAILED, status, KVTEL_UNMEASURED);
}

uint64_t kvtel_nixl_post(uint64_t handle)
{
    uint64_t word;
    if (!plugin_is_on() || !handle_is_one(handle) || !handle_find(handle, &word) || word == 0)
        return 0;
    const struct record *record = record_at(word);
    const uint64_t number = get(&record->number);
    return settled(record) == OPEN && get(&record->handle) == handle ? number : 0;
}

/* A post that is not the handle's newest any more was parked: its number is another handle's by now. */
void kvtel_nixl_released(uint64_t handle, uint64_t post)
{
    if (!plugin_is_on())
        return;
    plugin_note_source(PLUGIN_FROM_APPLICATION);
    struct record *record = post != 0 ? take_post(handle, OPEN) : NULL;
    if (record && get(&record->number) == post) {
        end_open(record, KVTEL_NIXL_RELEASED, 0, KVTEL_UNMEASURED);
        return;
    }
    if (record)
        put(record, OPEN);
    record = take_parked(post, handle);
    if (record)
        finish(record, KVTEL_NIXL_RELEASED, 0, KVTEL_UNMEASURED);
}
