/* SPDX-License-Identifier: Apache-2.0 */
/* Promises that each parser must keep, besides not crashing. */
#ifndef KVTEL_FUZZ_CONTRACT_H
#define KVTEL_FUZZ_CONTRACT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "value/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                             \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* A failure must give a status, a place in the input, and a message. */
static inline void must_explain(enum kvtel_status status, const struct kvtel_error *error, enum kvtel_format format,
                                size_t size)
{
    MUST(status < 0 && error->status == status);
    MUST(error->offset <= size);
    MUST(error->message[0] != '\0' && memchr(error->message, '\0', sizeof(error->message)));
    MUST((format == KVTEL_JSON) == (error->line > 0 && error->column > 0));
    MUST(error->line <= size + 1 && error->column <= size + 1);
}

static inline void must_write(enum kvtel_format format, const struct kvtel_value *value, struct kvtel_buffer *buffer)
{
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, format, buffer);
    kvtel_writer_value(&writer, value);
    MUST(kvtel_writer_finish(&writer) == KVTEL_OK);
}

/* A decoded value that is written, decoded and written again must have the same text both times. Each value has one
 * text only, so the values are then equal. */
static inline void must_round_trip(enum kvtel_format format, const struct kvtel_value *value)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_buffer first = { 0 }, second = { 0 };
    struct kvtel_value again;
    must_write(format, value, &first);
    MUST(kvtel_value_decode(format, first.bytes, first.size, &arena, &again, NULL) == KVTEL_OK);
    must_write(format, &again, &second);
    MUST(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
    kvtel_buffer_free(&first);
    kvtel_buffer_free(&second);
    kvtel_arena_free(&arena);
}

#endif
