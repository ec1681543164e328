/* SPDX-License-Identifier: Apache-2.0 */
/* A column: the numbers of one field (of one operation, or of one label set). Each keeps its kind, integer or
 * double. One thread at a time. */
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
    bool present; /* the payload contains the key */
    size_t count, capacity;
    union kvtel_number *values;          /* for a text: its id, an integer */
    uint8_t *doubles;                    /* MIXED: whether values[i] is a double; `capacity` entries */
    struct kvtel_distribution *summary;  /* not NULL: the values are summarised here, and `values` is empty */
    struct kvtel_distribution *prepared; /* a summary of `values` that is not used yet */
    uint64_t hash;                       /* hash of the label values, for kinds of payload with labels */
    char *labels;                        /* KVTEL_PAYLOAD_TYPED: label_count texts, each followed by a NUL */
    uint32_t label_count;
};

void kvtel_column_free(struct kvtel_column *column);
/* Removes the values; the memory of a short list is kept. */
void kvtel_column_clear(struct kvtel_column *column);

/* Makes room for `more` further values, of both kinds if `mixed`. Appending them then cannot fail. KVTEL_OK;
 * KVTEL_E_NOMEM: the values are unchanged. */
enum kvtel_status kvtel_column_reserve(struct kvtel_column *column, size_t more, bool mixed);
void kvtel_column_append_integer(struct kvtel_column *column, int64_t value);
void kvtel_column_append_double(struct kvtel_column *column, double value);
/* Appends `count` values of another column, beginning at `from`. Room must have been made, with `mixed` if
 * kvtel_column_mixes() returns true. */
void kvtel_column_append_column(struct kvtel_column *column, const struct kvtel_column *other, size_t from,
                                size_t count);
bool kvtel_column_mixes(const struct kvtel_column *column, const struct kvtel_column *other);

bool kvtel_column_is_double(const struct kvtel_column *column, size_t i);
double kvtel_column_number(const struct kvtel_column *column, size_t i);
/* Copies all values as doubles. */
void kvtel_column_copy_doubles(const struct kvtel_column *column, double *out);
/* Adds to the only value like Python: the sum of integers is an integer while it fits int64_t, else a double. */
void kvtel_column_add(struct kvtel_column *column, const struct kvtel_column *other);
/* Removes all values but the last. Returns the number removed. */
size_t kvtel_column_keep_last(struct kvtel_column *column);
/* Removes the rows whose byte in `drop` is set. */
void kvtel_column_drop_rows(struct kvtel_column *column, const uint8_t *drop);

/* Number of values appended, whether summarised or not. */
size_t kvtel_column_total_count(const struct kvtel_column *column);
/* Makes a summary of the values and keeps the values. Without memory nothing changes. `texts`: the values are ids of
 * texts. */
enum kvtel_status kvtel_column_prepare_summary(struct kvtel_column *column, bool texts);
/* Replaces the values by the prepared summary, or drops the prepared summary. Does nothing if there is none. */
void kvtel_column_adopt_summary(struct kvtel_column *column);
void kvtel_column_drop_prepared(struct kvtel_column *column);
/* Makes room for another column's values in the summary (the prepared one, if there is one); and adds them, after
 * the summary was adopted. */
enum kvtel_status kvtel_column_reserve_summary(struct kvtel_column *column, const struct kvtel_column *other);
void kvtel_column_add_to_summary(struct kvtel_column *column, const struct kvtel_column *other);

#endif
