/* SPDX-License-Identifier: Apache-2.0 */
/* A column: the numbers of one field (of one operation, or of one label set), each an integer or a double as it came.
 */
#ifndef KVTEL_VLLM_STATS_COLUMN_H
#define KVTEL_VLLM_STATS_COLUMN_H

#include "histogram/distribution.h"
#include "value/value.h"

union kvtel_number {
    int64_t integer;
    double number;
};

enum kvtel_column_type { KVTEL_COLUMN_INTEGERS, KVTEL_COLUMN_DOUBLES, KVTEL_COLUMN_MIXED };

struct kvtel_column {
    enum kvtel_column_type type;
    bool present; /* the payload has this key */
    size_t count, capacity;
    union kvtel_number *values;          /* a text's value is its id, an integer */
    uint8_t *doubles;                    /* MIXED: whether values[i] is a double; `capacity` of them */
    struct kvtel_distribution *summary;  /* not NULL: what came is in here and `values` is empty */
    struct kvtel_distribution *prepared; /* a summary of `values` that is not yet in force */
    uint64_t hash;                       /* of the label values, where the shape has them */
    char *labels;                        /* KVTEL_SHAPE_TYPED: label_count texts, each with its NUL */
    uint32_t label_count;
};

void kvtel_column_free(struct kvtel_column *column);
/* Forgets the values; keeps the memory of a short list. */
void kvtel_column_clear(struct kvtel_column *column);

/* Makes room for `more` values beside those that are there, of both kinds if `mixed`. Appending them then cannot fail.
 */
enum kvtel_status kvtel_column_reserve(struct kvtel_column *column, size_t more, bool mixed);
void kvtel_column_append_integer(struct kvtel_column *column, int64_t value);
void kvtel_column_append_double(struct kvtel_column *column, double value);
/* Appends values [from, from + count) of another column; reserved before, with `mixed` if kvtel_column_mixes() says so.
 */
void kvtel_column_append_column(struct kvtel_column *column, const struct kvtel_column *other, size_t from,
                                size_t count);
bool kvtel_column_mixes(const struct kvtel_column *column, const struct kvtel_column *other);

bool kvtel_column_is_double(const struct kvtel_column *column, size_t i);
double kvtel_column_number(const struct kvtel_column *column, size_t i);
/* Copies all values as doubles. */
void kvtel_column_copy_doubles(const struct kvtel_column *column, double *out);
/* Adds to the only value as Python does: integers stay integers while they fit int64_t, else the sum is a double. */
void kvtel_column_add(struct kvtel_column *column, const struct kvtel_column *other);
/* Forgets all but the last value; returns how many those were. */
size_t kvtel_column_keep_last(struct kvtel_column *column);
/* Removes the rows whose bit is set. */
void kvtel_column_drop_rows(struct kvtel_column *column, const uint8_t *drop);

/* How many values came, summarised or not. */
size_t kvtel_column_total_count(const struct kvtel_column *column);
/* Makes a summary of the values beside them; unchanged without memory. `texts`: they are ids of texts. */
enum kvtel_status kvtel_column_prepare_summary(struct kvtel_column *column, bool texts);
/* Puts the prepared summary in the values' place, or lets it go. Nothing to do when there is none. */
void kvtel_column_adopt_summary(struct kvtel_column *column);
void kvtel_column_drop_prepared(struct kvtel_column *column);
/* Room for another column's values in the summary (the prepared one, if there is one), and adding them to it once
 * adopted. */
enum kvtel_status kvtel_column_reserve_summary(struct kvtel_column *column, const struct kvtel_column *other);
void kvtel_column_add_to_summary(struct kvtel_column *column, const struct kvtel_column *other);

#endif
