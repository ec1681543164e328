/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and the times of their arrival. */
#include "demo/trace.h"

#include "demo/fail.h"
#include "demo/random.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MADE_REQUESTS = 600,
    MADE_GAP_MS = 20, /* average time between two arrivals */
    PROMPTS = 4,
    CHATS = 60,
    CHAT_BLOCKS = 48, /* a chat that reached this length ends */
};

/* Returns the array with room for `more` elements of `size` bytes. NULL: no memory. */
static void *grown(void *array, size_t count, size_t *capacity, size_t more, size_t size)
{
    if (more <= *capacity - count)
        return array;
    size_t wanted = *capacity > 0 ? *capacity * 2 : 1024;
    while (wanted - count < more)
        wanted *= 2;
    void *bytes = reallocarray(array, wanted, size);
    if (bytes)
        *capacity = wanted;
    return bytes;
}

/* Adds a copy of `request` and of its blocks. */
static bool add_request(struct demo_trace *trace, const struct demo_request *request, const uint64_t *blocks)
{
    void *requests = grown(trace->requests, trace->count, &trace->capacity, 1, sizeof *trace->requests);
    if (requests)
        trace->requests = requests;
    void *all =
        grown(trace->blocks, trace->block_count, &trace->block_capacity, request->block_count, sizeof *trace->blocks);
    if (all)
        trace->blocks = all;
    if (!requests || !all) {
        demo_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
        return false;
    }
    memcpy(trace->blocks + trace->block_count, blocks, request->block_count * sizeof *blocks);
    trace->requests[trace->count] = *request;
    trace->requests[trace->count++].first_block = trace->block_count;
    trace->block_count += request->block_count;
    return true;
}

struct chat {
    uint64_t blocks[DEMO_REQUEST_BLOCKS];
    uint32_t count;
};

bool demo_trace_make(struct demo_trace *trace)
{
    struct chat chats[CHATS] = { 0 };
    uint64_t state = 20261124, next_id = 1000;
    double at_ms = 0;
    for (int i = 0; i < MADE_REQUESTS; i++) {
        struct chat *chat = &chats[demo_random(&state) % CHATS];
        /* a new chat, which begins with one of the system prompts */
        if (chat->count == 0 || chat->count >= CHAT_BLOCKS) {
            uint64_t prompt = demo_random(&state) % PROMPTS;
            chat->count = 0;
            for (uint64_t block = 0; block <= prompt; block++)
                chat->blocks[chat->count++] = prompt * 10 + block;
        }
        double turn = demo_random_unit(&state); /* most turns are short, some contain a document */
        for (uint32_t more = 1 + (uint32_t)(turn * turn * turn * 16); more > 0; more--)
            chat->blocks[chat->count++] = next_id++;
        at_ms -= log(1 - demo_random_unit(&state)) * MADE_GAP_MS;
        struct demo_request request = {
            .at_ms = at_ms,
            .input_tokens =
                (chat->count - 1) * DEMO_BLOCK_TOKENS + 1 + (uint32_t)(demo_random(&state) % DEMO_BLOCK_TOKENS),
            .output_tokens = 16 + (uint32_t)(demo_random(&state) % 1200),
            .block_count = chat->count,
        };
        if (!add_request(trace, &request, chat->blocks))
            return false;
    }
    return true;
}

/* Reads a whole number from `low` to UINT32_MAX. False: it is not one. */
static bool read_tokens(const json_t *line, const char *key, json_int_t low, uint32_t *tokens)
{
    const json_t *value = json_object_get(line, key);
    if (!json_is_integer(value) || json_integer_value(value) < low || json_integer_value(value) > UINT32_MAX)
        return false;
    *tokens = (uint32_t)json_integer_value(value);
    return true;
}

/* Reads a request. @return NULL, or what is wrong with it */
static const char *read_request(const json_t *line, struct demo_request *request, uint64_t *blocks)
{
    if (!json_is_object(line))
        return "not an object";
    const json_t *at = json_object_get(line, "timestamp");
    request->at_ms = json_number_value(at);
    if (!json_is_number(at) || request->at_ms < 0)
        return "\"timestamp\" is not a number of milliseconds from 0 on";
    if (!read_tokens(line, "input_length", 1, &request->input_tokens))
        return "\"input_length\" is not a number of tokens from 1 on";
    if (!read_tokens(line, "output_length", 0, &request->output_tokens))
        return "\"output_length\" is not a number of tokens from 0 on";
    const json_t *ids = json_object_get(line, "hash_ids");
    if (json_array_size(ids) == 0)
        return "\"hash_ids\" is not a list of block hashes";
    if (json_array_size(ids) > DEMO_REQUEST_BLOCKS)
        return "\"hash_ids\" names more than 512 blocks, which is more than a worker holds for one request";
    request->block_count = (uint32_t)json_array_size(ids);
    for (uint32_t i = 0; i < request->block_count; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            return "\"hash_ids\" holds something else than whole numbers from 0 on";
        blocks[i] = (uint64_t)json_integer_value(id);
    }
    return NULL;
}

/* Reads a line. A line that is not a request is reported and skipped. False: no memory. */
static bool read_line(struct demo_trace *trace, const char *path, size_t number, const char *text, size_t size)
{
    json_error_t error = { 0 };
    struct demo_request request = { 0 };
    uint64_t blocks[DEMO_REQUEST_BLOCKS];
    json_t *line = json_loadb(text, size, JSON_DECODE_ANY, &error);
    const char *wrong = line ? read_request(line, &request, blocks) : error.text;
    bool good = true;
    if (!wrong)
        good = add_request(trace, &request, blocks);
    else
        demo_fail("%s:%zu: %s; left out", path, number, wrong);
    json_decref(line);
    return good;
}

static int by_arrival(const void *left, const void *right)
{
    const struct demo_request *a = left, *b = right;
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    return a->first_block < b->first_block ? -1 : 1; /* keep the order of the file */
}

bool demo_trace_read(struct demo_trace *trace, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        demo_fail("%s: %s", path, strerror(errno));
        return false;
    }
    char *text = NULL;
    size_t capacity = 0, number = 0;
    bool good = true;
    errno = 0;
    for (ssize_t size; good && (size = getline(&text, &capacity, file)) >= 0;) {
        number++;
        if (strspn(text, " \t\r\n") < (size_t)size)
            good = read_line(trace, path, number, text, (size_t)size);
    }
    if (good && !feof(file)) {
        demo_fail("%s: %s", path, strerror(errno));
        good = false;
    } else if (good && trace->count == 0) {
        demo_fail("%s: no request in it; write one JSON object a line, with timestamp, input_length, output_length and "
                  "hash_ids",
                  path);
        good = false;
    }
    free(text);
    fclose(file);
    if (good)
        qsort(trace->requests, trace->count, sizeof *trace->requests, by_arrival);
    return good;
}

void demo_trace_free(struct demo_trace *trace)
{
    free(trace->requests);
    free(trace->blocks);
    *trace = (struct demo_trace){ 0 };
}
