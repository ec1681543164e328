/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: counts by reason, and a set of the subjects already warned about. */
#include "base/diagnostics.h"

#include "base/python.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBJECT_LIMIT = 1024, SUBJECT_SIZE = 96, SLOT_COUNT = 2 * SUBJECT_LIMIT, MESSAGE_SIZE = 512 };

struct subject {
    uint8_t reason;
    uint8_t size;
    char text[SUBJECT_SIZE + 1];
};

struct kvtel_diagnostics {
    kvtel_warn_fn warn;
    void *context;
    uint64_t counts[KVTEL_REFUSAL_COUNT];
    size_t subject_count;
    uint16_t slots[SLOT_COUNT]; /* hash table of 1 + index of the subject; 0: free. At most half full */
    struct subject subjects[SUBJECT_LIMIT];
};

const char *kvtel_refusal_label(enum kvtel_refusal reason)
{
    static const char *const labels[] = {
#define X(name, label, meaning) [name] = label,
        KVTEL_REFUSAL_LIST(X)
#undef X
    };
    return (size_t)reason < KVTEL_REFUSAL_COUNT ? labels[reason] : NULL;
}

const char *kvtel_refusal_meaning(enum kvtel_refusal reason)
{
    static const char *const meanings[] = {
#define X(name, label, meaning) [name] = meaning,
        KVTEL_REFUSAL_LIST(X)
#undef X
    };
    return (size_t)reason < KVTEL_REFUSAL_COUNT ? meanings[reason] : NULL;
}

struct kvtel_diagnostics *kvtel_diagnostics_create(kvtel_warn_fn warn, void *context)
{
    struct kvtel_diagnostics *diagnostics = calloc(1, sizeof(*diagnostics));
    if (diagnostics) {
        diagnostics->warn = warn;
        diagnostics->context = context;
    }
    return diagnostics;
}

void kvtel_diagnostics_destroy(struct kvtel_diagnostics *diagnostics)
{
    free(diagnostics);
}

/* Remembers a subject and returns it. NULL: it was remembered before, or the set is full. */
static const struct subject *remember(struct kvtel_diagnostics *diagnostics, enum kvtel_refusal reason,
                                      const char *text)
{
    struct subject subject = { .reason = (uint8_t)reason, .size = (uint8_t)strnlen(text, SUBJECT_SIZE) };
    memcpy(subject.text, text, subject.size);
    size_t at = kvtel_hash(subject.reason, subject.text, subject.size) % SLOT_COUNT;
    for (; diagnostics->slots[at] != 0; at = (at + 1) % SLOT_COUNT) {
        const struct subject *known = &diagnostics->subjects[diagnostics->slots[at] - 1];
        if (known->reason == subject.reason && known->size == subject.size &&
            memcmp(known->text, subject.text, subject.size) == 0)
            return NULL;
    }
    if (diagnostics->subject_count == SUBJECT_LIMIT)
        return NULL;
    diagnostics->slots[at] = (uint16_t)(diagnostics->subject_count + 1);
    diagnostics->subjects[diagnostics->subject_count] = subject;
    return &diagnostics->subjects[diagnostics->subject_count++];
}

void kvtel_diagnostics_refuse(struct kvtel_diagnostics *diagnostics, enum kvtel_refusal reason, uint64_t n,
                              const char *subject, const char *format, ...)
{
    if (!diagnostics || (size_t)reason >= KVTEL_REFUSAL_COUNT)
        return;
    diagnostics->counts[reason] += n;
    const struct subject *known = diagnostics->warn ? remember(diagnostics, reason, subject ? subject : "") : NULL;
    if (!known)
        return;
    char message[MESSAGE_SIZE], shown[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    /* The message quotes keys of untrusted payloads: their line breaks and terminal escapes must not reach a log. */
    kvtel_python_line_into(shown, sizeof(shown), message);
    diagnostics->warn(diagnostics->context, reason, known->text, shown);
}

void kvtel_diagnostics_forget(struct kvtel_diagnostics *diagnostics)
{
    if (!diagnostics || diagnostics->subject_count == 0)
        return;
    memset(diagnostics->slots, 0, sizeof(diagnostics->slots));
    diagnostics->subject_count = 0;
}

uint64_t kvtel_diagnostics_count(const struct kvtel_diagnostics *diagnostics, enum kvtel_refusal reason)
{
    return diagnostics && (size_t)reason < KVTEL_REFUSAL_COUNT ? diagnostics->counts[reason] : 0;
}
