/* SPDX-License-Identifier: Apache-2.0 */
/* Records of posts that wait for their end: a ring in the order of the posts, found by their handles (handles.h).
 * Whoever changes a record's state to TAKEN owns the record until its next change of state, which is some
 * instructions away and needs no lock; a thread that wants the same record looks a bounded number of times. */
#ifndef KVTEL_NIXL_PLUGIN_POSTS_H
#define KVTEL_NIXL_PLUGIN_POSTS_H

#include "handles.h"
#include "state.h"

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
    _Atomic uint64_t number; /* of the post, above 0; the record's place is the remainder */
    _Atomic uint64_t bytes;
    _Atomic uint64_t handle;
    _Atomic uint64_t began_ns;
    uint64_t post_ns;
    _Atomic uint64_t parked_before; /* number of the parked post of the same handle; 0: none */
    _Atomic uint32_t agent;
    bool is_counted; /* in `parked` */
    _Alignas(HANDLE_LINE) struct kvtel_transfer_token token;
};
_Static_assert(sizeof(struct record) == 2 * HANDLE_LINE, "lines of a record");

extern struct record plugin_post_records[PLUGIN_POSTS];
extern _Atomic uint64_t plugin_post_tail;   /* number of the newest post in the order of posts */
extern _Atomic uint32_t plugin_post_parked; /* records that wait for events */
/* The record that the thread freed last: the next post that no event will tell of gets it, and nothing of the ring is
 * needed. It may be another thread's by now. */
extern _Thread_local struct record *plugin_post_freed PLUGIN_THREAD_MODEL;

static inline struct record *record_of(uint64_t number)
{
    return &plugin_post_records[number % PLUGIN_POSTS];
}

static inline struct record *record_at(uint64_t word)
{
    return &plugin_post_records[word & HANDLE_PLACES];
}

static inline bool take(struct record *record, uint32_t from)
{
    return atomic_compare_exchange_strong_explicit(&record->state, &from, TAKEN, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline uint64_t get(const _Atomic uint64_t *member)
{
    return atomic_load_explicit(member, memory_order_relaxed);
}

static inline void set(_Atomic uint64_t *member, uint64_t value)
{
    atomic_store_explicit(member, value, memory_order_relaxed);
}

static inline void put(struct record *record, uint32_t state)
{
    atomic_store_explicit(&record->state, state, memory_order_release);
}

static inline void put_free(struct record *record)
{
    put(record, FREE);
    plugin_post_freed = record;
}

static inline void note_unparked(const struct record *record)
{
    if (record->is_counted)
        atomic_fetch_sub_explicit(&plugin_post_parked, 1, memory_order_relaxed);
}

static inline void empty_slot(const struct record *record)
{
    uint64_t word;
    _Atomic uint64_t *slot = handle_find(get(&record->handle), &word);
    if (word != 0 && record_at(word) == record)
        (void)atomic_compare_exchange_strong(slot, &word, 0);
}

static inline struct plugin_ending ending_of(const struct record *record, enum kvtel_nixl_outcome outcome,
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

/* Records the end of a post that the caller has taken, and gives its record the state `then`: FREE or GUESSED. */
static inline void end_as(struct record *record, const struct plugin_ending *ending, uint32_t then)
{
    if (then == FREE)
        plugin_post_freed = record;
    if (!record->is_open) {
        put(record, then);
        plugin_record_ending(ending, NULL);
        return;
    }
    struct kvtel_transfer_token token = record->token;
    put(record, then);
    plugin_record_ending(ending, &token);
}

static inline void finish(struct record *record, enum kvtel_nixl_outcome outcome, int status, uint64_t duration_ns)
{
    struct plugin_ending ending = ending_of(record, outcome, duration_ns);
    ending.status = status;
    end_as(record, &ending, FREE);
}

/* A look found a transfer done of which an event had told, it seemed, that it was done in its post. So that event was
 * of another post, as large and in the same direction: that one ends now, and is counted as the transfer which the look
 * found. */
void plugin_posts_correct(struct record *guessed, uint64_t now_ns);

#endif
