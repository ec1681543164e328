/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing while the host's locale has a decimal comma, or a decimal point of several bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"

#include <kvtel/kvtel.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/kvtel-locale-XXXXXX";

/* Makes the locale where the machine has the means; NULL: it is not to be had. */
static const char *enter(const char *name)
{
    char path[64], command[256];
    (void)snprintf(path, sizeof(path), "%s/%s.UTF-8", directory, name);
    (void)snprintf(command, sizeof(command), "localedef -i %s -f UTF-8 %s >/dev/null 2>&1", name, path);
    if (access(path, F_OK) != 0)
        (void)!system(command);
    const char *entered = setlocale(LC_ALL, strrchr(path, '/') + 1);
    return entered && strcmp(localeconv()->decimal_point, ".") != 0 ? entered : NULL;
}

static void keep_line(void *context, const char *line)
{
    (void)snprintf(context, 1024, "%s", line);
}

/* What a program does with a payload, as one text. */
static void describe(char *out, size_t size)
{
    static const char payload[] =
        "{\"transfer_duration\": [0.0015, 1.25], \"post_duration\": [1e-3, 0.5], \"bytes_transferred\": "
        "[1500000, 2500000], \"num_descriptors\": [1, 2]}";
    char line[1024], vllm[1024], *bytes;
    size_t length;
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("NixlConnector");
    struct kvtel_stats *stats = kvtel_stats_create(kvtel_connector_find("NixlConnector"), NULL);
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload, sizeof(payload) - 1, NULL), KVTEL_OK);
    for (int style = 0; style < 2; style++) {
        struct kvtel_logging *logging = kvtel_logging_create(config, style ? KVTEL_LOG_VLLM : KVTEL_LOG_DEFAULT, NULL);
        assert_int_equal(kvtel_logging_observe(logging, stats, NULL), KVTEL_OK);
        assert_int_equal(kvtel_logging_log(logging, 10.5, keep_line, style ? vllm : line), KVTEL_OK);
        kvtel_logging_destroy(logging);
    }
    assert_int_equal(kvtel_stats_encode(stats, KVTEL_JSON, &bytes, &length), KVTEL_OK);
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    assert_true(kvtel_record_transfer(recorder, &(struct kvtel_transfer){ 1500000, 1000, 1 << 20, 2, .failed = 0 }));
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_buffer text = { 0 };
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    assert_int_equal(kvtel_exposition_text(snapshot, &text), KVTEL_OK);
    (void)snprintf(out, size, "%s\n%s\n%s\n%.*s", line, vllm, bytes, (int)text.size, text.bytes);
    assert_non_null(strstr(line, "interval=10.5s"));
    assert_non_null(strstr(line, "time_p50=625.750ms"));
    free(bytes);
    kvtel_buffer_free(&text);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    kvtel_stats_destroy(stats);
    kvtel_transfer_config_destroy(config);
}

static void test_decimal_points(void **state)
{
    (void)state;
    static const char *const names[] = { "de_DE", "ps_AF" };
    static char plain[1 << 16], here[1 << 16];
    int entered = 0;
    describe(plain, sizeof(plain));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!enter(names[i]))
            continue;
        entered++;
        describe(here, sizeof(here));
        assert_string_equal(here, plain);
        (void)setlocale(LC_ALL, "C");
    }
    if (entered == 0) {
        print_message("no locale with a decimal comma can be had\n");
        skip();
    }
}

/* As printf() in the C locale. */
static void test_fixed(void **state)
{
    (void)state;
    static const double values[] = { 0,     -0.0,     1.5,      -1.5,      0.0005, 0.9995, 123456.789,
                                     1e15,  1.7e308,  -1.7e308, 5e-324,    2.5,    3.5,    1e22,
                                     0.125, 999.9999, INFINITY, -INFINITY, NAN };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        for (int digits = 0; digits <= 9; digits++) {
            char expected[KVTEL_FIXED_SIZE], out[KVTEL_FIXED_SIZE];
            (void)snprintf(expected, sizeof(expected), "%.*f", digits, values[i]);
            bool has_locale = digits == 3 && enter("de_DE");
            size_t length = kvtel_number_fixed(values[i], digits, out);
            if (has_locale)
                (void)setlocale(LC_ALL, "C");
            assert_string_equal(out, expected);
            assert_int_equal(length, strlen(expected));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_decimal_points), cmocka_unit_test(test_fixed) };
    if (!mkdtemp(directory) || setenv("LOCPATH", directory, 1) != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command) != 0 || failed;
}
