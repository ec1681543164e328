/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and registering connectors. What is registered stays for the process: the tests run in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include <kvtel/connector.h>

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
    static const struct kvtel_connector_name no_name[] = { { NULL, NULL } };
    static const struct kvtel_connector no_names = { .names = no_name };
    static const struct kvtel_connector_name taken_names[] = { { "OwnConnector", NULL },
                                                               { "NixlConnector", "Own" },
                                                               { NULL, NULL } };
    static const struct kvtel_connector_name taken_classes[] = { { "OwnConnector", "NixlPullConnector" }, { NULL, NULL } };
    static const struct kvtel_connector taken_name = { .names = taken_names };
    static const struct kvtel_connector taken_class = { .names = taken_classes };
    assert_int_equal(kvtel_connector_register(NULL), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_register(&nameless), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_register(&no_names), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_register(&taken_name), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_register(&taken_class), KVTEL_E_ARGUMENT);
    assert_null(kvtel_connector_find("OwnConnector"));
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
        enum kvtel_status status = kvtel_connector_register(&tables[i]);
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
    assert_int_equal(kvtel_connector_register(&tables[TABLES]), KVTEL_E_LIMIT);
    assert_non_null(kvtel_connector_at(built_in + TABLES - 1));
    assert_null(kvtel_connector_at(built_in + TABLES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_classes),
        cmocka_unit_test(every_table_is_found_by_its_names),
        cmocka_unit_test(what_cannot_be_registered),
        cmocka_unit_test(registration_by_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
