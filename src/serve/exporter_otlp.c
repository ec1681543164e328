/* SPDX-License-Identifier: Apache-2.0 */
/* What is pushed. */
#include "serve/exporter_otlp.h"

#include "collect/series.h"
#include "exposition/otlp.h"
#include "serve/exporter_page.h"

#include <stdlib.h>
#include <time.h>

/* Appends the metrics of all families. The lock is held. */
static enum kvtel_status write_metrics(struct exporter *exporter, struct kvtel_buffer *request)
{
    const struct kvtel_snapshot *snapshot = exporter->snapshot;
    const struct kvtel_exposition_options *exposition = &exporter->options.exposition;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const struct kvtel_otlp_options options = {
        .histograms = exposition->histograms,
        .native_schema = exposition->native_schema,
        .most_buckets = exposition->most_buckets,
        .time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
    };
    enum kvtel_status status = KVTEL_OK;
    if (options.histograms != KVTEL_HISTOGRAMS_CLASSIC)
        kvtel_workers_ask_parts(&exporter->workers);
    for (size_t i = 0; i < kvtel_snapshot_family_count(snapshot) && status == KVTEL_OK; i++) {
        struct kvtel_page_choice choice = { .shown = true };
        struct kvtel_snapshot_family shown = *kvtel_snapshot_family(snapshot, i);
        exporter_page_choose(exporter, &shown, &choice);
        if (*choice.name)
            shown.name = choice.name;
        if (choice.shown)
            status = kvtel_otlp_family(&shown, &options, request);
    }
    return status;
}

static enum kvtel_status finish(const struct otlp_settings *settings, struct kvtel_buffer *request)
{
    const struct otlp_pairs *pairs = &settings->resource;
    struct kvtel_otlp_attribute *resource = calloc(pairs->count + 1, sizeof *resource);
    if (!resource)
        return KVTEL_E_NOMEM;
    for (size_t i = 0; i < pairs->count; i++)
        resource[i] = (struct kvtel_otlp_attribute){ pairs->pairs[i].name, pairs->pairs[i].value };
    enum kvtel_status status = kvtel_otlp_finish(resource, pairs->count, request);
    free(resource);
    return status;
}

static enum kvtel_status write_request(void *context, struct kvtel_buffer *request)
{
    struct exporter *exporter = context;
    bool again;
    pthread_mutex_lock(&exporter->lock);
    enum kvtel_status status = exporter_collect_all(exporter, &again);
    if (status == KVTEL_OK)
        status = write_metrics(exporter, request);
    pthread_mutex_unlock(&exporter->lock);
    return status == KVTEL_OK ? finish(exporter->otlp, request) : status;
}

enum kvtel_status exporter_otlp_start(struct exporter *exporter, const struct otlp_settings *settings,
                                      struct kvtel_error *error)
{
    const struct otlp_push_options options = {
        .settings = settings,
        .write = write_request,
        .context = exporter,
        .log = serve_log_for_web(exporter->log),
    };
    exporter->otlp = settings;
    struct otlp_push *push = otlp_push_start(&options, error);
    pthread_mutex_lock(&exporter->lock);
    exporter->push = push;
    pthread_mutex_unlock(&exporter->lock);
    return push ? KVTEL_OK : error->status;
}

void exporter_otlp_stop(struct exporter *exporter)
{
    pthread_mutex_lock(&exporter->lock);
    struct otlp_push *push = exporter->push; /* scrapes are still answered, and read its counts */
    exporter->push = NULL;
    pthread_mutex_unlock(&exporter->lock); /* the last push takes it */
    otlp_push_stop(push);
}
