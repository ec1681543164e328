/* SPDX-License-Identifier: Apache-2.0 */
/* What a process does to the descriptors and the file of a store behind its back: daemons close them, somebody deletes
 * the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/snapshot.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/series.h"
#include "support/recordings.h"

static const struct kvtel_transfer transfer = {
    .duration_ns = 3000000, .post_ns = 300000, .bytes = 262144, .descriptors = 2
};
static char dir[] = "/dev/shm/kvtel-test-XXXXXX";

static void *record_thousand(void *argument)
{
    for (int i = 0; i < 1000; i++)
        (void)kvtel_record_transfer(argument, &transfer);
    return NULL;
}

static bool is_untouched(int fd)
{
    char text[32] = "";
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_size == 5 && status.st_blocks <= 8 &&
           pread(fd, text, sizeof(text), 0) == 5 && strcmp(text, "mine\n") == 0;
}

/* Closes what daemons close, and opens files that get the numbers. */
static int go_on_as_daemon(bool deleted)
{
    char warning[512] = "", path[256];
    const struct recording recording =
        start_recording(KVTEL_STORE_OPTIONS(.dir = dir, .warn = keep_warning, .warn_context = warning), true);
    if (!kvtel_record_transfer(recording.recorder, &transfer))
        return 1;
    for (int fd = 3; fd < 256; fd++)
        (void)close(fd);
    (void)snprintf(path, sizeof(path), "%s", kvtel_store_path(recording.store));
    if (deleted && unlink(path) != 0)
        return 2;
    int files[32];
    for (int i = 0; i < 32; i++) {
        char name[] = "/dev/shm/kvtel-test-file-XXXXXX";
        files[i] = mkstemp(name);
        if (files[i] < 0 || unlink(name) != 0 || write(files[i], "mine\n", 5) != 5)
            return 3;
    }
    pthread_t thread;
    uint64_t found = 0;
    if (pthread_create(&thread, NULL, record_thousand, recording.recorder) != 0)
        return 4;
    pthread_join(thread, NULL);
    struct kvtel_recorder *more =
        kvtel_recorder_create(recording.store, kvtel_connector_find("OffloadingConnector"), NULL);
    bool good = deleted ? dropped_by(recording.store) == 1000 && strstr(warning, path)
                        : count_path(path, &found) == KVTEL_OK && found == 1001 && dropped_by(recording.store) == 0 &&
                              !*warning;
    if (!good)
        return 5;
    kvtel_recorder_destroy(more);
    end_recording(&recording);
    for (int i = 0; i < 32; i++) {
        if (!is_untouched(files[i]))
            return 6;
    }
    return 0;
}

static void test_closed_descriptors(void **state)
{
    (void)state;
    for (int deleted = 0; deleted < 2; deleted++) {
        pid_t child = fork();
        if (child == 0)
            _exit(go_on_as_daemon(deleted));
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

/* The file of a live store is deleted: recording goes on, who has it open reads on, and the writer says so once. */
static void test_deleted_file(void **state)
{
    (void)state;
    char warning[512] = "";
    const struct recording recording =
        start_recording(KVTEL_STORE_OPTIONS(.dir = dir, .warn = keep_warning, .warn_context = warning), true);
    const char *path = kvtel_store_path(recording.store);
    struct kvtel_store_reader *reader;
    struct kvtel_store_info info;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    pthread_t thread;
    assert_true(kvtel_record_transfer(recording.recorder, &transfer));
    assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
    assert_int_equal(unlink(path), 0);
    for (int i = 0; i < 2; i++) { /* one takes a new lane, the next one gets the same */
        assert_int_equal(pthread_create(&thread, NULL, record_thousand, recording.recorder), 0);
        pthread_join(thread, NULL);
        assert_true((strstr(warning, path) && strstr(warning, "deleted")) == (i == 0));
        warning[0] = '\0';
    }
    assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
    kvtel_store_reader_info(reader, &info);
    assert_int_equal(info.file_deleted, 1);
    assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_bytes_transferred")->series[0].count, 2001);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_reader_close(reader);
    end_recording(&recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_descriptors),
        cmocka_unit_test(test_deleted_file),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
