/* SPDX-License-Identifier: Apache-2.0 */
/* docs/metrics.md is made from the connectors' tables and must be what they say. After a change: KVTEL_UPDATE=1
 * test_metrics_reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/number.h"

#include <kvtel/connector.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const path = KVTEL_TEST_DATA "/../../docs/metrics.md";

static void append(struct kvtel_buffer *text, const char *part)
{
    assert_int_equal(kvtel_buffer_append_text(text, part), KVTEL_OK);
}

static void append_metric(struct kvtel_buffer *text, const struct kvtel_metric *metric)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    size_t size = strlen(metric->name);
    bool total = metric->type == KVTEL_COUNTER && (size < 6 || strcmp(metric->name + size - 6, "_total") != 0);
    assert_int_equal(
        kvtel_buffer_printf(text, "### `%s%s`\n\n%s", metric->name, total ? "_total" : "", types[metric->type]),
        KVTEL_OK);
    for (size_t i = 0; i < KVTEL_METRIC_LABELS && metric->labels[i]; i++)
        assert_int_equal(kvtel_buffer_printf(text, "%s`%s`", i == 0 ? "; labels beside model_name and engine: " : ", ",
                                             metric->labels[i]),
                         KVTEL_OK);
    append(text, metric->when ? "; depends on the configuration\n\n" : "\n\n");
    append(text, metric->help);
    append(text, "\n\n");
    if (!metric->buckets)
        return;
    append(text, "Buckets:");
    for (size_t i = 0; i < metric->buckets->count; i++) {
        char number[KVTEL_NUMBER_SIZE];
        (void)kvtel_number_exposition(metric->buckets->bounds[i], number);
        assert_int_equal(kvtel_buffer_printf(text, " %s", number), KVTEL_OK);
    }
    append(text, ", +Inf. Quantiles of kvtel's own come from 64 bins an octave.\n\n");
}

static void make_reference(struct kvtel_buffer *text)
{
    append(text, "# Metrics\n\n"
                 "Made from the connectors' tables by `KVTEL_UPDATE=1 build/tests/test_metrics_reference`. Names are "
                 "vLLM's; every series\n"
                 "has the labels `model_name` and `engine`.\n");
    const struct kvtel_connector *connector;
    for (size_t i = 0; (connector = kvtel_connector_at(i)); i++) {
        if (!connector->metrics || connector->metrics[0].name == NULL)
            continue;
        append(text, "\n## ");
        for (const struct kvtel_connector_name *name = connector->names; name->name; name++)
            assert_int_equal(kvtel_buffer_printf(text, "%s%s", name == connector->names ? "" : ", ", name->name),
                             KVTEL_OK);
        append(text, "\n\n");
        for (const struct kvtel_metric *metric = connector->metrics; metric->name; metric++)
            append_metric(text, metric);
        text->size--; /* one empty line between connectors */
    }
}

static void reference_is_what_the_tables_say(void **state)
{
    struct kvtel_buffer text = { 0 };
    (void)state;
    make_reference(&text);
    if (getenv("KVTEL_UPDATE")) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        assert_int_equal(fwrite(text.bytes, 1, text.size, out), text.size);
        assert_int_equal(fclose(out), 0);
    }
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *there = malloc(text.size + 2);
    assert_non_null(there);
    size_t size = fread(there, 1, text.size + 2, file);
    fclose(file);
    if (size != text.size || memcmp(there, text.bytes, size) != 0)
        fail_msg("docs/metrics.md is out of date: run KVTEL_UPDATE=1 test_metrics_reference");
    free(there);
    kvtel_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(reference_is_what_the_tables_say) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
