/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over a histogram's cells, which each scrape makes for each lane's series: two cells to a vector. */
#ifndef KVTEL_HISTOGRAM_CELL_SUMS_H
#define KVTEL_HISTOGRAM_CELL_SUMS_H

#include <stdint.h>
#include <string.h>

typedef uint64_t kvtel_cells_pair __attribute__((vector_size(16)));

static inline kvtel_cells_pair kvtel_cells_load(const uint64_t *cells)
{
    kvtel_cells_pair pair;
    memcpy(&pair, cells, sizeof pair);
    return pair;
}

static inline void kvtel_cells_store(uint64_t *cells, kvtel_cells_pair pair)
{
    memcpy(cells, &pair, sizeof pair);
}

/* The sum of cells. *bits: those that are set in any of them. */
static inline uint64_t kvtel_cells_sum(const uint64_t *cells, uint64_t count, uint64_t *bits)
{
    kvtel_cells_pair sums = { 0, 0 }, set = { 0, 0 };
    const uint64_t *const end = cells + count;
    for (; end - cells >= 8; cells += 8) {
        const kvtel_cells_pair a = kvtel_cells_load(cells), b = kvtel_cells_load(cells + 2),
                               c = kvtel_cells_load(cells + 4), d = kvtel_cells_load(cells + 6);
        sums += (a + b) + (c + d);
        set |= (a | b) | (c | d);
    }
    for (; end - cells >= 2; cells += 2) {
        const kvtel_cells_pair pair = kvtel_cells_load(cells);
        sums += pair;
        set |= pair;
    }
    const uint64_t last = cells < end ? *cells : 0;
    *bits = set[0] | set[1] | last;
    return sums[0] + sums[1] + last;
}

/* Adds cells to others. */
static inline void kvtel_cells_add(uint64_t *into, const uint64_t *cells, uint64_t count)
{
    const uint64_t *const end = cells + count;
    for (; end - cells >= 8; cells += 8, into += 8) {
        for (unsigned k = 0; k < 8; k += 2)
            kvtel_cells_store(into + k, kvtel_cells_load(into + k) + kvtel_cells_load(cells + k));
    }
    for (; cells < end; cells++, into++)
        *into += *cells;
}

/* Copies cells. memcpy() takes long to begin, and most runs are short. */
static inline void kvtel_cells_copy(uint64_t *into, const uint64_t *cells, uint64_t count)
{
    const uint64_t *const end = cells + count;
    for (; end - cells >= 8; cells += 8, into += 8) {
        for (unsigned k = 0; k < 8; k += 2)
            kvtel_cells_store(into + k, kvtel_cells_load(cells + k));
    }
    for (; cells < end; cells++, into++)
        *into = *cells;
}

#endif
