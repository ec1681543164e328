/* SPDX-License-Identifier: Apache-2.0 */
/* Stores in a child of a fork, where the kernel wipes no page for it: before Linux 4.14. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <kvtel/reader.h>
#include <kvtel/recorder.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/series.h"
#include "support/fork.h"

static const struct kvtel_transfer transfer = { .duration_ns = 3000000, .bytes = 262144, .descriptors = 2 };
static atomic_int refused;

int __real_madvise(void *address, size_t size, int advice);
int __wrap_madvise(void *address, size_t size, int advice);

int __wrap_madvise(void *address, size_t size, int advice)
{
    if (advice != MADV_WIPEONFORK)
        return __real_madvise(address, size, advice);
    refused++;
    errno = EINVAL;
    return -1;
}

static struct kvtel_recorder *recorder_of(struct kvtel_store *store)
{
    return kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
}

static uint64_t count_of(const struct kvtel_store *store)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    if (kvtel_snapshot_add(snapshot, store) != KVTEL_OK)
        return UINT64_MAX;
    uint64_t count = kvtel_snapshot_find(snapshot, "vllm:nixl_xfer_time_seconds")->series[0].count;
    kvtel_snapshot_destroy(snapshot);
    return count;
}

static bool is_off(struct kvtel_store *store, struct kvtel_recorder *recorder)
{
    struct kvtel_lane *lane;
    return !kvtel_record_transfer(recorder, &transfer) && kvtel_lane_open(store, &lane) == KVTEL_E_BUSY &&
           !recorder_of(store);
}

/* Whether a store that is made here records, and only for the process that made it. `depth` more generations follow. */
static bool works_of_its_own(int depth)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_recorder *recorder = store ? recorder_of(store) : NULL;
    if (!recorder || !kvtel_record_transfer(recorder, &transfer))
        return false;
    pid_t child = depth > 0 ? fork() : -1;
    if (child == 0)
        _exit(is_off(store, recorder) && works_of_its_own(depth - 1) ? 0 : 1);
    int status = 0;
    bool good = depth == 0 || (child > 0 && waitpid(child, &status, 0) == child && status == 0);
    good = good && kvtel_record_transfer(recorder, &transfer) && count_of(store) == 2;
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    return good;
}

static void test_children(void **state)
{
    (void)state;
    assert_true(works_of_its_own(3));
    assert_true(refused > 0);
}

/* Every open store is off in the child, which closes them and takes their places. */
static void test_many_stores(void **state)
{
    (void)state;
    enum { STORES = 5 };
    struct kvtel_store *stores[STORES];
    struct kvtel_recorder *recorders[STORES];
    for (int i = 0; i < STORES; i++) {
        assert_non_null(stores[i] = kvtel_store_create(NULL));
        assert_non_null(recorders[i] = recorder_of(stores[i]));
        assert_true(kvtel_record_transfer(recorders[i], &transfer));
    }
    pid_t child = fork();
    if (child == 0) {
        bool good = true;
        for (int i = 0; i < STORES; i++) {
            good = good && is_off(stores[i], recorders[i]);
            kvtel_recorder_destroy(recorders[i]);
            kvtel_store_close(stores[i]);
        }
        for (int i = 0; i < STORES; i++)
            good = good && works_of_its_own(0);
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < STORES; i++) {
        assert_true(kvtel_record_transfer(recorders[i], &transfer));
        assert_int_equal(count_of(stores[i]), 2);
        kvtel_recorder_destroy(recorders[i]);
        kvtel_store_close(stores[i]);
    }
}

/* Stores that come after one that is closed take its page. */
static void test_pages_are_used_again(void **state)
{
    (void)state;
    assert_true(works_of_its_own(0));
    int before = refused;
    for (int i = 0; i < 100; i++)
        assert_true(works_of_its_own(0));
    assert_int_equal(refused, before);
}

static void *open_and_close(void *failed)
{
    for (int i = 0; i < 50; i++)
        if (!works_of_its_own(0))
            atomic_store((atomic_bool *)failed, true);
    return NULL;
}

/* Forks while other threads open and close stores. */
static void test_threads(void **state)
{
    (void)state;
    skip_where_children_cannot_allocate();
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    atomic_bool failed = false;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, &failed), 0);
    for (int i = 0; i < 10; i++)
        assert_true(works_of_its_own(1));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_children),
        cmocka_unit_test(test_many_stores),
        cmocka_unit_test(test_pages_are_used_again),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
