/* SPDX-License-Identifier: Apache-2.0 */
/* The body of /api/v1/summary, parsed again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/recorder.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "connectors/table.h"
#include "nixl/ring.h"
#include "nixl/transfers.h"
#include "report/failure_text.h"
#include "report/summary_json.h"
#include "value/value.h"

/* A member by the path of keys and indices; fails where it is not. */
static const struct kvtel_value *at(const struct kvtel_value *value, const char *path)
{
    char copy[256], *rest = NULL;
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *step = strtok_r(copy, "/", &rest); step; step = strtok_r(NULL, "/", &rest)) {
        unsigned index;
        if (value->kind == KVTEL_VALUE_ARRAY) {
            assert_int_equal(sscanf(step, "%u", &index), 1);
            assert_true(index < value->size);
            value = &value->items[index];
            continue;
        }
        value = kvtel_value_get(value, step);
        if (!value)
            fail_msg("nothing at %s", path);
    }
    return value;
}

static double number_at(const struct kvtel_value *value, const char *path)
{
    double number;
    if (!kvtel_value_number(at(value, path), &number))
        fail_msg("no number at %s", path);
    return number;
}

static void check_text(const struct kvtel_value *value, const char *path, const char *expected)
{
    assert_int_equal(at(value, path)->kind, KVTEL_VALUE_STRING);
    assert_string_equal(at(value, path)->text, expected);
}

static const struct kvtel_value *write_and_read(const struct kvtel_snapshot *snapshot,
                                                const struct summary_options *options, struct kvtel_arena *arena)
{
    struct kvtel_buffer body = { 0 };
    struct kvtel_value *value = kvtel_arena_alloc(arena, sizeof(*value));
    assert_int_equal(summary_json_write(snapshot, options, &body), KVTEL_OK);
    assert_int_equal(kvtel_value_decode(KVTEL_JSON, body.bytes, body.size, arena, value, NULL), KVTEL_OK);
    kvtel_buffer_free(&body);
    return value;
}

static void test_empty(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_arena arena = { 0 };
    const struct kvtel_value *told =
        write_and_read(snapshot, &(const struct summary_options){ .uptime_seconds = 1.5 }, &arena);
    check_text(told, "version", kvtel_version());
    assert_true(number_at(told, "time") > 1.7e9);
    assert_true(number_at(told, "uptime_seconds") == 1.5);
    assert_int_equal(at(told, "sources")->size, 0);
    assert_int_equal(at(told, "refused")->size, 0);
    assert_int_equal(at(told, "connectors")->size, 0);
    assert_true(number_at(told, "connectors_total") == 0);
    kvtel_arena_free(&arena);
    kvtel_snapshot_destroy(snapshot);
}

static void test_sources_and_refusals(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_arena arena = { 0 };
    const struct summary_source sources[] = {
        { .kind = "store",
          .name = "a.kvtel",
          .state = "live",
          .connector = "NixlConnector",
          .engine = 2,
          .rank = 3,
          .pid = 99,
          .age_seconds = 12.25 },
        { .kind = "ring", .name = "quo\"te", .state = "ignored", .reason = "a reason", .connector = "NIXL telemetry" },
    };
    struct summary_options options = { .sources = sources, .source_count = 2, .all_sources = 7 };
    options.refused[KVTEL_REFUSED_MALFORMED] = 4;
    const struct summary_writer writers[] = {
        { .connector = "NixlConnector",
          .model_name = "m",
          .engine = 2,
          .pid = 99,
          .restarts = 3,
          .unclosed = 1,
          .last_seen_seconds = 7.5 },
        { .connector = "NixlConnector", .engine = 3, .rank = 1, .pid = 98, .live = 2, .last_seen_seconds = 7.5 },
    };
    options.writers = writers;
    options.writer_count = 2;
    options.all_writers = 5;
    options.recording = 6;
    const struct summary_open_row row = {
        .connector = "c", .model_name = "m", .engine = "0", .operation = "load", .open = 3, .stalled = 1, .bytes = 12
    };
    const struct summary_open open[] = {
        { .peer = "quo\"te", .pid = 8, .bytes = -1, .age_seconds = 2, .stalled = true },
        { .operation = "load", .bytes = 5 }
    };
    options.open = &row;
    options.open_count = 1;
    options.oldest = open;
    options.oldest_count = 2;
    const struct kvtel_value *told = write_and_read(snapshot, &options, &arena);
    check_text(told, "sources/0/connector", "NixlConnector");
    assert_int_equal(at(told, "sources/0/reason")->kind, KVTEL_VALUE_NIL);
    assert_true(number_at(told, "sources/0/engine") == 2 && number_at(told, "sources/0/rank") == 3);
    assert_true(number_at(told, "sources/0/pid") == 99 && number_at(told, "sources/0/age_seconds") == 12.25);
    check_text(told, "sources/1/name", "quo\"te");
    check_text(told, "sources/1/reason", "a reason");
    assert_true(number_at(told, "sources_total") == 7);
    assert_true(number_at(told, "recording") == 6 && number_at(told, "writers_total") == 5);
    assert_int_equal(at(told, "writers")->size, 2);
    check_text(told, "writers/0/model_name", "m");
    assert_true(number_at(told, "writers/0/engine") == 2 && number_at(told, "writers/0/pid") == 99);
    assert_true(number_at(told, "writers/0/live") == 0 && number_at(told, "writers/0/restarts") == 3);
    assert_true(number_at(told, "writers/0/unclosed") == 1 && number_at(told, "writers/0/last_seen_seconds") == 7.5);
    assert_true(number_at(told, "writers/1/live") == 2 &&
                number_at(told, "writers/1/last_seen_seconds") == 0); /* now */
    check_text(told, "open/0/operation", "load");
    assert_true(number_at(told, "open/0/open") == 3 && number_at(told, "open/0/stalled") == 1);
    assert_true(number_at(told, "open/0/bytes") == 12);
    assert_int_equal(at(told, "oldest_open")->size, 2);
    check_text(told, "oldest_open/0/peer", "quo\"te");
    assert_int_equal(at(told, "oldest_open/0/bytes")->kind, KVTEL_VALUE_NIL);
    assert_true(number_at(told, "oldest_open/0/pid") == 8 && number_at(told, "oldest_open/1/bytes") == 5);
    assert_int_equal(at(told, "refused")->size, 1);
    assert_true(number_at(told, "refused/malformed") == 4);
    kvtel_arena_free(&arena);
    kvtel_snapshot_destroy(snapshot);
}

static void test_flows(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.model_name = "m", .engine = 5));
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_arena arena = { 0 };
    for (int i = 0; i < 10; i++)
        assert_true(kvtel_record_transfer(
            recorder, &(struct kvtel_transfer){ .duration_ns = 3000000, .post_ns = 1, .bytes = 1 << 20 }));
    assert_true(kvtel_record_transfer(
        recorder, &(struct kvtel_transfer){ .duration_ns = UINT64_C(10000000000000), .bytes = 1 << 20 }));
    assert_true(kvtel_record_failure(recorder, KVTEL_FAILED_EXPIRED));
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    const struct kvtel_value *told = write_and_read(snapshot, &(const struct summary_options){ 0 }, &arena);
    check_text(told, "connectors/0/connector", "NixlConnector");
    check_text(told, "connectors/0/model_name", "m");
    check_text(told, "connectors/0/engine", "5");
    check_text(told, "connectors/0/flows/0/name", "transfer");
    assert_true(number_at(told, "connectors/0/flows/0/transfers") == 11);
    assert_true(number_at(told, "connectors/0/flows/0/bytes") == 11 * 0x1p20);
    assert_true(fabs(number_at(told, "connectors/0/flows/0/seconds") - 10000.03) < 1e-6);
    assert_null(
        kvtel_value_get(at(told, "connectors/0/flows/0"), "failed")); /* failures of this connector have no flow */
    assert_true(number_at(told, "connectors/0/flows/0/time/count") == 11);
    assert_int_equal(at(told, "connectors/0/flows/0/time/bins")->size, 2);
    double bound = number_at(told, "connectors/0/flows/0/time/bins/0/0");
    assert_true(bound >= 0.003 && bound <= 0.003 * exp2(1.0 / 64));
    assert_true(number_at(told, "connectors/0/flows/0/time/bins/0/1") == 10);
    assert_int_equal(at(told, "connectors/0/flows/0/time/bins/1/0")->kind, KVTEL_VALUE_NIL); /* past the last bound */
    assert_true(number_at(told, "connectors/0/flows/0/size/bins/0/0") == 0x1p20);
    assert_true(number_at(told, "connectors/0/flows/0/size/bins/0/1") == 11);
    assert_true(number_at(told, "connectors/0/failed") == 1);
    assert_true(number_at(told, "connectors/0/failures/expired") == 1);
    check_text(told, "failure_texts/expired/0", "nobody fetched the blocks before their lease ended");
    assert_int_equal(at(told, "failure_texts/other")->size, 1);
    kvtel_arena_free(&arena);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

static void count_peer(struct kvtel_store *store, struct kvtel_lane *lane, enum kvtel_nixl_plugin_family which,
                       const char *const labels[3], double amount)
{
    const struct kvtel_family_spec *spec = &kvtel_nixl_plugin_families[which];
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, labels, spec->label_count, &series), KVTEL_OK);
    assert_true(amount == 0 || kvtel_lane_increase(lane, series, amount));
}

/* Counters of both directions and open transfers, by peer; one without numbers is not there. */
static void test_peers(void **state)
{
    (void)state;
    static const struct {
        enum kvtel_nixl_plugin_family family;
        const char *labels[3];
        double amount;
    } counted[] = {
        { KVTEL_NIXL_PEER_TRANSFERS, { "rx", "b", "completed" }, 5 },
        { KVTEL_NIXL_PEER_TRANSFERS, { "tx", "b", "completed_in_post" }, 2 },
        { KVTEL_NIXL_PEER_TRANSFERS, { "rx", "a", "completed" }, 1 },
        { KVTEL_NIXL_PEER_TRANSFERS, { "rx", "a", "failed" }, 3 },
        { KVTEL_NIXL_PEER_TRANSFERS, { "rx", "a", "released" }, 4 },
        { KVTEL_NIXL_PEER_TRANSFERS, { "rx", "other", "completed" }, 0 },
        { KVTEL_NIXL_PEER_BYTES, { "rx", "b" }, 4096 },
        { KVTEL_NIXL_PEER_BYTES, { "tx", "b" }, 100 },
    };
    static struct summary_open_peers open;
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_arena arena = { 0 };
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
        count_peer(store, lane, counted[i].family, counted[i].labels, counted[i].amount);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    summary_open_peer_note(&open, "new", 2);
    summary_open_peer_note(&open, "b", 30);
    summary_open_peer_note(&open, "b", 60);
    summary_open_peer_note(&open, "b", 1);
    summary_open_peer_note(&open, "", 99);
    const struct kvtel_value *told =
        write_and_read(snapshot, &(const struct summary_options){ .open_peers = &open }, &arena);
    assert_int_equal(at(told, "peers")->size, 3);
    assert_true(number_at(told, "peers_total") == 3);
    check_text(told, "peers/0/peer", "a"); /* failures come first */
    assert_true(number_at(told, "peers/0/transfers") == 1 && number_at(told, "peers/0/failed") == 3);
    assert_true(number_at(told, "peers/0/unseen") == 4 && number_at(told, "peers/0/open") == 0);
    check_text(told, "peers/1/peer", "b");
    assert_true(number_at(told, "peers/1/transfers") == 7 && number_at(told, "peers/1/bytes") == 4196);
    assert_true(number_at(told, "peers/1/open") == 3 && number_at(told, "peers/1/oldest_seconds") == 60);
    check_text(told, "peers/2/peer", "new");
    assert_true(number_at(told, "peers/2/transfers") == 0 && number_at(told, "peers/2/open") == 1);
    kvtel_arena_free(&arena);
    kvtel_snapshot_destroy(snapshot);
    kvtel_lane_close(lane);
    kvtel_store_close(store);
}

/* More peers than are kept and shown; names that are cut. */
static void test_many_peers(void **state)
{
    (void)state;
    static struct summary_open_peers open;
    char name[SUMMARY_PEER_NAME + 20];
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_arena arena = { 0 };
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    for (int i = 0; i < SUMMARY_PEERS + 9; i++) {
        snprintf(name, sizeof(name), "%0*d", (int)sizeof(name) - 1, i);
        name[0] = (char)('a' + i % 20); /* the rest differs behind what an open transfer's name has */
        count_peer(store, lane, KVTEL_NIXL_PEER_TRANSFERS, (const char *const[]){ "rx", name, "completed" }, i + 1);
        snprintf(name, sizeof(name), "open%d", i);
        summary_open_peer_note(&open, name, 1);
    }
    assert_int_equal(open.count, SUMMARY_PEERS);
    snprintf(open.all[0].name, sizeof(open.all[0].name), "c%0*d", SUMMARY_PEER_NAME - 2, 0);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    struct summary_peers made;
    assert_int_equal(summary_peers_init(&made, snapshot, &open), KVTEL_OK);
    assert_int_equal(made.count, 2 * SUMMARY_PEERS + 8); /* one is both */
    assert_true(made.all[0].open == 1 && made.all[0].transfers > 0 && made.all[0].name[0] == 'c');
    assert_int_equal(strlen(made.all[0].name), sizeof(name) - 1);
    summary_peers_close(&made);
    const struct kvtel_value *told = write_and_read(snapshot, &(const struct summary_options){ 0 }, &arena);
    assert_int_equal(at(told, "peers")->size, SUMMARY_PEERS);
    assert_true(number_at(told, "peers_total") == SUMMARY_PEERS + 9);
    assert_true(number_at(told, "peers/0/transfers") == SUMMARY_PEERS + 9);
    kvtel_arena_free(&arena);
    kvtel_snapshot_destroy(snapshot);
    kvtel_lane_close(lane);
    kvtel_store_close(store);
}

/* Each class of the public list has a sentence; a joint class has those of its parts; a class of one's own has none. */
static void test_failure_texts(void **state)
{
    (void)state;
    const char *texts[KVTEL_FAILURE_TEXTS];
    for (int i = 0; i < KVTEL_FAILURE_COUNT; i++)
        assert_int_equal(kvtel_failure_texts(kvtel_failure_label((enum kvtel_failure)i), texts), 1);
    for (unsigned type = KVTEL_NIXL_ERR_NOT_POSTED; type <= KVTEL_NIXL_ERR_NO_TELEMETRY; type++)
        assert_int_equal(kvtel_failure_texts(kvtel_nixl_event_name(type) + strlen("agent_err_"), texts), 1);
    assert_int_equal(kvtel_failure_texts("transfer_or_handshake", texts), 2);
    assert_string_equal(texts[0], "the transfer could not be posted, or it ended with an error");
    assert_int_equal(kvtel_failure_texts("load_or_load_or_load_or_load_or_load", texts), KVTEL_FAILURE_TEXTS);
    assert_int_equal(kvtel_failure_texts("mine_or_load", texts), 1);
    assert_int_equal(kvtel_failure_texts("mine", texts), 0);
    assert_int_equal(kvtel_failure_texts("_or_", texts), 0);
    assert_int_equal(kvtel_failure_texts("", texts), 0);
}

/* A connector of one's own. */
static void test_other_values(void **state)
{
    (void)state;
    enum { SERIES = SUMMARY_OTHERS + 5 };
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_arena arena = { 0 };
    struct kvtel_lane *lane;
    uint32_t family, series;
    const struct kvtel_family_spec spec = { .name = "my_bytes",
                                            .type = KVTEL_COUNTER,
                                            .help = "h",
                                            .labelnames = (const char *const[]){ "engine", "peer" },
                                            .label_count = 2,
                                            .unit = KVTEL_UNIT_BYTES };
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    for (int i = 0; i < SERIES; i++) {
        char peer[16];
        snprintf(peer, sizeof(peer), "peer%d", i);
        assert_int_equal(kvtel_store_series(store, family, (const char *const[]){ "4", peer }, 2, &series), KVTEL_OK);
        assert_true(kvtel_lane_increase(lane, series, 4096 + i));
    }
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    const struct kvtel_value *told = write_and_read(snapshot, &(const struct summary_options){ 0 }, &arena);
    assert_true(number_at(told, "connectors_total") == 1);
    check_text(told, "connectors/0/connector", "other metrics");
    check_text(told, "connectors/0/engine", "4");
    assert_int_equal(at(told, "connectors/0/others")->size, SUMMARY_OTHERS);
    assert_true(number_at(told, "connectors/0/others_total") == SERIES);
    check_text(told, "connectors/0/others/1/name", "my_bytes");
    check_text(told, "connectors/0/others/1/labels/0", "peer1");
    check_text(told, "connectors/0/others/1/unit", "bytes");
    assert_true(number_at(told, "connectors/0/others/1/value") == 4097);
    kvtel_arena_free(&arena);
    kvtel_snapshot_destroy(snapshot);
    kvtel_lane_close(lane);
    kvtel_store_close(store);
}

static void test_cap(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.model_name = "m"));
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_arena arena = { 0 };
    for (int i = 0; i < SUMMARY_ENTRIES + 44; i++) {
        char engine[16];
        snprintf(engine, sizeof(engine), "%d", i);
        struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("UMBPStoreConnector"),
                                                                KVTEL_RECORDER_OPTIONS(.engine = engine));
        assert_true(kvtel_record_operation(kvtel_recorder_operation(recorder, "save", NULL),
                                           &(struct kvtel_transfer){ .bytes = 1 }));
        kvtel_recorder_destroy(recorder);
    }
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    const struct kvtel_value *told = write_and_read(snapshot, &(const struct summary_options){ 0 }, &arena);
    assert_int_equal(at(told, "connectors")->size, SUMMARY_ENTRIES);
    assert_true(number_at(told, "connectors_total") == SUMMARY_ENTRIES + 44);
    assert_true(number_at(told, "connectors/255/flows/0/transfers") == 1);
    told = write_and_read(snapshot, &(const struct summary_options){ .offset = SUMMARY_ENTRIES }, &arena);
    assert_int_equal(at(told, "connectors")->size, 44);
    assert_true(number_at(told, "connectors_total") == SUMMARY_ENTRIES + 44);
    check_text(told, "connectors/43/engine", "299");
    told = write_and_read(snapshot, &(const struct summary_options){ .offset = 1000000 }, &arena);
    assert_int_equal(at(told, "connectors")->size, 0);
    told = write_and_read(snapshot, &(const struct summary_options){ .filter = "storeconnector ENGINE 29" }, &arena);
    assert_int_equal(at(told, "connectors")->size, 11); /* 29, 290 to 299 */
    assert_true(number_at(told, "connectors_total") == 11);
    told = write_and_read(snapshot, &(const struct summary_options){ .filter = "29 m", .offset = 1 }, &arena);
    assert_int_equal(at(told, "connectors")->size, 2); /* of 29, 129, 229 */
    check_text(told, "connectors/1/engine", "229");
    told = write_and_read(snapshot, &(const struct summary_options){ .filter = "none" }, &arena);
    assert_true(at(told, "connectors")->size == 0 && number_at(told, "connectors_total") == 0);
    kvtel_arena_free(&arena);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty), cmocka_unit_test(test_sources_and_refusals),
        cmocka_unit_test(test_flows), cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_cap),   cmocka_unit_test(test_failure_texts),
        cmocka_unit_test(test_peers), cmocka_unit_test(test_many_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
