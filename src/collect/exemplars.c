/* SPDX-License-Identifier: Apache-2.0 */
/* Reading exemplars while their writer goes on. format/layout.h has their places. A half is as its number says where
 * the number was the same before and after the half was copied, each read by a call of its own: the writer stores the
 * next number before it writes into this half again. */
#include "collect/exemplars.h"
#include "collect/collect.h"
#include "record/lane.h"

#include <string.h>
#include <time.h>

enum { EXEMPLAR_TRIES = 32 };
/* How much later than now an exemplar may be: clocks are set. */
static const uint64_t later_ns = 1000000000;

/* A series in a lane. */
struct places {
    const struct kvtel_view *view;
    struct kvtel_scratch *scratch;
    uint32_t lane, buckets;
    uint64_t at;
    const double *bounds;
};

static enum kvtel_status read_words(const struct places *places, uint64_t word, size_t count, uint64_t *copy)
{
    const struct kvtel_view *view = places->view;
    places->scratch->read += count;
    if (view->most_words > 0 && places->scratch->read > view->most_words)
        return KVTEL_E_LIMIT;
    return view->read(view->context, places->lane, places->at + word, count, copy);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Whether a writer can have left this in the bucket. */
static bool is_possible(const struct places *places, uint32_t bucket, const struct kvtel_snapshot_exemplar *exemplar)
{
    const double value = exemplar->value;
    return value >= 0 && value <= KVTEL_AMOUNT_MAX && (bucket == 0 || value > places->bounds[bucket - 1]) &&
           (bucket + 1 == places->buckets || value <= places->bounds[bucket]) && exemplar->time_ns > 0 &&
           exemplar->time_ns <= now_ns() + later_ns &&
           kvtel_exemplar_text_is_valid(exemplar->text, exemplar->text_size);
}

/* Takes an exemplar out of the copy of its half. */
static bool take(const struct places *places, uint32_t bucket, const uint64_t *half,
                 struct kvtel_snapshot_exemplar *exemplar)
{
    const uint64_t size = half[KVTEL_EXEMPLAR_SIZE];
    if (size > sizeof(exemplar->text))
        return false;
    *exemplar = (struct kvtel_snapshot_exemplar){ .time_ns = half[KVTEL_EXEMPLAR_TIME],
                                                  .value = kvtel_bits_double(half[KVTEL_EXEMPLAR_VALUE]),
                                                  .text_size = (uint32_t)size };
    memcpy(exemplar->text, half + KVTEL_EXEMPLAR_LABELS, size);
    return is_possible(places, bucket, exemplar);
}

/* Reads the exemplar of a bucket, whose number was `seq`. */
static enum kvtel_status read_bucket(const struct places *places, uint32_t bucket, uint64_t seq,
                                     struct kvtel_snapshot_exemplar *into)
{
    uint64_t half[KVTEL_EXEMPLAR_HALF_WORDS];
    for (int tries = 0; tries < EXEMPLAR_TRIES; tries++) {
        const uint64_t place = kvtel_exemplar_place(places->buckets, bucket), before = seq;
        struct kvtel_snapshot_exemplar exemplar;
        enum kvtel_status status =
            read_words(places, place + (seq & 1) * KVTEL_EXEMPLAR_HALF_WORDS, KVTEL_EXEMPLAR_HALF_WORDS, half);
        if (status == KVTEL_OK)
            status = read_words(places, bucket, 1, &seq);
        if (status != KVTEL_OK)
            return status;
        if (seq != before)
            continue;
        if (take(places, bucket, half, &exemplar) && exemplar.time_ns > into->time_ns)
            *into = exemplar;
        break;
    }
    return KVTEL_OK;
}

static bool reserve(struct kvtel_collected *collected, struct kvtel_arena *arena, uint32_t count)
{
    if (collected->exemplars)
        return true;
    collected->exemplars = kvtel_arena_alloc(arena, count * sizeof(*collected->exemplars));
    if (!collected->exemplars)
        return false;
    memset(collected->exemplars, 0, count * sizeof(*collected->exemplars));
    collected->exemplar_count = count;
    return true;
}

enum kvtel_status kvtel_collect_exemplars(const struct kvtel_view *view, uint32_t series, uint32_t lane,
                                          struct kvtel_arena *arena, struct kvtel_scratch *scratch,
                                          struct kvtel_collected *collected)
{
    const struct kvtel_layout_series *record = &view->series[series];
    const struct kvtel_layout_family *family = &view->families[record->family];
    uint64_t seqs[KVTEL_LAYOUT_BOUNDS + 1];
    if (record->exemplars_at == 0 || !collected->layout)
        return KVTEL_OK;
    const struct places places = { view,
                                   scratch,
                                   lane,
                                   family->bound_count + 1,
                                   record->exemplars_at,
                                   family->bound_count > 0 ? view->bounds + family->bounds_at : NULL };
    enum kvtel_status status = read_words(&places, 0, places.buckets, seqs);
    for (uint32_t i = 0; i < places.buckets && status == KVTEL_OK; i++) {
        if (seqs[i] == 0)
            continue;
        status = reserve(collected, arena, places.buckets) ? read_bucket(&places, i, seqs[i], &collected->exemplars[i])
                                                           : KVTEL_E_NOMEM;
    }
    return status;
}

void kvtel_exemplars_merge(struct kvtel_snapshot_exemplar *into, const struct kvtel_snapshot_exemplar *more,
                           uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (more[i].time_ns > into[i].time_ns)
            into[i] = more[i];
}

static bool is_same(const struct kvtel_snapshot_exemplar *one, const struct kvtel_snapshot_exemplar *other)
{
    return one->time_ns == other->time_ns && kvtel_double_bits(one->value) == kvtel_double_bits(other->value) &&
           one->text_size == other->text_size && memcmp(one->text, other->text, one->text_size) == 0;
}

bool kvtel_exemplars_replace(struct kvtel_snapshot_exemplar *into, const struct kvtel_snapshot_exemplar *more,
                             uint32_t count)
{
    bool differs = false;
    for (uint32_t i = 0; i < count; i++) {
        if (more[i].time_ns == 0 || more[i].time_ns < into[i].time_ns || is_same(&into[i], &more[i]))
            continue;
        into[i] = more[i];
        differs = true;
    }
    return differs;
}
