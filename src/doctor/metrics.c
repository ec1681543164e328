/* SPDX-License-Identifier: Apache-2.0 */
/* What the exporter's own metrics say. */
#include "doctor/doctor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRESH_SECONDS = 180, START_SECONDS = 120 };
#define LAST_SCRAPE "kvtel_last_scrape_timestamp_seconds"

bool doctor_metric(const char *page, const char *name, const char *label, double *value)
{
    const size_t size = strlen(name);
    bool found = false;
    *value = 0;
    for (const char *line = page; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, name, size) != 0 || (line[size] != ' ' && line[size] != '{'))
            continue;
        const size_t length = strcspn(line, "\n");
        const char *space = memrchr(line, ' ', length);
        const char *labels = *label ? memmem(line, length, label, strlen(label)) : line;
        if (!space || !labels)
            continue;
        *value += strtod(space + 1, NULL);
        found = true;
    }
    return found;
}

/* Counters and gauges that should be 0. */
static const struct {
    const char *name, *label;
    enum doctor_kind kind;
} watched[] = {
    { "kvtel_stores", "state=\"refused\"", DOCTOR_STORE_REFUSED },
    { "kvtel_stores", "state=\"retired\"", DOCTOR_DIRECTORY_STICKY },
    { "kvtel_stores_deleted_total", "", DOCTOR_STORE_DELETED },
    { "kvtel_stores_stale", "", DOCTOR_SHORTAGE },
    { "kvtel_stores_postponed", "", DOCTOR_SHORTAGE },
    { "kvtel_own_stores_renewed_total", "", DOCTOR_STORE_DELETED },
    { "kvtel_writers_unclosed_total", "", DOCTOR_STORE_UNCLOSED },
    { "kvtel_store_series_dropped", "", DOCTOR_STORE_DROPS },
    { "kvtel_store_records_dropped", "", DOCTOR_STORE_DROPS },
    { "kvtel_store_values_refused", "", DOCTOR_STORE_DROPS },
    { "kvtel_totals_damaged_total", "", DOCTOR_TOTALS_DAMAGED },
    { "kvtel_totals_writes_failed_total", "", DOCTOR_TOTALS_UNWRITTEN },
    { "kvtel_scrapes_failed_total", "", DOCTOR_SCRAPES_FAIL },
    { "kvtel_scrapes_repeated_total", "", DOCTOR_SHORTAGE },
    { "kvtel_log_lines_dropped_total", "", DOCTOR_LOG_DROPPED },
    { "kvtel_posts_rejected_total", "", DOCTOR_POSTS_REJECTED },
    { "kvtel_otlp_pushes_failed_total", "", DOCTOR_PUSH_FAILS },
    { "kvtel_nixl_rings", "state=\"contended\"", DOCTOR_RING_CONTENDED },
    { "kvtel_nixl_rings", "state=\"blocked\"", DOCTOR_RING_FULL },
    { "kvtel_nixl_rings", "state=\"unreadable\"", DOCTOR_RING_UNUSABLE },
    { "kvtel_nixl_rings", "state=\"unsupported_version\"", DOCTOR_RING_UNUSABLE },
    { "kvtel_nixl_rings", "state=\"over_limit\"", DOCTOR_RING_UNUSABLE },
};

static void check_watched(struct doctor *doctor)
{
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        double value;
        if (doctor_metric(doctor->metrics.bytes, watched[i].name, watched[i].label, &value) && value > 0)
            doctor_find(doctor, watched[i].kind, "%s%s%s%s is %.0f", watched[i].name, *watched[i].label ? "{" : "",
                        watched[i].label, *watched[i].label ? "}" : "", value);
    }
}

/* A push by OTLP is a way to be read too. */
static void check_scrapes(struct doctor *doctor)
{
    const char *page = doctor->metrics.bytes;
    double scraped = 0, pushed = 0;
    (void)doctor_metric(page, "kvtel_otlp_last_push_timestamp_seconds", "", &pushed);
    if (!doctor_metric(page, LAST_SCRAPE, "", &scraped)) {
        doctor_find(doctor, DOCTOR_OWN_METRICS_OFF, "the page has no " LAST_SCRAPE);
        return;
    }
    if (isnan(doctor->exporter_time))
        return; /* without the summary nothing is known of the exporter's time */
    const double last = fmax(scraped, pushed), age = fmax(doctor->exporter_time - last, 0);
    if (last > 0 && age <= FRESH_SECONDS)
        doctor_find(doctor, DOCTOR_SCRAPED, "the last %s was %.0f s ago", scraped >= pushed ? "scrape" : "push", age);
    else if (doctor->uptime_seconds < START_SECONDS)
        doctor_find(doctor, DOCTOR_NOT_SCRAPED_YET, "no scrape, and the exporter has run for %.0f s",
                    doctor->uptime_seconds);
    else if (last > 0)
        doctor_find(doctor, DOCTOR_NOT_SCRAPED, "the last %s was %.0f s ago", scraped >= pushed ? "scrape" : "push",
                    age);
    else
        doctor_find(doctor, DOCTOR_NOT_SCRAPED, "no scrape since the exporter's start, %.0f s ago",
                    doctor->uptime_seconds);
}

/* Names of connectors' families: "# TYPE PREFIXnixl_xfer_time_seconds histogram" has the exporter's prefix. */
static void check_prefix(struct doctor *doctor)
{
    const char *page = doctor->metrics.bytes;
    const char *type = strstr(page, "# TYPE vllm:");
    if (type && doctor->engine)
        doctor_find(doctor, DOCTOR_COUNTED_TWICE, "the exporter's metrics begin with vllm:, and an engine runs here");
    if (type)
        return;
    for (const char *line = page; (line = strstr(line, "# TYPE ")); line++) {
        line += strlen("# TYPE ");
        if (strncmp(line, "kvtel_", 6) == 0 || strncmp(line, "process_", 8) == 0 || strncmp(line, "nixl_", 5) == 0)
            continue;
        doctor_find(doctor, DOCTOR_PREFIX_CHANGED, "the exporter shows %.*s", (int)strcspn(line, " \n"), line);
        return;
    }
}

void doctor_check_metrics(struct doctor *doctor)
{
    if (doctor->metrics.size == 0)
        return;
    check_watched(doctor);
    check_scrapes(doctor);
    check_prefix(doctor);
}
