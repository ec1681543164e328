/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel check: reports what is wrong in a recording, by line and column. */
#include "command/command.h"
#include "cli/input.h"
#include "recording/session.h"
#include "vllm/stats/stats.h"

#include <fcntl.h>
#include <inttypes.h>
#include <kvtel/connector_file.h>
#include <kvtel/store.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char command_check_help[] =
    "usage: kvtel check [OPTION...] FILE...\n"
    "\n"
    "Reads recordings (JSON Lines or MessagePack; '-' is standard input) as 'kvtel replay' does, and prints a line "
    "for\n"
    "each fault: FILE:LINE:COLUMN: what is wrong, or for MessagePack FILE: byte OFFSET: what is wrong.\n"
    "A file that has \"kvtel_connector\" near its beginning is a connector file, and is checked as one.\n"
    "\n"
    "  --connector.file=FILE   a connector's table as JSON, repeatable; also from $KVTEL_CONNECTOR_PATH\n"
    "  --help                  this text\n"
    "\n"
    "examples:\n"
    "  kvtel check decode.jsonl\n"
    "  cat *.jsonl | kvtel check -\n"
    "  kvtel check my_connector.json\n"
    "\n"
    "exit codes: 0 nothing is wrong, 1 something is wrong, 2 wrong usage\n";

struct check {
    const struct input *input;
    const struct kvtel_record *record; /* the record being checked */
    uint64_t objects, problems;
};

static void print_place(const struct check *check, const struct kvtel_error *error)
{
    command_print_name(input_name(check->input));
    if (error->line > 0)
        printf(":%u:%u: %s\n", error->line, error->column, error->message);
    else
        printf(": byte %zu: %s\n", error->offset, error->message);
}

/* Column (from 1) at which the text appears as a JSON string; 1 if it does not appear literally. */
static uint32_t column_of(const struct kvtel_record *record, const char *subject)
{
    size_t size = strlen(subject);
    const char *at = record->text, *end = record->text + record->size;
    for (; size > 0 && (at = memchr(at, '"', (size_t)(end - at))); at++)
        if ((size_t)(end - at) > size + 1 && at[size + 1] == '"' && memcmp(at + 1, subject, size) == 0)
            return (uint32_t)(at - record->text) + 1;
    return 1;
}

/* A kvtel_warn_fn, called when a part of the record is refused. */
static void print_refusal(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    struct check *check = context;
    struct kvtel_error error = { .offset = check->record->offset };
    check->problems++;
    snprintf(error.message, sizeof error.message, "%s (%s)", message, kvtel_refusal_label(reason));
    if (check->record->text) {
        error.line = check->record->line;
        error.column = column_of(check->record, subject);
    }
    print_place(check, &error);
}

/* Reports repeated keys. As in vLLM, the last one counts, but one of them is probably a mistake. */
static void check_keys(struct check *check, const struct kvtel_record *record)
{
    struct kvtel_error error = { .line = 0 };
    if (record->text ? kvtel_json_keys_differ(record->text, record->size, &error)
                     : kvtel_value_keys_differ(record->object, &error))
        return;
    check->problems++;
    error.offset += record->offset;
    error.line = record->text ? record->line : 0;
    print_place(check, &error);
}

static void ignore_line(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static enum kvtel_status check_record(struct check *check, const struct kvtel_metric_types *types,
                                      struct kvtel_diagnostics *diagnostics, struct kvtel_session **session,
                                      const struct kvtel_record *record)
{
    check->objects++;
    check->record = record;
    check_keys(check, record);
    kvtel_diagnostics_forget(diagnostics); /* refusals are reported anew for each object */
    if (record->kind == KVTEL_RECORD_HEADER) {
        kvtel_session_destroy(*session);
        *session = NULL;
        return kvtel_session_create(record, types, KVTEL_LOG_DEFAULT, diagnostics, session);
    }
    const struct kvtel_stats *stats;
    enum kvtel_status status =
        record->kind == KVTEL_RECORD_PAYLOADS ? kvtel_session_observe(*session, record, &stats) : KVTEL_OK;
    /* The log lines are not needed: dropping them frees the accumulated stats. */
    return status == KVTEL_OK && record->kind == KVTEL_RECORD_LOG ? kvtel_session_log(*session, ignore_line, NULL)
                                                                  : status;
}

/* Whether a file is a connector file, by its beginning. */
static bool is_connector_file(const char *path)
{
    static const char key[] = "\"kvtel_connector\"";
    char beginning[4096];
    int file = strcmp(path, "-") != 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    struct stat status;
    ssize_t size = file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode)
                       ? read(file, beginning, sizeof beginning)
                       : -1;
    if (file >= 0)
        close(file);
    return size > 0 && memmem(beginning, (size_t)size, key, sizeof key - 1) != NULL;
}

/* Checks one connector file. True: nothing is wrong. */
static bool check_connector(const char *path)
{
    struct kvtel_error error = { 0 };
    bool good = kvtel_connector_load(path, false, &error) == KVTEL_OK;
    command_print_name(path);
    if (!good && error.line > 0)
        printf(":%u:%u: %s\n", error.line, error.column, error.message);
    else if (!good)
        printf(": %s\n", error.message);
    if (!good)
        command_print_name(path);
    printf(": connector file, %d problem%s\n", good ? 0 : 1, good ? "s" : "");
    return good;
}

/* Checks one recording. True: nothing is wrong. */
static bool check_file(const char *path)
{
    struct input input;
    if (!input_open(&input, path))
        return false;
    struct check check = { .input = &input };
    struct kvtel_session *session = NULL;
    struct kvtel_metric_types types = { 0 };
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(print_refusal, &check);
    struct kvtel_recording *recording = kvtel_recording_open(input_read, &input);
    enum kvtel_status status =
        store && diagnostics && recording ? kvtel_store_metric_types(store, &types) : KVTEL_E_NOMEM;
    while (status == KVTEL_OK) {
        struct kvtel_record record;
        struct kvtel_error error = { 0 };
        if (kvtel_recording_next(recording, &record, &error) != KVTEL_OK) {
            check.objects++;
            check.problems++;
            print_place(&check, &error);
            if (error.status == KVTEL_E_NOMEM || error.status == KVTEL_E_IO)
                break;
            continue;
        }
        if (record.kind == KVTEL_RECORD_END)
            break;
        status = check_record(&check, &types, diagnostics, &session, &record);
    }
    if (status != KVTEL_OK) {
        command_fail("%s: %s", input_name(&input), kvtel_status_text(status));
        check.problems++;
    } else if (check.objects == 0) {
        const struct kvtel_error error = { .line = 1,
                                           .column = 1,
                                           .message = "the recording is empty; its first object must be a header" };
        print_place(&check, &error);
        check.problems++;
    }
    kvtel_session_destroy(session);
    kvtel_recording_close(recording);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_store_close(store);
    input_close(&input);
    command_print_name(input_name(&input));
    printf(": %" PRIu64 " object%s, %" PRIu64 " problem%s\n", check.objects, check.objects == 1 ? "" : "s",
           check.problems, check.problems == 1 ? "" : "s");
    return check.problems == 0;
}

int command_check(int argc, char **argv)
{
    int ended = command_connector_options(argc, argv, command_check_help);
    if (ended >= 0)
        return ended;
    if (optind == argc)
        return command_usage("check", "name a recording, or '-' for standard input");
    command_load_connector_path();
    bool good = true;
    for (int i = optind; i < argc; i++)
        good &= is_connector_file(argv[i]) ? check_connector(argv[i]) : check_file(argv[i]);
    return command_close(stdout, "standard output") && good ? EXIT_GOOD : EXIT_FAILED;
}
