/* SPDX-License-Identifier: Apache-2.0 */
/* Points of the history are made by the main loop, never by a request, so that they do not depend on who asks. */
#include "serve/exporter_history.h"

#include "report/snapshot_summary.h"

#include <kvtel/recorder.h>
#include <time.h>

static const uint64_t SAVE_NS = 60000000000u;

static double realtime(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)(now.tv_nsec / 1000000) / 1e3;
}

static void say(const struct exporter *exporter, enum web_log_level level, const char *message, const char *reason)
{
    const char *const pairs[] = { "dir", exporter->stores.path, "reason", reason, NULL };
    serve_log_write(exporter->log, level, message, pairs);
}

static bool has_file(const struct exporter *exporter)
{
    return exporter->options.store_dir && exporter->stores.fd >= 0 && !exporter->stores.read_only &&
           !exporter->stores.displaced && exporter->stores.absent_ns == 0;
}

enum kvtel_status exporter_history_open(struct exporter *exporter)
{
    struct kvtel_error error = { 0 };
    if (!(exporter->options.history_seconds > 0))
        return KVTEL_OK;
    exporter->history = history_create(exporter->options.history_seconds);
    if (!exporter->history)
        return KVTEL_E_NOMEM;
    exporter->history_saved_ns = kvtel_now_ns();
    if (exporter->options.store_dir && exporter->stores.fd >= 0 &&
        history_load(exporter->history, exporter->stores.path, realtime(), &error) != KVTEL_OK)
        say(exporter, WEB_LOG_WARN, "the history of the last run cannot be used; a new one begins", error.message);
    return KVTEL_OK;
}

/* Adds a point. It is missing when the sources cannot be read now; the next one covers its time. */
static void take(struct exporter *exporter)
{
    struct kvtel_snapshot_summary made;
    pthread_mutex_lock(&exporter->lock);
    if (exporter_collect_now(exporter) == KVTEL_OK &&
        kvtel_snapshot_summary_init(&made, NULL, exporter->snapshot, SIZE_MAX) == KVTEL_OK) {
        /* both clocks now: the round and the reading may have taken seconds */
        (void)history_take(exporter->history, &made, realtime(), kvtel_now_ns());
        kvtel_snapshot_summary_close(&made);
    }
    pthread_mutex_unlock(&exporter->lock);
}

static void save(struct exporter *exporter)
{
    struct kvtel_error error = { 0 };
    if (!has_file(exporter))
        return;
    const bool good = history_save(exporter->history, exporter->stores.path, &error) == KVTEL_OK;
    if (!good && !exporter->history_unsaved)
        say(exporter, WEB_LOG_WARN, "the history cannot be written now; the page shows it until the exporter ends",
            error.message);
    exporter->history_unsaved = !good;
}

uint64_t exporter_history_poll(struct exporter *exporter, uint64_t now_ns)
{
    if (!exporter->history)
        return UINT64_MAX;
    if (now_ns >= exporter->history_due_ns) {
        const uint64_t step = (uint64_t)(history_step(exporter->history) * 1e9);
        const uint64_t next = exporter->history_due_ns + step;
        take(exporter); /* a loop that was held up does not catch up */
        exporter->history_due_ns = next > now_ns ? next : now_ns + step;
    }
    if (now_ns - exporter->history_saved_ns >= SAVE_NS) {
        save(exporter);
        exporter->history_saved_ns = now_ns;
    }
    return exporter->history_due_ns - now_ns;
}

void exporter_history_close(struct exporter *exporter)
{
    if (!exporter->history)
        return;
    save(exporter);
    history_destroy(exporter->history);
    exporter->history = NULL;
}

void exporter_history(void *context, const struct http_request *request, struct http_response *response)
{
    struct exporter *exporter = context;
    (void)request;
    response->content_type = "application/json";
    if (history_write_json(exporter->history, realtime(), &response->body) != KVTEL_OK)
        response->status = 500;
}
