/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP handler of the summary: lists sources and writers, besides the numbers. */
#include "serve/exporter.h"
#include "report/summary_json.h"
#include "serve/summary_query.h"

#include <kvtel/recorder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_NS = 1000000000, SOURCES_SHOWN = 256, POSTS_COUNT_SECONDS = 60 };

static void store_source(const struct store_entry *entry, uint64_t now_ns, struct summary_source *source)
{
    struct kvtel_store_info info = { 0 };
    if (entry->reader)
        kvtel_store_reader_info(entry->reader, &info);
    *source = (struct summary_source){
        .kind = "store",
        .name = entry->name,
        .state = store_state_name(entry->state == STORE_RETIRED ? STORE_ENDED : entry->state),
        .reason = entry->state == STORE_RETIRED   ? "it is in the totals; its file cannot be removed"
                  : entry->state == STORE_REFUSED ? entry->reason
                                                  : "",
        .engine = info.engine,
        .rank = info.rank,
        .pid = info.pid,
        .age_seconds = info.created_monotonic_ns > 0 && info.created_monotonic_ns < now_ns
                           ? (double)(now_ns - info.created_monotonic_ns) / SECOND_NS
                           : 0,
    };
    snprintf(source->connector, sizeof source->connector, "%s", info.connector);
}

/* Lists stores, then rings, up to `limit`. Returns the number listed. */
static size_t list_sources(struct exporter *exporter, struct summary_source *sources, size_t limit)
{
    size_t count = 0;
    uint64_t now_ns = kvtel_now_ns();
    for (size_t i = 0; i < exporter->stores.count && count < limit; i++)
        store_source(&exporter->stores.entries[i], now_ns, &sources[count++]);
    for (size_t i = 0; exporter->rings && i < kvtel_nixl_rings_count(exporter->rings) && count < limit; i++) {
        struct kvtel_nixl_ring_info info = kvtel_nixl_rings_at(exporter->rings, i);
        sources[count++] = (struct summary_source){
            .kind = "ring",
            .name = info.name,
            .state = kvtel_nixl_state_text(info.ring->state),
            .reason = info.ring->reason,
            .connector = "NIXL telemetry",
        };
    }
    return count;
}

/* Number of sources that record now: live stores, rings in use, and posts of the last minute. */
static size_t count_recording(const struct exporter *exporter)
{
    size_t count = 0;
    for (size_t i = 0; i < exporter->stores.count; i++)
        count +=
            exporter->stores.entries[i].state == STORE_LIVE && !exporter_is_own(exporter, &exporter->stores.entries[i]);
    for (size_t i = 0; exporter->rings && i < kvtel_nixl_rings_count(exporter->rings); i++) {
        enum kvtel_nixl_state state = kvtel_nixl_rings_at(exporter->rings, i).ring->state;
        count += state == KVTEL_NIXL_READ || state == KVTEL_NIXL_CONTENDED || state == KVTEL_NIXL_READ_ONLY;
    }
    return count + (exporter->posted_ns > 0 &&
                    kvtel_now_ns() - exporter->posted_ns < (uint64_t)POSTS_COUNT_SECONDS * SECOND_NS);
}

/* Lists writers, the newest first, up to `limit`. Returns the number listed. */
static size_t list_writers(const struct exporter *exporter, struct summary_writer *writers, size_t limit)
{
    const struct writers *known = &exporter->stores.writers;
    size_t count = known->count < limit ? known->count : limit;
    uint64_t now_ns = kvtel_now_ns();
    for (size_t i = 0; i < count; i++) {
        const struct writer *writer = &known->all[known->count - 1 - i];
        writers[i] = (struct summary_writer){
            .engine = writer->engine,
            .rank = writer->rank,
            .live = writer->live,
            .pid = writer->pid,
            .restarts = writer->restarts,
            .unclosed = writer->unclosed,
            .last_seen_seconds =
                writer->last_seen_ns < now_ns ? (double)(now_ns - writer->last_seen_ns) / SECOND_NS : 0,
        };
        memcpy(writers[i].connector, writer->connector, sizeof writers[i].connector);
        memcpy(writers[i].model_name, writer->model_name, sizeof writers[i].model_name);
    }
    return count;
}

void exporter_summary(void *context, const struct http_request *request, struct http_response *response)
{
    struct exporter *exporter = context;
    struct summary_query query;
    const char *wrong = summary_query_parse(request->query, &query);
    if (wrong) {
        response->status = 400;
        response->content_type = "text/plain; charset=utf-8";
        if (kvtel_buffer_append(&response->body, wrong, strlen(wrong)) != KVTEL_OK)
            response->status = 500;
        return;
    }
    struct summary_options options = { .filter = query.filter, .offset = query.offset };
    struct summary_source *sources = calloc(SOURCES_SHOWN, sizeof *sources);
    struct summary_writer *writers = calloc(SOURCES_SHOWN, sizeof *writers);
    struct summary_open_row *open = calloc(SOURCES_SHOWN, sizeof *open);
    struct summary_open oldest[SUMMARY_OPEN];
    pthread_mutex_lock(&exporter->lock);
    enum kvtel_status status = sources && writers && open ? exporter_collect_now(exporter) : KVTEL_E_NOMEM;
    if (status == KVTEL_OK) {
        options.uptime_seconds = (double)(kvtel_now_ns() - exporter->started_ns) / SECOND_NS;
        options.sources = sources;
        options.source_count = list_sources(exporter, sources, SOURCES_SHOWN);
        options.all_sources = exporter->stores.count + (exporter->rings ? kvtel_nixl_rings_count(exporter->rings) : 0);
        options.writers = writers;
        options.writer_count = list_writers(exporter, writers, SOURCES_SHOWN);
        options.all_writers = exporter->stores.writers.count;
        options.open = open;
        options.open_count = open_watch_list(&exporter->open, open, SOURCES_SHOWN);
        options.oldest = oldest;
        options.oldest_count = exporter->open.oldest_count;
        memcpy(oldest, exporter->open.oldest, sizeof oldest);
        options.open_peers = &exporter->open.peers;
        options.recording = count_recording(exporter);
        for (int reason = 0; exporter->receiver && reason < KVTEL_REFUSAL_COUNT; reason++)
            options.refused[reason] = receiver_refused(exporter->receiver, (enum kvtel_refusal)reason);
        status = summary_json_write(exporter->snapshot, &options, &response->body);
    }
    pthread_mutex_unlock(&exporter->lock);
    free(sources);
    free(writers);
    free(open);
    response->content_type = "application/json";
    if (status != KVTEL_OK)
        response->status = 500;
}

enum kvtel_status exporter_state(struct exporter *exporter)
{
    pthread_mutex_lock(&exporter->lock);
    enum kvtel_status status = exporter->collected;
    pthread_mutex_unlock(&exporter->lock);
    return status;
}
