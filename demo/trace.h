/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and the times of their arrival: made by the demo, or read from a file in the format of Mooncake's open
 * traces. */
#ifndef KVTEL_DEMO_TRACE_H
#define KVTEL_DEMO_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DEMO_BLOCK_TOKENS = 512, DEMO_REQUEST_BLOCKS = 512 };

struct demo_request {
    double at_ms; /* ms from the start of the trace */
    uint32_t input_tokens, output_tokens;
    uint32_t block_count; /* 1 .. DEMO_REQUEST_BLOCKS */
    size_t first_block;   /* index in the trace's blocks */
};

/* Start from {0}. */
struct demo_trace {
    struct demo_request *requests; /* in the order of arrival */
    size_t count, capacity;
    /* Hash ids. Equal ids stand for equal tokens after equal tokens, so for the same KV block. */
    uint64_t *blocks;
    size_t block_count, block_capacity;
};

/* Makes a few hundred requests over about twelve seconds, the same in each run: chats with several turns that share
 * a few system prompts. False, after printing a message: no memory. */
bool demo_trace_make(struct demo_trace *trace);
/* Reads {"timestamp": ms, "input_length": tokens, "output_length": tokens, "hash_ids": [id, ...]}, one in each line.
 * Other lines are reported on standard error and skipped. False, after printing a message: the file cannot be read,
 * or does not contain a request. */
bool demo_trace_read(struct demo_trace *trace, const char *path);
void demo_trace_free(struct demo_trace *trace);

#endif
