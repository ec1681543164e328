/* SPDX-License-Identifier: Apache-2.0 */
/* The members of struct kvtel_stats. Whatever the kind of payload, they are sets of columns:
 *
 *   kind      column sets                   columns of a column set
 *   COLUMNS   one, named ""                 the table's fields, by index
 *   ROWS      one for each operation        the table's fields, by index, all of one length
 *   COUNTS    one for each operation        the table's fields, by index, a single number each
 *   TYPED     one for each metric           one for each label set
 *   MULTI     none; children instead
 *
 * One thread at a time for each object. */
#ifndef KVTEL_VLLM_STATS_STATS_H
#define KVTEL_VLLM_STATS_STATS_H

#include "base/hash.h"
#include "base/metric.h"
#include "connectors/table.h"
#include "vllm/stats/column.h"
#include "base/index.h"
#include <kvtel/stats.h>

/* Limit of column sets, label sets or texts in one stats object. Real payloads do not come near it. */
enum { KVTEL_STATS_NAME_LIMIT = 10000 };

struct kvtel_column_set {
    char *name;
    uint64_t hash;
    const struct kvtel_metric *metric; /* TYPED */
    struct kvtel_column *columns;
    size_t column_count, column_capacity;
    size_t mark;              /* number of columns before the aggregation in progress */
    struct kvtel_index index; /* of label sets by hash, if there are many; else empty */
};

struct kvtel_child {
    char *class_name;
    bool wrapped; /* the payload was {"data": payload}, as older versions of vLLM send it */
    struct kvtel_stats *stats;
};

/* The observations. Decoding replaces them as a whole. */
struct kvtel_content {
    const struct kvtel_connector *table; /* the connector's table, or its `older` one for older payloads */
    struct kvtel_column_set *sets;
    size_t set_count, set_capacity;
    struct kvtel_index set_index, text_index; /* of names by hash, if there are many; else empty */
    struct kvtel_child *children;
    size_t child_count, child_capacity;
    char **texts; /* texts of TEXT fields, by id */
    size_t text_count, text_capacity;
    bool has_info;           /* the payload contains the key "info" */
    struct kvtel_value info; /* NIL: it is empty */
    struct kvtel_arena info_arena;
    size_t samples; /* number of values in lists */
    bool summarised;
    /* For the aggregation in progress: the state to roll back to if kvtel_stats_aggregate() fails, the map from the
     * other object's text ids to ours, and the other object's info. */
    struct {
        const struct kvtel_connector *table;
        size_t set_count, child_count;
        size_t *text_ids;
        struct kvtel_value info;
        struct kvtel_arena info_arena;
    } pending;
};

/* The range of numbers that a field of this kind and unit accepts. */
struct kvtel_number_range {
    double least, most;
    int64_t least_integer, most_integer;
};
struct kvtel_number_range kvtel_number_range(enum kvtel_field_kind kind, enum kvtel_unit unit);
/* Why a number is unusable; KVTEL_REFUSAL_COUNT: it is usable. */
enum kvtel_refusal kvtel_number_fault(double number, const struct kvtel_number_range *range);

struct kvtel_stats {
    const struct kvtel_connector *connector;
    struct kvtel_diagnostics *diagnostics;
    size_t sample_limit;
    struct kvtel_content content;
    struct kvtel_content spare; /* the content that decoding replaced last, kept to reuse its memory */
    struct kvtel_arena arena;   /* memory of the last decoded bytes, kept for reuse */
};

/* life.c */
enum kvtel_status kvtel_content_init(struct kvtel_content *content, const struct kvtel_connector *table,
                                     bool all_present);
void kvtel_content_free(struct kvtel_content *content);
/* Like kvtel_content_init() for the same table, but cannot fail: memory of short lists is kept. If a single 0 would
 * need memory, its key is marked as missing, which reads the same. */
void kvtel_content_clear(struct kvtel_content *content, bool all_present);
/* A MultiConnector's children. */
/* The child of a class; NULL: none. */
struct kvtel_child *kvtel_content_find_child(const struct kvtel_content *content, const char *class_name);
/* Adds a child with empty stats. NULL: no memory. */
struct kvtel_child *kvtel_content_add_child(struct kvtel_content *content, const char *class_name,
                                            const struct kvtel_connector *connector,
                                            struct kvtel_diagnostics *diagnostics);
/* Removes the children that were added last, down to a count. */
void kvtel_content_truncate_children(struct kvtel_content *content, size_t child_count);

/* content.c */
/* Makes room for one more element at the end of an array; new elements are zeroed. NULL: no memory. */
void *kvtel_content_grow(void *array, size_t count, size_t *capacity, size_t item_size);
/* Remove what was added last, down to a count: column sets, a column set's label sets. */
void kvtel_content_truncate(struct kvtel_content *content, size_t set_count);
void kvtel_column_set_truncate(struct kvtel_column_set *set, size_t column_count);
/* The column set of a name; NULL: none. */
struct kvtel_column_set *kvtel_content_find_set(const struct kvtel_content *content, const char *name, size_t size);
/* Adds a column set with the table's columns (none for TYPED). NULL: no memory. */
struct kvtel_column_set *kvtel_content_add_set(struct kvtel_content *content, const char *name, size_t size);
/* Label sets: `labels` are `count` texts, each followed by a NUL, of `size` bytes in all. */
/* The size of a column's labels in bytes, NULs included. */
size_t kvtel_column_labels_size(const struct kvtel_column *column);
struct kvtel_column *kvtel_column_set_find_labels(const struct kvtel_column_set *set, const char *labels, size_t size,
                                                  uint32_t count);
struct kvtel_column *kvtel_column_set_add_labels(struct kvtel_column_set *set, const char *labels, size_t size,
                                                 uint32_t count);
/* Finds or adds a text and returns its id. KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT (above KVTEL_STATS_NAME_LIMIT). */
enum kvtel_status kvtel_content_text(struct kvtel_content *content, const char *text, size_t size, size_t *id);
/* The id of the text "other", which may exceed the limit. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_content_other_text(struct kvtel_content *content, size_t *id);
/* The kind of a column set's column `i`, which decides how it is aggregated. */
enum kvtel_field_kind kvtel_column_kind(const struct kvtel_content *content, const struct kvtel_column_set *set,
                                        size_t i);
/* Whether values of this kind count as samples: those in lists, and a typed gauge, which counts as a list of length
 * 1. */
bool kvtel_kind_is_samples(enum kvtel_field_kind kind);

/* The column of a key, for COLUMNS and for a column set of ROWS or COUNTS; NULL: none. */
const struct kvtel_column *kvtel_column_set_find(const struct kvtel_content *content,
                                                 const struct kvtel_column_set *set, const char *key);

/* decode.c: whether a payload describes itself: it is typed, or has a descriptor, or `name` is that of a connector
 * whose payloads had one. */
bool kvtel_payload_is_described(const char *name, const struct kvtel_value *payload);
/* The table of a connector's payload: the connector's own if it has stats, else the open one of its name. That one is
 * made when a payload first teaches a metric, because the places of open tables are few and never given back: names and
 * payloads without content take none. Why a payload teaches nothing is counted in the diagnostics.
 * @param table out; NULL: the payload has nothing to take
 * @return KVTEL_OK, KVTEL_E_UNKNOWN (the payload does not describe itself), KVTEL_E_LIMIT (all places are taken),
 * KVTEL_E_TYPE (not a map), KVTEL_E_NOMEM. What the first three say was counted. */
enum kvtel_status kvtel_payload_table(const char *name, const struct kvtel_value *payload,
                                      struct kvtel_diagnostics *diagnostics, const struct kvtel_connector **table);
/* Replaces the content by a decoded payload, as kvtel_stats_decode() does. */
enum kvtel_status kvtel_stats_decode_value(struct kvtel_stats *stats, const struct kvtel_value *payload,
                                           struct kvtel_error *error);

/* A key of payloads that kvtel writes of a connector without a table: what a descriptor describes was read. */
#define KVTEL_READ_KEY "_metrics_read"
/* encode.c: writes the payload; not for summarised stats. */
void kvtel_stats_write(const struct kvtel_stats *stats, struct kvtel_writer *writer);

/* Resets the stats to the state after kvtel_stats_create(). kvtel_stats_reset(), in contrast, keeps a
 * MultiConnector's children. */
void kvtel_stats_clear(struct kvtel_stats *stats);
/* Number of values in lists, including those of children. */
size_t kvtel_stats_sample_count(const struct kvtel_stats *stats);

/* Turns lists into distributions if there are more samples than the limit. Without memory the samples stay. */
void kvtel_stats_enforce_limit(struct kvtel_stats *stats);

#endif
