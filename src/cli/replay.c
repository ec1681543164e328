/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel replay: passes recordings through stats, metrics and the log, as a frontend of vLLM does with payloads. */
#include "base/diagnostics.h"
#include "cli/replay.h"

#include "base/buffer.h"
#include "command/command.h"
#include "cli/input.h"
#include "recording/session.h"
#include "vllm/stats/stats.h"

#include <errno.h>
#include <kvtel/kvtel.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char command_replay_help[] =
    "usage: kvtel replay [OPTION...] RECORDING...\n"
    "\n"
    "Feeds recordings (JSON Lines or MessagePack; '-' is standard input) to stats, Prometheus metrics and the log "
    "line,\n"
    "as a running vLLM does. Without an output option a summary is printed. An output must differ from the recordings\n"
    "and from the other outputs.\n"
    "\n"
    "  --log.output=FILE         write the log lines, one interval after the other ('-': standard output)\n"
    "  --log.style=STYLE         default, or vllm: vLLM's lines to the letter\n"
    "  --metrics.output=FILE     write the metrics at the end\n"
    "  --metrics.format=FORMAT   text (default): Prometheus' text format 0.0.4; openmetrics: OpenMetrics 1.0; or\n"
    "                            protobuf: Prometheus' protobuf format, delimited\n"
    "  --aggregated.output=FILE  write the aggregated payload, is_empty and reduce of each payload, as JSON Lines\n"
    "  --connector.file=FILE     a connector's table as JSON, repeatable; also from $KVTEL_CONNECTOR_PATH\n"
    "  --keep-going              go on with the next line after a malformed one\n"
    "  --help                    this text\n"
    "\n"
    "examples:\n"
    "  kvtel replay decode.jsonl\n"
    "  kvtel replay --log.style=vllm --log.output=- --metrics.output=decode.prom decode.jsonl\n"
    "  zcat decode.jsonl.gz | kvtel replay -\n"
    "\n"
    "exit codes: 0 good, 1 something could not be read or written, 2 wrong usage\n";

enum option_id {
    OPTION_LOG_OUTPUT = 256,
    OPTION_LOG_STYLE,
    OPTION_METRICS,
    OPTION_METRICS_FORMAT,
    OPTION_AGGREGATED,
    OPTION_KEEP_GOING,
    OPTION_CONNECTOR,
    OPTION_HELP
};

struct replay {
    const char *log_path, *metrics_path, *aggregated_path;
    enum kvtel_log_style style;
    enum kvtel_exposition_format format;
    bool keep_going, failed;
    FILE *log, *aggregated;
    struct kvtel_store *store;
    struct kvtel_metric_types types;
    struct kvtel_diagnostics *diagnostics;
    struct kvtel_buffer line; /* one line of the aggregated output */
    struct replay_totals *totals;
    uint64_t payloads, used; /* read; with a part that could be used */
};

/* The paths of the output options that were given. Returns their number. */
enum { OUTPUTS = 3 };
static size_t given_outputs(const struct replay *replay, const char *paths[OUTPUTS])
{
    const char *const all[OUTPUTS] = { replay->log_path, replay->metrics_path, replay->aggregated_path };
    size_t count = 0;
    for (size_t i = 0; i < OUTPUTS; i++)
        if (all[i])
            paths[count++] = all[i];
    return count;
}

/* Finds the file of an output. False: it does not exist yet, or is not a regular file, which opening would not
 * empty. */
static bool find_file(const char *path, int standard, struct stat *file)
{
    return (strcmp(path, "-") == 0 ? fstat(standard, file) : stat(path, file)) == 0 && S_ISREG(file->st_mode);
}

static bool is_same(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Checks that no output is one of the recordings or another output, under any name, because opening an output
 * empties its file. False, after printing a message. */
static bool outputs_are_free(const struct replay *replay, char **inputs, size_t input_count)
{
    const char *outputs[OUTPUTS];
    size_t count = given_outputs(replay, outputs);
    struct stat output, other;
    for (size_t i = 0; i < count; i++) {
        bool is_file = find_file(outputs[i], STDOUT_FILENO, &output);
        for (size_t k = 0; is_file && k < input_count; k++) {
            if (find_file(inputs[k], STDIN_FILENO, &other) && is_same(&output, &other)) {
                command_fail("%s: is the recording %s itself; write to another file", outputs[i], inputs[k]);
                return false;
            }
        }
        for (size_t k = 0; k < i; k++) {
            bool is_one = strcmp(outputs[k], outputs[i]) == 0
                              ? strcmp(outputs[k], "-") != 0 && strcmp(outputs[k], "/dev/null") != 0
                              : is_file && find_file(outputs[k], STDOUT_FILENO, &other) && is_same(&output, &other);
            if (is_one) {
                command_fail("%s: is what two options write to; name another file for one", outputs[i]);
                return false;
            }
        }
    }
    return true;
}

static FILE *open_output(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!file)
        command_fail("%s: %s", path, strerror(errno));
    return file;
}

static void print_log_line(void *context, const char *line)
{
    struct replay *replay = context;
    if (replay->log)
        fprintf(replay->log, "%s\n", line);
}

static void write_reduced(struct kvtel_writer *writer, const struct kvtel_reduced *reduced)
{
    kvtel_writer_map(writer, kvtel_reduced_count(reduced));
    for (size_t i = 0; i < kvtel_reduced_count(reduced); i++) {
        const struct kvtel_reduced_entry *entry = kvtel_reduced_at(reduced, i);
        kvtel_writer_text(writer, entry->key);
        if (entry->kind == KVTEL_REDUCED_DICT)
            write_reduced(writer, entry->dict);
        else if (entry->kind == KVTEL_REDUCED_INTEGER)
            kvtel_writer_integer(writer, entry->integer);
        else
            kvtel_writer_number(writer, entry->number);
    }
}

static void write_aggregated_values(struct kvtel_writer *writer, const struct kvtel_stats *stats,
                                    const struct kvtel_reduced *reduced)
{
    kvtel_writer_text(writer, "aggregated");
    if (stats)
        kvtel_stats_write(stats, writer);
    else
        kvtel_writer_nil(writer);
    kvtel_writer_text(writer, "is_empty");
    if (stats)
        kvtel_writer_bool(writer, kvtel_stats_is_empty(stats));
    else
        kvtel_writer_nil(writer);
    kvtel_writer_text(writer, "reduce");
    if (reduced)
        write_reduced(writer, reduced);
    else
        kvtel_writer_nil(writer);
}

static enum kvtel_status write_aggregated(struct replay *replay, uint32_t engine, const struct kvtel_stats *stats)
{
    struct kvtel_writer writer;
    struct kvtel_reduced *reduced = NULL;
    enum kvtel_status status = stats ? kvtel_stats_reduce(stats, &reduced) : KVTEL_OK;
    if (status != KVTEL_OK)
        return status;
    replay->line.size = 0;
    kvtel_writer_init(&writer, KVTEL_JSON, &replay->line);
    kvtel_writer_map(&writer, 4);
    kvtel_writer_text(&writer, "engine");
    kvtel_writer_integer(&writer, engine);
    if (stats && kvtel_stats_is_summarised(stats))
        stats = NULL;
    write_aggregated_values(&writer, stats, reduced);
    kvtel_reduced_destroy(reduced);
    status = kvtel_writer_finish(&writer);
    if (status == KVTEL_OK)
        status = kvtel_buffer_append_byte(&replay->line, '\n');
    if (status == KVTEL_OK)
        fwrite(replay->line.bytes, 1, replay->line.size, replay->aggregated);
    return status;
}

static enum kvtel_status replay_payloads(struct replay *replay, struct kvtel_session *session,
                                         const struct kvtel_record *record)
{
    const struct kvtel_stats *stats;
    replay->payloads += record->payload_count;
    enum kvtel_status status = kvtel_session_observe(session, record, &stats);
    replay->used += stats ? record->payload_count : 0;
    if (status == KVTEL_OK && replay->aggregated)
        status = write_aggregated(replay, record->engine, stats);
    if (status == KVTEL_OK && replay->totals)
        status = replay_totals_add(replay->totals, record, stats);
    return status;
}

static enum kvtel_status replay_record(struct replay *replay, const struct input *input, struct kvtel_session **session,
                                       const struct kvtel_record *record)
{
    switch (record->kind) {
    case KVTEL_RECORD_HEADER: {
        struct kvtel_session *next;
        enum kvtel_status status =
            kvtel_session_create(record, &replay->types, replay->style, replay->diagnostics, &next);
        if (status != KVTEL_OK)
            return status;
        kvtel_session_destroy(*session);
        *session = next;
        return replay->totals
                   ? replay_totals_begin(replay->totals, input_name(input), kvtel_session_connector_name(next),
                                         kvtel_session_connector(next), record)
                   : KVTEL_OK;
    }
    case KVTEL_RECORD_PAYLOADS:
        return replay_payloads(replay, *session, record);
    case KVTEL_RECORD_LOG:
        return kvtel_session_log(*session, print_log_line, replay);
    case KVTEL_RECORD_END:
        break;
    }
    return KVTEL_OK;
}

static void print_error(const struct input *input, const struct kvtel_error *error)
{
    if (error->line > 0)
        command_fail("%s:%u:%u: %s", input_name(input), error->line, error->column, error->message);
    else
        command_fail("%s: byte %zu: %s", input_name(input), error->offset, error->message);
}

/* Handles an error. False: the rest of the file cannot or must not be read. */
static bool after_error(struct replay *replay, const struct input *input, const struct kvtel_error *error)
{
    print_error(input, error);
    replay->failed = true;
    if (error->status == KVTEL_E_NOMEM || error->status == KVTEL_E_IO)
        return false;
    kvtel_diagnostics_refuse(replay->diagnostics, KVTEL_REFUSED_MALFORMED, 1, "",
                             "objects that are malformed were left out");
    if (!replay->keep_going)
        fputs("kvtel: stopped here; --keep-going goes on with the next line\n", stderr);
    return replay->keep_going;
}

/* Whether an output failed (a full disk, a pipe without a reader), so that going on would be useless. */
static bool is_output_lost(const struct replay *replay)
{
    return (replay->log && ferror(replay->log)) || (replay->aggregated && ferror(replay->aggregated));
}

static void replay_file(struct replay *replay, const char *path)
{
    struct input input;
    struct kvtel_session *session = NULL;
    if (!input_open(&input, path)) {
        replay->failed = true;
        return;
    }
    struct kvtel_recording *recording = kvtel_recording_open(input_read, &input);
    enum kvtel_status status = recording ? KVTEL_OK : KVTEL_E_NOMEM;
    bool any = false;
    uint64_t payloads = replay->payloads, used = replay->used;
    while (status == KVTEL_OK && !is_output_lost(replay)) {
        struct kvtel_record record;
        struct kvtel_error error = { 0 };
        if (kvtel_recording_next(recording, &record, &error) != KVTEL_OK) {
            any = true;
            if (!after_error(replay, &input, &error))
                break;
            continue;
        }
        if (record.kind == KVTEL_RECORD_END)
            break;
        any = true;
        status = replay_record(replay, &input, &session, &record);
    }
    if (!any && status == KVTEL_OK) {
        command_fail("%s: the recording is empty; its first object must be a header", input_name(&input));
        replay->failed = true;
    }
    if (status != KVTEL_OK) {
        command_fail("%s: %s", input_name(&input), kvtel_status_text(status));
        replay->failed = true;
    } else if (replay->payloads > payloads && replay->used == used) {
        /* Not a failure: a connector without stats has nothing that could be used. */
        command_fail("%s: none of its payloads could be used", input_name(&input));
    }
    kvtel_session_destroy(session);
    kvtel_recording_close(recording);
    input_close(&input);
}

/* Adds the counts of replay itself to the connector's metrics. */
static enum kvtel_status add_own_metrics(struct replay *replay)
{
    static const char *const reason[] = { "reason" };
    const struct kvtel_family_spec refused = {
        .name = "kvtel_refused",
        .type = KVTEL_COUNTER,
        .help = "What could not be used and was left out, by reason: payloads, fields, rows or values, as each reason "
                "counts them.",
        .labelnames = reason,
        .label_count = 1,
    };
    const struct kvtel_family_spec plain[] = {
        { .name = "kvtel_payloads",
          .type = KVTEL_COUNTER,
          .help = "Payloads read, those of each worker counted on its own." },
        { .name = "kvtel_series_dropped",
          .type = KVTEL_COUNTER,
          .help = "Times that a new label set was refused because its family had reached its cap." },
    };
    const double values[] = { (double)replay->payloads, (double)kvtel_store_series_dropped(replay->store) };
    const struct kvtel_metric_types *types = &replay->types;
    void *family, *child;
    for (size_t i = 0; i < 2; i++) {
        enum kvtel_status status = types->family(types->context, &plain[i], &family);
        if (status == KVTEL_OK)
            status = types->child(types->context, family, NULL, 0, &child);
        if (status != KVTEL_OK)
            return status;
        types->increase(types->context, child, values[i]);
    }
    enum kvtel_status status = types->family(types->context, &refused, &family);
    for (int i = 0; i < KVTEL_REFUSAL_COUNT && status == KVTEL_OK; i++) {
        const char *label = kvtel_refusal_label((enum kvtel_refusal)i);
        status = types->child(types->context, family, &label, 1, &child);
        if (status == KVTEL_OK)
            types->increase(types->context, child,
                            (double)kvtel_diagnostics_count(replay->diagnostics, (enum kvtel_refusal)i));
    }
    return status;
}

static void write_metrics(struct replay *replay)
{
    struct kvtel_buffer text = { 0 };
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    enum kvtel_status status = snapshot ? add_own_metrics(replay) : KVTEL_E_NOMEM;
    if (status == KVTEL_OK)
        status = kvtel_snapshot_add(snapshot, replay->store);
    if (status == KVTEL_OK)
        status = kvtel_exposition(snapshot, replay->format, &text);
    FILE *file = status == KVTEL_OK ? open_output(replay->metrics_path) : NULL;
    if (file)
        fwrite(text.bytes, 1, text.size, file);
    if (status != KVTEL_OK)
        command_fail("metrics: %s", kvtel_status_text(status));
    if (!file || !command_close(file, replay->metrics_path))
        replay->failed = true;
    kvtel_snapshot_destroy(snapshot);
    kvtel_buffer_free(&text);
}

static bool parse_format(const char *name, enum kvtel_exposition_format *format)
{
    static const char *const names[] = {
        [KVTEL_FORMAT_TEXT] = "text", [KVTEL_FORMAT_OPENMETRICS] = "openmetrics", [KVTEL_FORMAT_PROTOBUF] = "protobuf"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            *format = (enum kvtel_exposition_format)i;
            return true;
        }
    }
    return false;
}

/* @return -1: go on; else an exit code */
static int parse_options(struct replay *replay, int argc, char **argv)
{
    static const struct option options[] = {
        { "log.output", required_argument, NULL, OPTION_LOG_OUTPUT },
        { "log.style", required_argument, NULL, OPTION_LOG_STYLE },
        { "metrics.output", required_argument, NULL, OPTION_METRICS },
        { "metrics.format", required_argument, NULL, OPTION_METRICS_FORMAT },
        { "aggregated.output", required_argument, NULL, OPTION_AGGREGATED },
        { "keep-going", no_argument, NULL, OPTION_KEEP_GOING },
        { "connector.file", required_argument, NULL, OPTION_CONNECTOR },
        { "help", no_argument, NULL, OPTION_HELP },
        { NULL, 0, NULL, 0 },
    };
    for (int option; (option = command_option(argc, argv, options)) != -1;) {
        switch (option) {
        case OPTION_LOG_OUTPUT:
            replay->log_path = optarg;
            break;
        case OPTION_LOG_STYLE:
            if (strcmp(optarg, "vllm") != 0 && strcmp(optarg, "default") != 0)
                return command_usage("replay", "--log.style is \"default\" or \"vllm\", not \"%s\"", optarg);
            replay->style = strcmp(optarg, "vllm") == 0 ? KVTEL_LOG_VLLM : KVTEL_LOG_DEFAULT;
            break;
        case OPTION_METRICS:
            replay->metrics_path = optarg;
            break;
        case OPTION_METRICS_FORMAT:
            if (!parse_format(optarg, &replay->format))
                return command_usage("replay", "--metrics.format is text, openmetrics or protobuf, not \"%s\"", optarg);
            break;
        case OPTION_AGGREGATED:
            replay->aggregated_path = optarg;
            break;
        case OPTION_KEEP_GOING:
            replay->keep_going = true;
            break;
        case OPTION_CONNECTOR:
            if (!command_load_connector(optarg))
                return EXIT_FAILED;
            break;
        case OPTION_HELP:
            fputs(command_replay_help, stdout);
            return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return command_usage("replay", "name a recording, or '-' for standard input");
    command_load_connector_path();
    return -1;
}

static bool prepare(struct replay *replay)
{
    bool summary = !replay->log_path && !replay->metrics_path && !replay->aggregated_path;
    replay->diagnostics = kvtel_diagnostics_create(command_warn, NULL);
    replay->store = kvtel_store_create(NULL);
    replay->totals = summary ? replay_totals_create() : NULL;
    if (!replay->diagnostics || !replay->store || (summary && !replay->totals) ||
        kvtel_store_metric_types(replay->store, &replay->types) != KVTEL_OK) {
        command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
        return false;
    }
    if (replay->log_path && !(replay->log = open_output(replay->log_path)))
        return false;
    return !replay->aggregated_path || (replay->aggregated = open_output(replay->aggregated_path));
}

/* Writes and closes the outputs that were asked for. */
static void finish(struct replay *replay)
{
    if (replay->metrics_path)
        write_metrics(replay);
    if (replay->log && !command_close(replay->log, replay->log_path))
        replay->failed = true;
    if (replay->aggregated && !command_close(replay->aggregated, replay->aggregated_path))
        replay->failed = true;
    if (replay->totals &&
        (!replay_totals_print(replay->totals, replay->diagnostics) || !command_close(stdout, "standard output")))
        replay->failed = true;
}

int command_replay(int argc, char **argv)
{
    struct replay replay = { .style = KVTEL_LOG_DEFAULT };
    int code = parse_options(&replay, argc, argv);
    if (code >= 0)
        return code;
    if (outputs_are_free(&replay, argv + optind, (size_t)(argc - optind)) && prepare(&replay)) {
        for (int i = optind; i < argc && !is_output_lost(&replay); i++)
            replay_file(&replay, argv[i]);
        finish(&replay);
    } else {
        replay.failed = true;
    }
    replay_totals_destroy(replay.totals);
    kvtel_buffer_free(&replay.line);
    kvtel_store_close(replay.store);
    kvtel_diagnostics_destroy(replay.diagnostics);
    return replay.failed ? EXIT_FAILED : EXIT_GOOD;
}
