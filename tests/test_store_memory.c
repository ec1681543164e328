/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a store's file: signals during allocation, full directories, file systems that prefer huge pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <kvtel/recorder.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct kvtel_transfer transfer = {
    .duration_ns = 3000000, .post_ns = 300000, .bytes = 262144, .descriptors = 2
};
static char dir[] = "/dev/shm/kvtel-test-XXXXXX";
static char warning[512];

static _Atomic int failure;  /* an errno that allocating gives */
static _Atomic int failures; /* how often it does so; -1: always */

int __real_posix_fallocate(int fd, off_t at, off_t size);
int __wrap_posix_fallocate(int fd, off_t at, off_t size);
int __wrap_posix_fallocate(int fd, off_t at, off_t size)
{
    int left = atomic_load(&failures);
    if (left == 0)
        return __real_posix_fallocate(fd, at, size);
    if (left > 0)
        atomic_store(&failures, left - 1);
    return atomic_load(&failure);
}

static void fail_with(int error, int times)
{
    atomic_store(&failure, error);
    atomic_store(&failures, times);
}

static void take_warning(void *context, const char *message)
{
    (void)snprintf(context, sizeof(warning), "%s", message);
}

static struct kvtel_store *open_store(const char *where)
{
    warning[0] = '\0';
    struct kvtel_store *store =
        kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = where, .warn = take_warning, .warn_context = warning));
    assert_non_null(store);
    return store;
}

static void remove_store(struct kvtel_store *store)
{
    if (kvtel_store_path(store))
        assert_int_equal(unlink(kvtel_store_path(store)), 0);
    kvtel_store_close(store);
}

static void test_signals(void **state)
{
    (void)state;
    fail_with(EINTR, 5);
    struct kvtel_store *store = open_store(dir);
    assert_non_null(kvtel_store_path(store));
    assert_string_equal(warning, "");
    assert_int_equal(atomic_load(&failures), 0);
    remove_store(store);
}

static void test_messages_name_the_error(void **state)
{
    (void)state;
    const int errors[] = { ENOSPC, EAGAIN, EIO, EDQUOT };
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fail_with(errors[i], -1);
        struct kvtel_store *store = open_store(dir);
        fail_with(0, 0);
        assert_null(kvtel_store_path(store));
        assert_non_null(strstr(warning, dir));
        assert_non_null(strstr(warning, strerror(errors[i])));
        remove_store(store);
    }
}

struct thread {
    struct kvtel_recorder *recorder;
    unsigned calls;
    bool recorded;
};

/* Calls some 50 times a second, until it records. */
static void *record_seldom(void *argument)
{
    struct thread *thread = argument;
    uint64_t until = kvtel_now_ns() + 60000000000u;
    while (!thread->recorded && kvtel_now_ns() < until) {
        thread->recorded = kvtel_record_transfer(thread->recorder, &transfer);
        if (thread->calls++ == 0)
            fail_with(0, 0);
        usleep(20000);
    }
    return NULL;
}

/* Whoever found no lane asks again after a second, however seldom it records; what it lost is counted, and said where.
 */
static void test_full_directory(void **state)
{
    (void)state;
    struct kvtel_store *store = open_store(dir);
    struct thread thread = { .recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL) };
    struct kvtel_store_info info;
    pthread_t id;
    fail_with(ENOSPC, -1);
    assert_int_equal(pthread_create(&id, NULL, record_seldom, &thread), 0);
    pthread_join(id, NULL);
    assert_true(thread.recorded);
    assert_true(thread.calls < 1000);
    kvtel_store_describe(store, &info);
    assert_int_equal(info.records_dropped, thread.calls - 1);
    assert_non_null(strstr(warning, dir));
    assert_non_null(strstr(warning, strerror(ENOSPC)));
    kvtel_recorder_destroy(thread.recorder);
    remove_store(store);
}

static void test_warning_of_limits(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_open(
        KVTEL_STORE_OPTIONS(.dir = dir, .max_lanes = 1, .warn = take_warning, .warn_context = warning));
    struct thread thread = { .recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL) };
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    assert_false(kvtel_record_transfer(thread.recorder, &transfer));
    assert_non_null(strstr(warning, "max_lanes"));
    assert_null(strstr(warning, dir));
    kvtel_recorder_destroy(thread.recorder);
    remove_store(store);
}

/* Needs the right to mount. What a store takes does not depend on the size of pages that a file system prefers. */
static void test_huge_pages(void **state)
{
    (void)state;
    static const char *const options[] = { "size=64m,huge=never", "size=64m,huge=always", "size=64m,huge=within_size" };
    uint64_t kib[3];
    for (size_t i = 0; i < 3; i++) {
        struct stat status;
        if (mount("tmpfs", dir, "tmpfs", 0, options[i]) != 0)
            skip();
        struct kvtel_store *store = open_store(dir);
        struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
        for (int k = 0; k < 1000; k++)
            assert_true(kvtel_record_transfer(recorder, &transfer));
        assert_int_equal(stat(kvtel_store_path(store), &status), 0);
        kib[i] = (uint64_t)status.st_blocks / 2;
        kvtel_recorder_destroy(recorder);
        remove_store(store);
        assert_int_equal(umount2(dir, MNT_DETACH), 0); /* also while something looks into it */
    }
    assert_in_range(kib[1], 1, kib[0] + 64);
    assert_in_range(kib[2], 1, kib[0] + 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals),        cmocka_unit_test(test_messages_name_the_error),
        cmocka_unit_test(test_full_directory), cmocka_unit_test(test_warning_of_limits),
        cmocka_unit_test(test_huge_pages),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
