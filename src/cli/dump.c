/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel dump: prints the content of a store. */
#include "collect/open.h"
#include "collect/reader.h"
#include "collect/series.h"
#include "command/command.h"

#include "base/buffer.h"
#include "base/error.h"
#include "cli/series_text.h"
#include "totals/layout.h"
#include "value/value.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <kvtel/reader.h>
#include <kvtel/recorder.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char command_dump_help[] =
    "usage: kvtel dump [--json] STORE...\n"
    "\n"
    "Prints the content of a store's file: its writer, and every series with its value. A live "
    "store is read as it is at\n"
    "this moment, without disturbing its writer.\n"
    "\n"
    "  --json   print a JSON object for each store, one a line, with all bins and exemplars of\n"
    "           histograms\n"
    "  --help   this text\n"
    "\n"
    "examples:\n"
    "  kvtel dump /dev/shm/kvtel-1000/*.kvtel\n"
    "  kvtel dump --json STORE | jq '.families[].name'\n"
    "\n"
    "exit codes: 0 good, 1 a store could not be read, 2 wrong usage\n";

struct store {
    const char *path;
    enum kvtel_store_state state;
    struct kvtel_store_info info;
    const struct kvtel_snapshot *snapshot;
    struct kvtel_view view;
    struct kvtel_open_list open;
};

static const char *state_text(enum kvtel_store_state state)
{
    return state == KVTEL_STORE_LIVE ? "live" : "ended";
}

static const char *type_text(enum kvtel_metric_type type)
{
    static const char *const texts[] = {
        [KVTEL_COUNTER] = "counter", [KVTEL_GAUGE] = "gauge", [KVTEL_HISTOGRAM] = "histogram"
    };
    return texts[type];
}

static double age_of(const struct kvtel_open_transfer *transfer)
{
    uint64_t now = kvtel_now_ns();
    return transfer->began_ns < now ? (double)(now - transfer->began_ns) / 1e9 : 0;
}

static void print_open(const struct store *store, const struct kvtel_open_transfer *transfer)
{
    printf("open: ");
    series_print_text(kvtel_open_label(&store->view, transfer, "operation"));
    printf(", connector \"");
    series_print_text(kvtel_open_label(&store->view, transfer, "connector"));
    printf("\", engine \"");
    series_print_text(kvtel_open_label(&store->view, transfer, "engine"));
    printf("\", peer \"");
    series_print_text(transfer->peer);
    if (transfer->bytes == KVTEL_OPEN_NO_BYTES)
        printf("\", bytes not known, for %.3f s\n", age_of(transfer));
    else
        printf("\", %" PRIu64 " bytes, for %.3f s\n", transfer->bytes, age_of(transfer));
}

static void print_store(const struct store *store)
{
    const struct kvtel_store_info *info = &store->info;
    char since[64] = "";
    time_t seconds = (time_t)(info->created_realtime_ns / 1000000000u);
    struct tm utc;
    if (gmtime_r(&seconds, &utc))
        strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S UTC", &utc);
    command_print_name(store->path);
    printf(": %s, pid %" PRIu64 ", model \"", state_text(store->state), info->pid);
    series_print_text(info->model_name);
    printf("\", connector \"");
    series_print_text(info->connector);
    printf("\", engine %u, rank %u, since %s\n", info->engine, info->rank, since);
    printf("%" PRIu64 " families, %" PRIu64 " series, %" PRIu64 " lanes; refused: %" PRIu64 " label sets, %" PRIu64
           " records, %" PRIu64 " values\n",
           info->families, info->series, info->lanes, info->series_dropped, info->records_dropped,
           info->values_refused);
    for (size_t i = 0; i < store->open.count; i++)
        print_open(store, &store->open.all[i]);
    for (size_t f = 0; f < kvtel_snapshot_family_count(store->snapshot); f++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(store->snapshot, f);
        for (size_t i = 0; i < family->series_count; i++)
            series_print(family, &family->series[i]);
    }
}

static void write_count(struct kvtel_writer *writer, const char *key, uint64_t count)
{
    kvtel_writer_text(writer, key);
    kvtel_writer_integer(writer, count <= INT64_MAX ? (int64_t)count : INT64_MAX);
}

/* Writes [bin, count] for each bin that is not 0. */
static void write_bins(struct kvtel_writer *writer, const struct kvtel_snapshot_series *series)
{
    size_t used = 0;
    for (uint32_t i = 0; i < series->bin_count; i++)
        used += series->bins[i] > 0;
    kvtel_writer_array(writer, used);
    for (uint32_t i = 0; i < series->bin_count; i++) {
        if (series->bins[i] == 0)
            continue;
        kvtel_writer_array(writer, 2);
        kvtel_writer_integer(writer, series->first_bin + i);
        kvtel_writer_integer(writer, (int64_t)series->bins[i]);
    }
}

static size_t count_exemplars(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series)
{
    size_t count = 0;
    for (size_t i = 0; i < series->exemplar_count; i++)
        count += kvtel_snapshot_exemplar(family, series, i) != NULL;
    return count;
}

static void write_exemplar(struct kvtel_writer *writer, double bound, const struct kvtel_snapshot_exemplar *exemplar)
{
    const char *name;
    kvtel_writer_map(writer, 4);
    kvtel_writer_text(writer, "upper_bound");
    if (isfinite(bound))
        kvtel_writer_number(writer, bound);
    else
        kvtel_writer_nil(writer);
    kvtel_writer_text(writer, "value");
    kvtel_writer_number(writer, kvtel_snapshot_exemplar_value(exemplar));
    write_count(writer, "time_ns", kvtel_snapshot_exemplar_time_ns(exemplar));
    kvtel_writer_text(writer, "labels");
    kvtel_writer_map(writer, kvtel_snapshot_exemplar_label_count(exemplar));
    for (size_t i = 0; (name = kvtel_snapshot_exemplar_label_name(exemplar, i)); i++) {
        kvtel_writer_text(writer, name);
        kvtel_writer_text(writer, kvtel_snapshot_exemplar_label(exemplar, i));
    }
}

static void write_series(struct kvtel_writer *writer, const struct kvtel_snapshot_family *family,
                         const struct kvtel_snapshot_series *series)
{
    bool histogram = family->type == KVTEL_HISTOGRAM;
    const size_t exemplars = count_exemplars(family, series);
    kvtel_writer_map(writer, histogram ? 4 + (exemplars > 0) : 2);
    kvtel_writer_text(writer, "labels");
    kvtel_writer_map(writer, family->label_count);
    for (size_t i = 0; i < family->label_count; i++) {
        kvtel_writer_text(writer, family->labelnames[i]);
        kvtel_writer_text(writer, series->values[i]);
    }
    if (!histogram) {
        kvtel_writer_text(writer, "value");
        kvtel_writer_number(writer, series->value);
        return;
    }
    write_count(writer, "count", series->count);
    kvtel_writer_text(writer, "sum");
    kvtel_writer_number(writer, series->sum);
    kvtel_writer_text(writer, "bins");
    write_bins(writer, series);
    if (exemplars == 0)
        return;
    kvtel_writer_text(writer, "exemplars");
    kvtel_writer_array(writer, exemplars);
    for (size_t i = 0; i < series->exemplar_count; i++)
        if (kvtel_snapshot_exemplar(family, series, i))
            write_exemplar(writer, kvtel_snapshot_bound(family, i), kvtel_snapshot_exemplar(family, series, i));
}

static void write_name(struct kvtel_writer *writer, const struct kvtel_snapshot_family *family)
{
    struct kvtel_buffer name = { 0 };
    if (kvtel_buffer_printf(&name, "%s%s", family->name, series_suffix(family)) == KVTEL_OK)
        kvtel_writer_string(writer, name.bytes, name.size);
    else
        writer->status = KVTEL_E_NOMEM;
    kvtel_buffer_free(&name);
}

static void write_family(struct kvtel_writer *writer, const struct kvtel_snapshot_family *family)
{
    bool histogram = family->type == KVTEL_HISTOGRAM;
    kvtel_writer_map(writer, histogram ? 5 : 4);
    kvtel_writer_text(writer, "name");
    write_name(writer, family);
    kvtel_writer_text(writer, "type");
    kvtel_writer_text(writer, type_text(family->type));
    kvtel_writer_text(writer, "help");
    kvtel_writer_text(writer, family->help);
    if (histogram) {
        kvtel_writer_text(writer, "bounds");
        kvtel_writer_array(writer, family->bound_count);
        for (size_t i = 0; i < family->bound_count; i++)
            kvtel_writer_number(writer, family->bounds[i]);
    }
    kvtel_writer_text(writer, "series");
    kvtel_writer_array(writer, family->series_count);
    for (size_t i = 0; i < family->series_count; i++)
        write_series(writer, family, &family->series[i]);
}

static void write_open(struct kvtel_writer *writer, const struct store *store,
                       const struct kvtel_open_transfer *transfer)
{
    static const char *const labels[] = { "connector", "engine", "operation" };
    kvtel_writer_map(writer, 6);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        kvtel_writer_text(writer, labels[i]);
        kvtel_writer_text(writer, kvtel_open_label(&store->view, transfer, labels[i]));
    }
    kvtel_writer_text(writer, "peer");
    kvtel_writer_text(writer, transfer->peer);
    kvtel_writer_text(writer, "bytes");
    if (transfer->bytes == KVTEL_OPEN_NO_BYTES)
        kvtel_writer_nil(writer);
    else
        kvtel_writer_integer(writer, transfer->bytes <= INT64_MAX ? (int64_t)transfer->bytes : INT64_MAX);
    kvtel_writer_text(writer, "age_seconds");
    kvtel_writer_number(writer, age_of(transfer));
}

static bool write_store(const struct store *store)
{
    const struct kvtel_store_info *info = &store->info;
    struct kvtel_buffer buffer = { 0 };
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, KVTEL_JSON, &buffer);
    kvtel_writer_map(&writer, 16);
    kvtel_writer_text(&writer, "path");
    kvtel_writer_text(&writer, store->path);
    kvtel_writer_text(&writer, "state");
    kvtel_writer_text(&writer, state_text(store->state));
    kvtel_writer_text(&writer, "model_name");
    kvtel_writer_text(&writer, info->model_name);
    kvtel_writer_text(&writer, "connector");
    kvtel_writer_text(&writer, info->connector);
    write_count(&writer, "engine", info->engine);
    write_count(&writer, "rank", info->rank);
    write_count(&writer, "pid", info->pid);
    write_count(&writer, "created_realtime_ns", info->created_realtime_ns);
    write_count(&writer, "lanes", info->lanes);
    write_count(&writer, "series_dropped", info->series_dropped);
    write_count(&writer, "records_dropped", info->records_dropped);
    write_count(&writer, "values_refused", info->values_refused);
    write_count(&writer, "transfers_untracked", info->transfers_untracked);
    write_count(&writer, "tokens_refused", info->tokens_refused);
    kvtel_writer_text(&writer, "open");
    kvtel_writer_array(&writer, store->open.count);
    for (size_t i = 0; i < store->open.count; i++)
        write_open(&writer, store, &store->open.all[i]);
    kvtel_writer_text(&writer, "families");
    kvtel_writer_array(&writer, kvtel_snapshot_family_count(store->snapshot));
    for (size_t f = 0; f < kvtel_snapshot_family_count(store->snapshot); f++)
        write_family(&writer, kvtel_snapshot_family(store->snapshot, f));
    enum kvtel_status status = kvtel_writer_finish(&writer);
    if (status == KVTEL_OK)
        printf("%.*s\n", (int)buffer.size, buffer.bytes);
    else
        command_fail("%s: %s", store->path, kvtel_status_text(status));
    kvtel_buffer_free(&buffer);
    return status == KVTEL_OK;
}

static bool is_totals(const char *path)
{
    char magic[8] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool totals =
        file >= 0 && read(file, magic, sizeof magic) == sizeof magic && memcmp(magic, TOTALS_MAGIC, sizeof magic) == 0;
    if (file >= 0)
        close(file);
    return totals;
}

/* Lists the open transfers of a store that is live. */
static enum kvtel_status list_open(struct store *store, struct kvtel_store_reader *reader, struct kvtel_error *error)
{
    enum kvtel_status status = kvtel_store_reader_view(reader, &store->view, error);
    if (status != KVTEL_OK || store->view.ended)
        return status;
    status = kvtel_open_read(&store->view, &store->open);
    return status == KVTEL_OK ? status : kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
}

static bool dump(const char *path, bool json, struct kvtel_snapshot *snapshot)
{
    struct kvtel_store_reader *reader = NULL;
    struct kvtel_error error = { 0 };
    struct store store = { .path = path, .snapshot = snapshot };
    bool good = false;
    kvtel_snapshot_reset(snapshot);
    enum kvtel_status status = kvtel_store_reader_open(path, &reader, &error);
    if (status == KVTEL_OK) {
        store.state = kvtel_store_reader_state(reader);
        status = kvtel_snapshot_add_reader(snapshot, reader, &error);
        kvtel_store_reader_info(reader, &store.info);
    }
    if (status == KVTEL_OK)
        status = list_open(&store, reader, &error);
    if (status != KVTEL_OK) {
        if (is_totals(path))
            command_fail("%s is not a store but the totals of ended stores: 'kvtel totals' lists them", path);
        else
            command_fail("%s: byte %zu: %s", path, error.offset, error.message);
    } else if (json) {
        good = write_store(&store);
    } else {
        print_store(&store);
        good = true;
    }
    kvtel_open_list_free(&store.open);
    kvtel_store_reader_close(reader);
    return good;
}

int command_dump(int argc, char **argv)
{
    static const struct option options[] = { { "help", no_argument, NULL, 'h' },
                                             { "json", no_argument, NULL, 'j' },
                                             { NULL, 0, NULL, 0 } };
    bool json = false;
    for (int option; (option = command_option(argc, argv, options)) != -1;) {
        if (option == 'h') {
            fputs(command_dump_help, stdout);
            return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
        }
        if (option != 'j')
            return EXIT_USAGE;
        json = true;
    }
    if (optind == argc)
        return command_usage("dump", "name the file of a store");
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    if (!snapshot)
        return command_fail("out of memory");
    bool good = true;
    for (int i = optind; i < argc; i++)
        good &= dump(argv[i], json, snapshot);
    kvtel_snapshot_destroy(snapshot);
    return command_close(stdout, "standard output") && good ? EXIT_GOOD : EXIT_FAILED;
}
