/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars: their labels, the newest of each bucket, and that no reader sees a part of one. src/record/exemplar.c is
 * compiled into this test with KVTEL_FOLD_LOG, so that it calls kvtel_fold_log() for each store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/reader.h>
#include <kvtel/recorder.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/series.h"
#include "record/lane.h"
#include "record/recorder.h"
#include "support/stores.h"

#define TRANSFER "vllm:nixl_xfer_time_seconds"
#define TRACEPARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

enum { STORES = 256 };
static struct entry {
    kvtel_word *word;
    uint64_t old, value;
} entries[STORES];
static size_t entry_count;
static bool is_logging;

void kvtel_fold_log(const kvtel_word *word, uint64_t value);
void kvtel_fold_log(const kvtel_word *word, uint64_t value)
{
    unsigned char bytes[sizeof(value)];
    if (!is_logging)
        return;
    memcpy(bytes, &value, sizeof(value));
    assert_false(bytes[6] == 0xFF && bytes[7] == 0xFF); /* what record() leaves behind the labels */
    assert_true(entry_count < STORES);
    entries[entry_count++] = (struct entry){ (kvtel_word *)(uintptr_t)word, kvtel_word_load(word), value };
}

/* A store in a file, whose recorder has places for exemplars. */
struct scene {
    char dir[40];
    struct kvtel_store *store;
    struct kvtel_recorder *recorder;
    const struct kvtel_operation *operation;
};

static void set_up(struct scene *scene)
{
    strcpy(scene->dir, "/dev/shm/kvtel-exemplars-XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    scene->store = kvtel_store_open(KVTEL_STORE_OPTIONS(.model_name = "m", .dir = scene->dir, .lane_bytes = 1 << 20));
    assert_non_null(kvtel_store_path(scene->store));
    scene->recorder = kvtel_recorder_create(scene->store, kvtel_connector_find("NixlConnector"),
                                            KVTEL_RECORDER_OPTIONS(.exemplars = true));
    assert_non_null(scene->operation = kvtel_recorder_operation(scene->recorder, NULL, NULL));
}

static void tear_down(struct scene *scene)
{
    assert_int_equal(unlink(kvtel_store_path(scene->store)), 0);
    kvtel_recorder_destroy(scene->recorder);
    kvtel_store_close(scene->store);
    assert_int_equal(rmdir(scene->dir), 0);
}

static void record(const struct scene *scene, uint64_t duration_ns, uint64_t time_ns, const char *request)
{
    struct kvtel_exemplar exemplar = { .time_ns = time_ns };
    memset(exemplar.text, 0xFF, sizeof(exemplar.text));
    assert_true(kvtel_exemplar_add(&exemplar, "request_id", request));
    assert_true(kvtel_record_exemplar(
        scene->operation, &(const struct kvtel_transfer){ .duration_ns = duration_ns, .bytes = 4096 }, &exemplar));
}

static struct kvtel_snapshot *read_now(const struct scene *scene)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_store_reader *reader;
    assert_int_equal(kvtel_store_reader_open(kvtel_store_path(scene->store), &reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
    kvtel_store_reader_close(reader);
    return snapshot;
}

/* The exemplar of the bucket in which the value is. */
static const struct kvtel_snapshot_exemplar *exemplar_at(const struct kvtel_snapshot *snapshot, double value)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, TRANSFER);
    size_t i = 0;
    while (kvtel_snapshot_bound(family, i) < value)
        i++;
    return kvtel_snapshot_exemplar(family, kvtel_snapshot_series(family, 0), i);
}

static void check(const struct kvtel_snapshot *snapshot, double value, uint64_t time_ns, const char *request)
{
    const struct kvtel_snapshot_exemplar *exemplar = exemplar_at(snapshot, value);
    assert_non_null(exemplar);
    assert_true(kvtel_snapshot_exemplar_value(exemplar) == value);
    assert_int_equal(kvtel_snapshot_exemplar_time_ns(exemplar), time_ns);
    assert_int_equal(kvtel_snapshot_exemplar_label_count(exemplar), 1);
    assert_string_equal(kvtel_snapshot_exemplar_label_name(exemplar, 0), "request_id");
    assert_string_equal(kvtel_snapshot_exemplar_label(exemplar, 0), request);
    assert_null(kvtel_snapshot_exemplar_label_name(exemplar, 1));
    assert_null(kvtel_snapshot_exemplar_label(exemplar, SIZE_MAX));
}

/* -- Labels -- */

static void test_labels(void **state)
{
    (void)state;
    static const char *const names[] = { "", "1a", "a-b", "a:b", "a b", "\xC3\xA9" };
    char text[256];
    struct kvtel_exemplar exemplar = { 0 };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_false(kvtel_exemplar_add(&exemplar, names[i], "v"));
    assert_false(kvtel_exemplar_add(&exemplar, "a", "\xFF"));
    assert_false(kvtel_exemplar_add(&exemplar, NULL, "v"));
    assert_false(kvtel_exemplar_add(&exemplar, "a", NULL));
    assert_false(kvtel_exemplar_add(NULL, "a", "v"));
    assert_int_equal(exemplar.size, 0);
    assert_true(kvtel_exemplar_add(&exemplar, "a", ""));
    assert_false(kvtel_exemplar_add(&exemplar, "a", "twice"));
    memset(text, 'x', sizeof(text));
    text[127] = '\0'; /* 1 + 126 + 1 + 127 */
    assert_false(kvtel_exemplar_add(&exemplar, "b", text));
    text[126] = '\0';
    assert_true(kvtel_exemplar_add(&exemplar, "b", text)); /* 128 characters */
    assert_false(kvtel_exemplar_add(&exemplar, "c", ""));
    /* characters count, not bytes, as long as the bytes fit */
    exemplar = (struct kvtel_exemplar){ 0 };
    for (size_t i = 0; i < 80; i++)
        memcpy(text + 2 * i, "\xC3\xA9", 3);
    assert_true(kvtel_exemplar_add(&exemplar, "e", text));
    assert_int_equal(exemplar.size, 163);
    assert_false(kvtel_exemplar_add(&exemplar, "f", "1234"));
    assert_true(kvtel_exemplar_add(&exemplar, "f", "12"));
    exemplar.size = UINT32_MAX; /* not what the library left */
    assert_false(kvtel_exemplar_add(&exemplar, "g", ""));
}

static void test_traceparent(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473--00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
    };
    struct kvtel_exemplar exemplar = { 0 };
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
        assert_false(kvtel_exemplar_add_traceparent(&exemplar, malformed[i]));
    assert_false(kvtel_exemplar_add_traceparent(&exemplar, NULL));
    assert_false(kvtel_exemplar_add_traceparent(NULL, TRACEPARENT));
    assert_int_equal(exemplar.size, 0);
    static const char expected[] = "trace_id\0"
                                   "4bf92f3577b34da6a3ce929d0e0e4736\0"
                                   "span_id\0"
                                   "00f067aa0ba902b7";
    assert_true(kvtel_exemplar_add_traceparent(&exemplar, TRACEPARENT));
    assert_int_equal(exemplar.size, sizeof(expected));
    assert_memory_equal(exemplar.text, expected, sizeof(expected));
    assert_false(kvtel_exemplar_add_traceparent(&exemplar, TRACEPARENT)); /* the names are there */
    /* a later version may say more */
    exemplar = (struct kvtel_exemplar){ 0 };
    assert_true(kvtel_exemplar_add_traceparent(&exemplar, "cc"
                                                          "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x"));
    /* both labels or none */
    exemplar = (struct kvtel_exemplar){ 0 };
    assert_true(kvtel_exemplar_add(&exemplar, "span_id", "other"));
    assert_false(kvtel_exemplar_add_traceparent(&exemplar, TRACEPARENT));
    assert_int_equal(exemplar.size, sizeof("span_id") + sizeof("other"));
}

/* -- Recording and reading -- */

static void test_the_newest_of_each_bucket(void **state)
{
    (void)state;
    struct scene scene;
    set_up(&scene);
    struct kvtel_snapshot *snapshot = read_now(&scene);
    assert_null(exemplar_at(snapshot, 0.006));
    kvtel_snapshot_destroy(snapshot);
    record(&scene, 6000000, 100, "first");
    record(&scene, 7000000, 200, "second"); /* the same bucket */
    record(&scene, 300000000, 150, "slow");
    record(&scene, UINT64_C(3600) * 1000000000u, 50, "past the last bound");
    snapshot = read_now(&scene);
    check(snapshot, 0.007, 200, "second");
    check(snapshot, 0.3, 150, "slow");
    check(snapshot, 3600, 50, "past the last bound");
    check_sum(snapshot, TRANSFER, "", 4, 3600.313);
    kvtel_snapshot_destroy(snapshot);
    tear_down(&scene);
}

/* A transfer that is refused leaves none; one without labels, and one without places, count as others do. */
static void test_what_leaves_none(void **state)
{
    (void)state;
    struct scene scene;
    set_up(&scene);
    const struct kvtel_exemplar exemplar = { .time_ns = 1 };
    struct kvtel_transfer transfer = { .duration_ns = KVTEL_TRANSFER_LIMIT, .bytes = 1 };
    assert_false(kvtel_record_exemplar(scene.operation, &transfer, &exemplar));
    assert_false(kvtel_record_exemplar(NULL, &transfer, &exemplar));
    transfer.duration_ns = KVTEL_UNMEASURED;
    assert_true(kvtel_record_exemplar(scene.operation, &transfer, &exemplar));
    transfer.duration_ns = 6000000;
    assert_true(kvtel_record_exemplar(scene.operation, &transfer, NULL));
    struct kvtel_exemplar too_long = { .time_ns = 1, .size = KVTEL_EXEMPLAR_TEXT + 1 };
    assert_true(kvtel_record_exemplar(scene.operation, &transfer, &too_long));
    struct kvtel_snapshot *snapshot = read_now(&scene);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, TRANSFER);
    for (size_t i = 0; i <= kvtel_snapshot_bound_count(family); i++)
        assert_null(kvtel_snapshot_exemplar(family, kvtel_snapshot_series(family, 0), i));
    assert_int_equal(family->series[0].count, 2);
    kvtel_snapshot_destroy(snapshot);
    assert_true(kvtel_record_exemplar(scene.operation, &transfer, &exemplar)); /* no label is none too few */
    snapshot = read_now(&scene);
    assert_int_equal(kvtel_snapshot_exemplar_label_count(exemplar_at(snapshot, 0.006)), 0);
    kvtel_snapshot_destroy(snapshot);
    tear_down(&scene);
    /* a recorder without places */
    struct kvtel_store *store = create_store(0);
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    assert_true(kvtel_record_exemplar(kvtel_recorder_operation(recorder, NULL, NULL), &transfer, &exemplar));
    snapshot = snapshot_of(store);
    assert_null(exemplar_at(snapshot, 0.006));
    check_sum(snapshot, TRANSFER, "", 1, 0.006);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

/* Whichever connector, its transfers leave exemplars where it has a histogram of them. */
static void test_each_connector(void **state)
{
    (void)state;
    static const struct {
        const char *connector, *operation;
    } rows[] = {
        { "MooncakeConnector", NULL },
        { "MooncakeStoreConnector", "save_put" },
        { "HF3FSKVConnector", "save" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kvtel_store *store = create_store(0);
        struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find(rows[i].connector),
                                                                KVTEL_RECORDER_OPTIONS(.exemplars = true));
        const struct kvtel_exemplar exemplar = { .time_ns = 1 };
        const struct kvtel_transfer transfer = { .duration_ns = 6000000, .bytes = 1 };
        assert_true(
            kvtel_record_exemplar(kvtel_recorder_operation(recorder, rows[i].operation, NULL), &transfer, &exemplar));
        struct kvtel_snapshot *snapshot = snapshot_of(store);
        size_t found = 0;
        for (size_t f = 0; f < kvtel_snapshot_family_count(snapshot); f++) {
            const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, f);
            for (size_t s = 0; s < family->series_count; s++)
                for (size_t b = 0; b <= family->explicit_count; b++)
                    found += kvtel_snapshot_exemplar(family, &family->series[s], b) != NULL;
        }
        if (found != 1)
            fail_msg("%s: %zu", rows[i].connector, found);
        kvtel_snapshot_destroy(snapshot);
        kvtel_recorder_destroy(recorder);
        kvtel_store_close(store);
    }
}

static void *record_in_a_thread(void *context)
{
    record(context, 6000000, 300, "other thread");
    record(context, 7000000, 90, "older");
    return NULL;
}

static void test_lanes_and_stores_are_merged(void **state)
{
    (void)state;
    struct scene one, other;
    pthread_t thread;
    set_up(&one);
    set_up(&other);
    record(&one, 7000000, 200, "this thread");
    record(&one, 300000000, 150, "slow");
    assert_int_equal(pthread_create(&thread, NULL, record_in_a_thread, &one), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    record(&other, 310000000, 149, "slow, but older");
    record(&other, 20000, 10, "of the other store");
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    const struct scene *const scenes[] = { &other, &one };
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(kvtel_snapshot_add(snapshot, scenes[i]->store), KVTEL_OK);
    check(snapshot, 0.3, 150, "slow");
    check(snapshot, 0.00002, 10, "of the other store");
    check(snapshot, 0.007, 200, "this thread"); /* the other lane's newest of this bucket is older */
    kvtel_snapshot_destroy(snapshot);
    tear_down(&one);
    tear_down(&other);
}

/* -- No part of one -- */

static void set_words(size_t count, bool old)
{
    for (size_t i = 0; i < count; i++)
        kvtel_word_store(entries[i].word, old ? entries[i].old : entries[i].value);
}

/* A writer that is killed leaves a prefix of the stores. After each of them the old exemplar or the new one is there.
 */
static void test_each_prefix_of_the_stores(void **state)
{
    (void)state;
    struct scene scene;
    set_up(&scene);
    record(&scene, 6000000, 100, "the first, which has a long label");
    record(&scene, 6500000, 200, "the second, which has a long label as well");
    entry_count = 0;
    is_logging = true;
    record(&scene, 7000000, 300, "the third, in place of the first");
    is_logging = false;
    assert_true(entry_count > 6);
    for (size_t prefix = 0; prefix <= entry_count; prefix++) {
        set_words(entry_count, true);
        set_words(prefix, false);
        struct kvtel_snapshot *snapshot = read_now(&scene);
        if (prefix < entry_count)
            check(snapshot, 0.0065, 200, "the second, which has a long label as well");
        else
            check(snapshot, 0.007, 300, "the third, in place of the first");
        kvtel_snapshot_destroy(snapshot);
    }
    tear_down(&scene);
}

struct race {
    struct scene scene;
    _Atomic bool ends;
};

/* Each exemplar's label says its value. */
static void *write_on(void *context)
{
    struct race *race = context;
    for (uint64_t n = 1; !atomic_load(&race->ends); n++) {
        const uint64_t duration = 5000001 + n % 1000;
        char text[64];
        (void)snprintf(text, sizeof(text), "%llu %0*llu", (unsigned long long)duration, (int)(n % 40),
                       (unsigned long long)n);
        record(&race->scene, duration, n, text);
    }
    return NULL;
}

static void test_a_reader_beside_a_writer(void **state)
{
    (void)state;
    enum { ROUNDS = 500 };
    static struct race race;
    pthread_t thread;
    set_up(&race.scene);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &race), 0);
    struct kvtel_store_reader *reader;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_store_reader_open(kvtel_store_path(race.scene.store), &reader, NULL), KVTEL_OK);
    uint64_t last[2] = { 0 }; /* of each way; the way by the file keeps what it had where the writer was faster */
    for (int round = 0; round < ROUNDS; round++) {
        kvtel_snapshot_reset(snapshot);
        /* by the file, and in this process */
        assert_int_equal(round % 2 ? kvtel_snapshot_add(snapshot, race.scene.store)
                                   : kvtel_snapshot_add_reader(snapshot, reader, NULL),
                         KVTEL_OK);
        const struct kvtel_snapshot_exemplar *exemplar = exemplar_at(snapshot, 0.0055);
        if (!exemplar) /* the writer was faster, each time */
            continue;
        const char *text = kvtel_snapshot_exemplar_label(exemplar, 0);
        char *end;
        const uint64_t duration = strtoull(text, &end, 10), n = strtoull(end, NULL, 10);
        assert_true(kvtel_snapshot_exemplar_value(exemplar) == (double)duration / 1e9);
        assert_int_equal(kvtel_snapshot_exemplar_time_ns(exemplar), n);
        assert_true(n >= last[round % 2]);
        last[round % 2] = n;
    }
    atomic_store(&race.ends, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    kvtel_store_reader_close(reader);
    kvtel_snapshot_destroy(snapshot);
    tear_down(&race.scene);
}

/* -- What no writer leaves behind -- */

static void test_hostile_words(void **state)
{
    (void)state;
    struct scene scene;
    set_up(&scene);
    record(&scene, 6000000, 100, "good");
    struct kvtel_lane *lane = scene.store->lanes[0];
    const struct kvtel_exemplar_places *places = &scene.operation->exemplars;
    const uint32_t buckets = places->bins->explicit_count + 1;
    uint32_t bucket = 0;
    while (kvtel_word_load(lane->words + places->at + bucket) == 0)
        bucket++;
    kvtel_word *half =
        lane->words + places->at + kvtel_exemplar_place(buckets, bucket) + KVTEL_EXEMPLAR_HALF_WORDS; /* number 1 */
    uint64_t good[KVTEL_EXEMPLAR_HALF_WORDS];
    for (size_t i = 0; i < KVTEL_EXEMPLAR_HALF_WORDS; i++)
        good[i] = kvtel_word_load(&half[i]);
    static const struct {
        size_t word;
        uint64_t value;
    } rows[] = {
        { KVTEL_EXEMPLAR_VALUE, 0x7ff8000000000000 }, /* NaN */
        { KVTEL_EXEMPLAR_VALUE, 0xbff0000000000000 }, /* -1 */
        { KVTEL_EXEMPLAR_VALUE, 0x3ff0000000000000 }, /* 1: of another bucket */
        { KVTEL_EXEMPLAR_VALUE, 0 },
        { KVTEL_EXEMPLAR_TIME, 0 },
        { KVTEL_EXEMPLAR_TIME, UINT64_MAX },
        { KVTEL_EXEMPLAR_SIZE, KVTEL_EXEMPLAR_TEXT + 1 },
        { KVTEL_EXEMPLAR_SIZE, UINT64_MAX },
        { KVTEL_EXEMPLAR_SIZE, 1 },
        { KVTEL_EXEMPLAR_SIZE, sizeof("request_id") },
        { KVTEL_EXEMPLAR_SIZE, sizeof("request_id") + 2 },
        { KVTEL_EXEMPLAR_LABELS, 0 },
        { KVTEL_EXEMPLAR_LABELS, UINT64_MAX },
        { KVTEL_EXEMPLAR_LABELS + 1, 0xff006c6967006469 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kvtel_word_store(&half[rows[i].word], rows[i].value);
        struct kvtel_snapshot *snapshot = read_now(&scene);
        if (exemplar_at(snapshot, 0.006))
            fail_msg("row %zu", i);
        check_sum(snapshot, TRANSFER, "", 1, 0.006);
        kvtel_snapshot_destroy(snapshot);
        kvtel_word_store(&half[rows[i].word], good[rows[i].word]);
    }
    struct kvtel_snapshot *snapshot = read_now(&scene);
    check(snapshot, 0.006, 100, "good");
    kvtel_snapshot_destroy(snapshot);
    /* places outside of the lane, or of a series that has none */
    struct kvtel_layout_series *record = kvtel_store_table(scene.store, KVTEL_SERIES);
    while (record->exemplars_at == 0)
        record++;
    const uint64_t at = record->exemplars_at;
    static const uint64_t outside[] = { 1, UINT64_MAX, (1 << 20) / 8 - 10 };
    for (size_t i = 0; i < 3; i++) {
        struct kvtel_store_reader *reader;
        struct kvtel_snapshot *none = kvtel_snapshot_create();
        record->exemplars_at = outside[i];
        assert_int_equal(kvtel_store_reader_open(kvtel_store_path(scene.store), &reader, NULL), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_add_reader(none, reader, NULL), KVTEL_E_FORMAT);
        kvtel_store_reader_close(reader);
        kvtel_snapshot_destroy(none);
    }
    record->exemplars_at = at;
    tear_down(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_traceparent),
        cmocka_unit_test(test_the_newest_of_each_bucket),
        cmocka_unit_test(test_what_leaves_none),
        cmocka_unit_test(test_each_connector),
        cmocka_unit_test(test_lanes_and_stores_are_merged),
        cmocka_unit_test(test_each_prefix_of_the_stores),
        cmocka_unit_test(test_a_reader_beside_a_writer),
        cmocka_unit_test(test_hostile_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
