/* SPDX-License-Identifier: Apache-2.0 */
/* One table: class of failure, sentence. docs/on-call.md has the same sentences, which a test compares. */
#include "report/failure_text.h"

#include <string.h>

/* clang-format off */
static const struct {
    const char *label, *text;
} explained[] = {
    /* KVTEL_FAILURE_LIST */
    { "transfer", "the transfer could not be posted, or it ended with an error" },
    { "handshake", "decode could not reach prefill's side channel, or their layouts differ" },
    { "notification", "decode has the blocks, and could not tell the prefill engine" },
    { "receive", "the engine that fetches saw a fetch fail" },
    { "expired", "nobody fetched the blocks before their lease ended" },
    { "late_notification", "the lease ended before decode had fetched the blocks: data may be wrong" },
    { "allocation", "a store was given up, because the offload had no room for the blocks" },
    { "save", "a task could not save KV" },
    { "load", "a task could not load KV" },
    { "other", "the connector counts these failures, and tells no class" },
    /* statuses of calls to a store */
    { "error", "a call to the store failed for all its keys" },
    { "partial_failure", "a call to the store failed for some of its keys" },
    /* statuses of NIXL */
    { "not_posted", "NIXL was asked about a transfer that was not posted" },
    { "invalid_param", "NIXL was called with an argument that it refuses" },
    { "backend", "NIXL's backend (UCX, for example) reported an error" },
    { "not_found", "NIXL does not know the peer, the memory or the backend" },
    { "mismatch", "the two sides of a NIXL transfer do not match" },
    { "not_allowed", "NIXL does not allow this call in its present state" },
    { "repost_active", "a NIXL transfer was posted again while it was under way" },
    { "unknown", "NIXL does not say why" },
    { "not_supported", "NIXL's backend cannot do what was asked" },
    { "remote_disconnect", "NIXL lost the connection to the peer" },
    { "canceled", "a NIXL transfer was canceled" },
    { "no_telemetry", "NIXL was asked for telemetry that it does not have" },
};
/* clang-format on */

static const char *text_of(const char *label, size_t length)
{
    for (size_t i = 0; i < sizeof(explained) / sizeof(explained[0]); i++)
        if (strlen(explained[i].label) == length && memcmp(explained[i].label, label, length) == 0)
            return explained[i].text;
    return NULL;
}

size_t kvtel_failure_texts(const char *label, const char *texts[KVTEL_FAILURE_TEXTS])
{
    static const char joint[] = "_or_";
    size_t count = 0;
    for (const char *part = label; part && count < KVTEL_FAILURE_TEXTS;) {
        const char *end = strstr(part, joint);
        const char *text = text_of(part, end ? (size_t)(end - part) : strlen(part));
        if (text)
            texts[count++] = text;
        part = end ? end + strlen(joint) : NULL;
    }
    return count;
}
