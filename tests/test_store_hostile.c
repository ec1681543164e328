/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a writer cannot have made are refused, wholly or in part, and the cost of reading them is proportional
 * to their size. Files of writers with any options are accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <kvtel/reader.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collect/series.h"
#include "format/layout.h"
#include "histogram/bins.h"

static char dir[] = "/dev/shm/kvtel-test-XXXXXX";
static const char *const labelnames[] = { "model_name" };

/* Bytes that the library reads. */
static uint64_t bytes_read;
ssize_t __real_pread(int fd, void *bytes, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t at)
{
    bytes_read += size;
    return __real_pread(fd, bytes, size, at);
}

/* A counter c of 5, a gauge g of 7, and a histogram h whose 300 values of 0.5 are folded but for 44. */
struct sample {
    struct kvtel_store *store;
    int fd;
    struct kvtel_layout_header header;
};

static uint32_t make_series(struct kvtel_store *store, const char *name, enum kvtel_metric_type type, const char *value)
{
    const struct kvtel_family_spec spec = { .name = name,
                                            .type = type,
                                            .help = "Help.",
                                            .labelnames = labelnames,
                                            .label_count = 1,
                                            .unit = KVTEL_UNIT_SECONDS };
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, &value, 1, &series), KVTEL_OK);
    return series;
}

static struct sample make_sample(void)
{
    struct sample sample = { .store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir)) };
    struct kvtel_lane *lane;
    assert_non_null(kvtel_store_path(sample.store));
    assert_int_equal(kvtel_lane_open(sample.store, &lane), KVTEL_OK);
    assert_true(kvtel_lane_increase(lane, make_series(sample.store, "c", KVTEL_COUNTER, "m"), 5));
    assert_true(kvtel_lane_set(lane, make_series(sample.store, "g", KVTEL_GAUGE, "m"), 7));
    uint32_t histogram = make_series(sample.store, "h", KVTEL_HISTOGRAM, "m");
    for (int i = 0; i < 300; i++)
        assert_int_equal(kvtel_lane_observe(lane, histogram, &(double){ 0.5 }, 1), 1);
    (void)make_series(sample.store, "h", KVTEL_HISTOGRAM, "n");
    sample.fd = open(kvtel_store_path(sample.store), O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(sample.fd, &sample.header, sizeof(sample.header), 0), sizeof(sample.header));
    return sample;
}

static void free_sample(struct sample *sample)
{
    (void)close(sample->fd);
    assert_int_equal(unlink(kvtel_store_path(sample->store)), 0);
    kvtel_store_close(sample->store);
}

static enum kvtel_status read_into(struct kvtel_snapshot *snapshot, const char *path)
{
    struct kvtel_store_reader *reader;
    struct kvtel_error error = { 0 };
    enum kvtel_status status = kvtel_store_reader_open(path, &reader, &error);
    if (status == KVTEL_OK) {
        status = kvtel_snapshot_add_reader(snapshot, reader, &error);
        kvtel_store_reader_close(reader);
    }
    assert_true(status == KVTEL_OK ||
                (error.status == status && error.message[0] != '\0' && !kvtel_error_is_passing(&error)));
    return status;
}

static off_t slot_at(const struct sample *sample, uint32_t series, int word)
{
    struct kvtel_layout_series record;
    off_t at = (off_t)(sample->header.tables[KVTEL_SERIES].at + series * sizeof(record));
    assert_int_equal(pread(sample->fd, &record, sizeof(record), at), sizeof(record));
    return (off_t)(sample->header.lanes_at + (record.slot * KVTEL_SLOT_WORDS + (uint64_t)word) * sizeof(uint64_t));
}

/* Numbers that no writer makes: what this lane has of the series is left out, the rest is there. */
static void test_numbers(void **state)
{
    (void)state;
    const double bad[] = { -1e9, -1, (double)NAN, (double)INFINITY, 1e305, 1e30 };
    struct sample sample = make_sample();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (int histogram = 0; histogram < 2; histogram++) {
            if (!histogram && bad[i] == 1e30)
                continue; /* a counter can have that */
            struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
            off_t at = histogram ? slot_at(&sample, 2, KVTEL_SLOT_SUM + 1) : slot_at(&sample, 0, KVTEL_SLOT_DIRECT);
            double was;
            assert_int_equal(pread(sample.fd, &was, sizeof(was), at), sizeof(was));
            assert_int_equal(pwrite(sample.fd, &bad[i], sizeof(bad[i]), at), sizeof(bad[i]));
            assert_int_equal(read_into(snapshot, kvtel_store_path(sample.store)), KVTEL_E_MISMATCH);
            assert_true(kvtel_snapshot_find(snapshot, "c")->series[0].value == (histogram ? 5 : 0));
            assert_true(kvtel_snapshot_find(snapshot, "g")->series[0].value == 7);
            assert_int_equal(kvtel_snapshot_find(snapshot, "h")->series[0].count, histogram ? 0 : 300);
            assert_true(kvtel_snapshot_find(snapshot, "h")->series[0].sum == (histogram ? 0 : 150));
            assert_int_equal(pwrite(sample.fd, &was, sizeof(was), at), sizeof(was));
            kvtel_snapshot_reset(snapshot);
            assert_int_equal(read_into(snapshot, kvtel_store_path(sample.store)), KVTEL_OK);
            kvtel_snapshot_destroy(snapshot);
        }
    }
    free_sample(&sample);
}

/* A row with what is no amount, a count that its bins don't have, a bin past every count. */
static void test_rows_and_bins(void **state)
{
    (void)state;
    struct sample sample = make_sample();
    struct kvtel_layout_group group;
    struct kvtel_layout_series series;
    off_t at = (off_t)sample.header.tables[KVTEL_GROUPS].at;
    assert_int_equal(pread(sample.fd, &group, sizeof(group), at), sizeof(group));
    at = (off_t)(sample.header.tables[KVTEL_SERIES].at + 2 * sizeof(series));
    assert_int_equal(pread(sample.fd, &series, sizeof(series), at), sizeof(series));
    const double row = -3;
    const uint64_t count = 257, bin = UINT64_MAX;
    uint64_t first;
    assert_int_equal(pread(sample.fd, &first, sizeof(first), slot_at(&sample, 2, KVTEL_SLOT_FIRST)), sizeof(first));
    const struct {
        off_t at;
        const void *bytes;
    } rows[] = {
        { (off_t)(sample.header.lanes_at + (group.block_at + 10) * sizeof(uint64_t)), &row },
        { slot_at(&sample, 2, KVTEL_SLOT_COUNT + 1), &count },
        { (off_t)(sample.header.lanes_at + (series.cells_at + first) * sizeof(uint64_t)), &bin },
    };
    for (size_t i = 0; i < 3; i++) {
        struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
        uint64_t was;
        assert_int_equal(pread(sample.fd, &was, sizeof(was), rows[i].at), sizeof(was));
        assert_int_equal(pwrite(sample.fd, rows[i].bytes, sizeof(was), rows[i].at), sizeof(was));
        assert_int_equal(read_into(snapshot, kvtel_store_path(sample.store)), KVTEL_E_MISMATCH);
        assert_int_equal(kvtel_snapshot_find(snapshot, "h")->series[0].count, 0);
        assert_true(kvtel_snapshot_find(snapshot, "c")->series[0].value == 5);
        assert_int_equal(pwrite(sample.fd, &was, sizeof(was), rows[i].at), sizeof(was));
        kvtel_snapshot_destroy(snapshot);
    }
    free_sample(&sample);
}

/* A range of cells that is the unused cell of an octave, with the count and the sum that go with it. */
static void test_unused_cell(void **state)
{
    (void)state;
    struct sample sample = make_sample();
    struct kvtel_layout_series series;
    off_t at = (off_t)(sample.header.tables[KVTEL_SERIES].at + 2 * sizeof(series));
    assert_int_equal(pread(sample.fd, &series, sizeof(series), at), sizeof(series));
    const uint64_t cell = KVTEL_CELLS_OCTAVE;
    const struct {
        off_t at;
        uint64_t word;
    } words[] = {
        { slot_at(&sample, 2, KVTEL_SLOT_FIRST), cell },
        { slot_at(&sample, 2, KVTEL_SLOT_END), cell + 1 },
        { slot_at(&sample, 2, KVTEL_SLOT_SUM + 1), 0 },
        { (off_t)(sample.header.lanes_at + (series.cells_at + cell) * sizeof(uint64_t)), 256 },
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_int_equal(pwrite(sample.fd, &words[i].word, sizeof(words[i].word), words[i].at), sizeof(words[i].word));
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(read_into(snapshot, kvtel_store_path(sample.store)), KVTEL_E_MISMATCH);
    assert_int_equal(kvtel_snapshot_find(snapshot, "h")->series[0].count, 0);
    assert_true(kvtel_snapshot_find(snapshot, "c")->series[0].value == 5);
    kvtel_snapshot_destroy(snapshot);
    free_sample(&sample);
}

/* A gauge that says that it was set in the future does not hold for ever. */
static void test_gauge_of_the_future(void **state)
{
    (void)state;
    struct sample sample = make_sample();
    const uint64_t future = UINT64_MAX;
    struct timespec now;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(pwrite(sample.fd, &future, sizeof(future), slot_at(&sample, 1, KVTEL_SLOT_STAMP + 1)),
                     sizeof(future));
    assert_int_equal(read_into(snapshot, kvtel_store_path(sample.store)), KVTEL_OK);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    assert_true(kvtel_snapshot_find(snapshot, "g")->series[0].stamp <=
                (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
    kvtel_snapshot_destroy(snapshot);
    free_sample(&sample);
}

/* Records that no writer makes: the store is refused, and nothing of it is shown. */
static void test_records(void **state)
{
    (void)state;
    struct sample sample = make_sample();
    const struct kvtel_layout_table *tables = sample.header.tables;
    const off_t family = (off_t)(tables[KVTEL_FAMILIES].at + 2 * sizeof(struct kvtel_layout_family)); /* h */
    const off_t series = (off_t)(tables[KVTEL_SERIES].at + 3 * sizeof(struct kvtel_layout_series));   /* h, n */
    const off_t group = (off_t)(tables[KVTEL_GROUPS].at + sizeof(struct kvtel_layout_group));         /* of h, n */
    struct kvtel_layout_series other;
    assert_int_equal(pread(sample.fd, &other, sizeof(other), series - (off_t)sizeof(other)), sizeof(other));
    const struct {
        const char *name;
        off_t at;
        uint64_t value;
        size_t size;
    } rows[] = {
        { "another exponential range", family + (off_t)offsetof(struct kvtel_layout_family, exponential_first), 77, 4 },
        { "more exponential bounds", family + (off_t)offsetof(struct kvtel_layout_family, exponential_count), 4096, 4 },
        { "a unit of another range", family + (off_t)offsetof(struct kvtel_layout_family, unit), KVTEL_UNIT_BYTES, 4 },
        { "text of an earlier family", family + (off_t)offsetof(struct kvtel_layout_family, text_at), 0, 8 },
        { "a slot of another series", series + (off_t)offsetof(struct kvtel_layout_series, slot), other.slot, 4 },
        { "a slot past all records", series + (off_t)offsetof(struct kvtel_layout_series, slot), 1000, 4 },
        { "cells of another series", series + (off_t)offsetof(struct kvtel_layout_series, cells_at), other.cells_at,
          8 },
        { "text of another series", series + (off_t)offsetof(struct kvtel_layout_series, text_at), other.text_at, 8 },
        { "a group with a series' slot", group + (off_t)offsetof(struct kvtel_layout_group, slot), other.slot, 4 },
        { "a feed of another group", group + (off_t)offsetof(struct kvtel_layout_group, feeds_at), 0, 4 },
        { "a fed series", (off_t)(tables[KVTEL_FEEDS].at + sizeof(struct kvtel_layout_feed)), 2, 4 },
        { "families", (off_t)offsetof(struct kvtel_layout_header, family_count), KVTEL_LAYOUT_FAMILIES + 1, 8 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
        uint64_t was = 0;
        assert_int_equal(pread(sample.fd, &was, rows[i].size, rows[i].at), rows[i].size);
        assert_int_equal(pwrite(sample.fd, &rows[i].value, rows[i].size, rows[i].at), rows[i].size);
        enum kvtel_status status = read_into(snapshot, kvtel_store_path(sample.store));
        if (status != KVTEL_E_FORMAT || kvtel_snapshot_family_count(snapshot) != 0)
            fail_msg("%s: %d", rows[i].name, status);
        assert_int_equal(pwrite(sample.fd, &was, rows[i].size, rows[i].at), rows[i].size);
        assert_int_equal(read_into(snapshot, kvtel_store_path(sample.store)), KVTEL_OK);
        kvtel_snapshot_destroy(snapshot);
    }
    free_sample(&sample);
}

/* 4,096 lanes of a few series, of which a page each is there: the file takes 16 MiB and pretends to be 256 GiB. */
static void test_work(void **state)
{
    (void)state;
    struct sample sample = make_sample();
    for (int i = 0; i < 2000; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "m%d", i);
        (void)make_series(sample.store, "h", KVTEL_HISTOGRAM, name);
    }
    assert_int_equal(pread(sample.fd, &sample.header, sizeof(sample.header), 0), sizeof(sample.header));
    struct stat status;
    const uint32_t lanes = KVTEL_LAYOUT_LANES;
    const uint64_t count = KVTEL_LAYOUT_LANES;
    const double one = 1;
    assert_int_equal(pwrite(sample.fd, &lanes, sizeof(lanes), offsetof(struct kvtel_layout_header, max_lanes)),
                     sizeof(lanes));
    assert_int_equal(pwrite(sample.fd, &count, sizeof(count), offsetof(struct kvtel_layout_header, lane_count)),
                     sizeof(count));
    assert_int_equal(ftruncate(sample.fd, (off_t)(sample.header.lanes_at + lanes * sample.header.lane_stride)), 0);
    for (uint64_t lane = 1; lane < lanes; lane++) {
        off_t at = slot_at(&sample, 0, KVTEL_SLOT_DIRECT) + (off_t)(lane * sample.header.lane_stride);
        assert_int_equal(pwrite(sample.fd, &one, sizeof(one), at), sizeof(one));
    }
    assert_int_equal(fstat(sample.fd, &status), 0);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    bytes_read = 0;
    (void)read_into(snapshot, kvtel_store_path(sample.store));
    uint64_t allocated = (uint64_t)status.st_blocks * 512;
    if (bytes_read > 8 * ((64u << 20) + 16 * allocated))
        fail_msg("%llu bytes read of a file of %llu", (unsigned long long)bytes_read, (unsigned long long)allocated);
    kvtel_snapshot_destroy(snapshot);
    assert_int_equal(pwrite(sample.fd, &sample.header, sizeof(sample.header), 0), sizeof(sample.header));
    free_sample(&sample);
}

/* What a writer can make with its options is taken: it reads as it does in the writer's own process. */
static void check_options(struct kvtel_store_options options, size_t series, size_t lanes, enum kvtel_metric_type type)
{
    options.size = sizeof(options);
    options.dir = dir;
    struct kvtel_store *store = kvtel_store_open(&options);
    assert_non_null(kvtel_store_path(store));
    uint32_t last = 0;
    for (size_t i = 0; i < series; i++) {
        char name[24];
        const struct kvtel_family_spec spec = {
            .name = "x", .type = type, .help = "", .labelnames = labelnames, .label_count = 1
        };
        const char *value = name;
        uint32_t family;
        (void)snprintf(name, sizeof(name), "%zu", i);
        assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
        if (kvtel_store_series(store, family, &value, 1, &last) != KVTEL_OK)
            break;
    }
    size_t opened = 0;
    struct kvtel_lane *lane;
    for (; opened < lanes && kvtel_lane_open(store, &lane) == KVTEL_OK; opened++) {
        if (type == KVTEL_COUNTER)
            assert_true(kvtel_lane_increase(lane, last, 1));
        else
            assert_int_equal(kvtel_lane_observe(lane, last, &(double){ 3 }, 1), 1);
    }
    assert_true(opened > 0);
    struct kvtel_snapshot *snapshots[] = { kvtel_snapshot_create(), kvtel_snapshot_create() };
    assert_int_equal(kvtel_snapshot_add(snapshots[0], store), KVTEL_OK);
    assert_int_equal(read_into(snapshots[1], kvtel_store_path(store)), KVTEL_OK);
    const struct kvtel_snapshot_family *own = kvtel_snapshot_family(snapshots[0], 0),
                                       *read = kvtel_snapshot_family(snapshots[1], 0);
    assert_int_equal(own->series_count, read->series_count);
    const struct kvtel_snapshot_series *a = &own->series[own->series_count - 1],
                                       *b = &read->series[read->series_count - 1];
    assert_true(a->value == b->value && a->count == b->count && a->sum == b->sum);
    assert_true(type == KVTEL_COUNTER ? b->value == (double)opened : b->count == opened);
    kvtel_snapshot_destroy(snapshots[0]);
    kvtel_snapshot_destroy(snapshots[1]);
    assert_int_equal(unlink(kvtel_store_path(store)), 0);
    kvtel_store_close(store);
}

static void test_whatever_options(void **state)
{
    (void)state;
    check_options((struct kvtel_store_options){ 0 }, 10000, 105, KVTEL_COUNTER); /* all defaults */
    check_options((struct kvtel_store_options){ .lane_bytes = 1 }, 10000, 3,
                  KVTEL_HISTOGRAM); /* until a lane is full */
    check_options((struct kvtel_store_options){ .lane_bytes = UINT64_MAX / 2 }, 10, 2, KVTEL_HISTOGRAM);
    check_options((struct kvtel_store_options){ .max_lanes = UINT32_MAX, .lane_bytes = 1 << 20 }, 2, 600,
                  KVTEL_COUNTER);
    check_options((struct kvtel_store_options){ .max_series = UINT32_MAX }, 20000, 2, KVTEL_COUNTER);
    srandom(1);
    for (int i = 0; i < 8; i++) {
        struct kvtel_store_options options = { .lane_bytes = (uint64_t)random() % (200u << 20) };
        options.max_series = (uint32_t)random() % 500;
        options.max_lanes = (uint32_t)random() % 10;
        check_options(options, (size_t)random() % 600, (size_t)random() % 12 + 1,
                      i % 2 ? KVTEL_COUNTER : KVTEL_HISTOGRAM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),          cmocka_unit_test(test_rows_and_bins),
        cmocka_unit_test(test_unused_cell),      cmocka_unit_test(test_gauge_of_the_future),
        cmocka_unit_test(test_records),          cmocka_unit_test(test_work),
        cmocka_unit_test(test_whatever_options),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
