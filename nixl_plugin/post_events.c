/* SPDX-License-Identifier: Apache-2.0 */
/* Posts of which NIXL's events tell. */
#include "posts.h"

enum {
    CORRECTIONS = 4096, /* records that a look may look at */
    BUDGET = 1 << 22    /* records that the events of one expire_every_ns look at: some milliseconds */
};
static const uint64_t patience_ns = 2000000000; /* a parked post waits this long for its events */
static const uint64_t expire_every_ns = 500000000;

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
            note_unparked(record);
        end_as(record, ending, state == PARKED ? FREE : GUESSED);
        return true;
    }
    return false;
}

void plugin_posts_correct(struct record *guessed, uint64_t now_ns)
{
    const uint32_t agent = atomic_load_explicit(&guessed->agent, memory_order_relaxed);
    const struct plugin_ending ending = ending_of(guessed, KVTEL_NIXL_COMPLETED, now_ns - get(&guessed->began_ns));
    const uint64_t number = get(&guessed->number), newest = get(&plugin_post_tail);
    empty_slot(guessed);
    put_free(guessed);
    if (!end_described(&ending, agent, number + 1, newest < number + CORRECTIONS ? newest : number + CORRECTIONS) &&
        !end_described(&ending, agent, number > CORRECTIONS ? number - CORRECTIONS : 1, number - 1))
        plugin_record_ending(&ending, NULL);
}

/* Events come in the order in which transfers are done, which is nearly that of posts: the search begins behind the
 * last post that was found. */
bool plugin_posts_done_in_post(struct plugin_agent *agent, enum plugin_direction direction, uint64_t bytes)
{
    const uint64_t newest = atomic_load_explicit(&plugin_post_tail, memory_order_relaxed);
    const uint64_t oldest = newest > PLUGIN_POSTS ? newest - PLUGIN_POSTS + 1 : 1;
    const uint64_t cursor = agent->cursor < oldest ? oldest : agent->cursor;
    uint32_t state;
    struct record *record = find_described(agent, cursor, newest, direction, bytes, &state);
    if (!record)
        record = find_described(agent, oldest, cursor - 1, direction, bytes, &state);
    if (!record)
        return false;
    if (state == PARKED)
        note_unparked(record);
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
    for (size_t i = 0; i < PLUGIN_POSTS && atomic_load_explicit(&plugin_post_parked, memory_order_relaxed) > 0; i++) {
        struct record *record = &plugin_post_records[i];
        if (atomic_load_explicit(&record->state, memory_order_relaxed) != PARKED ||
            atomic_load_explicit(&record->agent, memory_order_relaxed) != plugin_agent_index(agent) ||
            !is_old(record, now_ns) || !take(record, PARKED))
            continue;
        if (!is_old(record, now_ns)) {
            put(record, PARKED);
            continue;
        }
        note_unparked(record);
        finish(record, KVTEL_NIXL_UNKNOWN, 0, KVTEL_UNMEASURED);
    }
    return now_ns + expire_every_ns;
}
