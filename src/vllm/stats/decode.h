/* SPDX-License-Identifier: Apache-2.0 */
/* Parts shared by the decoders of the kinds of payload (decode_values.c): checking numbers, filling columns, refusing
 * unusable values. */
#ifndef KVTEL_VLLM_STATS_DECODE_H
#define KVTEL_VLLM_STATS_DECODE_H

#include "connectors/learned.h"
#include "vllm/stats/stats.h"

struct kvtel_decoder {
    struct kvtel_stats *stats;
    struct kvtel_content content;              /* the content in the making */
    struct kvtel_learned *open;                /* the open table of the connector, or beside its table; NULL: none */
    const struct kvtel_descriptor *descriptor; /* what payloads of the connector said of their metrics; NULL: nothing */
    size_t described_left;                     /* values that the descriptor's entries may still read of this payload */
};

/* Counts `n` refusals of `key` and warns; `what` says what is wrong. */
void kvtel_decode_refuse(const struct kvtel_decoder *decoder, enum kvtel_refusal reason, uint64_t n, const char *key,
                         const char *what);
/* Whether a key or text can be a C string: a name with a NUL inside is not known to any table. */
bool kvtel_decode_is_name(const struct kvtel_value *value);
/* Why a number is unusable; KVTEL_REFUSAL_COUNT: it is usable. */
enum kvtel_refusal kvtel_decode_judge(const struct kvtel_value *value, const struct kvtel_number_range *range);
/* The same for a name or a label. */
enum kvtel_refusal kvtel_decode_judge_text(const struct kvtel_value *value);
/* The reason in words. Static text. */
const char *kvtel_decode_why(enum kvtel_refusal reason);
/* Appends a number that was found usable. */
enum kvtel_status kvtel_decode_number(struct kvtel_column *column, const struct kvtel_value *value);
/* Appends a list. An unusable value is stored as 0 until its row is dropped, so that columns stay aligned, and
 * (*bad)[row] is set to 1 + the reason. */
enum kvtel_status kvtel_decode_list(struct kvtel_decoder *decoder, struct kvtel_column *column,
                                    const struct kvtel_value *list, const struct kvtel_number_range *range,
                                    uint8_t **bad);
/* Drops the rows that are unusable in any of the columns; each row counts once. */
void kvtel_decode_drop_bad_rows(struct kvtel_decoder *decoder, struct kvtel_column **columns, uint8_t **bad,
                                const char *const *keys, size_t count);

/* decode_labels.c: decodes a label tuple (an array, or the JSON text of one) into texts in the arena, each followed by
 * a NUL. `count` is KVTEL_NO_TUPLE if the key is not a tuple, KVTEL_LONG_LABEL if a label is too long.
 * Status: KVTEL_OK, KVTEL_E_NOMEM. */
enum { KVTEL_NO_TUPLE = -1, KVTEL_LONG_LABEL = -2 };
enum kvtel_status kvtel_decode_labels(struct kvtel_arena *arena, const struct kvtel_value *key, const char **labels,
                                      size_t *size, int *count);

/* descriptor.c: looks for the payload's _metrics_descriptor, and registers it if it is the first of the connector.
 * Fills the decoder's `open` and `descriptor`. Status: KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_decode_descriptor(struct kvtel_decoder *decoder, const struct kvtel_value *payload);

/* decode_described.c */
/* Whether the descriptor reads something at or below this key of the payload. */
bool kvtel_decode_is_described(const struct kvtel_decoder *decoder, const struct kvtel_value *key);
/* The descriptor's entry for a key of a typed payload's data; NULL: none. */
const struct kvtel_described *kvtel_decode_described_data(const struct kvtel_decoder *decoder,
                                                          const struct kvtel_value *key);
/* Adds what the descriptor's entries read to a content of typed metrics. Status: KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_decode_described(struct kvtel_decoder *decoder, const struct kvtel_value *payload,
                                         struct kvtel_content *content);

/* decode_typed.c: KVTEL_PAYLOAD_TYPED. */
bool kvtel_decode_is_typed(const struct kvtel_value *payload);
enum kvtel_status kvtel_decode_typed(struct kvtel_decoder *decoder, const struct kvtel_value *map);

#endif
