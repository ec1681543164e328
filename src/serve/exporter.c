/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter: collects all sources and answers requests for metrics. */
#include "collect/series.h"
#include "serve/exporter.h"

#include "base/buffer.h"
#include "base/error.h"
#include "serve/exporter_own.h"
#include "serve/exporter_page.h"
#include "serve/negotiation.h"
#include "serve/push_metrics.h"
#include "report/snapshot_summary.h"
#include "collect/snapshot.h"

#include <kvtel/recorder.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Other threads give memory back: what is short now may be there at once. */
enum { SECOND_NS = 1000000000, WRITE_TRIES = 2 };

void exporter_close(struct exporter *exporter)
{
    receiver_destroy(exporter->receiver);
    kvtel_diagnostics_destroy(exporter->diagnostics);
    exporter_own_close(exporter);
    kvtel_relabel_free(&exporter->own_rank);
    store_dir_close(&exporter->stores);
    metric_set_close(&exporter->self);
    open_watch_close(&exporter->open);
    kvtel_snapshot_destroy(exporter->snapshot);
    kvtel_snapshot_destroy(exporter->logged);
    kvtel_source_free(&exporter->own_source.source);
    kvtel_source_free(&exporter->self_source.source);
    kvtel_source_free(&exporter->open_source.source);
    kvtel_workers_free(&exporter->workers);
    free(exporter->followed);
    kvtel_page_free(&exporter->page);
    packed_page_free(&exporter->packed);
    pthread_mutex_destroy(&exporter->lock);
}

int exporter_event_fd(const struct exporter *exporter)
{
    return exporter->stores.inotify;
}

/* Begins a new own store when the file of the old one was truncated or has lost its name. What was counted in a file
 * without a name is read from its open descriptor; of a truncated one, the numbers as of the last call are kept. The
 * lock is held. */
static void look_after_own(struct exporter *exporter, uint64_t now_ns)
{
    struct kvtel_error error = { 0 };
    bool lost = exporter_own_is_lost(exporter) && !exporter->stores.displaced;
    if (lost && exporter->receiver && !receiver_pause(exporter->receiver))
        return; /* a post is being counted; the next call finds it done */
    exporter->receiver_waits |= lost && exporter->receiver;
    if (lost && exporter_own_renew(exporter, &error) != KVTEL_OK)
        return;
    if (lost)
        store_dir_poll(&exporter->stores, now_ns); /* finds the new one before anything counts in it */
    bool kept = exporter_own_keep(exporter);
    if (exporter->receiver_waits && kept && exporter_collect_now(exporter) == KVTEL_OK)
        exporter->receiver_waits = receiver_resume(exporter->receiver, exporter->own, exporter->snapshot) != KVTEL_OK;
}

uint64_t exporter_poll(struct exporter *exporter, uint64_t now_ns)
{
    uint64_t wait = SECOND_NS;
    if (exporter->options.store_dir) {
        pthread_mutex_lock(&exporter->lock);
        store_dir_poll(&exporter->stores, now_ns);
        open_watch_look(&exporter->open, &exporter->stores);
        pthread_mutex_unlock(&exporter->lock);
        uint64_t retiring = retire_ended(&exporter->stores, &exporter->lock, now_ns);
        wait = retiring < wait ? retiring : wait;
    }
    pthread_mutex_lock(&exporter->lock);
    look_after_own(exporter, now_ns);
    if (exporter->rings) {
        uint64_t rings = kvtel_nixl_rings_poll(exporter->rings, now_ns);
        wait = rings < wait ? rings : wait;
    }
    if (exporter->receiver) {
        struct receiver_counts counts = receiver_counts(exporter->receiver);
        if (counts.accepted + counts.repeated != exporter->posted)
            exporter->posted_ns = now_ns;
        exporter->posted = counts.accepted + counts.repeated;
    }
    pthread_mutex_unlock(&exporter->lock);
    return wait;
}

void exporter_look(struct exporter *exporter)
{
    pthread_mutex_lock(&exporter->lock);
    exporter->stores.look = true;
    if (exporter->rings) {
        exporter_make_ring_folder(exporter);
        kvtel_nixl_rings_look(exporter->rings);
    }
    pthread_mutex_unlock(&exporter->lock);
}

/* Brings the numbers of all sources up to date, except for the exporter's own metrics. */
static enum kvtel_status read_sources(struct exporter *exporter)
{
    enum kvtel_status status = KVTEL_OK;
    if (exporter->rings)
        (void)kvtel_nixl_rings_poll(exporter->rings, kvtel_now_ns());
    if (exporter->options.store_dir)
        status = store_dir_read(&exporter->stores, &exporter->workers);
    /* with a directory of stores the own store is one of its files */
    if (status == KVTEL_OK && exporter->own && !kvtel_store_path(exporter->own))
        status = heap_source_read(&exporter->own_source, exporter->own,
                                  exporter->options.rank_label ? &exporter->own_rank : NULL, &exporter->workers);
    if (status == KVTEL_OK && exporter->options.store_dir)
        open_watch_look(&exporter->open, &exporter->stores);
    if (exporter->open.rows.renewed) { /* it is read anew */
        kvtel_source_free(&exporter->open_source.source);
        exporter->open.rows.renewed = false;
    }
    if (status == KVTEL_OK && exporter->open.rows.store)
        status = heap_source_read(&exporter->open_source, exporter->open.rows.store, NULL, &exporter->workers);
    return status;
}

/* Lists all sources. */
static enum kvtel_status list_sources(struct exporter *exporter, bool self, size_t *count)
{
    size_t most = store_dir_follow_most(&exporter->stores) + 3;
    enum kvtel_status status = KVTEL_OK;
    *count = 0;
    if (most > exporter->followed_room) {
        struct kvtel_followed *larger = realloc(exporter->followed, (most + most / 4) * sizeof *larger);
        if (!larger)
            return KVTEL_E_NOMEM;
        exporter->followed = larger;
        exporter->followed_room = most + most / 4;
    }
    if (exporter->options.store_dir)
        status = store_dir_follow(&exporter->stores, exporter->followed, count);
    if (status == KVTEL_OK && exporter->own_source.source.valid)
        status = heap_source_follow(&exporter->own_source, &exporter->followed[(*count)++]);
    if (status == KVTEL_OK && exporter->open_source.source.valid)
        status = heap_source_follow(&exporter->open_source, &exporter->followed[(*count)++]);
    if (status == KVTEL_OK && self && exporter->self_source.source.valid)
        status = heap_source_follow(&exporter->self_source, &exporter->followed[(*count)++]);
    return status;
}

/* Brings the snapshot to the sources' numbers. A family of the exporter's own metrics whose name a store has is left
 * out. */
static enum kvtel_status follow(struct exporter *exporter, struct kvtel_snapshot *snapshot, bool self)
{
    size_t count;
    enum kvtel_status status = list_sources(exporter, self, &count);
    if (status == KVTEL_OK)
        status = kvtel_snapshot_follow(snapshot, exporter->followed, count);
    if (status == KVTEL_OK && exporter->options.store_dir)
        store_dir_followed(&exporter->stores, exporter->followed);
    return status;
}

static enum kvtel_status note_collected(struct exporter *exporter, enum kvtel_status status)
{
    if (status != KVTEL_OK && exporter->collected == KVTEL_OK)
        serve_log_printf(exporter->log, WEB_LOG_ERROR, "the metrics cannot be collected: %s",
                         kvtel_status_text(status));
    exporter->collected = status;
    return status;
}

enum kvtel_status exporter_open(struct exporter *exporter, const struct exporter_options *options,
                                struct serve_log *log, struct kvtel_error *error)
{
    *exporter = (struct exporter){
        .options = *options, .log = log, .own_rank.name = STORE_RANK_LABEL, .started_ns = kvtel_now_ns()
    };
    exporter->stores = STORE_DIR_CLOSED;
    exporter->open =
        (struct open_watch){ .log = log, .stalled_ns = options->stalled_ns, .rows.by_rank = options->rank_label };
    pthread_mutex_init(&exporter->lock, NULL);
    exporter->snapshot = kvtel_snapshot_create();
    exporter->logged = kvtel_snapshot_create();
    enum kvtel_status status = KVTEL_OK;
    if (!exporter->snapshot || !exporter->logged || !metric_set_init(&exporter->self))
        status = kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    if (status == KVTEL_OK)
        kvtel_snapshot_borrow(exporter->snapshot); /* `logged` is read after the sources moved on */
    const struct store_dir_options stores = {
        .path = options->store_dir,
        .by_rank = options->rank_label,
        .shared_place = options->default_store_dir,
        .most_open = options->stores_open,
        .log = log,
    };
    if (status == KVTEL_OK && options->store_dir)
        status = store_dir_open(&exporter->stores, &stores, error);
    exporter->stores.retirement.limit = options->totals_limit;
    if (status == KVTEL_OK && options->store_dir)
        /* retire ended stores first: the own store may need their room */
        (void)exporter_poll(exporter, kvtel_now_ns());
    if (status == KVTEL_OK && (options->nixl_dir || options->stats_receiver))
        status = exporter_own_open(exporter, error);
    if (status != KVTEL_OK) {
        exporter_close(exporter);
        return status;
    }
    (void)exporter_poll(exporter, kvtel_now_ns());
    /* what was counted before the start does not belong to the first interval */
    exporter->logs =
        exporter_collect_now(exporter) == KVTEL_OK && follow(exporter, exporter->logged, false) == KVTEL_OK;
    if (exporter->receiver)
        receiver_restore(exporter->receiver, exporter->snapshot);
    return KVTEL_OK;
}

bool exporter_is_own(const struct exporter *exporter, const struct store_entry *entry)
{
    const char *path = exporter->own ? kvtel_store_path(exporter->own) : NULL,
               *slash = path ? strrchr(path, '/') : NULL;
    /* the name of a removed file's entry has a suffix */
    return slash && strncmp(slash + 1, entry->name, strlen(slash + 1)) == 0;
}

static void set_totals_metrics(struct exporter *exporter)
{
    const struct retirement *retirement = &exporter->stores.retirement;
    const struct {
        const char *name, *help;
        uint64_t value;
    } counters[] = {
        { "kvtel_stores_retired", "Stores whose writer ended and whose numbers went into the totals.",
          retirement->retired },
        { "kvtel_totals_damaged", "Times that the file of totals was found damaged, of another version, or gone.",
          retirement->damaged },
        { "kvtel_totals_label_sets_folded",
          "Label sets of ended stores that were added up under \"other\", as the totals had no room for more.",
          retirement->folded },
        { "kvtel_totals_writes", "Times that the file of totals was written.", retirement->written },
        { "kvtel_totals_written_bytes", "Bytes of totals that were written.", retirement->written_bytes },
        { "kvtel_totals_writes_failed", "Times that the file of totals could not be written.", retirement->failed },
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        metric_set_counter(&exporter->self, counters[i].name, counters[i].help, NULL, NULL, (double)counters[i].value);
    metric_set_gauge(&exporter->self, "kvtel_totals_label_sets", "Label sets in the totals, of all families.", NULL,
                     NULL, (double)retirement->totals.series_count);
    metric_set_gauge(&exporter->self, "kvtel_totals_bytes", "Size of the file of totals.", NULL, NULL,
                     (double)retirement->totals.bytes.size);
}

static void set_source_metrics(struct exporter *exporter)
{
    static const char *const help = "Stores of others in the directory, by state.";
    double states[STORE_STATES] = { 0 };
    for (size_t i = 0; i < exporter->stores.count; i++)
        states[exporter->stores.entries[i].state] += !exporter_is_own(exporter, &exporter->stores.entries[i]);
    for (int state = 0; state < STORE_STATES && exporter->options.store_dir; state++)
        metric_set_gauge(&exporter->self, "kvtel_stores", help, "state", store_state_name((enum store_state)state),
                         states[state]);
    if (exporter->options.store_dir)
        set_totals_metrics(exporter);
    if (exporter->options.store_dir)
        metric_set_counter(&exporter->self, "kvtel_writers_unclosed",
                           "Writers that ended without closing their store: killed, or crashed.", NULL, NULL,
                           (double)exporter->stores.writers.unclosed);
    if (exporter->options.store_dir) {
        metric_set_counter(
            &exporter->self, "kvtel_stores_deleted",
            "Files of stores that were removed while their writers ran. They count on until the writers end, if the "
            "exporter runs until then.",
            NULL, NULL, (double)exporter->stores.deleted);
        metric_set_gauge(&exporter->self, "kvtel_stores_stale",
                         "Stores that cannot be read now, whose numbers as of the last time count.", NULL, NULL,
                         (double)exporter->stores.stale);
        metric_set_gauge(&exporter->self, "kvtel_stores_postponed",
                         "Stores that could not be opened for want of descriptors or memory; tried again each second.",
                         NULL, NULL, (double)exporter->stores.postponed);
    }
    uint64_t dropped[5] = { 0 };
    for (size_t i = 0; i < exporter->stores.count; i++) {
        struct kvtel_store_info info;
        if (exporter->stores.entries[i].state >= STORE_RETIRED)
            continue;
        kvtel_store_reader_info(exporter->stores.entries[i].reader, &info);
        dropped[0] += info.series_dropped;
        dropped[1] += info.records_dropped;
        dropped[2] += info.values_refused;
        dropped[3] += info.transfers_untracked;
        dropped[4] += info.tokens_refused;
    }
    if (exporter->options.store_dir) {
        metric_set_gauge(&exporter->self, "kvtel_store_series_dropped",
                         "Label sets refused by a family's cap, in the stores that are there.", NULL, NULL,
                         (double)dropped[0]);
        metric_set_gauge(&exporter->self, "kvtel_store_records_dropped",
                         "Records that found no lane, in the stores that are there.", NULL, NULL, (double)dropped[1]);
        metric_set_gauge(&exporter->self, "kvtel_store_values_refused",
                         "Values below zero, infinite or NaN that writers refused, in the stores that are there.", NULL,
                         NULL, (double)dropped[2]);
        metric_set_gauge(&exporter->self, "kvtel_store_transfers_untracked",
                         "Begun transfers that found no place among the open ones, in the stores that are there.", NULL,
                         NULL, (double)dropped[3]);
        metric_set_gauge(&exporter->self, "kvtel_store_tokens_refused",
                         "Ends of transfers that were not open, in the stores that are there.", NULL, NULL,
                         (double)dropped[4]);
    }
}

static void set_receiver_metrics(struct exporter *exporter)
{
    struct receiver_counts counts = receiver_counts(exporter->receiver);
    metric_set_counter(&exporter->self, "kvtel_payloads_accepted", "Payloads taken from posted recordings.", NULL, NULL,
                       (double)counts.accepted);
    metric_set_counter(&exporter->self, "kvtel_samples_accepted", "Values in the lists of accepted payloads.", NULL,
                       NULL, (double)counts.samples);
    metric_set_counter(&exporter->self, "kvtel_payloads_repeated",
                       "Payloads whose sequence number was known already; not counted again.", NULL, NULL,
                       (double)counts.repeated);
    metric_set_counter(
        &exporter->self, "kvtel_posts_rejected", "Posted recordings that were refused whole.", NULL, NULL,
        (double)(counts.rejected + atomic_load_explicit(&exporter->refused_posts, memory_order_relaxed)));
    for (int reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++)
        metric_set_counter(&exporter->self, "kvtel_refused",
                           "What could not be used of posted payloads and was left out, as each reason counts it.",
                           "reason", kvtel_refusal_label((enum kvtel_refusal)reason),
                           (double)receiver_refused(exporter->receiver, (enum kvtel_refusal)reason));
}

static void set_own_metrics(struct exporter *exporter)
{
    metric_set_gauge(&exporter->self, "kvtel_build_info", "1; the label says which version of kvtel this is.",
                     "version", kvtel_version(), 1);
    set_source_metrics(exporter);
    if (exporter->receiver)
        set_receiver_metrics(exporter);
    if (exporter->push)
        push_metrics_set(&exporter->self, exporter->push);
    metric_set_counter(&exporter->self, "kvtel_scrapes", "Scrapes answered, this one not counted.", NULL, NULL,
                       (double)exporter->scrapes);
    metric_set_counter(&exporter->self, "kvtel_scrapes_failed", "Scrapes that could not be answered.", NULL, NULL,
                       (double)exporter->failed_scrapes);
    if (exporter->own)
        metric_set_counter(
            &exporter->self, "kvtel_own_stores_renewed",
            "Times that the file of the exporter's own store was truncated or removed, and a new one was begun.", NULL,
            NULL, (double)exporter->own_renewed);
    metric_set_counter(&exporter->self, "kvtel_scrapes_repeated",
                       "Scrapes answered with the numbers of the one before, because a store could not be read.", NULL,
                       NULL, (double)exporter->repeated_scrapes);
    metric_set_gauge(&exporter->self, "kvtel_scrape_duration_seconds",
                     "Time to collect all sources and write the page, of the last scrape.", NULL, NULL,
                     exporter->scrape_seconds);
    metric_set_gauge(&exporter->self, "kvtel_last_scrape_timestamp_seconds",
                     "When the last scrape was answered, this one and those by kvtel itself not counted; 0: none was.",
                     NULL, NULL, exporter->scraped_at);
    metric_set_counter(&exporter->self, "kvtel_log_lines_dropped",
                       "Lines of the exporter's log that could not be written in time, to standard error.", NULL, NULL,
                       (double)log_writer_dropped(exporter->log->writer));
    metric_set_process(&exporter->self);
}

/* Brings the scrapes' snapshot up to date. It borrows from the sources, so it follows them also when they cannot be
 * read: then it has the numbers as of the last time. */
static enum kvtel_status collect_all(struct exporter *exporter)
{
    bool self = exporter->options.own_metrics;
    enum kvtel_status status = read_sources(exporter);
    if (status == KVTEL_OK && self) {
        set_own_metrics(exporter);
        status = heap_source_read(&exporter->self_source, exporter->self.store, NULL, &exporter->workers);
    }
    enum kvtel_status followed =
        status == KVTEL_OK || exporter->any_good ? follow(exporter, exporter->snapshot, self) : status;
    exporter->any_good = followed == KVTEL_OK;
    status = status == KVTEL_OK ? followed : status;
    return note_collected(exporter, status);
}

static bool is_shortage(enum kvtel_status status)
{
    return status == KVTEL_E_NOMEM || status == KVTEL_E_IO;
}

enum kvtel_status exporter_collect_all(struct exporter *exporter, bool *again)
{
    enum kvtel_status status = collect_all(exporter);
    /* without a store that cannot be read, counters would look as if they had restarted */
    *again = is_shortage(status) && exporter->any_good;
    return *again ? KVTEL_OK : status;
}

enum kvtel_status exporter_collect_now(struct exporter *exporter)
{
    bool again;
    enum kvtel_status status = exporter_collect_all(exporter, &again);
    return again ? exporter->collected : status;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether kvtel itself asks, which is no sign that somebody collects the metrics. */
static bool is_by_kvtel(const struct http_request *request)
{
    const char *agent = http_request_header(request, "User-Agent");
    return agent && strncmp(agent, "kvtel/", strlen("kvtel/")) == 0;
}

void exporter_metrics(void *context, const struct http_request *request, struct http_response *response)
{
    struct exporter *exporter = context;
    struct negotiated negotiated = negotiate(http_request_header(request, "Accept"));
    const bool accepted = coding_choose(http_request_header(request, "Accept-Encoding")) == CODING_GZIP;
    bool gzip = false;
    pthread_mutex_lock(&exporter->lock);
    uint64_t began = kvtel_now_ns();
    bool again;
    enum kvtel_status collected = exporter_collect_all(exporter, &again), status = collected;
    exporter->repeated_scrapes += again;
    for (int try = 0; collected == KVTEL_OK && try < WRITE_TRIES; try++) {
        gzip = accepted;
        if ((status = exporter_page_write(exporter, negotiated.format, &gzip, &response->body)) != KVTEL_E_NOMEM)
            break;
    }
    exporter->scrape_seconds = (double)(kvtel_now_ns() - began) / SECOND_NS;
    exporter->scrapes += status == KVTEL_OK;
    if (status == KVTEL_OK && !is_by_kvtel(request))
        exporter->scraped_at = seconds_now();
    exporter->failed_scrapes += status != KVTEL_OK;
    pthread_mutex_unlock(&exporter->lock);
    response->headers[0].name = "Vary";
    response->headers[0].value = "Accept";
    response->content_type = negotiated.content_type;
    response->coding = gzip && status == KVTEL_OK ? CODING_GZIP : CODING_PLAIN;
    if (status == KVTEL_OK)
        return;
    response->status = 500;
    response->content_type = "text/plain; charset=utf-8";
    response->body.size = 0;
    (void)kvtel_buffer_printf(&response->body, "the metrics could not be collected: %s\n", kvtel_status_text(status));
}

void exporter_log_interval(struct exporter *exporter, enum kvtel_log_style style, double seconds, kvtel_log_fn sink,
                           void *context)
{
    pthread_mutex_lock(&exporter->lock);
    enum kvtel_status status = exporter_collect_now(exporter);
    if (status == KVTEL_OK && exporter->logs)
        status = kvtel_snapshot_log(exporter->logged, exporter->snapshot, style, seconds, sink, context);
    if (status == KVTEL_OK) /* otherwise the next line covers both intervals */
        exporter->logs = follow(exporter, exporter->logged, false) == KVTEL_OK;
    pthread_mutex_unlock(&exporter->lock);
}
