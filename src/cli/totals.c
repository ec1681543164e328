/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel totals: lists and drops label sets in the totals of ended stores. */
#include "collect/series.h"
#include "command/command.h"

#include "serve/store_dir.h"
#include "cli/series_text.h"
#include "totals/selector.h"

#include <inttypes.h>
#include <kvtel/store.h>
#include <stdlib.h>
#include <string.h>

const char command_totals_help[] =
    "usage: kvtel totals [--store.dir=DIR] [--drop] [SELECTOR...]\n"
    "\n"
    "Lists the label sets that 'kvtel serve' keeps of stores whose writers have ended, or drops some of them. Names "
    "of\n"
    "metrics are those of vLLM's page, whatever the exporter's --metrics.prefix is.\n"
    "\n"
    "  SELECTOR         NAME, {LABEL=\"VALUE\",...} or both, as in PromQL: = != =~ !~. A label set is selected when "
    "one of\n"
    "                   the selectors matches it\n"
    "  --store.dir=DIR  default: $KVTEL_STORE_DIR, else a directory of this user in shared memory\n"
    "  --drop           remove the selected label sets from the totals, for good; stop the exporter before\n"
    "  --help           this text\n"
    "\n"
    "examples:\n"
    "  kvtel totals\n"
    "  kvtel totals 'vllm:nixl_xfer_time_seconds{engine=\"3\"}'\n"
    "  kvtel totals --drop '{model_name=\"old-model\"}'\n"
    "  kvtel totals --drop '{engine=~\"1[0-9]+\"}' vllm:nixl_num_failed_transfers\n"
    "\n"
    "exit codes: 0 good, 1 failed, 2 wrong usage\n";

struct selection {
    struct selector **selectors;
    size_t count;
};

static bool is_selected(const struct selection *selection, const struct kvtel_snapshot_family *family,
                        const struct kvtel_snapshot_series *series)
{
    for (size_t i = 0; i < selection->count; i++)
        if (selector_matches(selection->selectors[i], family, series))
            return true;
    return false;
}

static bool is_kept(const void *context, const struct kvtel_snapshot_family *family,
                    const struct kvtel_snapshot_series *series)
{
    return !is_selected(context, family, series);
}

static enum kvtel_status list(const struct totals *totals, const struct selection *selection)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    enum kvtel_status status = snapshot ? totals_add_to(totals, snapshot) : KVTEL_E_NOMEM;
    for (size_t f = 0; status == KVTEL_OK && f < kvtel_snapshot_family_count(snapshot); f++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, f);
        for (size_t i = 0; i < family->series_count; i++)
            if (selection->count == 0 || is_selected(selection, family, &family->series[i]))
                series_print(family, &family->series[i]);
    }
    kvtel_snapshot_destroy(snapshot);
    return status;
}

/* Drops label sets. For this the command opens the directory as an exporter does, with its lock. */
static int drop(const char *path, const struct totals *totals, const struct selection *selection)
{
    struct store_dir dir;
    struct serve_log log = { .level = WEB_LOG_WARN };
    struct kvtel_error error = { 0 };
    size_t dropped = 0;
    if (!serve_log_init(&log))
        return command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    log.level = WEB_LOG_WARN;
    const struct store_dir_options options = { .path = path, .by_rank = totals->by_rank, .log = &log };
    enum kvtel_status status = store_dir_open(&dir, &options, &error);
    if (status == KVTEL_OK) {
        status = retire_drop(&dir, is_kept, selection, &dropped, &error);
        store_dir_close(&dir);
    }
    serve_log_close(&log);
    if (status == KVTEL_E_BUSY)
        return command_fail("%s is in use by 'kvtel serve'; end it, drop, and start it again", path);
    if (status != KVTEL_OK)
        return command_fail("%s", error.message);
    printf("%zu label sets dropped\n", dropped);
    if (*error.message)
        (void)command_fail("warning: the drop is done, but a power failure may undo it: %s", error.message);
    return EXIT_GOOD;
}

static int run(const char *path, bool drops, const struct selection *selection)
{
    struct totals totals;
    struct totals_identity file;
    struct kvtel_error error = { 0 };
    int code = EXIT_GOOD;
    if (totals_file_read(path, &totals, &file, &error) != KVTEL_OK)
        return command_fail("%s/%s: %s", path, TOTALS_NAME, error.message);
    if (file.inode == 0)
        code = command_fail("%s has no totals: no store has ended there, or no exporter ran", path);
    else if (drops)
        code = drop(path, &totals, selection);
    else if (list(&totals, selection) != KVTEL_OK)
        code = command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    totals_free(&totals);
    return command_close(stdout, "standard output") ? code : EXIT_FAILED;
}

/* Parses the selectors from `first` on. @return -1: go on; else an exit code */
static int parse_selectors(struct selection *selection, int argc, char **argv, int first)
{
    selection->selectors = calloc((size_t)argc + 1, sizeof(struct selector *));
    if (!selection->selectors)
        return command_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    for (int i = first; i < argc; i++) {
        struct kvtel_error error = { 0 };
        enum kvtel_status status = selector_parse(argv[i], &selection->selectors[selection->count], &error);
        if (status == KVTEL_E_NOMEM)
            return command_fail("%s", error.message);
        if (status != KVTEL_OK)
            return command_usage("totals", "%s: column %u: %s", argv[i], (unsigned)error.column, error.message);
        selection->count++;
    }
    return -1;
}

int command_totals(int argc, char **argv)
{
    static const struct option options[] = { { "help", no_argument, NULL, 'h' },
                                             { "drop", no_argument, NULL, 'd' },
                                             { "store.dir", required_argument, NULL, 's' },
                                             { NULL, 0, NULL, 0 } };
    struct selection selection = { 0 };
    const char *dir = NULL;
    char path[TOTALS_PATH];
    bool drops = false;
    for (int option; (option = command_option(argc, argv, options)) != -1;) {
        if (option == 'h') {
            fputs(command_totals_help, stdout);
            return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
        }
        if (option != 'd' && option != 's')
            return EXIT_USAGE;
        drops = drops || option == 'd';
        dir = option == 's' ? optarg : dir;
    }
    if (dir && !*dir)
        return command_usage("totals", "--store.dir is empty");
    if (drops && optind == argc)
        return command_usage("totals", "--drop wants a selector: what shall go?");
    if (kvtel_store_default_dir(dir, path, sizeof path) == 0)
        return command_usage("totals", "the name of the store directory is too long");
    int code = parse_selectors(&selection, argc, argv, optind);
    if (code < 0)
        code = run(path, drops, &selection);
    for (size_t i = 0; i < selection.count; i++)
        selector_free(selection.selectors[i]);
    free(selection.selectors);
    return code;
}
