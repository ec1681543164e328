/* SPDX-License-Identifier: Apache-2.0 */
/* Posts, and what becomes of them by looks and by what the application tells. */
#include <time.h>

#include "posts.h"

enum {
    TRIES = 16,   /* records that a new post asks for */
    SPINS = 64,   /* looks at a record that another thread has taken */
    WAITS = 2000, /* ... and further ones, each after wait_ns: that thread does not run */
};
static const long wait_ns = 1000000;
/* What the number of a post has more than that of an earlier one with the same record. The lower bits are the earlier
 * one's, because they say where the record is. */
#define NUMBER_REUSED (UINT64_C(1) << 48)

struct record plugin_post_records[PLUGIN_POSTS];
_Atomic uint64_t plugin_post_tail;
_Atomic uint32_t plugin_post_parked;
_Thread_local struct record *plugin_post_freed PLUGIN_THREAD_MODEL;

/* Waits for the thread that has taken the record. */
static __attribute__((noinline, cold)) uint32_t settle(const struct record *record)
{
    uint32_t state = TAKEN;
    for (int i = 0; state == TAKEN && i < SPINS + WAITS; i++) {
        if (i >= SPINS)
            (void)nanosleep(&(struct timespec){ .tv_nsec = wait_ns }, NULL);
        state = atomic_load_explicit(&record->state, memory_order_relaxed);
    }
    return state;
}

/* The record's state once no other thread has taken it. TAKEN: that thread was stopped, and for long. */
static inline uint32_t settled(const struct record *record)
{
    const uint32_t state = atomic_load_explicit(&record->state, memory_order_relaxed);
    return __builtin_expect(state != TAKEN, 1) ? state : settle(record);
}

/* Takes the handle's record in this state, also when another thread has taken it for the moment. */
static PLUGIN_HOT bool take_of(struct record *record, uint32_t from, uint64_t handle)
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

static void expect(const struct record *record)
{
    __builtin_prefetch((const void *)record, 1);
    __builtin_prefetch((const char *)record + HANDLE_LINE, 1);
}

void plugin_posts_expect(uint64_t handle)
{
    uint64_t word = 0;
    if (handle_is_one(handle) && handle_find(handle, &word) && word != 0) {
        const struct record *earlier = record_at(word);
        expect(earlier);
        expect(record_of(get(&earlier->parked_before)));
    }
    expect(plugin_post_freed ? plugin_post_freed : record_of(get(&plugin_post_tail) + 1));
}

/* Of an agent that has events, also where they close nothing any more. */
static void note_parked(struct record *record)
{
    record->is_counted = atomic_load_explicit(&plugin_records.source, memory_order_relaxed) != PLUGIN_FROM_NOBODY &&
                         plugin_agent_has_events(atomic_load_explicit(&record->agent, memory_order_relaxed));
    if (record->is_counted)
        atomic_fetch_add_explicit(&plugin_post_parked, 1, memory_order_relaxed);
}

/* Takes the parked post of the handle. NULL: it has ended. */
static PLUGIN_HOT struct record *take_parked(uint64_t number, uint64_t handle)
{
    struct record *record = record_of(number);
    if (number == 0 || get(&record->number) != number || !take_of(record, PARKED, handle))
        return NULL;
    if (get(&record->number) != number) {
        put(record, PARKED); /* another post has its place */
        return NULL;
    }
    note_unparked(record);
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
static PLUGIN_HOT void end_open(struct record *record, enum kvtel_nixl_outcome outcome, int status,
                                uint64_t duration_ns)
{
    const uint64_t before = get(&record->parked_before), handle = get(&record->handle);
    const bool waits = has_events(atomic_load_explicit(&record->agent, memory_order_relaxed));
    empty_slot(record);
    finish(record, outcome, status, duration_ns);
    if (before != 0 && !waits)
        end_parked(before, handle);
}

/* Takes the handle's post in the state OPEN or GUESSED. NULL: there is none. */
static PLUGIN_HOT struct record *take_post(uint64_t handle, uint32_t state)
{
    uint64_t word;
    if (!handle_is_one(handle) || !handle_find(handle, &word) || word == 0)
        return NULL;
    struct record *record = record_at(word);
    return take_of(record, state, handle) ? record : NULL;
}

/* The record that the thread freed last, taken, with a number of its own. NULL: another thread has it. */
static struct record *freed_record(void)
{
    struct record *record = plugin_post_freed;
    if (!record || !take(record, FREE))
        return NULL;
    set(&record->number, get(&record->number) + NUMBER_REUSED);
    return record;
}

/* A free record, taken, with the number of the newest post. NULL: too many posts are open. */
static struct record *next_record(void)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t number = atomic_fetch_add_explicit(&plugin_post_tail, 1, memory_order_relaxed) + 1;
        struct record *record = record_of(number);
        const uint32_t state = atomic_load_explicit(&record->state, memory_order_relaxed);
        if ((state == FREE || state == GUESSED) && take(record, state)) {
            if (state == GUESSED)
                empty_slot(record);
            set(&record->number, number);
            return record;
        }
    }
    return NULL;
}

static PLUGIN_HOT uint64_t park_taken(struct record *record, uint64_t handle)
{
    const uint64_t before = get(&record->parked_before), number = get(&record->number);
    const bool waits = has_events(atomic_load_explicit(&record->agent, memory_order_relaxed));
    set(&record->parked_before, 0);
    note_parked(record);
    put(record, PARKED);
    if (before != 0 && !waits)
        end_parked(before, handle);
    return number;
}

/* Parks the open post that the slot leads to, because its handle is posted again. Returns its number, or 0. */
static PLUGIN_HOT uint64_t park(uint64_t word, uint64_t handle)
{
    struct record *record = record_at(word);
    if (take_of(record, OPEN, handle))
        return park_taken(record, handle);
    if (take_of(record, GUESSED, handle))
        put_free(record);
    return 0;
}

/* Makes a slot of the record's handle lead to the record. False: there is something else than `word` in it. */
static bool lead(_Atomic uint64_t *slot, uint64_t word, const struct record *record)
{
    return atomic_compare_exchange_strong_explicit(
        slot, &word, handle_word(get(&record->handle), (uint64_t)(record - plugin_post_records)), memory_order_acq_rel,
        memory_order_relaxed);
}

/* Makes the table lead to the record. False: no slot is free. */
static PLUGIN_HOT bool enter(struct record *record)
{
    for (int i = 0; i < TRIES; i++) {
        const uint64_t handle = get(&record->handle);
        uint64_t word;
        _Atomic uint64_t *slot = handle_find(handle, &word);
        if (!slot)
            return false;
        if (word != 0 && record_at(word) == record)
            return true; /* keep() found no record for the next post; park() would wait for this very thread */
        if (word != 0 && get(&record->parked_before) == 0)
            set(&record->parked_before, park(word, handle));
        if (lead(slot, word, record))
            return true;
    }
    return false;
}

/* The handle's parked post is its open one again. */
static void reopen(uint64_t number, uint64_t handle)
{
    struct record *record = take_parked(number, handle);
    if (record && enter(record))
        put(record, OPEN);
    else if (record)
        finish(record, KVTEL_NIXL_UNKNOWN, 0, KVTEL_UNMEASURED);
}

/* Keeps a post in a record of its own. False: there is no room. */
static PLUGIN_HOT bool keep(const struct plugin_call *call, uint64_t now_ns)
{
    const uint32_t agent = plugin_agent_index(call->agent);
    uint64_t word;
    _Atomic uint64_t *slot = handle_find(call->handle, &word);
    const uint64_t before = word != 0 ? park(word, call->handle) : 0; /* first: that may free a record */
    struct record *record = has_events(agent) ? NULL : freed_record();
    if (!record)
        record = next_record();
    if (!record) {
        if (word != 0 && atomic_load_explicit(&record_at(word)->state, memory_order_relaxed) == FREE)
            (void)atomic_compare_exchange_strong(slot, &word, 0); /* of a guessed post, which park() has freed */
        reopen(before, call->handle);
        return false;
    }
    set(&record->handle, call->handle);
    set(&record->began_ns, call->began_ns);
    record->post_ns = now_ns - call->began_ns;
    record->peer = (uint16_t)call->peer;
    set(&record->parked_before, before);
    set(&record->bytes, call->bytes);
    atomic_store_explicit(&record->agent, agent, memory_order_relaxed);
    atomic_store_explicit(&record->direction, (uint8_t)call->direction, memory_order_relaxed);
    if (!(slot && lead(slot, word, record)) && !enter(record)) {
        put_free(record);
        reopen(before, call->handle);
        return false;
    }
    record->is_open = plugin_record_open(call, &record->token);
    put(record, OPEN);
    return true;
}

void plugin_posts_add(const struct plugin_call *call, uint64_t now_ns)
{
    if (handle_is_one(call->handle) && keep(call, now_ns))
        return;
    const struct plugin_ending ending = { .direction = call->direction,
                                          .outcome = KVTEL_NIXL_UNKNOWN,
                                          .peer = call->peer,
                                          .duration_ns = KVTEL_UNMEASURED,
                                          .bytes = call->bytes };
    plugin_count(plugin_records.untracked);
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
        plugin_posts_correct(record, now_ns);
    return record != NULL;
}

void plugin_posts_abandon(const struct plugin_agent *agent)
{
    for (size_t i = 0; i < PLUGIN_POSTS; i++) {
        struct record *record = &plugin_post_records[i];
        const uint32_t state = settled(record);
        if (state == FREE || state == TAKEN ||
            atomic_load_explicit(&record->agent, memory_order_relaxed) != plugin_agent_index(agent) ||
            !take(record, state))
            continue;
        if (atomic_load_explicit(&record->agent, memory_order_relaxed) != plugin_agent_index(agent)) {
            put(record, state); /* another agent's post by now */
            continue;
        }
        if (state == PARKED)
            note_unparked(record);
        else
            empty_slot(record);
        if (state == GUESSED)
            put_free(record);
        else
            finish(record, state == OPEN ? KVTEL_NIXL_ABANDONED : KVTEL_NIXL_UNKNOWN, 0, KVTEL_UNMEASURED);
    }
}

void plugin_posts_clear(void)
{
    for (size_t i = 0; i < PLUGIN_POSTS; i++)
        atomic_store(&plugin_post_records[i].state, FREE);
    handles_clear();
    atomic_store(&plugin_post_tail, 0);
    atomic_store(&plugin_post_parked, 0);
}

/* NIXL refused a post because the one before on the same handle is active: that one is the handle's open post again. */
static void refuse(struct record *record)
{
    const uint64_t before = get(&record->parked_before), handle = get(&record->handle);
    set(&record->parked_before, 0);
    empty_slot(record);
    finish(record, KVTEL_NIXL_FAILED, PLUGIN_REPOST_ACTIVE, KVTEL_UNMEASURED);
    reopen(before, handle);
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
