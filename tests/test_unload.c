/* SPDX-License-Identifier: Apache-2.0 */
/* A host unloads the library while threads that have recorded still run. The threads must end normally. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <kvtel/recorder.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

struct host {
    void *library;
    struct kvtel_recorder *recorder;
    bool (*record)(const struct kvtel_recorder *recorder, const struct kvtel_transfer *transfer);
    pthread_barrier_t recorded, closed;
    bool good;
};

/* ISO C has no conversion from an object's address to a function's. */
static void take(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    assert_non_null(found);
    memcpy(function, &found, sizeof(found));
}

static void *record_and_end(void *argument)
{
    struct host *host = argument;
    const struct kvtel_transfer transfer = { .duration_ns = 1000, .bytes = 1 };
    host->good = host->record(host->recorder, &transfer);
    pthread_barrier_wait(&host->recorded);
    pthread_barrier_wait(&host->closed);
    return NULL;
}

/* A host that unloads the library destroys nothing first: what it made stays, reachable. */
static struct kvtel_recorder *kept[2];
static struct kvtel_store *kept_stores[2];

static void check_unload(const char *path, size_t place)
{
    struct host host = { .library = dlopen(path, RTLD_NOW | RTLD_LOCAL) };
    struct kvtel_store *(*create)(const struct kvtel_store_options *options);
    const struct kvtel_connector *(*find)(const char *name);
    struct kvtel_recorder *(*recorder)(struct kvtel_store *, const struct kvtel_connector *,
                                       const struct kvtel_recorder_options *);
    pthread_t thread;
    if (!host.library)
        fail_msg("%s: %s", path, dlerror());
    take(host.library, "kvtel_store_create", &create);
    take(host.library, "kvtel_connector_find", &find);
    take(host.library, "kvtel_recorder_create", &recorder);
    take(host.library, "kvtel_record_transfer", &host.record);
    kept_stores[place] = create(NULL);
    kept[place] = host.recorder = recorder(kept_stores[place], find("NixlConnector"), NULL);
    pthread_barrier_init(&host.recorded, NULL, 2);
    pthread_barrier_init(&host.closed, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, record_and_end, &host), 0);
    pthread_barrier_wait(&host.recorded);
    assert_int_equal(dlclose(host.library), 0);
    pthread_barrier_wait(&host.closed);
    pthread_join(thread, NULL);
    assert_true(host.good);
    pthread_barrier_destroy(&host.recorded);
    pthread_barrier_destroy(&host.closed);
}

static void test_unload(void **state)
{
    (void)state;
    const char *const paths[] = { KVTEL_LIBRARIES };
    assert_true(sizeof(paths) / sizeof(paths[0]) <= sizeof(kept) / sizeof(kept[0]));
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        check_unload(paths[i], i);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_unload) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
