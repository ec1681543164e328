/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of the detail. It has as many as there is to say; the view shows a part of them. */
#include "report/failure_text.h"
#include "top/detail.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABEL = 16, MOST_OCTAVES = 64, BOUND = 10, COUNT = 7 };

static const double shares[TOP_QUANTILES] = { 0.5, 0.9, 0.99 };

static void put_label(struct top_page *page, const char *label)
{
    top_page_style(page, TOP_SOFT);
    top_page_left(page, label, LABEL);
    top_page_style(page, TOP_PLAIN);
}

static void put_title(struct top_page *page, const char *title, const char *more)
{
    top_page_end(page, false);
    top_page_style(page, TOP_TITLE);
    top_page_put(page, title);
    top_page_style(page, TOP_SOFT);
    top_page_put(page, more);
    top_page_end(page, false);
}

static const struct top_bins *before_of(const struct top_row *row, enum top_histogram kind)
{
    return row->flow_before ? &row->flow_before->bins[kind] : NULL;
}

static void put_quantiles(struct top_page *page, const struct top_row *row, enum top_histogram kind)
{
    static const char *const labels[TOP_HISTOGRAMS] = {
        [TOP_TIME] = "time", [TOP_POST] = "to post", [TOP_SIZE] = "size"
    };
    static const char *const names[TOP_QUANTILES] = { "P50 ", "  P90 ", "  P99 " };
    const struct top_bins *bins = &row->flow->bins[kind];
    if (!bins->is_known)
        return;
    put_label(page, labels[kind]);
    for (int i = 0; i < TOP_QUANTILES; i++) {
        char text[TOP_NUMBER];
        double value = row->has_window ? top_bins_quantile(before_of(row, kind), bins, shares[i]) : (double)NAN;
        (kind == TOP_SIZE ? top_number_bytes : top_number_seconds)(value, text);
        top_page_printf(page, "%s%s", names[i], text);
    }
    top_page_end(page, false);
}

static void put_rates(struct top_page *page, const struct top_row *row)
{
    char rate[TOP_NUMBER], count[TOP_NUMBER];
    if (row->flow->has_transfers) {
        top_number_rate(row->transfers_rate, rate);
        top_number_count((double)row->flow->transfers, count);
        put_label(page, "transfers");
        top_page_printf(page, "%s/s, %s since the beginning", rate, count);
        top_page_end(page, false);
    }
    if (row->flow->has_bytes) {
        top_number_bytes(row->bytes_rate, rate);
        top_number_bytes(row->flow->bytes, count);
        put_label(page, "bytes");
        top_page_printf(page, "%s/s, %s since the beginning", rate, count);
        top_page_end(page, false);
    }
}

/* The times of the window by powers of two; where none came, those of all time. */
static void put_histogram(struct top_page *page, const struct top_row *row)
{
    const struct top_bins *bins = &row->flow->bins[TOP_TIME], *before = before_of(row, TOP_TIME);
    const bool window = row->has_window && before;
    int first = 0, last = 0;
    bool any = window && top_bins_range(before, bins, &first, &last), of_window = any;
    if (!any) {
        before = NULL;
        any = top_bins_range(NULL, bins, &first, &last);
    }
    if (!any)
        return;
    top_page_style(page, TOP_SOFT);
    top_page_printf(page, "time of a transfer, %s", of_window ? "in the window" : "since the beginning");
    top_page_end(page, false);
    first = last - first >= MOST_OCTAVES ? last - MOST_OCTAVES + 1 : first;
    uint64_t most = 1;
    for (int octave = first; octave <= last; octave++) {
        uint64_t count = top_bins_octave(before, bins, octave);
        most = count > most ? count : most;
    }
    for (int octave = first; octave <= last; octave++) {
        uint64_t count = top_bins_octave(before, bins, octave);
        char bound[TOP_NUMBER], shown[TOP_NUMBER], upto[TOP_NUMBER + 4];
        top_number_seconds(octave < TOP_OCTAVE_BEYOND ? ldexp(1, octave) : (double)INFINITY, bound);
        top_number_count((double)count, shown);
        (void)snprintf(upto, sizeof upto, "<= %s", bound);
        top_page_right(page, upto, BOUND);
        top_page_right(page, shown, COUNT);
        top_page_style(page, TOP_GRAPH);
        top_page_bar(page, (double)count / (double)most, page->width - BOUND - COUNT - 3);
        top_page_end(page, false);
    }
}

static void put_slowest(struct top_page *page, const struct top_history *history, const struct top_flow *flow)
{
    if (flow->slowest_count == 0)
        return;
    top_page_style(page, TOP_SOFT);
    top_page_put(page, "slowest transfers that were recorded with labels");
    top_page_end(page, false);
    for (size_t i = 0; i < flow->slowest_count; i++) {
        const struct top_slow *slow = &flow->slowest[i];
        char took[TOP_NUMBER], ago[TOP_NUMBER], text[TOP_NUMBER + 8];
        top_number_seconds(slow->seconds, took);
        top_number_seconds(history->now.time > slow->time ? history->now.time - slow->time : 0, ago);
        (void)snprintf(text, sizeof text, "%s ago", ago);
        top_page_right(page, took, BOUND);
        top_page_left(page, text, LABEL);
        top_page_put(page, slow->labels);
        top_page_end(page, false);
    }
}

static void put_flow(struct top_page *page, const struct top_history *history, const struct top_row *row)
{
    char classes[512];
    put_title(page, "flow ", row->flow->name);
    put_rates(page, row);
    for (int kind = 0; kind < TOP_HISTOGRAMS; kind++)
        put_quantiles(page, row, (enum top_histogram)kind);
    top_history_failures(row, true, classes, sizeof classes);
    if (row->flow->failures.count > 0 || row->flow->has_failed) {
        put_label(page, "failed");
        top_page_printf(page, "%llu in the window, %llu since the beginning%s%s", (unsigned long long)row->failed,
                        (unsigned long long)row->failed_total, *classes ? ": " : "", classes);
        top_page_end(page, false);
    }
    put_histogram(page, row);
    put_slowest(page, history, row->flow);
}

/* -- The entry -- */

/* What a class means. */
static void put_meaning(struct top_page *page, const char *class)
{
    const char *texts[KVTEL_FAILURE_TEXTS];
    size_t count = kvtel_failure_texts(class, texts);
    for (size_t i = 0; i < count; i++) {
        top_page_style(page, TOP_SOFT);
        top_page_printf(page, "  %s%s", i > 0 ? "or: " : "", texts[i]);
        top_page_end(page, false);
    }
}

static void put_failures(struct top_page *page, const struct top_row *row)
{
    put_title(page, "failures", " of this connector, by class");
    if (row->entry->failed == 0 && row->entry->failures.count == 0) {
        top_page_put(page, "none since the beginning");
        top_page_end(page, false);
        return;
    }
    for (size_t i = 0; i < row->entry->failures.count; i++) {
        const struct top_class *class = &row->entry->failures.all[i];
        uint64_t before = row->entry_before ? top_classes_count(&row->entry_before->failures, class->name) : 0;
        uint64_t came = class->count > before ? class->count - before : 0;
        top_page_style(page, row->has_window && came > 0 ? TOP_BAD : TOP_PLAIN);
        top_page_left(page, class->name, 2 * LABEL);
        if (row->has_window)
            top_page_printf(page, "%llu in the window, ", (unsigned long long)came);
        top_page_printf(page, "%llu since the beginning", (unsigned long long)class->count);
        top_page_end(page, false);
        put_meaning(page, class->name);
    }
}

static void put_open(struct top_page *page, const struct top_history *history, const struct top_entry *entry)
{
    bool any = false;
    for (size_t i = 0; i < history->now.oldest_count; i++) {
        const struct top_open *open = &history->now.oldest[i];
        char age[TOP_NUMBER], bytes[TOP_NUMBER];
        if (strcmp(open->connector, entry->connector) != 0 || strcmp(open->engine, entry->engine) != 0)
            continue;
        if (!any)
            put_title(page, "in flight", ", the oldest first");
        any = true;
        top_number_seconds(open->age_seconds, age);
        top_number_bytes(open->bytes, bytes);
        top_page_style(page, open->stalled ? TOP_WARN : TOP_PLAIN);
        top_page_right(page, age, BOUND);
        top_page_left(page, open->operation, LABEL);
        top_page_right(page, bytes, BOUND);
        top_page_printf(page, "pid %llu%s%s%s", (unsigned long long)open->pid, *open->peer ? ", peer " : "", open->peer,
                        open->stalled ? ", stalled" : "");
        top_page_end(page, false);
    }
}

void top_detail_put(struct top_page *page, const struct top_history *history, const struct top_row *row)
{
    const struct top_entry *entry = row->entry;
    put_label(page, "connector");
    top_page_put(page, entry->connector);
    top_page_end(page, false);
    put_label(page, "engine");
    top_page_put(page, *entry->engine ? entry->engine : "-");
    top_page_put(page, *entry->model ? ", model " : "");
    top_page_put(page, entry->model);
    top_page_end(page, false);
    if (row->flow)
        put_flow(page, history, row);
    for (size_t i = 0; i < history->row_count; i++)
        if (history->rows[i].entry == entry && &history->rows[i] != row && history->rows[i].flow)
            put_flow(page, history, &history->rows[i]);
    put_failures(page, row);
    put_open(page, history, entry);
}
