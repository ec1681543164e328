/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the cells of a block of rows. */
#ifndef KVTEL_RECORD_CELLS_H
#define KVTEL_RECORD_CELLS_H

#include "format/layout.h"
#include "histogram/bins.h"

/* A word of a block as its owner reads it. Only the owner writes there, so it may read without atomics. */
typedef uint64_t __attribute__((may_alias)) kvtel_row_word;

enum { KVTEL_QUAD = 4, KVTEL_QUAD_ROWS = 4, KVTEL_QUAD_CELLS = KVTEL_QUAD * KVTEL_QUAD_ROWS };

/* How the cells of the first four columns of rows are found, which are integers, each column with its own histogram. */
struct kvtel_quad {
    uint32_t stride;              /* words of a row */
    double scale[KVTEL_QUAD];     /* of each column */
    double minus[KVTEL_QUAD];     /* -2^52 times the scale */
    int32_t base[2 * KVTEL_QUAD]; /* of the columns 0 1 0 1 2 3 2 3 */
    const struct kvtel_bins *bins[KVTEL_QUAD];
    bool ns[KVTEL_QUAD];
};

/* Where the cell of row r (0 to 3) and column c stands among the 16 cells of four rows. */
static inline uint32_t kvtel_quad_place(uint32_t r, uint32_t c)
{
    return (c >> 1) * 8 + 2 * r + (c & 1);
}

struct kvtel_quad_found {
    _Alignas(32) int16_t cells[KVTEL_BLOCK_ROWS * KVTEL_QUAD];
    int16_t lowest[KVTEL_QUAD], highest[KVTEL_QUAD];
    uint64_t sums[KVTEL_QUAD];
};

/* `bins`: of the four columns; `ns`: a bit for each column of nanoseconds. */
void kvtel_quad_make(struct kvtel_quad *quad, uint32_t stride, const struct kvtel_bins *const *bins, uint32_t ns);

/* What the words of a column are. */
enum kvtel_words { KVTEL_WORDS_PIECES, KVTEL_WORDS_NS, KVTEL_WORDS_DOUBLES };

struct kvtel_column_found {
    _Alignas(32) int16_t cells[KVTEL_BLOCK_ROWS];
    int16_t lowest, highest;
};

/* A way of finding cells. All ways find the same. */
struct kvtel_finder {
    const char *name;
    bool (*is_possible)(void); /* on this processor */
    /* Finds the cells of KVTEL_BLOCK_ROWS rows, whose first four words are integers below KVTEL_INTEGER_LIMIT. */
    void (*quad)(const struct kvtel_quad *quad, const kvtel_row_word *block, struct kvtel_quad_found *found);
    /* Finds the cells of `count` words of one kind, at least one. `words` has room for KVTEL_BLOCK_ROWS words, and
     * those from `count` on are overwritten. */
    void (*column)(const struct kvtel_bins *bins, enum kvtel_words kind, uint64_t *words, uint32_t count,
                   struct kvtel_column_found *found);
};
/* The fastest way first; the last one has no name. */
extern const struct kvtel_finder kvtel_finders[];
/* The fastest way on this processor. */
const struct kvtel_finder *kvtel_finder_choose(void);

#endif
