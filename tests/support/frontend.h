/* SPDX-License-Identifier: Apache-2.0 */
/* What a frontend has: a connector's payloads go in, metrics come out. */
#ifndef KVTEL_TESTS_FRONTEND_H
#define KVTEL_TESTS_FRONTEND_H

#include "support/payloads.h"
#include <kvtel/exposition.h>
#include <kvtel/prom.h>
#include <kvtel/snapshot.h>
#include <kvtel/store.h>

/* A frontend with engines 0 and 1. */
struct frontend {
    struct kvtel_store *store;
    struct kvtel_transfer_config *config;
    struct kvtel_diagnostics *diagnostics;
    struct kvtel_prom *prom;
    struct kvtel_stats *stats;
    char said[8][256];
    size_t said_count;
};

static void hear(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    struct frontend *frontend = context;
    (void)reason;
    (void)subject;
    if (frontend->said_count < COUNT_OF(frontend->said))
        snprintf(frontend->said[frontend->said_count], sizeof(frontend->said[0]), "%s", message);
    frontend->said_count++;
}

static void set_up(struct frontend *frontend, const char *config)
{
    static const char *const labelnames[] = { "model_name", "engine" };
    static const char *const values_0[] = { "m", "0" }, *const values_1[] = { "m", "1" };
    static const struct kvtel_engine_labels engines[] = { { .engine = 0, .values = values_0 },
                                                          { .engine = 1, .values = values_1 } };
    memset(frontend, 0, sizeof(*frontend));
    frontend->store = kvtel_store_create(NULL);
    frontend->diagnostics = kvtel_diagnostics_create(hear, frontend);
    assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, config, strlen(config), &frontend->config, NULL),
                     KVTEL_OK);
    struct kvtel_prom_options options = { .config = frontend->config,
                                          .labelnames = labelnames,
                                          .label_count = 2,
                                          .engines = engines,
                                          .engine_count = 2,
                                          .diagnostics = frontend->diagnostics };
    assert_int_equal(kvtel_store_metric_types(frontend->store, &options.types), KVTEL_OK);
    assert_int_equal(kvtel_prom_create(&options, &frontend->prom), KVTEL_OK);
    frontend->stats = kvtel_stats_create(kvtel_connector_open(kvtel_transfer_config_connector_name(frontend->config)),
                                         frontend->diagnostics);
    assert_non_null(frontend->stats);
}

static void tear_down(struct frontend *frontend)
{
    kvtel_stats_destroy(frontend->stats);
    kvtel_prom_destroy(frontend->prom);
    kvtel_diagnostics_destroy(frontend->diagnostics);
    kvtel_transfer_config_destroy(frontend->config);
    kvtel_store_close(frontend->store);
}

static enum kvtel_status observe(struct frontend *frontend, enum kvtel_format format, const char *payload)
{
    struct kvtel_buffer bytes = { 0 };
    convert_json(&bytes, format, payload);
    enum kvtel_status status = kvtel_stats_decode(frontend->stats, format, bytes.bytes, bytes.size, NULL);
    if (status == KVTEL_OK)
        status = kvtel_prom_observe(frontend->prom, frontend->stats, 0);
    kvtel_buffer_free(&bytes);
    return status;
}

/* The metrics as text; free() it. */
static char *text_of(const struct frontend *frontend)
{
    struct kvtel_buffer text = { 0 };
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_snapshot_add(snapshot, frontend->store), KVTEL_OK);
    assert_int_equal(kvtel_exposition(snapshot, KVTEL_FORMAT_TEXT, &text), KVTEL_OK);
    kvtel_snapshot_destroy(snapshot);
    assert_int_equal(kvtel_buffer_append_byte(&text, '\0'), KVTEL_OK);
    return text.bytes;
}

#endif
