/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a scrape: which families it shows, under which names, and its bytes. */
#include "serve/exporter_page.h"

#include "collect/sample_names.h"
#include "collect/series.h"
#include "exposition/exposition.h"
#include "serve/receiver_sources.h"

#include <stdio.h>
#include <string.h>

/* Whether a family is a gauge of rings that are not read now. In the totals such a gauge still has its last value. */
static bool is_past(const struct exporter *exporter, const struct kvtel_snapshot_family *family)
{
    bool of_rings = strncmp(family->name, "nixl_", 5) == 0 || strncmp(family->name, "kvtel_nixl_", 11) == 0;
    bool of_plugin = strcmp(family->name, "kvtel_nixl_outcome_source") == 0;
    return !exporter->rings && family->type == KVTEL_GAUGE && of_rings && !of_plugin;
}

/* Whether a family is by peer, of which each start of an engine may make new ones. */
static bool is_by_peer(const struct kvtel_snapshot_family *family)
{
    return strncmp(family->name, "nixl_peer_", strlen("nixl_peer_")) == 0;
}

static void say_taken(struct exporter *exporter, const char *name, const char *other)
{
    if (!exporter->said_taken)
        serve_log_printf(exporter->log, WEB_LOG_WARN,
                         "%s keeps its name: under --metrics.prefix it would be %s, which another metric has", name,
                         other);
    exporter->said_taken = true;
}

/* Whether a family, or a sample of one, has that name already. Without memory to find out, it counts as taken. */
static bool is_taken(const struct kvtel_snapshot *snapshot, const char *name, enum kvtel_metric_type type)
{
    struct kvtel_arena arena = { 0 };
    bool taken = kvtel_snapshot_find(snapshot, name) ||
                 kvtel_sample_names_check(snapshot, kvtel_snapshot_find, name, type, &arena) != KVTEL_OK;
    kvtel_arena_free(&arena);
    return taken;
}

/* Under the name that --metrics.prefix gives it. */
void exporter_page_choose(void *context, const struct kvtel_snapshot_family *family, struct kvtel_page_choice *choice)
{
    struct exporter *exporter = context;
    bool own = strncmp(family->name, "kvtel_nixl_", strlen("kvtel_nixl_")) == 0;
    choice->shown = strncmp(family->name, RECEIVER_FAMILIES, strlen(RECEIVER_FAMILIES)) != 0 &&
                    !is_past(exporter, family) && (!own || exporter->options.own_metrics) &&
                    (exporter->options.nixl_peer_label || !is_by_peer(family));
    if (!choice->shown || strncmp(family->name, "vllm:", 5) != 0)
        return;
    size_t room = sizeof choice->name;
    int length = snprintf(choice->name, room, "%s%s", exporter->options.prefix, family->name + 5);
    bool renamed = length > 0 && (size_t)length < room && strcmp(choice->name, family->name) != 0;
    if (renamed && is_taken(exporter->snapshot, choice->name, family->type)) {
        say_taken(exporter, family->name, choice->name);
        renamed = false;
    }
    if (!renamed)
        choice->name[0] = '\0';
}

/* Writes all families, in the format that has no page. */
static enum kvtel_status write_protobuf(struct exporter *exporter, struct kvtel_buffer *body)
{
    const struct kvtel_snapshot *snapshot = exporter->snapshot;
    struct kvtel_exposition_options options = exporter->options.exposition;
    enum kvtel_status status = KVTEL_OK;
    options.format = KVTEL_FORMAT_PROTOBUF;
    if (options.histograms != KVTEL_HISTOGRAMS_CLASSIC)
        kvtel_workers_ask_parts(&exporter->workers);
    for (size_t i = 0; i < kvtel_snapshot_family_count(snapshot) && status == KVTEL_OK; i++) {
        struct kvtel_page_choice choice = { .shown = true };
        struct kvtel_snapshot_family shown = *kvtel_snapshot_family(snapshot, i);
        exporter_page_choose(exporter, &shown, &choice);
        if (*choice.name)
            shown.name = choice.name;
        if (choice.shown)
            status = kvtel_exposition_family(&shown, &options, body);
    }
    return status;
}

enum kvtel_status exporter_page_write(struct exporter *exporter, enum kvtel_exposition_format format, bool *gzip,
                                      struct kvtel_buffer *body)
{
    enum { GZIP_LEAST = 512 }; /* a shorter page is sent as it is */
    const bool accepted = *gzip;
    *gzip = false;
    body->size = 0;
    if (format == KVTEL_FORMAT_PROTOBUF)
        return write_protobuf(exporter, body);
    exporter->page.created = exporter->options.exposition.created;
    enum kvtel_status status = kvtel_page_refresh(&exporter->page, exporter->snapshot, exporter_page_choose, exporter);
    if (status != KVTEL_OK)
        return status;
    *gzip = accepted && kvtel_page_size(&exporter->page, format) >= GZIP_LEAST &&
            packed_page_write(&exporter->packed, &exporter->page, format, body) == KVTEL_OK;
    return *gzip ? KVTEL_OK : kvtel_page_write(&exporter->page, format, body);
}
