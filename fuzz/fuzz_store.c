/* SPDX-License-Identifier: Apache-2.0 */
/* A store's file with bytes changed: each input is a list of changes, {place, offset (2), length, bytes}. */
#include "collect/open.h"
#include "collect/reader.h"
#include "collect/series.h"
#include "contract.h"

#include <fcntl.h>
#include <kvtel/exposition.h>
#include <kvtel/reader.h>
#include <kvtel/recorder.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/utf8.h"
#include "format/layout.h"
#include "record/store.h"

enum { EXTENTS = 64, PLACES = KVTEL_TABLES + 5 };

/* The parts of a real store's file that are not holes. */
static struct extent {
    uint8_t *bytes;
    size_t size;
    off_t at;
} extents[EXTENTS];
static size_t extent_count;
/* header, tables, slots and blocks of the first lane, its open transfers and exemplars */
static off_t places[PLACES];

static void record(struct kvtel_store *store)
{
    const struct kvtel_transfer transfer = {
        .duration_ns = 3000000, .post_ns = 300000, .bytes = 262144, .descriptors = 2
    };
    struct kvtel_recorder *nixl = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    struct kvtel_recorder *sparse = kvtel_recorder_create(store, kvtel_connector_find("HiSparseConnector"), NULL);
    for (int i = 0; i < 1000; i++)
        MUST(kvtel_record_transfer(nixl, &transfer));
    MUST(kvtel_record_failure(nixl, KVTEL_FAILED_HANDSHAKE));
    MUST(kvtel_record_value(kvtel_recorder_instrument(sparse, "host_cache_usage_perc", NULL, 0), 0.5));
    struct kvtel_recorder *open = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"),
                                                        KVTEL_RECORDER_OPTIONS(.engine = "9", .open_transfers = 4));
    const struct kvtel_transfer_start start = { .bytes = 4096, .began_ns = 1, .peer = kvtel_store_peer(store, "peer") };
    for (int i = 0; i < 3; i++)
        MUST(kvtel_transfer_begin(kvtel_recorder_operation(open, NULL, NULL), &start).operation);
    kvtel_recorder_destroy(nixl);
    kvtel_recorder_destroy(sparse);
    kvtel_recorder_destroy(open);
    struct kvtel_recorder *traced = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"),
                                                          KVTEL_RECORDER_OPTIONS(.engine = "1", .exemplars = true));
    struct kvtel_exemplar exemplar = { .time_ns = 1 };
    MUST(kvtel_exemplar_add(&exemplar, "request_id", "r") && kvtel_exemplar_add(&exemplar, "peer", "p"));
    MUST(kvtel_record_exemplar(kvtel_recorder_operation(traced, NULL, NULL), &transfer, &exemplar));
    kvtel_recorder_destroy(traced);
}

static void copy_extents(int file)
{
    off_t end = lseek(file, 0, SEEK_END), at = 0;
    while (at < end && (at = lseek(file, at, SEEK_DATA)) >= 0) {
        off_t hole = lseek(file, at, SEEK_HOLE);
        MUST(extent_count < EXTENTS && hole > at);
        struct extent *extent = &extents[extent_count++];
        *extent = (struct extent){ malloc((size_t)(hole - at)), (size_t)(hole - at), at };
        MUST(extent->bytes && pread(file, extent->bytes, extent->size, at) == (ssize_t)extent->size);
        at = hole;
    }
}

static void make_original(void)
{
    char dir[] = "/dev/shm/kvtel-fuzz-XXXXXX";
    struct kvtel_layout_header header;
    MUST(mkdtemp(dir));
    struct kvtel_store *store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir, .model_name = "m"));
    MUST(store && kvtel_store_path(store));
    record(store);
    int file = open(kvtel_store_path(store), O_RDONLY);
    copy_extents(file);
    MUST(pread(file, &header, sizeof(header), 0) == sizeof(header));
    for (size_t i = 0; i < KVTEL_TABLES; i++)
        places[1 + i] = (off_t)header.tables[i].at;
    places[1 + KVTEL_TABLES] = (off_t)header.lanes_at;
    places[2 + KVTEL_TABLES] = (off_t)(header.lanes_at + header.slots_size);
    places[3 + KVTEL_TABLES] = (off_t)(header.lanes_at + header.open_at * sizeof(uint64_t));
    const struct kvtel_layout_series *series = kvtel_store_table(store, KVTEL_SERIES);
    while (series->exemplars_at == 0)
        series++;
    places[4 + KVTEL_TABLES] = (off_t)(header.lanes_at + series->exemplars_at * sizeof(uint64_t));
    close(file);
    unlink(kvtel_store_path(store));
    rmdir(dir);
    kvtel_store_close(store);
}

static void must_be_exemplars(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series)
{
    for (size_t i = 0; i <= family->explicit_count; i++) {
        const struct kvtel_snapshot_exemplar *exemplar = kvtel_snapshot_exemplar(family, series, i);
        const char *name;
        if (!exemplar)
            continue;
        const double value = kvtel_snapshot_exemplar_value(exemplar);
        MUST(value >= 0 && value <= kvtel_snapshot_bound(family, i));
        MUST(i == 0 || value > kvtel_snapshot_bound(family, i - 1));
        for (size_t k = 0; (name = kvtel_snapshot_exemplar_label_name(exemplar, k)); k++) {
            const char *text = kvtel_snapshot_exemplar_label(exemplar, k);
            MUST(*name && text && kvtel_utf8_is_valid(text, strlen(text)));
        }
    }
}

/* Each format can show it. */
static void must_be_shown(const struct kvtel_snapshot *snapshot)
{
    for (int format = KVTEL_FORMAT_TEXT; format <= KVTEL_FORMAT_PROTOBUF; format++) {
        struct kvtel_buffer buffer = { 0 };
        MUST(kvtel_exposition(snapshot, (enum kvtel_exposition_format)format, &buffer) == KVTEL_OK);
        kvtel_buffer_free(&buffer);
    }
}

static void must_agree(const struct kvtel_snapshot *snapshot)
{
    for (size_t f = 0; f < kvtel_snapshot_family_count(snapshot); f++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, f);
        for (size_t s = 0; s < family->series_count; s++) {
            const struct kvtel_snapshot_series *series = &family->series[s];
            uint64_t total = 0;
            for (uint32_t i = 0; i < series->bin_count; i++)
                total += series->bins[i];
            MUST(total == series->count && series->count <= KVTEL_COUNT_MAX);
            MUST(series->sum >= 0 && series->sum <= KVTEL_TOTAL_MAX);
            MUST(family->type != KVTEL_COUNTER || (series->value >= 0 && series->value <= KVTEL_TOTAL_MAX));
            MUST(series->bin_count == 0 || series->first_bin + series->bin_count <= family->bound_count + 1);
            for (size_t label = 0; label < family->label_count; label++)
                MUST(kvtel_utf8_is_valid(series->values[label], strlen(series->values[label])));
            if (family->type == KVTEL_HISTOGRAM)
                (void)kvtel_snapshot_quantile(family, series, 0.5);
            must_be_exemplars(family, series);
        }
    }
}

/* Lists the transfers that are open, as if the writer went on. */
static void list_open(struct kvtel_store_reader *reader)
{
    struct kvtel_view view;
    struct kvtel_open_list list = { 0 };
    if (kvtel_store_reader_view(reader, &view, NULL) != KVTEL_OK)
        return;
    (void)kvtel_open_read(&view, &list);
    for (size_t i = 0; i < list.count; i++) {
        MUST(kvtel_utf8_is_valid(list.all[i].peer, strlen(list.all[i].peer)));
        MUST(kvtel_open_label(&view, &list.all[i], "engine"));
    }
    kvtel_open_list_free(&list);
}

static void read_store(const char *path)
{
    struct kvtel_store_reader *reader = NULL;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_error error = { 0 };
    enum kvtel_status status = kvtel_store_reader_open(path, &reader, &error);
    for (int round = 0; round < 2 && status == KVTEL_OK; round++) {
        kvtel_snapshot_reset(snapshot);
        status = kvtel_snapshot_add_reader(snapshot, reader, &error);
        must_agree(snapshot);
        list_open(reader);
        must_be_shown(snapshot);
    }
    if (status != KVTEL_OK)
        MUST(error.status == status && error.message[0] != '\0' && memchr(error.message, '\0', sizeof(error.message)));
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    if (extent_count == 0)
        make_original();
    int file = memfd_create("store", MFD_CLOEXEC);
    MUST(file >= 0);
    for (size_t i = 0; i < extent_count; i++)
        MUST(pwrite(file, extents[i].bytes, extents[i].size, extents[i].at) == (ssize_t)extents[i].size);
    while (size >= 4) {
        size_t length = data[3] < size - 4 ? data[3] : size - 4;
        off_t at = places[data[0] % PLACES] + data[1] + data[2] * 256;
        MUST(pwrite(file, data + 4, length, at) == (ssize_t)length);
        data += 4 + length;
        size -= 4 + length;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    read_store(path);
    close(file);
    return 0;
}
