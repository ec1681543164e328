/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON bodies of answers to posts. */
#include "serve/receiver_answer.h"

#include "base/buffer.h"
#include "value/value.h"

#include <inttypes.h>
#include <stdio.h>

static void finish(struct http_response *response, struct kvtel_writer *writer)
{
    response->content_type = "application/json";
    if (kvtel_writer_finish(writer) != KVTEL_OK || kvtel_buffer_append_byte(&response->body, '\n') != KVTEL_OK)
        response->status = 503;
}

static void write_refused(struct kvtel_writer *writer, const uint64_t *refused)
{
    size_t reasons = 0;
    for (int reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++)
        reasons += refused[reason] > 0;
    kvtel_writer_text(writer, "refused");
    kvtel_writer_map(writer, reasons);
    for (int reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++) {
        if (refused[reason] == 0)
            continue;
        kvtel_writer_text(writer, kvtel_refusal_label((enum kvtel_refusal)reason));
        kvtel_writer_integer(writer, (int64_t)refused[reason]);
    }
}

void receiver_stale_text(const struct receiver_stale *stale, char text[static RECEIVER_STALE_TEXT])
{
    if (stale->given > 0)
        snprintf(
            text, RECEIVER_STALE_TEXT,
            "posts of source \"%s\" are not counted again: \"started\" was %.15g before and is %.15g here, which is "
            "earlier; its clock was ahead, and another \"source\" begins anew",
            stale->source, stale->started, stale->given);
    else
        snprintf(text, RECEIVER_STALE_TEXT,
                 "posts of source \"%s\" are not counted again: sequence numbers up to %" PRId64
                 " were counted before, and these reach %" PRId64
                 "; a sender that began anew says when, in seconds, by \"started\" in its header",
                 stale->source, stale->sequence, stale->highest);
}

static void write_warning(struct kvtel_writer *writer, const struct receiver_stale *stale)
{
    char text[RECEIVER_STALE_TEXT];
    receiver_stale_text(stale, text);
    kvtel_writer_text(writer, "warning");
    kvtel_writer_text(writer, text);
}

void receiver_answer(struct http_response *response, const struct receiver_answer *answer)
{
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, KVTEL_JSON, &response->body);
    kvtel_writer_map(&writer, answer->stale_sources > 0 ? 5 : 4);
    kvtel_writer_text(&writer, "status");
    kvtel_writer_text(&writer, "success");
    kvtel_writer_text(&writer, "accepted");
    kvtel_writer_integer(&writer, (int64_t)answer->accepted);
    kvtel_writer_text(&writer, "repeated");
    kvtel_writer_integer(&writer, (int64_t)answer->repeated);
    write_refused(&writer, answer->refused);
    if (answer->stale_sources > 0)
        write_warning(&writer, &answer->stale);
    finish(response, &writer);
}

void receiver_answer_error(struct http_response *response, const struct kvtel_error *error)
{
    struct kvtel_writer writer;
    response->status = error->status == KVTEL_E_NOMEM ? 503 : error->status == KVTEL_E_LIMIT ? 413 : 400;
    kvtel_writer_init(&writer, KVTEL_JSON, &response->body);
    kvtel_writer_map(&writer, 2);
    kvtel_writer_text(&writer, "status");
    kvtel_writer_text(&writer, "error");
    kvtel_writer_text(&writer, "error");
    kvtel_writer_map(&writer, error->line > 0 ? 4 : 2);
    kvtel_writer_text(&writer, "reason");
    kvtel_writer_text(&writer, error->message);
    kvtel_writer_text(&writer, "offset");
    kvtel_writer_integer(&writer, (int64_t)error->offset);
    if (error->line > 0) {
        kvtel_writer_text(&writer, "line");
        kvtel_writer_integer(&writer, error->line);
        kvtel_writer_text(&writer, "column");
        kvtel_writer_integer(&writer, error->column);
    }
    finish(response, &writer);
}
