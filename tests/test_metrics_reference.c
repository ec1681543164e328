/* SPDX-License-Identifier: Apache-2.0 */
/* docs/metrics.md must equal the page made here from the connectors' tables and from the families of a recorder, of
 * NIXL's rings and of its plug-in. After a change run KVTEL_UPDATE=1 test_metrics_reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collect/series.h"
#include "base/buffer.h"
#include "base/number.h"
#include "connectors/table.h"
#include "nixl/metrics.h"
#include "nixl/transfers.h"

#include <kvtel/connector.h>
#include <kvtel/recorder.h>
#include <kvtel/snapshot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 120 };

static const char *const path = KVTEL_TEST_DATA "/../../docs/metrics.md";

static void append(struct kvtel_buffer *text, const char *part)
{
    assert_int_equal(kvtel_buffer_append_text(text, part), KVTEL_OK);
}

/* A paragraph, in lines of at most WIDTH columns. */
static void append_wrapped(struct kvtel_buffer *text, const char *paragraph)
{
    size_t column = 0;
    for (const char *word = paragraph; *word;) {
        size_t size = strcspn(word, " ");
        if (column > 0)
            append(text, column + 1 + size > WIDTH ? "\n" : " ");
        column = column == 0 || column + 1 + size > WIDTH ? size : column + 1 + size;
        assert_int_equal(kvtel_buffer_append(text, word, size), KVTEL_OK);
        word += size;
        word += strspn(word, " ");
    }
    append(text, "\n\n");
}

/* `line` as a paragraph; frees it. */
static void append_line(struct kvtel_buffer *text, struct kvtel_buffer *line)
{
    assert_int_equal(kvtel_buffer_append_byte(line, '\0'), KVTEL_OK);
    append_wrapped(text, line->bytes);
    kvtel_buffer_free(line);
}

/* The heading, and the type as the start of `line`. */
static void append_heading(struct kvtel_buffer *text, struct kvtel_buffer *line, const char *name,
                           enum kvtel_metric_type type)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    size_t size = strlen(name);
    bool total = type == KVTEL_COUNTER && (size < 6 || strcmp(name + size - 6, "_total") != 0);
    assert_int_equal(kvtel_buffer_printf(text, "### `%s%s`\n\n", name, total ? "_total" : ""), KVTEL_OK);
    append(line, types[type]);
}

static void append_labels(struct kvtel_buffer *text, const char *before, const char *const *labels, size_t count)
{
    for (size_t i = 0; i < count && labels[i]; i++)
        assert_int_equal(kvtel_buffer_printf(text, "%s`%s`", i == 0 ? before : ", ", labels[i]), KVTEL_OK);
}

/* `count` bounds: bounds[at[i]], or bounds[i] where `at` is NULL. */
static void append_buckets(struct kvtel_buffer *text, const double *bounds, const uint32_t *at, size_t count)
{
    struct kvtel_buffer line = { 0 };
    append(&line, "Buckets:");
    for (size_t i = 0; i < count; i++) {
        char number[KVTEL_NUMBER_SIZE];
        (void)kvtel_number_exposition(bounds[at ? at[i] : i], number);
        assert_int_equal(kvtel_buffer_printf(&line, " %s,", number), KVTEL_OK);
    }
    append(&line, " +Inf");
    append_line(text, &line);
}

static void append_metric(struct kvtel_buffer *text, const struct kvtel_metric *metric)
{
    struct kvtel_buffer line = { 0 };
    append_heading(text, &line, metric->name, metric->type);
    append_labels(&line, "; labels beside model_name and engine: ", metric->labels, KVTEL_METRIC_LABELS);
    append(&line, kvtel_metric_is_conditional(metric) ? "; depends on the configuration" : "");
    append_line(text, &line);
    append_wrapped(text, metric->help);
    if (metric->buckets)
        append_buckets(text, metric->buckets->bounds, NULL, metric->buckets->count);
}

/* All families of a store. */
static void append_store(struct kvtel_buffer *text, const struct kvtel_store *store, const char *only)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_non_null(snapshot);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    for (size_t i = 0; i < kvtel_snapshot_family_count(snapshot); i++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, i);
        if (strncmp(family->name, only, strlen(only)) != 0)
            continue;
        struct kvtel_buffer line = { 0 };
        append_heading(text, &line, family->name, family->type);
        append_labels(&line, "; labels: ", family->labelnames, family->label_count);
        append_line(text, &line);
        append_wrapped(text, family->help);
        if (family->type == KVTEL_HISTOGRAM)
            append_buckets(text, family->bounds, family->explicit_bins, family->explicit_count);
    }
    kvtel_snapshot_destroy(snapshot);
}

static void append_transfer_families(struct kvtel_buffer *text)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_recorder *recorder =
        kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), KVTEL_RECORDER_OPTIONS(.windows = true));
    assert_non_null(recorder);
    append(text, "\n## Phases of a transfer\n\n"
                 "Any connector's, from recorders with the option `windows`. They have no explicit buckets.\n\n");
    append_store(text, store, "kvtel_transfer_");
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    text->size--; /* one empty line between chapters */
}

static void append_open_families(struct kvtel_buffer *text)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"),
                                                            KVTEL_RECORDER_OPTIONS(.open_transfers = 1));
    assert_non_null(recorder);
    append(text, "\n## Open transfers\n\n"
                 "Any connector's, from recorders with the option `open_transfers`. What is open now is in\n"
                 "[serve.md](serve.md#open-transfers).\n\n");
    append_store(text, store, "kvtel_unfinished_");
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    text->size--;
}

static void append_nixl_families(struct kvtel_buffer *text)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_nixl_metrics metrics;
    assert_non_null(store);
    assert_int_equal(kvtel_nixl_metrics_init(&metrics, store, false), KVTEL_OK);
    append(text,
           "\n## NIXL's telemetry rings\n\n"
           "From `kvtel serve --nixl.telemetry-dir` ([nixl-rings.md](nixl-rings.md)). With `--nixl.agent-label` the "
           "`nixl_*`\n"
           "families also have the label `agent`.\n\n");
    append_store(text, store, "");
    kvtel_nixl_metrics_close(&metrics);
    kvtel_store_close(store);
    text->size--;
}

static void append_plugin_families(struct kvtel_buffer *text)
{
    append(text,
           "\n## NIXL's plug-in\n\n"
           "From `libkvtel_nixl.so` ([nixl.md](nixl.md)), which as an exporter also has the `nixl_*` counters and "
           "histograms of\nthe rings above. Those of peers are on `/metrics` with `--nixl.peer-label` only.\n\n");
    for (const struct kvtel_metric *metric = kvtel_nixl_posts.metrics; metric->name; metric++)
        append_metric(text, metric);
    for (const struct kvtel_metric *metric = kvtel_nixl_transfers.metrics; metric->name; metric++)
        append_metric(text, metric);
    for (int i = 0; i < KVTEL_NIXL_PLUGIN_FAMILIES; i++) {
        const struct kvtel_family_spec *spec = &kvtel_nixl_plugin_families[i];
        struct kvtel_buffer line = { 0 };
        append_heading(text, &line, spec->name, spec->type);
        append_labels(&line, "; labels: ", spec->labelnames, spec->label_count);
        append_line(text, &line);
        append_wrapped(text, spec->help);
    }
    text->size--;
}

static void make_reference(struct kvtel_buffer *text)
{
    append(text,
           "# Metrics\n\n"
           "This page lists every metric that connectors, NIXL's telemetry rings and its plug-in have; the exporter's "
           "own are in\n"
           "[serve.md](serve.md#own-metrics). The page is made from the code by\n"
           "`KVTEL_UPDATE=1 build/tests/test_metrics_reference`.\n\n"
           "Names of connectors' metrics are vLLM's, and each of their series has the labels `model_name` and "
           "`engine`. The\n"
           "buckets below are those of `/metrics`. Page, log and dump use finer ones: 64 per power of two, error at "
           "most 1 %.\n");
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
    append_transfer_families(text);
    append_open_families(text);
    append_nixl_families(text);
    append_plugin_families(text);
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
