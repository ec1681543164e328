/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and when they arrive: made here, or read from a file in the format of Mooncake's open traces. */
#ifndef KVTEL_DEMO_TRACE_H
#define KVTEL_DEMO_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DEMO_BLOCK_TOKENS = 512, DEMO_REQUEST_BLOCKS = 512 };

struct demo_request {
    double at_ms; /* from the start of the trace */
    uint32_t input_tokens, output_tokens;
    uint32_t block_count; /* 1 .. DEMO_REQUEST_BLOCKS */
    size_t first_block;   /* in the trace's blocks */
};

/* Start from {0}. */
struct demo_trace {
    struct demo_request *requests; /* by time of arrival */
    size_t count, capacity;
    uint64_t *blocks; /* hash ids: equal ones stand for equal tokens and all before them equal, so the same KV block */
    size_t block_count, block_capacity;
};

/* A few hundred requests over about twelve seconds, the same each time: chats that go on, over a few shared system
 * prompts. False, with a message, without memory. */
bool demo_trace_make(struct demo_trace *trace);
/* Reads {"timestamp": ms, "input_length": tokens, "output_length": tokens, "hash_ids": [id, ...]}, one a line. A line
 * that is no such thing is said on standard error and left out. False, with a message, when the file cannot be read or
 * holds no request. */
bool demo_trace_read(struct demo_trace *trace, const char *path);
void demo_trace_free(struct demo_trace *trace);

#endif
