/* SPDX-License-Identifier: Apache-2.0 */
/* The summary of a replay. */
#include "base/python.h"
#include "command/command.h"
#include "cli/replay.h"
#include "vllm/logging/stats_summary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct engine_totals {
    uint32_t engine;
    uint32_t ranks; /* largest number of ranks in one record; 0: not known */
    uint64_t payloads;
    struct kvtel_stats *stats; /* NULL: no payload was usable */
};

struct recording_totals {
    char *file, *connector_name, *model_name;
    const struct kvtel_connector *connector;
    double first, last; /* timestamps; 0: none */
    struct engine_totals *engines;
    size_t engine_count;
};

struct replay_totals {
    struct recording_totals *recordings;
    size_t count;
};

struct replay_totals *replay_totals_create(void)
{
    return calloc(1, sizeof(struct replay_totals));
}

void replay_totals_destroy(struct replay_totals *totals)
{
    if (!totals)
        return;
    for (size_t i = 0; i < totals->count; i++) {
        struct recording_totals *recording = &totals->recordings[i];
        for (size_t e = 0; e < recording->engine_count; e++)
            kvtel_stats_destroy(recording->engines[e].stats);
        free(recording->engines);
        free(recording->file);
        free(recording->connector_name);
        free(recording->model_name);
    }
    free(totals->recordings);
    free(totals);
}

enum kvtel_status replay_totals_begin(struct replay_totals *totals, const char *file, const char *connector_name,
                                      const struct kvtel_connector *connector, const struct kvtel_record *header)
{
    struct recording_totals *recordings = realloc(totals->recordings, (totals->count + 1) * sizeof *recordings);
    if (!recordings)
        return KVTEL_E_NOMEM;
    totals->recordings = recordings;
    struct recording_totals *recording = &recordings[totals->count];
    *recording = (struct recording_totals){
        .file = strdup(file),
        .connector_name = strdup(connector_name),
        .model_name = strdup(header->model_name),
        .connector = connector,
        .engines = calloc(header->engine_count + 1, sizeof *recording->engines),
        .engine_count = header->engine_count,
    };
    totals->count++;
    if (!recording->file || !recording->connector_name || !recording->model_name || !recording->engines) {
        recording->engine_count = 0;
        return KVTEL_E_NOMEM;
    }
    for (size_t i = 0; i < header->engine_count; i++)
        recording->engines[i].engine = header->engines[i];
    return KVTEL_OK;
}

enum kvtel_status replay_totals_add(struct replay_totals *totals, const struct kvtel_record *record,
                                    const struct kvtel_stats *stats)
{
    struct recording_totals *recording = &totals->recordings[totals->count - 1];
    struct engine_totals *engine = NULL;
    for (size_t i = 0; i < recording->engine_count && !engine; i++)
        if (recording->engines[i].engine == record->engine)
            engine = &recording->engines[i];
    if (!engine)
        return KVTEL_OK;
    if (record->timestamp > 0) {
        recording->first = recording->first > 0 ? recording->first : record->timestamp;
        recording->last = record->timestamp;
    }
    engine->payloads += record->payload_count;
    if (record->from_workers && record->payload_count > engine->ranks)
        engine->ranks = (uint32_t)record->payload_count;
    if (!stats)
        return KVTEL_OK;
    if (!engine->stats) {
        engine->stats = kvtel_stats_create(kvtel_stats_connector(stats), NULL);
        if (!engine->stats)
            return KVTEL_E_NOMEM;
        kvtel_stats_set_sample_limit(engine->stats,
                                     KVTEL_SAMPLE_LIMIT / recording->engine_count); /* the engines share one limit */
    }
    enum kvtel_status status = kvtel_stats_aggregate(engine->stats, stats);
    /* a recording with both older and newer payloads: the first kind is shown */
    return status == KVTEL_E_MISMATCH ? KVTEL_OK : status;
}

/* Formats a number with a unit, with three digits or more. */
static const char *scaled(char *out, size_t size, double value, const char *const *units, double step)
{
    size_t unit = 0;
    while (value >= step && units[unit + 1]) {
        value /= step;
        unit++;
    }
    snprintf(out, size, unit == 0 && value < step && value == (double)(uint64_t)value ? "%.0f %s" : "%.2f %s", value,
             units[unit]);
    return out;
}

static const char *bytes_text(char *out, size_t size, bool known, double bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", NULL };
    return known ? scaled(out, size, bytes, units, 1024) : "-";
}

static const char *rate_text(char *out, size_t size, double rate)
{
    static const char *const units[] = { "B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s", NULL };
    return rate > 0 ? scaled(out, size, rate, units, 1024) : "-";
}

static const char *milliseconds(char *out, size_t size, bool known, double seconds)
{
    if (!known)
        return "-";
    snprintf(out, size, "%.3f", seconds * 1e3);
    return out;
}

static const char *count_text(char *out, size_t size, bool known, uint64_t count)
{
    if (!known)
        return "-";
    snprintf(out, size, "%" PRIu64, count);
    return out;
}

enum { CELL = 24, CELLS = 12 };

static const char *const titles[CELLS] = { "engine", "flow",   "transfers", "failed",   "moved",        "P50 ms",
                                           "P90 ms", "P99 ms", "max ms",    "post P90", "while moving", "over time" };

/* Prints a row; columns of width 0 are left out. */
static void print_row(const char *const cells[CELLS], const int widths[CELLS])
{
    fputs("   ", stdout);
    for (int c = 0; c < CELLS; c++)
        if (widths[c] > 0)
            printf(c < 2 ? " %-*s" : "  %*s", widths[c], cells[c]);
    putchar('\n');
}

struct table {
    char (*rows)[CELLS][CELL];
    size_t count, capacity;
};

/* Copies a name in the form of command_print_name(), cut between two characters. */
static enum kvtel_status cut_name(char out[CELL], const char *name)
{
    struct kvtel_buffer buffer = { 0 };
    enum kvtel_status status = kvtel_python_line(&buffer, name, strlen(name));
    size_t size = buffer.size;
    if (size >= CELL)
        for (size = CELL - 1; size > 0 && ((unsigned char)buffer.bytes[size] & 0xC0) == 0x80;)
            size--;
    if (status == KVTEL_OK)
        snprintf(out, CELL, "%.*s", (int)size, buffer.bytes ? buffer.bytes : "");
    kvtel_buffer_free(&buffer);
    return status;
}

static enum kvtel_status add_row(struct table *table, const struct kvtel_flow_summary *flow, uint32_t engine,
                                 double interval)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 16;
        void *rows = realloc(table->rows, capacity * sizeof *table->rows);
        if (!rows)
            return KVTEL_E_NOMEM;
        table->rows = rows;
        table->capacity = capacity;
    }
    char(*cell)[CELL] = table->rows[table->count++];
    char text[CELL];
    snprintf(cell[0], CELL, "%" PRIu32, engine);
    snprintf(cell[2], CELL, "%s", count_text(text, sizeof text, flow->has_transfers, flow->transfers));
    snprintf(cell[3], CELL, "%s", count_text(text, sizeof text, flow->has_failed, flow->failed));
    snprintf(cell[4], CELL, "%s", bytes_text(text, sizeof text, flow->has_bytes, flow->bytes));
    const double values[] = { flow->time.p50, flow->time.p90, flow->time.p99, flow->time.max };
    for (int i = 0; i < 4; i++)
        snprintf(cell[5 + i], CELL, "%s", milliseconds(text, sizeof text, flow->time.known, values[i]));
    snprintf(cell[9], CELL, "%s", milliseconds(text, sizeof text, flow->post.known, flow->post.p90));
    snprintf(cell[10], CELL, "%s", rate_text(text, sizeof text, flow->rate));
    snprintf(cell[11], CELL, "%s", rate_text(text, sizeof text, interval > 0 ? flow->bytes / interval : 0));
    return cut_name(cell[1], flow->name);
}

static void print_table(const struct table *table)
{
    int widths[CELLS];
    for (int c = 0; c < CELLS; c++) {
        bool known = false;
        widths[c] = (int)strlen(titles[c]);
        for (size_t r = 0; r < table->count; r++) {
            known |= strcmp(table->rows[r][c], "-") != 0;
            if ((int)strlen(table->rows[r][c]) > widths[c])
                widths[c] = (int)strlen(table->rows[r][c]);
        }
        if (!known)
            widths[c] = 0; /* the connector does not measure this column */
    }
    print_row(titles, widths);
    for (size_t r = 0; r < table->count; r++) {
        const char *cells[CELLS];
        for (int c = 0; c < CELLS; c++)
            cells[c] = table->rows[r][c];
        print_row(cells, widths);
    }
}

/* Limit of failure classes shown for an engine: a store's statuses may be any texts. */
enum { FAILURES_SHOWN = 20 };

static void print_failures(const struct kvtel_summary *summary, uint32_t engine)
{
    size_t shown = 0, left = 0;
    for (size_t i = 0; i < summary->failures.count; i++) {
        if (summary->failures.entries[i].count == 0)
            continue;
        if (shown == FAILURES_SHOWN) {
            left++;
            continue;
        }
        if (shown == 0)
            printf("    engine %" PRIu32 " failures:", engine);
        fputs(shown++ == 0 ? " " : ", ", stdout);
        command_print_name(summary->failures.entries[i].label);
        printf(" %" PRIu64, summary->failures.entries[i].count);
    }
    if (left > 0)
        printf(", and of %zu more classes", left);
    if (shown > 0)
        putchar('\n');
}

static void print_others(const struct kvtel_summary *summary, uint32_t engine)
{
    for (size_t i = 0; i < summary->other_count; i++) {
        const struct kvtel_other_value *other = &summary->others[i];
        const char *label = other->labels;
        printf("    engine %" PRIu32 " %s", engine, other->name);
        for (uint32_t k = 0; k < other->label_count; k++) {
            fputs(k == 0 ? "{" : ", ", stdout);
            command_print_name(label);
            label += strlen(label) + 1;
        }
        printf("%s = %.6g\n", other->label_count > 0 ? "}" : "", other->value);
    }
}

/* Prints one connector, or a MultiConnector's children of one class, over all engines of a recording: a table, then
 * the values that are not in the table. */
static enum kvtel_status print_connector(const struct recording_totals *recording,
                                         const struct kvtel_summary *summaries, const char *class_name)
{
    struct table table = { 0 };
    double interval = recording->last - recording->first;
    enum kvtel_status status = KVTEL_OK;
    for (int pass = 0; pass < 2 && status == KVTEL_OK; pass++) {
        for (size_t e = 0; e < recording->engine_count && status == KVTEL_OK; e++) {
            const struct kvtel_summary *summary = recording->engines[e].stats ? &summaries[e] : NULL;
            for (size_t c = 0; summary && class_name && c < summary->child_count; c++)
                if (strcmp(summaries[e].children[c].class_name, class_name) == 0)
                    summary = &summaries[e].children[c];
            if (!summary || (class_name && summary == &summaries[e]))
                continue;
            for (size_t f = 0; pass == 0 && f < summary->flow_count && status == KVTEL_OK; f++)
                status = add_row(&table, &summary->flows[f], recording->engines[e].engine, interval);
            if (pass == 1) {
                print_failures(summary, recording->engines[e].engine);
                print_others(summary, recording->engines[e].engine);
            }
        }
        if (pass == 0 && status == KVTEL_OK && class_name)
            printf("  %s\n", class_name);
        if (pass == 0 && status == KVTEL_OK && table.count > 0)
            print_table(&table);
    }
    free(table.rows);
    return status;
}

/* Prints each child class that an engine reported once, in the order of appearance. */
static enum kvtel_status print_children(const struct recording_totals *recording, const struct kvtel_summary *summaries)
{
    const char *seen[64];
    size_t count = 0;
    enum kvtel_status status = KVTEL_OK;
    for (size_t e = 0; e < recording->engine_count; e++) {
        for (size_t c = 0; recording->engines[e].stats && c < summaries[e].child_count && status == KVTEL_OK; c++) {
            const char *class_name = summaries[e].children[c].class_name;
            bool known = count == sizeof seen / sizeof *seen;
            for (size_t k = 0; k < count && !known; k++)
                known = strcmp(seen[k], class_name) == 0;
            if (known)
                continue;
            seen[count++] = class_name;
            status = print_connector(recording, summaries, class_name);
        }
    }
    return status;
}

static void print_title(const struct recording_totals *recording)
{
    uint64_t payloads = 0;
    uint32_t ranks = 0;
    for (size_t e = 0; e < recording->engine_count; e++) {
        payloads += recording->engines[e].payloads;
        ranks = recording->engines[e].ranks > ranks ? recording->engines[e].ranks : ranks;
    }
    command_print_name(recording->file);
    fputs("\n  ", stdout);
    command_print_name(recording->connector_name);
    fputs(", model ", stdout);
    command_print_name(*recording->model_name ? recording->model_name : "(no name)");
    printf(", %zu engine%s, ", recording->engine_count, recording->engine_count == 1 ? "" : "s");
    if (ranks > 0)
        printf("%" PRIu32 " ranks, ", ranks);
    printf("%" PRIu64 " payload%s", payloads, payloads == 1 ? "" : "s");
    if (recording->last > recording->first)
        printf(" in %.1f s", recording->last - recording->first);
    putchar('\n');
}

static enum kvtel_status print_recording(const struct recording_totals *recording)
{
    struct kvtel_summary *summaries = calloc(recording->engine_count + 1, sizeof *summaries);
    enum kvtel_status status = summaries ? KVTEL_OK : KVTEL_E_NOMEM;
    size_t made = 0;
    bool any = false;
    for (; made < recording->engine_count && status == KVTEL_OK; made++) {
        if (!recording->engines[made].stats)
            continue;
        any = true;
        status = kvtel_stats_summary_init(&summaries[made], recording->engines[made].stats);
        if (status != KVTEL_OK)
            break;
    }
    if (status == KVTEL_OK)
        print_title(recording);
    if (status == KVTEL_OK && !any)
        printf("  %s\n", !recording->connector ? "this connector is unknown: nothing of it can be used"
                         : recording->connector->payload_kind == KVTEL_PAYLOAD_NONE ? "this connector has no stats"
                                                                                    : "nothing was observed");
    else if (status == KVTEL_OK && recording->connector && recording->connector->payload_kind == KVTEL_PAYLOAD_MULTI)
        status = print_children(recording, summaries);
    else if (status == KVTEL_OK)
        status = print_connector(recording, summaries, NULL);
    for (size_t e = 0; e < made; e++)
        if (recording->engines[e].stats)
            kvtel_summary_close(&summaries[e]);
    free(summaries);
    return status;
}

bool replay_totals_print(const struct replay_totals *totals, const struct kvtel_diagnostics *diagnostics)
{
    for (size_t i = 0; i < totals->count; i++) {
        if (i > 0)
            putchar('\n');
        if (print_recording(&totals->recordings[i]) != KVTEL_OK) {
            command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
            return false;
        }
    }
    bool any = false;
    for (int reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++) {
        uint64_t count = kvtel_diagnostics_count(diagnostics, (enum kvtel_refusal)reason);
        if (count > 0)
            printf("%srefused (%s): %" PRIu64 ", %s\n", any ? "" : "\n",
                   kvtel_refusal_label((enum kvtel_refusal)reason), count,
                   kvtel_refusal_meaning((enum kvtel_refusal)reason));
        any |= count > 0;
    }
    return true;
}
