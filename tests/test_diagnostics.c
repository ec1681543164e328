/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics, status texts and the filling of errors. Allocation goes through __wrap_malloc, __wrap_calloc,
 * __wrap_realloc and
 * __wrap_strdup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <kvtel/connector.h>
#include <kvtel/diagnostics.h>

#include "base/diagnostics.h"
#include "base/error.h"
#include "support/failing.h"

struct heard {
    size_t count;
    enum kvtel_refusal reason;
    char subject[128], message[1024];
};

static void hear(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    struct heard *heard = context;
    heard->count++;
    heard->reason = reason;
    snprintf(heard->subject, sizeof(heard->subject), "%s", subject);
    snprintf(heard->message, sizeof(heard->message), "%s", message);
}

static void warns_once_per_reason_and_subject(void **state)
{
    (void)state;
    struct heard heard = { 0 };
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(hear, &heard);
    assert_non_null(diagnostics);
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 2, "a", "Field %s is unknown.", "a");
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.reason, KVTEL_REFUSED_UNKNOWN_KEY);
    assert_string_equal(heard.subject, "a");
    assert_string_equal(heard.message, "Field a is unknown.");
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 3, "a", "Again.");
    assert_int_equal(heard.count, 1);
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_NEGATIVE, 1, "a", "Another reason.");
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, "b", "Another subject.");
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, NULL, "No subject.");
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, "", "No subject.");
    assert_int_equal(heard.count, 4);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY), 8);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_NEGATIVE), 1);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_MALFORMED), 0);
    kvtel_diagnostics_destroy(diagnostics);
}

static void subjects_are_cut_and_limited(void **state)
{
    (void)state;
    struct heard heard = { 0 };
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(hear, &heard);
    assert_non_null(diagnostics);
    char subject[200];
    memset(subject, 'x', sizeof(subject));
    subject[sizeof(subject) - 1] = '\0';
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, subject, "Long.");
    assert_int_equal(strlen(heard.subject), 96);
    subject[96] = 'y';
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, subject, "The same in its first 96 bytes.");
    assert_int_equal(heard.count, 1);
    subject[95] = 'y';
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, subject, "Another.");
    assert_int_equal(heard.count, 2);
    fail_allocation(1);
    for (int i = 0; i < 3000; i++) {
        snprintf(subject, sizeof(subject), "subject %d", i);
        kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, subject, "One of many.");
    }
    assert_false(allocation_did_fail());
    assert_int_equal(heard.count, 1024);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY), 3003);
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, "subject 5", "Known.");
    assert_int_equal(heard.count, 1024);
    kvtel_diagnostics_destroy(diagnostics);
}

static void messages_are_one_line(void **state)
{
    (void)state;
    struct heard heard = { 0 };
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(hear, &heard);
    assert_non_null(diagnostics);
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, "k", "Key %s is unknown.",
                             "a\nb\x1b[31m\x7f\u00e9");
    assert_string_equal(heard.message, "Key a\\nb\\x1b[31m\\x7f\u00e9 is unknown.");
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY, 1, "l", "%2000d", 1);
    assert_int_equal(strlen(heard.message), 511);
    kvtel_diagnostics_destroy(diagnostics);
}

static void nothing_needs_diagnostics(void **state)
{
    (void)state;
    kvtel_diagnostics_refuse(NULL, KVTEL_REFUSED_NEGATIVE, 1, "a", "Nobody hears.");
    assert_int_equal(kvtel_diagnostics_count(NULL, KVTEL_REFUSED_NEGATIVE), 0);
    kvtel_diagnostics_destroy(NULL);
    struct kvtel_diagnostics *silent = kvtel_diagnostics_create(NULL, NULL);
    assert_non_null(silent);
    kvtel_diagnostics_refuse(silent, KVTEL_REFUSED_NEGATIVE, 7, "a", "Counted.");
    kvtel_diagnostics_refuse(silent, KVTEL_REFUSAL_COUNT, 7, "a", "No reason.");
    assert_int_equal(kvtel_diagnostics_count(silent, KVTEL_REFUSED_NEGATIVE), 7);
    assert_int_equal(kvtel_diagnostics_count(silent, KVTEL_REFUSAL_COUNT), 0);
    kvtel_diagnostics_destroy(silent);
    fail_allocation(1);
    assert_null(kvtel_diagnostics_create(NULL, NULL));
    assert_true(allocation_did_fail());
}

static void labels_and_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < KVTEL_REFUSAL_COUNT; i++) {
        assert_non_null(kvtel_refusal_label((enum kvtel_refusal)i));
        assert_non_null(kvtel_refusal_meaning((enum kvtel_refusal)i));
    }
    assert_string_equal(kvtel_refusal_label(KVTEL_REFUSED_UNKNOWN_KEY), "unknown_key");
    assert_null(kvtel_refusal_label(KVTEL_REFUSAL_COUNT));
    assert_null(kvtel_refusal_meaning(KVTEL_REFUSAL_COUNT));
    assert_string_equal(kvtel_failure_label(KVTEL_FAILED_HANDSHAKE), "handshake");
    assert_null(kvtel_failure_label(KVTEL_FAILURE_COUNT));
    assert_string_equal(kvtel_status_text(KVTEL_OK), "ok");
    assert_string_equal(kvtel_status_text(KVTEL_E_TRAILING), "bytes after the end of the object");
    assert_string_equal(kvtel_status_text((enum kvtel_status) - 1000), "unknown status");
    unsigned major, minor, patch;
    assert_int_equal(sscanf(kvtel_version(), "%u.%u.%u", &major, &minor, &patch), 3);
}

static void errors_are_filled(void **state)
{
    (void)state;
    struct kvtel_error error;
    memset(&error, 0x5A, sizeof(error));
    assert_int_equal(kvtel_fail(&error, KVTEL_E_SYNTAX, 7, "%s at %d", "wrong", 3), KVTEL_E_SYNTAX);
    assert_int_equal(error.status, KVTEL_E_SYNTAX);
    assert_int_equal(error.offset, 7);
    assert_int_equal(error.line, 0);
    assert_int_equal(error.column, 0);
    assert_string_equal(error.message, "wrong at 3");
    kvtel_fail(&error, KVTEL_E_SYNTAX, 7, "%1000d", 1);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_int_equal(kvtel_fail(NULL, KVTEL_E_DEPTH, 0, "unheard"), KVTEL_E_DEPTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warns_once_per_reason_and_subject),
        cmocka_unit_test(subjects_are_cut_and_limited),
        cmocka_unit_test(messages_are_one_line),
        cmocka_unit_test(nothing_needs_diagnostics),
        cmocka_unit_test(labels_and_texts),
        cmocka_unit_test(errors_are_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
