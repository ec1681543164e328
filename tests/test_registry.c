/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and registering connectors. Registered tables stay for the rest of the process, so the order of the tests
 * matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "connectors/check.h"

enum { THREADS = 4, TABLES = 64, NAME_SIZE = 32 };

static void names_and_classes(void **state)
{
    (void)state;
    const struct kvtel_connector *nixl = kvtel_connector_find("NixlConnector");
    assert_non_null(nixl);
    assert_ptr_equal(kvtel_connector_find("NixlPullConnector"), nixl);
    assert_string_equal(kvtel_connector_class("NixlConnector"), "NixlPullConnector");
    assert_string_equal(kvtel_connector_class("NixlPullConnector"), "NixlPullConnector");
    assert_string_equal(kvtel_connector_class("MooncakeConnector"), "MooncakeConnector");
    assert_null(kvtel_connector_find("NobodysConnector"));
    assert_null(kvtel_connector_find(""));
    assert_null(kvtel_connector_find(NULL));
    assert_string_equal(kvtel_connector_class("NobodysConnector"), "NobodysConnector");
    assert_null(kvtel_connector_class(NULL));
}

static void every_table_is_found_by_its_names(void **state)
{
    (void)state;
    const struct kvtel_connector *connector;
    size_t count = 0;
    for (; (connector = kvtel_connector_at(count)) != NULL; count++) {
        for (const struct kvtel_connector_name *name = connector->names; name->name; name++) {
            if (kvtel_connector_find(name->name) != connector)
                fail_msg("%s is found elsewhere", name->name);
            const char *class_name = name->class_name ? name->class_name : name->name;
            assert_string_equal(kvtel_connector_class(name->name), class_name);
        }
    }
    assert_true(count >= 10);
    assert_null(kvtel_connector_at(SIZE_MAX));
}

static void what_cannot_be_registered(void **state)
{
    (void)state;
    static const struct kvtel_connector nameless = { .names = NULL };
    static const struct kvtel_connector_name no_name[] = { { .name = NULL } };
    static const struct kvtel_connector no_names = { .names = no_name };
    static const struct kvtel_connector_name taken_names[] = { { .name = "OwnConnector" },
                                                               { .name = "NixlConnector", .class_name = "Own" },
                                                               { .name = NULL } };
    static const struct kvtel_connector_name taken_classes[] = {
        { .name = "OwnConnector", .class_name = "NixlPullConnector" }, { .name = NULL }
    };
    static const struct kvtel_connector taken_name = { .names = taken_names };
    static const struct kvtel_connector taken_class = { .names = taken_classes };
    assert_int_equal(kvtel_connector_register(NULL, NULL), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_register(&nameless, NULL), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_register(&no_names, NULL), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_register(&taken_name, NULL), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_register(&taken_class, NULL), KVTEL_E_ARGUMENT);
    assert_null(kvtel_connector_find("OwnConnector"));
}

#define SOME_NAME .names = KVTEL_NAMES({ .name = "SomeConnector" })
#define SOME_FIELDS                                                                                                 \
    .fields = KVTEL_FIELDS({ .key = "seconds", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS, .row = 1 }, \
                           { .key = "failed", .kind = KVTEL_FIELD_EVENTS, .unit = KVTEL_UNIT_COUNT })
#define COLUMNS SOME_NAME, .payload_kind = KVTEL_PAYLOAD_COLUMNS, SOME_FIELDS
#define LOG(...)                                    \
    COLUMNS, .log = &(const struct kvtel_log_rules) \
    {                                               \
        __VA_ARGS__                                 \
    }
#define METRIC(...) COLUMNS, .metrics = KVTEL_METRICS({ __VA_ARGS__ })

#define SET(i)   \
    {            \
        [i] = "" \
    }

/* Tables that something later would stumble over, and a part of the reason. */
static const struct {
    struct kvtel_connector table;
    const char *reason;
} wrong_tables[] = {
    { { .names = KVTEL_NAMES({ .name = "" }) }, "name is empty" },
    { { .names = KVTEL_NAMES({ .name = "Two words" }) }, "\"Two words\"" },
    { { .names = KVTEL_NAMES({ .name = "Own", .class_name = "line\nbreak" }) }, "control" },
    { { .names = KVTEL_NAMES({ .name = "Own" }, { .name = "Own" }) }, "twice" },
    { { SOME_NAME, .payload_kind = (enum kvtel_payload_kind)77 }, "no kind of payload" },
    { { SOME_NAME, .payload_kind = KVTEL_PAYLOAD_COLUMNS,
        .log = &(const struct kvtel_log_rules){ .arithmetic = (enum kvtel_arithmetic)9 } },
      "arithmetic" },
    { { SOME_NAME, .payload_kind = KVTEL_PAYLOAD_COLUMNS }, "no fields" },
    { { SOME_NAME, .payload_kind = KVTEL_PAYLOAD_TYPED, SOME_FIELDS }, "has fields" },
    { { SOME_NAME, .payload_kind = KVTEL_PAYLOAD_COLUMNS,
        .fields = KVTEL_FIELDS({ "a", .row = 1 }, { "a", .row = 1 }) },
      "\"a\" stands twice" },
    { { SOME_NAME, .payload_kind = KVTEL_PAYLOAD_COLUMNS, .fields = KVTEL_FIELDS({ "", .row = 1 }) }, "key is empty" },
    { { SOME_NAME, .payload_kind = KVTEL_PAYLOAD_COLUMNS, .fields = KVTEL_FIELDS({ "a", .kind = KVTEL_FIELD_TEXT }) },
      "text" },
    { { SOME_NAME, .payload_kind = KVTEL_PAYLOAD_COLUMNS,
        .fields = KVTEL_FIELDS({ "a", .unit = (enum kvtel_unit)40 }) },
      "unit" },
    { { METRIC(.name = "no such name", .fields = { "failed" }) }, "not a valid name of a metric" },
    { { METRIC(.name = "a", .type = (enum kvtel_metric_type)5, .fields = { "failed" }) }, "no type" },
    { { METRIC(.name = "a") }, "no field" },
    { { METRIC(.name = "a", .fields = { "nobody" }) }, "\"nobody\", which is not a field" },
    { { METRIC(.name = "a", .fields = { "failed" }, .labels = { "no label" }) }, "not a valid name of a label" },
    { { METRIC(.name = "a", .fields = { "failed" }, .labels = { "engine" }) }, "not its own" },
    { { METRIC(.name = "a", .fields = { "failed" }, .labels = { "b", "b" }) }, "stands twice" },
    { { METRIC(.name = "a", .fields = { "failed" }, .values = { "x" }) }, "only label" },
    { { METRIC(.name = "a", .fields = { "failed" }, .labels = { "b" }, .values = { "x", "y" }) }, "as many values" },
    { { METRIC(.name = "a", .type = KVTEL_COUNTER, .fields = { "failed" }, .buckets = KVTEL_BUCKETS(1)) },
      "is not a histogram" },
    { { METRIC(.name = "a", .type = KVTEL_HISTOGRAM, .fields = { "seconds" }, .buckets = KVTEL_BUCKETS(2, 1)) },
      "ascend" },
    { { METRIC(.name = "a", .type = KVTEL_GAUGE, .fields = { "failed" }, .input = KVTEL_INPUT_COUNT) },
      "its type cannot" },
    { { METRIC(.name = "a", .type = KVTEL_GAUGE, .fields = { "failed" }, .input = KVTEL_INPUT_INFO) }, "info" },
    { { COLUMNS, .metrics = KVTEL_METRICS({ .name = "a", .fields = { "failed" } },
                                          { .name = "a_total", .fields = { "failed" } }) },
      "\"a_total\" stands twice" },
    { { LOG(.reduce = KVTEL_REDUCE({ .key = "k", .fields = { "x" } })) }, "\"x\"" },
    { { LOG(.reduce = KVTEL_REDUCE({ .key = "k", .kind = KVTEL_REDUCE_RATE, .fields = { "failed" } })) }, "lacks" },
    { { COLUMNS, .flows = KVTEL_FLOWS({ .name = "*", .time = "seconds" }) }, "\"*\"" },
    { { COLUMNS, .flows = KVTEL_FLOWS({ .name = "f", .time = "minutes" }) }, "\"minutes\"" },
    { { COLUMNS, .failures = KVTEL_FAILURES({ .failure = (enum kvtel_failure)99, .field = "failed" }) }, "no class" },
    { { COLUMNS, .failures = KVTEL_FAILURES({ .failure = KVTEL_FAILED_LOAD, .field = "nobody" }) }, "\"nobody\"" },
    { { COLUMNS, .content = KVTEL_KEYS("nobody") }, "\"nobody\"" },
    { { LOG(.primary = "nobody") }, "\"nobody\"" },
    { { LOG(.hidden = KVTEL_KEYS("nobody")) }, "\"nobody\"" },
    { { .names = KVTEL_NAMES({ .name = "Own", .reserved = SET(1) }) }, "the name \"Own\": reserved[1] is not NULL" },
    { { SOME_NAME, .payload_kind = KVTEL_PAYLOAD_COLUMNS, .fields = KVTEL_FIELDS({ "a", .reserved = SET(0) }) },
      "the field \"a\": reserved[0] is not NULL" },
    { { METRIC(.name = "a", .fields = { "failed" }, .reserved = SET(2)) }, "the metric \"a\": reserved[2]" },
    { { METRIC(.name = "a", .type = KVTEL_HISTOGRAM, .fields = { "seconds" },
               .buckets =
                   &(const struct kvtel_buckets){ .bounds = (const double[]){ 1 }, .count = 1, .reserved = SET(1) }) },
      "the buckets of the metric \"a\": reserved[1]" },
    { { LOG(.reduce = KVTEL_REDUCE({ .key = "k", .fields = { "failed" }, .reserved = SET(0) })) },
      "the entry of the log line \"k\": reserved[0]" },
    { { LOG(.reserved = SET(2)) }, "the log rules of the table \"SomeConnector\": reserved[2]" },
    { { COLUMNS, .flows = KVTEL_FLOWS({ .name = "f", .time = "seconds", .reserved = SET(3) }) },
      "the flow \"f\": reserved[3]" },
    { { COLUMNS, .failures = KVTEL_FAILURES({ .failure = KVTEL_FAILED_LOAD, .field = "failed", .reserved = SET(1) }) },
      "the failure \"failed\": reserved[1]" },
    { { COLUMNS, .reserved = SET(7) }, "the table \"SomeConnector\": reserved[7] is not NULL" },
};

static void what_is_wrong_with_a_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong_tables) / sizeof(wrong_tables[0]); i++) {
        struct kvtel_error error = { .status = KVTEL_OK };
        assert_int_equal(kvtel_connector_register(&wrong_tables[i].table, &error), KVTEL_E_ARGUMENT);
        assert_int_equal(error.status, KVTEL_E_ARGUMENT);
        if (!strstr(error.message, wrong_tables[i].reason))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, error.message, wrong_tables[i].reason);
        assert_null(kvtel_connector_find("SomeConnector"));
    }
    struct kvtel_error error;
    assert_int_equal(
        kvtel_connector_register(
            &(struct kvtel_connector){ .names = KVTEL_NAMES({ .name = "NixlConnector", .class_name = "Own" }) },
            &error),
        KVTEL_E_ARGUMENT);
    assert_non_null(strstr(error.message, "\"NixlConnector\" is taken"));
}

static void the_tables_of_the_build_are_right(void **state)
{
    (void)state;
    struct kvtel_error error;
    for (size_t i = 0; kvtel_connector_at(i); i++)
        if (!kvtel_connector_check(kvtel_connector_at(i), &error))
            fail_msg("%s: %s", kvtel_connector_at(i)->names[0].name, error.message);
}

static char texts[TABLES + 1][NAME_SIZE];
static struct kvtel_connector_name names[TABLES + 1][2];
static struct kvtel_connector tables[TABLES + 1];
static atomic_size_t registered, limited, taken;

/* Every thread tries all tables: one of them gets each. */
static void *register_all(void *context)
{
    (void)context;
    for (size_t i = 0; i < TABLES; i++) {
        enum kvtel_status status = kvtel_connector_register(&tables[i], NULL);
        atomic_fetch_add(status == KVTEL_OK ? &registered : status == KVTEL_E_LIMIT ? &limited : &taken, 1);
        if (kvtel_connector_find(texts[i]) != &tables[i])
            return texts[i];
    }
    return NULL;
}

static void registration_by_many_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    size_t built_in = 0;
    while (kvtel_connector_at(built_in))
        built_in++;
    for (size_t i = 0; i <= TABLES; i++) {
        snprintf(texts[i], NAME_SIZE, "Registered%zuConnector", i);
        names[i][0].name = texts[i];
        tables[i].names = names[i];
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, register_all, NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *not_found;
        assert_int_equal(pthread_join(threads[i], &not_found), 0);
        assert_null(not_found);
    }
    assert_int_equal(registered, TABLES);
    assert_int_equal(limited, 0);
    assert_int_equal(taken, (THREADS - 1) * TABLES);
    assert_int_equal(kvtel_connector_register(&tables[TABLES], NULL), KVTEL_E_LIMIT);
    assert_non_null(kvtel_connector_at(built_in + TABLES - 1));
    assert_null(kvtel_connector_at(built_in + TABLES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_classes),
        cmocka_unit_test(every_table_is_found_by_its_names),
        cmocka_unit_test(what_cannot_be_registered),
        cmocka_unit_test(what_is_wrong_with_a_table),
        cmocka_unit_test(the_tables_of_the_build_are_right),
        cmocka_unit_test(registration_by_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
