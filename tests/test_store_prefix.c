/* SPDX-License-Identifier: Apache-2.0 */
/* A fold is a list of stores. After each prefix of the list a reader gets every finished row, once: whoever is killed
 * in a fold leaves such a prefix. src/record/fold.c is compiled into this test with KVTEL_FOLD_LOG, so that it calls
 * kvtel_fold_log() for each store.
 *
 * With a directory as argument the test writes for each case NAME.store, the file as it was before the fold, and
 * NAME.stores, the offset and the value of each store (e2e/test_store_prefix.py reads them). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/reader.h>
#include <kvtel/recorder.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/series.h"
#include "record/lane.h"
#include "record/recorder.h"

enum { STORES = 1 << 16, FINISH_EVERY = 29 };

struct entry {
    kvtel_word *word;
    uint64_t old, value;
};
static struct entry entries[STORES];
static size_t entry_count;
static bool is_logging;
static const char *out_dir;

void kvtel_fold_log(const kvtel_word *word, uint64_t value);
void kvtel_fold_log(const kvtel_word *word, uint64_t value)
{
    if (!is_logging)
        return;
    assert_true(entry_count < STORES);
    entries[entry_count++] = (struct entry){ (kvtel_word *)(uintptr_t)word, kvtel_word_load(word), value };
}

/* A store whose lane is about to fold: the next call of `record` fills a block. */
struct scene {
    char dir[32];
    struct kvtel_store *store;
    struct kvtel_recorder *recorder;
    const struct kvtel_operation *operation;
    struct kvtel_lane *lane;
    uint32_t series;
    uint64_t rows;
};

static void set_up(struct scene *scene, const char *connector, bool windows)
{
    strcpy(scene->dir, "/dev/shm/kvtel-prefix-XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    scene->store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = scene->dir, .lane_bytes = 1 << 20, .max_lanes = 2));
    assert_non_null(kvtel_store_path(scene->store));
    scene->recorder = kvtel_recorder_create(scene->store, kvtel_connector_find(connector),
                                            KVTEL_RECORDER_OPTIONS(.windows = windows));
    assert_int_equal(kvtel_lane_open(scene->store, &scene->lane), KVTEL_OK);
    scene->rows = 0;
}

static void tear_down(struct scene *scene)
{
    kvtel_lane_close(scene->lane);
    assert_int_equal(unlink(kvtel_store_path(scene->store)), 0);
    kvtel_recorder_destroy(scene->recorder);
    kvtel_store_close(scene->store);
    assert_int_equal(rmdir(scene->dir), 0);
}

/* -- Rows -- */

/* Numbers on explicit bounds, beside them, and between them. */
static const uint64_t times[] = { 5000000, 5000001, 4999999, 1000000, 1234567, 25000000, 24999999, 7, 3000000000 };
static const uint64_t sizes[] = { 262144, 262145, 10485760, 10485761, 2048, 1, 1000000, 1ull << 33 };

static struct kvtel_transfer transfer_of(uint64_t row)
{
    return (struct kvtel_transfer){ .duration_ns = times[row % 9],
                                    .post_ns = times[row * 5 % 7],
                                    .bytes = sizes[row % 8],
                                    .descriptors = 1 + row * row % 30,
                                    .failed = row % 3 };
}

static void record_integers(struct scene *scene)
{
    const struct kvtel_transfer transfer = transfer_of(scene->rows++);
    assert_true(kvtel_lane_record(scene->lane, scene->operation, &transfer));
}

/* Numbers that are not measured, and numbers that are too large for integers of a row. */
static void record_mixed(struct scene *scene)
{
    struct kvtel_transfer transfer = transfer_of(scene->rows);
    transfer.post_ns = scene->rows % 3 == 0 ? 0 : transfer.post_ns;
    transfer.bytes = scene->rows % 5 == 0 ? (UINT64_C(1) << 52) + scene->rows : transfer.bytes;
    transfer.descriptors = 0;
    scene->rows++;
    assert_true(kvtel_lane_record(scene->lane, scene->operation, &transfer));
}

/* Integers, and numbers that are not measured. */
static void record_absent(struct scene *scene)
{
    struct kvtel_transfer transfer = transfer_of(scene->rows);
    transfer.post_ns = scene->rows % 3 == 0 ? 0 : transfer.post_ns;
    transfer.descriptors = scene->rows % 7 < 3 ? KVTEL_UNMEASURED : transfer.descriptors;
    scene->rows++;
    assert_true(kvtel_lane_record(scene->lane, scene->operation, &transfer));
}

/* Points in time, of which the first byte is not always known. */
static void record_points(struct scene *scene)
{
    struct kvtel_transfer transfer = transfer_of(scene->rows);
    transfer.submitted_ns = 1000000000;
    transfer.done_ns = scene->rows % 11 == 0 ? 0 : transfer.submitted_ns + transfer.duration_ns;
    transfer.first_byte_ns = scene->rows % 2 == 0 ? 0 : transfer.submitted_ns + transfer.duration_ns / 4;
    transfer.duration_ns = scene->rows % 5 == 0 ? 0 : transfer.duration_ns;
    scene->rows++;
    assert_true(kvtel_lane_record(scene->lane, scene->operation, &transfer));
}

static const double bounds[] = { 0, 0.001, 0.005, 0.0050001, 0.25, 1, 1e30 };

static void record_doubles(struct scene *scene)
{
    const uint64_t row = scene->rows++;
    const double value = row % 4 == 0   ? bounds[row % 6]
                         : row % 4 == 1 ? nextafter(bounds[row % 6], 2)
                                        : 1.7e-5 * (double)row;
    assert_int_equal(kvtel_lane_observe(scene->lane, scene->series, &value, 1), 1);
}

static void begin_nixl(struct scene *scene)
{
    set_up(scene, "NixlConnector", false);
    scene->operation = kvtel_recorder_operation(scene->recorder, NULL, NULL);
}

static void begin_windows(struct scene *scene)
{
    set_up(scene, "NixlConnector", true);
    scene->operation = kvtel_recorder_operation(scene->recorder, NULL, NULL);
}

static void begin_keys(struct scene *scene)
{
    set_up(scene, "MooncakeStoreConnector", false);
    scene->operation = kvtel_recorder_operation(scene->recorder, "save_put", "ok");
}

static void begin_doubles(struct scene *scene)
{
    set_up(scene, "NixlConnector", false);
    const struct kvtel_family_spec spec = { .name = "own",
                                            .type = KVTEL_HISTOGRAM,
                                            .help = "Help.",
                                            .unit = KVTEL_UNIT_SECONDS,
                                            .buckets = &(const struct kvtel_buckets){ .bounds = bounds, .count = 7 } };
    uint32_t family;
    assert_int_equal(kvtel_store_family(scene->store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(scene->store, family, NULL, 0, &scene->series), KVTEL_OK);
}

static const struct {
    const char *name;
    void (*begin)(struct scene *scene);
    void (*record)(struct scene *scene);
    unsigned folds; /* before the one that is cut */
} cases[] = {
    { "integers", begin_nixl, record_integers, 0 },    { "more-integers", begin_nixl, record_integers, 1 },
    { "mixed", begin_nixl, record_mixed, 1 },          { "absent", begin_nixl, record_absent, 1 },
    { "windows", begin_windows, record_points, 1 },    { "counters", begin_keys, record_integers, 1 },
    { "mixed-counters", begin_keys, record_mixed, 2 }, { "doubles", begin_doubles, record_doubles, 1 },
};

/* -- Comparing -- */

static struct kvtel_snapshot *read_now(const struct scene *scene)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_store_reader *reader;
    assert_int_equal(kvtel_store_reader_open(kvtel_store_path(scene->store), &reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
    kvtel_store_reader_close(reader);
    return snapshot;
}

static uint64_t bin_at(const struct kvtel_snapshot_series *series, uint32_t bin)
{
    return bin >= series->first_bin && bin < series->first_bin + series->bin_count
               ? series->bins[bin - series->first_bin]
               : 0;
}

static void assert_near(double value, double other)
{
    assert_true(fabs(value - other) <= 1e-12 * fabs(other));
}

static void assert_same(const struct kvtel_snapshot *snapshot, const struct kvtel_snapshot *expected)
{
    const size_t families = kvtel_snapshot_family_count(expected);
    assert_int_equal(kvtel_snapshot_family_count(snapshot), families);
    for (size_t i = 0; i < families; i++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, i),
                                           *other = kvtel_snapshot_family(expected, i);
        assert_int_equal(family->series_count, other->series_count);
        for (size_t k = 0; k < family->series_count; k++) {
            assert_near(family->series[k].value, other->series[k].value);
            assert_near(family->series[k].sum, other->series[k].sum);
            assert_int_equal(family->series[k].count, other->series[k].count);
            for (uint32_t bin = 0; bin <= family->bound_count; bin++)
                if (bin_at(&family->series[k], bin) != bin_at(&other->series[k], bin))
                    fail_msg("%s: bin %u", family->name, bin);
        }
    }
}

static void check_now(const struct scene *scene, const struct kvtel_snapshot *expected)
{
    struct kvtel_snapshot *snapshot = read_now(scene);
    assert_same(snapshot, expected);
    kvtel_snapshot_destroy(snapshot);
}

/* -- Prefixes -- */

static void rewind_to(size_t from, size_t to)
{
    for (size_t i = from; i > to; i--)
        kvtel_word_store(entries[i - 1].word, entries[i - 1].old);
}

static void replay_to(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        kvtel_word_store(entries[i].word, entries[i].value);
}

/* The next owner of the lane finishes the fold, and its own rows count, too. */
static void check_next_owner(struct scene *scene, const struct kvtel_snapshot *expected, size_t prefix)
{
    const size_t had = entry_count;
    is_logging = true;
    kvtel_lane_close(scene->lane);
    assert_int_equal(kvtel_lane_open(scene->store, &scene->lane), KVTEL_OK);
    is_logging = false;
    check_now(scene, expected);
    rewind_to(entry_count, had);
    entry_count = had;
    (void)prefix;
}

static void write_case(const struct scene *scene, const char *name)
{
    char path[512];
    char block[1 << 16];
    size_t size;
    (void)snprintf(path, sizeof(path), "%s/%s.store", out_dir, name);
    FILE *from = fopen(kvtel_store_path(scene->store), "rb"), *to = fopen(path, "wb");
    assert_true(from && to);
    while ((size = fread(block, 1, sizeof(block), from)) > 0)
        assert_int_equal(fwrite(block, 1, size, to), size);
    (void)fclose(from);
    assert_int_equal(fclose(to), 0);
    (void)snprintf(path, sizeof(path), "%s/%s.stores", out_dir, name);
    assert_non_null(to = fopen(path, "wb"));
    for (size_t i = 0; i < entry_count; i++) {
        const uint64_t at = scene->store->header->lanes_at + (uint64_t)((const char *)(uintptr_t)entries[i].word -
                                                                        (const char *)(uintptr_t)scene->lane->words);
        const uint64_t pair[] = { at, entries[i].value };
        assert_int_equal(fwrite(pair, sizeof(pair), 1, to), 1);
    }
    assert_int_equal(fclose(to), 0);
}

static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene scene;
        cases[i].begin(&scene);
        for (unsigned row = 1; row < (cases[i].folds + 1) * KVTEL_BLOCK_ROWS; row++)
            cases[i].record(&scene);
        entry_count = 0;
        is_logging = true;
        cases[i].record(&scene);
        is_logging = false;
        assert_true(entry_count > 0);
        struct kvtel_snapshot *expected = read_now(&scene);
        rewind_to(entry_count, 0);
        if (out_dir)
            write_case(&scene, cases[i].name);
        for (size_t prefix = 0; prefix <= entry_count && !out_dir; prefix++) {
            check_now(&scene, expected);
            if (prefix % FINISH_EVERY == 0)
                check_next_owner(&scene, expected, prefix);
            if (prefix < entry_count)
                replay_to(prefix, prefix + 1);
        }
        replay_to(0, out_dir ? entry_count : 0);
        kvtel_snapshot_destroy(expected);
        tear_down(&scene);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_prefixes) };
    out_dir = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
