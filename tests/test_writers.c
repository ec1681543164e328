/* SPDX-License-Identifier: Apache-2.0 */
/* The table of writers, and the mark in a store that its writer ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/writers.h"
#include "collect/reader.h"

static struct kvtel_store_info info_of(uint32_t engine, uint32_t rank, uint64_t pid)
{
    struct kvtel_store_info info = { .engine = engine, .rank = rank, .pid = pid };
    snprintf(info.connector, sizeof info.connector, "NixlConnector");
    snprintf(info.model_name, sizeof info.model_name, "m");
    return info;
}

static struct serve_log *quiet_log(void)
{
    static struct serve_log log;
    assert_true(serve_log_init(&log));
    log.level = WEB_LOG_ERROR;
    return &log;
}

static void test_ends_and_restarts(void **state)
{
    (void)state;
    struct writers writers = { .log = quiet_log() };
    struct kvtel_store_info first = info_of(2, 0, 10), twin = info_of(2, 0, 11), other = info_of(2, 1, 12);
    writers_began(&writers, &first);
    writers_began(&writers, &twin); /* e.g. a second API server: no restart */
    writers_began(&writers, &other);
    assert_int_equal(writers.count, 2);
    assert_int_equal(writers.all[0].live, 2);
    assert_int_equal(writers.all[0].restarts, 0);
    writers_ended(&writers, &first, "a.kvtel", false, 100);
    writers_ended(&writers, &other, "b.kvtel", true, 200);
    assert_int_equal(writers.all[0].live, 1);
    assert_int_equal(writers.all[0].unclosed, 1);
    assert_int_equal(writers.all[0].last_seen_ns, 100);
    assert_int_equal(writers.all[1].unclosed, 0);
    assert_int_equal(writers.unclosed, 1);
    first.pid = 13;
    writers_began(&writers, &first);
    writers_began(&writers, &twin); /* one more than before, and one place was vacant */
    assert_int_equal(writers.all[0].restarts, 1);
    assert_int_equal(writers.all[0].live, 3);
    serve_log_close(writers.log);
    writers_free(&writers);
}

static void test_the_table_is_bounded(void **state)
{
    (void)state;
    struct writers writers = { .log = quiet_log() };
    for (uint32_t i = 0; i < WRITERS; i++) {
        const struct kvtel_store_info info = info_of(i, 0, i);
        writers_began(&writers, &info);
    }
    struct kvtel_store_info more = info_of(WRITERS, 0, 1), gone = info_of(7, 0, 7), earlier = info_of(9, 0, 9);
    writers_began(&writers, &more); /* all live: there is no place */
    assert_int_equal(writers.count, WRITERS);
    writers_ended(&writers, &gone, "a.kvtel", true, 200);
    writers_ended(&writers, &earlier, "b.kvtel", true, 100);
    writers_began(&writers, &more);
    assert_int_equal(writers.count, WRITERS);
    assert_int_equal(writers.all[WRITERS - 1].engine, WRITERS);
    bool has_gone = false, has_earlier = false;
    for (size_t i = 0; i < writers.count; i++) {
        has_gone |= writers.all[i].engine == 7;
        has_earlier |= writers.all[i].engine == 9;
    }
    assert_true(has_gone && !has_earlier);
    serve_log_close(writers.log);
    writers_free(&writers);
}

enum end { CLOSES, EXITS, IS_KILLED, FORKS_AND_IS_KILLED };

/* What the store of a process says that ended so. */
static enum kvtel_ending ending_of(const char *dir, enum end end)
{
    int ends[2];
    char path[4096] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct kvtel_store *store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir));
        const char *made = store ? kvtel_store_path(store) : NULL;
        if (!made || write(ends[1], made, strlen(made)) < 0)
            _exit(1);
        if (end == CLOSES)
            kvtel_store_close(store);
        if (end == FORKS_AND_IS_KILLED) {
            pid_t grandchild = fork();
            if (grandchild == 0)
                exit(0); /* of a store that is its parent's */
            waitpid(grandchild, NULL, 0);
        }
        if (end == EXITS)
            exit(0);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(read(ends[0], path, sizeof path - 1) > 0);
    close(ends[0]);
    close(ends[1]);
    struct kvtel_store_reader *reader;
    assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_store_reader_state(reader), KVTEL_STORE_ENDED);
    enum kvtel_ending ending = kvtel_store_reader_ending(reader);
    kvtel_store_reader_close(reader);
    unlink(path);
    return ending;
}

static void test_how_a_writer_ended(void **state)
{
    (void)state;
    char dir[] = "/tmp/kvtel-writers-XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(ending_of(dir, CLOSES), KVTEL_ENDING_CLOSED);
    assert_int_equal(ending_of(dir, EXITS), KVTEL_ENDING_CLOSED);
    assert_int_equal(ending_of(dir, IS_KILLED), KVTEL_ENDING_NONE);
    assert_int_equal(ending_of(dir, FORKS_AND_IS_KILLED), KVTEL_ENDING_NONE);
    rmdir(dir);
}

/* More than are kept in mind: those say nothing when they are not closed, and are marked when they are. */
static void test_many_open_stores(void **state)
{
    (void)state;
    enum { MANY = 300 };
    static struct kvtel_store *stores[MANY];
    char dir[] = "/tmp/kvtel-writers-XXXXXX";
    size_t unknown = 0;
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < MANY; i++) {
        stores[i] = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir));
        assert_non_null(stores[i]);
        assert_non_null(kvtel_store_path(stores[i]));
    }
    for (int i = 0; i < MANY; i++) {
        struct kvtel_store_reader *reader;
        assert_int_equal(kvtel_store_reader_open(kvtel_store_path(stores[i]), &reader, NULL), KVTEL_OK);
        unlink(kvtel_store_path(stores[i]));
        unknown += kvtel_store_reader_ending(reader) == KVTEL_ENDING_UNKNOWN;
        kvtel_store_close(stores[i]);
        assert_int_equal(kvtel_store_reader_ending(reader), KVTEL_ENDING_CLOSED);
        kvtel_store_reader_close(reader);
    }
    assert_int_equal(unknown, MANY - 256);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends_and_restarts),
        cmocka_unit_test(test_the_table_is_bounded),
        cmocka_unit_test(test_how_a_writer_ended),
        cmocka_unit_test(test_many_open_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
