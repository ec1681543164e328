/* SPDX-License-Identifier: Apache-2.0 */
/* What the decoders of the payload's shapes share: judging numbers, filling columns, refusing what cannot be used. */
#ifndef KVTEL_VLLM_STATS_DECODE_H
#define KVTEL_VLLM_STATS_DECODE_H

#include "vllm/stats/stats.h"

struct kvtel_decoder {
    struct kvtel_stats *stats;
    struct kvtel_content content; /* being built */
};

/* Counts `n` refusals about `key` and says `what` is wrong with it. */
void kvtel_decode_refuse(const struct kvtel_decoder *decoder, enum kvtel_refusal reason, uint64_t n, const char *key,
                         const char *what);
/* A key or text that can be a C string: names with a NUL inside are nobody's. */
bool kvtel_decode_is_name(const struct kvtel_value *value);
/* Why a value cannot be used; KVTEL_REFUSAL_COUNT when it can. */
enum kvtel_refusal kvtel_decode_judge(const struct kvtel_value *value, const struct kvtel_number_range *range);
/* The same of a name or a label. */
enum kvtel_refusal kvtel_decode_judge_text(const struct kvtel_value *value);
/* A reason in words. */
const char *kvtel_decode_why(enum kvtel_refusal reason);
/* Appends a number that was judged. */
enum kvtel_status kvtel_decode_number(struct kvtel_column *column, const struct kvtel_value *value);
/* Appends a list. Rows that cannot be used are kept as 0 until they are dropped, so that columns stay aligned, and
 * (*bad)[row] gets the reason + 1. */
enum kvtel_status kvtel_decode_list(struct kvtel_decoder *decoder, struct kvtel_column *column,
                                    const struct kvtel_value *list, const struct kvtel_number_range *range,
                                    uint8_t **bad);
/* Drops the rows that are bad in any of the columns, each counted once. */
void kvtel_decode_drop_bad_rows(struct kvtel_decoder *decoder, struct kvtel_column **columns, uint8_t **bad,
                                const char *const *keys, size_t count);

/* decode_typed.c: KVTEL_SHAPE_TYPED. */
enum kvtel_status kvtel_decode_typed(struct kvtel_decoder *decoder, const struct kvtel_value *map);

#endif
