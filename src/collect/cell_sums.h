/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over a histogram's cells, which each scrape makes for each lane's series: two cells to a vector. */
#ifndef KVTEL_COLLECT_CELL_SUMS_H
#define KVTEL_COLLECT_CELL_SUMS_H

#include <stdint.h>
#include <string.h>

typedef uint64_t kvtel_cells_pair __attribute__((vector_size(16)));

static inline kvtel_cells_pair kvtel_cells_load(const uint64_t *cells)
{
    kvtel_cells_pair pair;
    memcpy(&pair, cells, sizeof pair);
    return pair;
}

/* The sum of cells. *bits: those that are set in any of them. */
static inline uint64_t kvtel_cells_sum(const uint64_t *cells, uint64_t count, uint64_t *bits)
{
    kvtel_cells_pair sums = { 0, 0 }, set = { 0, 0 };
    uint64_t k = 0;
    for (; k + 4 <= count; k += 4) {
        const kvtel_cells_pair low = kvtel_cells_load(cells + k), high = kvtel_cells_load(cells + k + 2);
        sums += low + high;
        set |= low | high;
    }
    for (; k < count; k++) {
        sums[0] += cells[k];
        set[0] |= cells[k];
    }
    *bits = set[0] | set[1];
    return sums[0] + sums[1];
}

/* Adds cells to others. Returns their sum. */
static inline uint64_t kvtel_cells_add(uint64_t *into, const uint64_t *cells, uint64_t count)
{
    kvtel_cells_pair sums = { 0, 0 };
    uint64_t k = 0;
    for (; k + 2 <= count; k += 2) {
        const kvtel_cells_pair pair = kvtel_cells_load(cells + k), sum = pair + kvtel_cells_load(into + k);
        memcpy(into + k, &sum, sizeof sum);
        sums += pair;
    }
    if (k < count) {
        into[k] += cells[k];
        sums[0] += cells[k];
    }
    return sums[0] + sums[1];
}

#endif
