/* SPDX-License-Identifier: Apache-2.0 */
/* The first moment from which a series' numbers are complete: that of its oldest store, kept by totals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/snapshot.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "collect/series.h"
#include "collect/snapshot.h"
#include "record/store.h"
#include "totals/layout.h"
#include "totals/totals.h"

static const struct kvtel_family_spec counter = { .name = "c", .type = KVTEL_COUNTER, .help = "Help." };
static const uint64_t long_ago = 1000000000u;

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t make_series(struct kvtel_store *store)
{
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &counter, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, NULL, 0, &series), KVTEL_OK);
    return series;
}

/* A store with one series that began then. */
static struct kvtel_store *store_since(uint64_t started)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    assert_non_null(store);
    struct kvtel_layout_series *record = kvtel_store_table(store, KVTEL_SERIES);
    record[make_series(store)].started_realtime_ns = started;
    return store;
}

static uint64_t shown_start(const struct kvtel_snapshot *snapshot)
{
    struct kvtel_reading reading;
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "c");
    assert_non_null(family);
    assert_int_equal(kvtel_snapshot_series_count(family), 1);
    kvtel_snapshot_read(kvtel_snapshot_series(family, 0), &reading);
    return reading.started_ns;
}

/* The start that a snapshot of series that began then shows. */
static uint64_t merged(const uint64_t *starts, size_t count)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (size_t i = 0; i < count; i++) {
        struct kvtel_store *store = store_since(starts[i]);
        assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
        kvtel_store_close(store);
    }
    const uint64_t start = shown_start(snapshot);
    kvtel_snapshot_destroy(snapshot);
    return start;
}

static void test_the_oldest_counts(void **state)
{
    (void)state;
    const uint64_t future = now_ns() + UINT64_C(3600) * 1000000000u;
    assert_int_equal(merged((const uint64_t[]){ long_ago }, 1), long_ago);
    assert_int_equal(merged((const uint64_t[]){ long_ago + 2, long_ago, long_ago + 1 }, 3), long_ago);
    /* with a part that is not known, all is not known */
    assert_int_equal(merged((const uint64_t[]){ long_ago, 0 }, 2), 0);
    assert_int_equal(merged((const uint64_t[]){ future, long_ago }, 2), 0);
    assert_int_equal(merged((const uint64_t[]){ UINT64_MAX }, 1), 0);
}

static void test_a_series_begins_when_it_is_made(void **state)
{
    (void)state;
    const uint64_t before = now_ns();
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_reading reading;
    const uint32_t series = make_series(store);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    const uint64_t first = shown_start(snapshot);
    assert_true(before <= first && first <= now_ns());
    assert_int_equal(kvtel_store_read(store, "c", NULL, 0, &reading), KVTEL_OK);
    assert_int_equal(reading.started_ns, first);
    /* one that was removed and made again begins anew */
    assert_int_equal(kvtel_store_series_remove(store, series), KVTEL_OK);
    const uint64_t between = now_ns();
    (void)make_series(store);
    kvtel_snapshot_reset(snapshot);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    assert_true(shown_start(snapshot) >= between);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

static struct kvtel_buffer totals_since(uint64_t started)
{
    struct kvtel_store *store = store_since(started);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    const struct totals_contents contents = { .snapshot = snapshot };
    struct kvtel_buffer bytes = { 0 };
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    assert_int_equal(totals_encode(&contents, NULL, &bytes, NULL), KVTEL_OK);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
    return bytes;
}

/* The start that totals and a store that began later show together. */
static uint64_t with_totals(struct kvtel_buffer *bytes)
{
    struct totals totals;
    struct kvtel_store *store = store_since(long_ago + 7);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(totals_decode(bytes, &totals, NULL), KVTEL_OK);
    assert_int_equal(totals_add_to(&totals, snapshot), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    const uint64_t start = shown_start(snapshot);
    totals_free(&totals);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
    return start;
}

static void test_totals_keep_it(void **state)
{
    (void)state;
    struct kvtel_buffer bytes = totals_since(long_ago);
    assert_int_equal(with_totals(&bytes), long_ago);
    bytes = totals_since(0);
    assert_int_equal(with_totals(&bytes), 0);
}

/* Totals of version 2 lack the time. They are read, and their series have an unknown start. */
static void test_totals_of_version_2(void **state)
{
    (void)state;
    struct kvtel_buffer bytes = totals_since(long_ago);
    /* header; family; the texts c, Help.; size of the series' text; then the time, which version 2 does not have */
    const size_t at = sizeof(struct totals_header) + sizeof(struct totals_family) + sizeof("c") + sizeof("Help.") + 4;
    uint64_t started;
    memcpy(&started, bytes.bytes + at, sizeof started);
    assert_int_equal(started, long_ago);
    bytes.size -= sizeof started;
    memmove(bytes.bytes + at, bytes.bytes + at + sizeof started, bytes.size - at);
    struct totals_header header;
    memcpy(&header, bytes.bytes, sizeof header);
    header.version = 2;
    header.size = bytes.size;
    memcpy(bytes.bytes, &header, sizeof header);
    const size_t checked = bytes.size - sizeof(uint32_t);
    const uint32_t checksum = (uint32_t)crc32_z(0, (const unsigned char *)bytes.bytes, checked);
    memcpy(bytes.bytes + checked, &checksum, sizeof checksum);
    assert_int_equal(with_totals(&bytes), 0);
}

/* Label sets that were summed up began with the oldest of them. */
static void test_label_sets_that_were_summed_up(void **state)
{
    (void)state;
    static const char *const labelnames[] = { "engine" };
    const struct kvtel_family_spec spec = {
        .name = "e", .type = KVTEL_COUNTER, .help = "", .labelnames = labelnames, .label_count = 1
    };
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create(), *again = kvtel_snapshot_create();
    struct kvtel_layout_series *record = kvtel_store_table(store, KVTEL_SERIES);
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    for (unsigned i = 0; i < 4; i++) {
        char text[2] = { (char)('0' + i), '\0' };
        const char *const values[] = { text };
        assert_int_equal(kvtel_store_series(store, family, values, 1, &series), KVTEL_OK);
        record[series].started_realtime_ns = long_ago + (i == 2 ? 5 : 10 * (uint64_t)i);
    }
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    struct kvtel_buffer bytes = { 0 };
    struct totals totals;
    assert_int_equal(
        totals_encode(&(const struct totals_contents){ .snapshot = snapshot, .limit = 1 }, NULL, &bytes, NULL),
        KVTEL_OK);
    assert_int_equal(totals_decode(&bytes, &totals, NULL), KVTEL_OK);
    assert_int_equal(totals_add_to(&totals, again), KVTEL_OK);
    const struct kvtel_snapshot_family *shown = kvtel_snapshot_find(again, "e");
    assert_int_equal(shown->series_count, 2);
    assert_int_equal(shown->series[0].started, long_ago);
    assert_int_equal(shown->series[1].started, long_ago + 5);
    totals_free(&totals);
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(again);
    kvtel_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_counts),
        cmocka_unit_test(test_a_series_begins_when_it_is_made),
        cmocka_unit_test(test_totals_keep_it),
        cmocka_unit_test(test_totals_of_version_2),
        cmocka_unit_test(test_label_sets_that_were_summed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
