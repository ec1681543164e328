/* SPDX-License-Identifier: Apache-2.0 */
/* Points as bytes. */
#include "history/point.h"

#include "base/buffer.h"
#include "base/varint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool history_take_number(struct history_bytes *bytes, uint64_t *number)
{
    return kvtel_varint_take(&bytes->at, bytes->end, number);
}

bool history_take_key(struct history_bytes *bytes, uint64_t limit, uint64_t *key)
{
    uint64_t step;
    if (!history_take_number(bytes, &step) || step > limit - *key)
        return false;
    *key = step == 0 ? 0 : *key + step;
    return true;
}

bool history_take_bin(struct history_bytes *bytes, uint64_t *bin, uint64_t *count)
{
    return history_take_key(bytes, HISTORY_BINS, bin) && *bin > 0 && history_take_number(bytes, count);
}

/* Finds the end of a histogram. */
static bool pass_bins(struct history_bytes *bytes, struct history_bytes *bins)
{
    uint64_t bin = 0, count;
    bins->at = bytes->at;
    for (;;) {
        if (!history_take_key(bytes, HISTORY_BINS, &bin))
            return false;
        if (bin == 0)
            break;
        if (!history_take_number(bytes, &count) || count == 0)
            return false;
    }
    bins->end = bytes->at;
    return true;
}

static bool take_flow(struct history_bytes *bytes, struct history_flow_growth *flow)
{
    flow->is_there = true;
    if (!history_take_number(bytes, &flow->transfers) || !history_take_number(bytes, &flow->bytes) ||
        !history_take_number(bytes, &flow->failed))
        return false;
    for (int i = 0; i < HISTORY_HISTOGRAMS; i++)
        if (!pass_bins(bytes, &flow->bins[i]))
            return false;
    return true;
}

bool history_take_growth(struct history_bytes *bytes, struct history_growth *growth)
{
    *growth = (struct history_growth){ 0 };
    for (uint64_t key = 0;;) {
        if (!history_take_key(bytes, HISTORY_FLOWS, &key))
            return false;
        if (key == 0)
            break;
        if (!take_flow(bytes, &growth->flows[key - 1]))
            return false;
    }
    for (uint64_t key = 0;;) {
        if (!history_take_key(bytes, HISTORY_CLASSES, &key))
            return false;
        if (key == 0)
            return true;
        if (!history_take_number(bytes, &growth->failures[key - 1]))
            return false;
    }
}

void history_put_number(struct kvtel_buffer *buffer, enum kvtel_status *status, uint64_t number)
{
    if (*status == KVTEL_OK)
        *status = kvtel_buffer_reserve(buffer, KVTEL_VARINT);
    if (*status == KVTEL_OK)
        buffer->size += kvtel_varint_put(buffer->bytes + buffer->size, number);
}

/* The output, and the first failure. */
struct merge {
    struct kvtel_buffer *buffer;
    enum kvtel_status status;
};

static void put(struct merge *merge, uint64_t number)
{
    history_put_number(merge->buffer, &merge->status, number);
}

static void merge_bins(struct merge *merge, struct history_bytes first, struct history_bytes second)
{
    uint64_t one = 0, other = 0, one_count = 0, other_count = 0, last = 0;
    bool has_one = first.at && history_take_bin(&first, &one, &one_count);
    bool has_other = second.at && history_take_bin(&second, &other, &other_count);
    while (has_one || has_other) {
        const uint64_t bin = !has_other || (has_one && one < other) ? one : other;
        const bool of_one = has_one && one == bin, of_other = has_other && other == bin;
        put(merge, bin - last);
        put(merge, (of_one ? one_count : 0) + (of_other ? other_count : 0));
        last = bin;
        has_one = of_one ? history_take_bin(&first, &one, &one_count) : has_one;
        has_other = of_other ? history_take_bin(&second, &other, &other_count) : has_other;
    }
    put(merge, 0);
}

static void merge_growth(struct merge *merge, const struct history_growth *first, const struct history_growth *second)
{
    unsigned last = 0;
    for (unsigned i = 0; i < HISTORY_FLOWS; i++) {
        const struct history_flow_growth *one = &first->flows[i], *other = &second->flows[i];
        if (!one->is_there && !other->is_there)
            continue;
        put(merge, i + 1 - last);
        put(merge, one->transfers + other->transfers);
        put(merge, one->bytes + other->bytes);
        put(merge, one->failed + other->failed);
        for (int k = 0; k < HISTORY_HISTOGRAMS; k++)
            merge_bins(merge, one->bins[k], other->bins[k]);
        last = i + 1;
    }
    put(merge, 0);
    last = 0;
    for (unsigned i = 0; i < HISTORY_CLASSES; i++) {
        if (first->failures[i] + second->failures[i] == 0)
            continue;
        put(merge, i + 1 - last);
        put(merge, first->failures[i] + second->failures[i]);
        last = i + 1;
    }
    put(merge, 0);
}

enum kvtel_status history_merge(struct history_bytes first, struct history_bytes second, struct kvtel_buffer *buffer)
{
    struct merge merge = { .buffer = buffer };
    struct history_growth one, other;
    uint64_t one_key = 0, other_key = 0, last = 0;
    const size_t size = buffer->size;
    (void)history_take_key(&first, HISTORY_ENTRIES, &one_key);
    (void)history_take_key(&second, HISTORY_ENTRIES, &other_key);
    while ((one_key > 0 || other_key > 0) && merge.status == KVTEL_OK) {
        const uint64_t key = other_key == 0 || (one_key > 0 && one_key < other_key) ? one_key : other_key;
        const bool of_one = one_key == key, of_other = other_key == key;
        one = other = (struct history_growth){ 0 };
        if (of_one && (!history_take_growth(&first, &one) || !history_take_key(&first, HISTORY_ENTRIES, &one_key)))
            break; /* never: points are checked when they are read from a file */
        if (of_other &&
            (!history_take_growth(&second, &other) || !history_take_key(&second, HISTORY_ENTRIES, &other_key)))
            break;
        put(&merge, key - last);
        merge_growth(&merge, &one, &other);
        last = key;
    }
    put(&merge, 0);
    if (merge.status != KVTEL_OK)
        buffer->size = size;
    return merge.status;
}

uint32_t history_bin_of(double bound)
{
    if (!(bound > 0))
        return 1;
    const double bin = ceil(log2(bound) * HISTORY_PER_OCTAVE - 1e-9) + HISTORY_BIN_ONE;
    return bin < 1 ? 1 : bin < HISTORY_BINS ? (uint32_t)bin : HISTORY_BINS;
}

static double rounded(double value, int digits)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.*e", digits - 1, value);
    return strtod(text, NULL);
}

double history_bin_bound(uint32_t bin)
{
    return bin == HISTORY_BINS ? (double)INFINITY
                               : rounded(exp2(((double)bin - HISTORY_BIN_ONE) / HISTORY_PER_OCTAVE), 6);
}

double history_bin_middle(uint32_t bin)
{
    return rounded(exp2(((double)bin - HISTORY_BIN_ONE - 0.5) / HISTORY_PER_OCTAVE), 4);
}
