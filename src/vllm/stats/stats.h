/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct kvtel_stats: groups of columns, whatever the payload's shape.
 *
 *   shape     groups                        a group's columns
 *   COLUMNS   one, named ""                 the table's fields, by index
 *   ROWS      one an operation              the table's fields, by index, all of one length
 *   COUNTS    one an operation              the table's fields, by index, a lone number each
 *   TYPED     one a metric of the payload   one a label set
 *   MULTI     none; children instead
 */
#ifndef KVTEL_VLLM_STATS_STATS_H
#define KVTEL_VLLM_STATS_STATS_H

#include "base/hash.h"
#include "base/metric.h"
#include "connectors/table.h"
#include "vllm/stats/column.h"
#include "base/index.h"
#include <kvtel/stats.h>

/* More groups, label sets or texts than this in one stats object are refused: nothing real comes near. */
enum { KVTEL_STATS_NAME_LIMIT = 10000 };

struct kvtel_group {
    char *name;
    uint64_t hash;
    const struct kvtel_metric *metric; /* TYPED */
    struct kvtel_column *columns;
    size_t column_count, column_capacity;
    size_t mark;              /* columns before the aggregation in progress */
    struct kvtel_index index; /* of many label sets, by hash; of few it is empty */
};

struct kvtel_child {
    char *class_name;
    bool wrapped; /* came as {"data": payload}, as older vLLM sends it */
    struct kvtel_stats *stats;
};

/* What was observed; replaced as a whole by decoding. */
struct kvtel_content {
    const struct kvtel_connector *table; /* the connector, or its `older`, whose shape this is */
    struct kvtel_group *groups;
    size_t group_count, group_capacity;
    struct kvtel_index group_index, text_index; /* of many names, by hash; of few they are empty */
    struct kvtel_child *children;
    size_t child_count, child_capacity;
    char **texts; /* of TEXT fields, by id */
    size_t text_count, text_capacity;
    bool has_info;           /* the payload has the key "info" */
    struct kvtel_value info; /* NIL when it holds none */
    struct kvtel_arena info_arena;
    size_t samples; /* values in lists */
    bool summarised;
    /* Of the aggregation in progress: what was there before, the other's texts as ids of this content, the other's
     * info. */
    struct {
        const struct kvtel_connector *table;
        size_t group_count, child_count;
        size_t *text_ids;
        struct kvtel_value info;
        struct kvtel_arena info_arena;
    } pending;
};

/* What a field of this kind and unit takes. */
struct kvtel_number_range {
    double least, most;
    int64_t least_integer, most_integer;
};
struct kvtel_number_range kvtel_number_range(enum kvtel_field_kind kind, enum kvtel_unit unit);
/* Why a number cannot be used; KVTEL_REFUSAL_COUNT when it can. */
enum kvtel_refusal kvtel_number_fault(double number, const struct kvtel_number_range *range);

struct kvtel_stats {
    const struct kvtel_connector *connector;
    struct kvtel_diagnostics *diagnostics;
    size_t sample_limit;
    struct kvtel_content content;
    struct kvtel_content spare; /* what decoding replaced last, kept for its memory */
    struct kvtel_arena arena;   /* of the last decoded bytes, likewise */
};

/* content.c */
enum kvtel_status kvtel_content_init(struct kvtel_content *content, const struct kvtel_connector *table,
                                     bool all_present);
void kvtel_content_free(struct kvtel_content *content);
/* As kvtel_content_init() for the same table, but never fails: memory of short lists is kept. Where a lone 0 would need
 * some, its key is absent, which reads the same. */
void kvtel_content_clear(struct kvtel_content *content, bool all_present);
/* Take back what was added last, down to a count: groups, children, a group's label sets. */
void kvtel_content_truncate(struct kvtel_content *content, size_t group_count);
void kvtel_content_truncate_children(struct kvtel_content *content, size_t child_count);
void kvtel_group_truncate(struct kvtel_group *group, size_t column_count);
size_t kvtel_table_field_count(const struct kvtel_connector *table);
/* Index of a field of the table; -1 when it has none of this key. */
int kvtel_table_field(const struct kvtel_connector *table, const char *key);
/* The same for a key from outside, looked for from index `near` on: payloads keep the order of the table. */
int kvtel_table_field_near(const struct kvtel_connector *table, const char *key, size_t near);
const struct kvtel_metric *kvtel_table_metric(const struct kvtel_connector *table, const char *name);
/* The group of a name; NULL when there is none. */
struct kvtel_group *kvtel_content_find_group(const struct kvtel_content *content, const char *name, size_t size);
/* Adds a group with the table's columns (none for TYPED); NULL without memory. */
struct kvtel_group *kvtel_content_add_group(struct kvtel_content *content, const char *name, size_t size);
/* Label sets: `labels` holds `count` texts, each with its NUL, `size` bytes in all. */
/* Their size in bytes, each NUL included. */
size_t kvtel_column_labels_size(const struct kvtel_column *column);
struct kvtel_column *kvtel_group_find_labels(const struct kvtel_group *group, const char *labels, size_t size,
                                             uint32_t count);
struct kvtel_column *kvtel_group_add_labels(struct kvtel_group *group, const char *labels, size_t size, uint32_t count);
/* Id of a text, made if it is new. KVTEL_E_LIMIT past KVTEL_STATS_NAME_LIMIT. */
enum kvtel_status kvtel_content_text(struct kvtel_content *content, const char *text, size_t size, size_t *id);
/* Id of the text "other", for which there is room past the limit. KVTEL_OK or KVTEL_E_NOMEM. */
enum kvtel_status kvtel_content_other_text(struct kvtel_content *content, size_t *id);
struct kvtel_child *kvtel_content_find_child(const struct kvtel_content *content, const char *class_name);
struct kvtel_child *kvtel_content_add_child(struct kvtel_content *content, const char *class_name,
                                            const struct kvtel_connector *connector,
                                            struct kvtel_diagnostics *diagnostics);
/* How the column of index `i` of a group is aggregated. */
enum kvtel_field_kind kvtel_column_kind(const struct kvtel_content *content, const struct kvtel_group *group, size_t i);
/* Whether a kind is a list (a typed gauge counts as one, of length 1), whose values count as samples. */
bool kvtel_kind_is_samples(enum kvtel_field_kind kind);

/* For readers of COLUMNS, and of a ROWS or COUNTS group: the column of a key, or NULL. */
const struct kvtel_column *kvtel_group_column(const struct kvtel_content *content, const struct kvtel_group *group,
                                              const char *key);

/* decode.c: replaces the content by a decoded payload, as kvtel_stats_decode() does. */
enum kvtel_status kvtel_stats_decode_value(struct kvtel_stats *stats, const struct kvtel_value *payload,
                                           struct kvtel_error *error);

/* encode.c: writes the payload; not for summarised stats. */
void kvtel_stats_write(const struct kvtel_stats *stats, struct kvtel_writer *writer);

/* Makes the stats as kvtel_stats_create() does: kvtel_stats_reset() keeps a MultiConnector's children. */
void kvtel_stats_clear(struct kvtel_stats *stats);
/* Values in lists, those of children too. */
size_t kvtel_stats_sample_count(const struct kvtel_stats *stats);

/* Turns lists into distributions when there are more samples than the limit. Without memory the samples stay. */
void kvtel_stats_enforce_limit(struct kvtel_stats *stats);

#endif
