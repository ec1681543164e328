/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a store during a shortage of the machine, which must not be taken for a fault of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <kvtel/reader.h>
#include <kvtel/recorder.h>

#include "collect/series.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char dir[] = "/dev/shm/kvtel-test-XXXXXX";

/* Calls of the library fail with these numbers, after so many that do not. */
static int open_error, read_error;
static long reads_before;
static bool reads_short;

int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
int __wrap___openat_2(int folder, const char *path, int flags); /* openat() in a build with FORTIFY */
ssize_t __real_pread(int fd, void *bytes, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t at);

int __wrap_openat(int folder, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (open_error == 0 || !strstr(path, dir))
        return __real_openat(folder, path, flags, mode);
    errno = open_error;
    return -1;
}

int __wrap___openat_2(int folder, const char *path, int flags)
{
    return __wrap_openat(folder, path, flags);
}

ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t at)
{
    if (read_error == 0 || reads_before-- > 0)
        return __real_pread(fd, bytes, reads_short && size > 8 ? size / 2 : size, at);
    errno = read_error;
    if (read_error == EINTR)
        read_error = 0; /* once */
    return -1;
}

static struct kvtel_store *record(int transfers)
{
    const struct kvtel_transfer transfer = {
        .duration_ns = 3000000, .post_ns = 300000, .bytes = 262144, .descriptors = 2
    };
    struct kvtel_store *store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir));
    assert_non_null(store);
    assert_non_null(kvtel_store_path(store));
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    for (int i = 0; i < transfers; i++)
        assert_true(kvtel_record_transfer(recorder, &transfer));
    kvtel_recorder_destroy(recorder);
    return store;
}

static void remove_store(struct kvtel_store *store)
{
    assert_int_equal(unlink(kvtel_store_path(store)), 0);
    kvtel_store_close(store);
}

static uint64_t transfers_in(const struct kvtel_snapshot *snapshot)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "vllm:nixl_xfer_time_seconds");
    return family && family->series_count > 0 ? family->series[0].count : 0;
}

static void test_opening(void **state)
{
    (void)state;
    struct kvtel_store *store = record(10);
    struct kvtel_store_reader *reader;
    static const struct {
        int number;
        enum kvtel_status status;
        bool passing;
    } rows[] = {
        { EMFILE, KVTEL_E_IO, true },  { ENFILE, KVTEL_E_IO, true }, { ENOMEM, KVTEL_E_NOMEM, true },
        { EIO, KVTEL_E_IO, true },     { EAGAIN, KVTEL_E_IO, true }, { EACCES, KVTEL_E_IO, false },
        { ENOENT, KVTEL_E_IO, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kvtel_error error = { 0 };
        open_error = rows[i].number;
        assert_int_equal(kvtel_store_reader_open(kvtel_store_path(store), &reader, &error), rows[i].status);
        open_error = 0;
        assert_int_equal(error.system_error, rows[i].number);
        assert_int_equal(kvtel_error_is_passing(&error), rows[i].passing);
        assert_non_null(strstr(error.message, strerror(rows[i].number)));
    }
    remove_store(store);
}

/* Whichever read of a snapshot fails, the error says that it may pass, and the next snapshot has everything. */
static void test_reading(void **state)
{
    (void)state;
    static const int numbers[] = { EIO, ENOMEM, EAGAIN };
    struct kvtel_store *store = record(1000);
    for (long before = 0, failed = 1; failed; before++) {
        failed = 0;
        for (size_t i = 0; i < 3; i++) {
            struct kvtel_store_reader *reader;
            struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
            struct kvtel_error error = { 0 };
            assert_int_equal(kvtel_store_reader_open(kvtel_store_path(store), &reader, NULL), KVTEL_OK);
            read_error = numbers[i];
            reads_before = before;
            enum kvtel_status status = kvtel_snapshot_add_reader(snapshot, reader, &error);
            read_error = 0;
            if (status != KVTEL_OK) {
                failed = 1;
                assert_int_equal(error.status, status);
                assert_int_equal(error.system_error, numbers[i]);
                assert_true(kvtel_error_is_passing(&error));
                assert_int_equal(kvtel_snapshot_family_count(snapshot), 0);
                assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, &error), KVTEL_OK);
            }
            assert_int_equal(transfers_in(snapshot), 1000);
            kvtel_snapshot_destroy(snapshot);
            kvtel_store_reader_close(reader);
        }
        assert_true(before < 1000);
    }
    remove_store(store);
}

static void test_interrupted_and_short_reads(void **state)
{
    (void)state;
    struct kvtel_store *store = record(1000);
    struct kvtel_store_reader *reader;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    reads_short = true;
    read_error = EINTR;
    reads_before = 3;
    assert_int_equal(kvtel_store_reader_open(kvtel_store_path(store), &reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
    reads_short = false;
    read_error = 0;
    assert_int_equal(transfers_in(snapshot), 1000);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_reader_close(reader);
    remove_store(store);
}

/* Whichever read fails, the removal of a series is seen by the next one that does not, beside the series that has its
 * labels now. */
static void test_a_removal_while_reads_fail(void **state)
{
    (void)state;
    struct kvtel_store *store = record(10);
    struct kvtel_store_reader *reader;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_store_reader_open(kvtel_store_path(store), &reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
    assert_int_equal(transfers_in(snapshot), 10);
    bool failed = true;
    for (uint32_t series = 0, reads = 0; failed; series = 0, reads++) {
        while (kvtel_store_series_remove(store, series) != KVTEL_OK) /* the first of those that are left */
            series++;
        struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
        struct kvtel_error error;
        read_error = EIO;
        reads_before = reads;
        kvtel_snapshot_reset(snapshot);
        enum kvtel_status status = kvtel_snapshot_add_reader(snapshot, reader, &error);
        failed = reads_before < 0;
        assert_true(failed ? status == KVTEL_E_IO && kvtel_error_is_passing(&error) : status == KVTEL_OK);
        read_error = 0;
        kvtel_snapshot_reset(snapshot);
        assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
        for (size_t i = 0; i < kvtel_snapshot_family_count(snapshot); i++)
            assert_int_equal(kvtel_snapshot_family(snapshot, i)->series_count, 1);
        assert_int_equal(transfers_in(snapshot), 0);
        kvtel_recorder_destroy(recorder);
        assert_true(reads < 100);
    }
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_reader_close(reader);
    remove_store(store);
}

/* What is wrong with the file itself does not pass. */
static void test_bad_files_stay_bad(void **state)
{
    (void)state;
    char path[128];
    struct kvtel_store_reader *reader;
    struct kvtel_error error = { 0 };
    (void)snprintf(path, sizeof(path), "%s/text.kvtel", dir);
    FILE *file = fopen(path, "w");
    assert_true(fputs("too short", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(kvtel_store_reader_open(path, &reader, &error), KVTEL_E_TRUNCATED);
    assert_false(kvtel_error_is_passing(&error));
    assert_int_equal(error.system_error, 0);
    assert_int_equal(truncate(path, 5000), 0);
    assert_int_equal(kvtel_store_reader_open(path, &reader, &error), KVTEL_E_FORMAT);
    assert_false(kvtel_error_is_passing(&error));
    assert_int_equal(unlink(path), 0);
    assert_false(kvtel_error_is_passing(NULL));
    assert_false(kvtel_error_is_passing(&(struct kvtel_error){ .status = KVTEL_OK }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opening),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_interrupted_and_short_reads),
        cmocka_unit_test(test_a_removal_while_reads_fail),
        cmocka_unit_test(test_bad_files_stay_bad),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
