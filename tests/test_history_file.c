/* SPDX-License-Identifier: Apache-2.0 */
/* The history's file, and memory that is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */
#include "support/history_told.h"
#include "totals/file.h"

enum { FILE_AT_MOST = 4096 };

/* -- The file -- */

static char dir[64], path[128];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/dev/shm/kvtel-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/" HISTORY_NAME_OF_FILE, dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static size_t read_file(char *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t size = read(fd, bytes, FILE_AT_MOST);
    assert_true(size > 0 && size < FILE_AT_MOST);
    close(fd);
    return (size_t)size;
}

static void write_file(const char *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static struct history *some_history(void)
{
    static struct told told;
    struct history *history = history_create(HOUR);
    tell(&told, 2);
    take(history, &told, 0);
    for (int i = 1; i < 4; i++) {
        grow(&told, 0, (uint32_t)i, 10);
        grow(&told, 1, 20, 1);
        fail_some(&told, 1, 1);
        take(history, &told, STEP * i);
    }
    return history;
}

static void a_restart_keeps_the_points(void **state)
{
    static struct told told;
    struct history *history = some_history();
    (void)state;
    assert_int_equal(history_save(history, dir, NULL), KVTEL_OK);
    history_destroy(history);
    history = history_create(HOUR);
    assert_int_equal(history_load(history, dir, START + 60, NULL), KVTEL_OK);
    assert_int_equal(history_point_count(history), 3);
    tell(&told, 2);
    grow(&told, 0, 1, 1000); /* nothing is known of the time between the two */
    take(history, &told, 60);
    assert_int_equal(history_point_count(history), 3);
    grow(&told, 0, 1, 3);
    take(history, &told, 65);
    show(history, 65);
    assert_true(sum(member(flow_of(0), "transfers")) == 33);
    assert_true(sum(member(member(item(member(&shown, "connectors"), 1), "failures"), "transfer")) == 3);
    close_all(history);
    /* what is older than the history is long stays away, and so does what is yet to come */
    history = history_create(HOUR);
    assert_int_equal(history_load(history, dir, START + 2 * HOUR, NULL), KVTEL_OK);
    assert_int_equal(history_point_count(history), 0);
    close_all(history);
    history = history_create(HOUR);
    assert_int_equal(history_load(history, dir, START - 100, NULL), KVTEL_OK);
    assert_int_equal(history_point_count(history), 0);
    close_all(history);
}

/* The longest names, and a clock that was set back by less than a step, which ends two points in the wrong order. */
static void a_restart_after_what_is_rare(void **state)
{
    static struct told told;
    static char name[HISTORY_NAME + 2];
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, 2);
    memset(name, 'm', HISTORY_NAME);
    told.entries[0].model_name = told.flows[0].name = told.failures[0].label = name;
    for (int i = 0; i < 3; i++) {
        grow(&told, 0, 1, 1);
        take(history, &told, STEP * i);
    }
    assert_int_equal(history_take(history, &told.summary, START + STEP * 2 - 0.7, (uint64_t)15e9 + 1), KVTEL_OK);
    assert_int_equal(history_point_count(history), 2);
    assert_int_equal(history_save(history, dir, NULL), KVTEL_OK);
    close_all(history);
    history = history_create(HOUR);
    assert_int_equal(history_load(history, dir, START + 20, NULL), KVTEL_OK);
    assert_int_equal(history_point_count(history), 2);
    show(history, 20);
    assert_true(sum(member(flow_of(0), "transfers")) == 1);
    close_all(history);
    /* a name that is longer still is left out, and the others are there */
    history = history_create(HOUR);
    name[HISTORY_NAME] = 'm';
    take(history, &told, 0);
    take(history, &told, 5);
    show(history, 5);
    assert_int_equal(member(&shown, "connectors")->size, 1);
    close_all(history);
}

static enum kvtel_status load(struct kvtel_error *error)
{
    struct history *history = history_create(HOUR);
    enum kvtel_status status = history_load(history, dir, START + 30, error);
    if (status != KVTEL_OK)
        assert_int_equal(history_point_count(history), 0);
    else
        show(history, 30);
    close_all(history);
    return status;
}

static void damage_refuses_the_file(void **state)
{
    char bytes[FILE_AT_MOST], damaged[FILE_AT_MOST];
    struct history *history = some_history();
    struct kvtel_error error;
    (void)state;
    assert_int_equal(load(NULL), KVTEL_OK); /* there is none */
    assert_int_equal(history_save(history, dir, NULL), KVTEL_OK);
    history_destroy(history);
    const size_t size = read_file(bytes);
    for (size_t i = 0; i < size; i++) {
        memcpy(damaged, bytes, size);
        damaged[i] ^= 0x10;
        write_file(damaged, size);
        assert_int_not_equal(load(&error), KVTEL_OK);
        assert_true(strlen(error.message) > 0);
        write_file(bytes, i);
        assert_int_not_equal(load(&error), KVTEL_OK);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load(&error), KVTEL_E_FORMAT);
    assert_string_equal(error.message, "it is not a regular file");
}

/* Bytes that somebody chose, with a checksum that is right. */
static void hostile_content_is_refused_or_harmless(void **state)
{
    char bytes[FILE_AT_MOST], chosen[FILE_AT_MOST];
    struct history *history = some_history();
    size_t refused = 0;
    unsigned random = 1;
    (void)state;
    assert_int_equal(history_save(history, dir, NULL), KVTEL_OK);
    history_destroy(history);
    const size_t size = read_file(bytes), end = size - sizeof(uint32_t);
    for (int round = 0; round < 4000; round++) {
        memcpy(chosen, bytes, size);
        for (int change = 0; change <= round % 3; change++) {
            random = random * 1103515245 + 12345;
            const size_t at = sizeof(struct history_header) - 20 + random / 65536 % (end - 40 + 20);
            chosen[at < end ? at : end - 1] = (char)(random >> 8);
        }
        const uint32_t checksum = (uint32_t)crc32_z(0, (const unsigned char *)chosen, end);
        memcpy(chosen + end, &checksum, sizeof checksum);
        write_file(chosen, size);
        refused += load(NULL) != KVTEL_OK;
    }
    assert_true(refused > 1000);
}

/* -- Memory that is short -- */

static void without_memory(void **state)
{
    static struct told told;
    (void)state;
    for (size_t n = 1;; n++) {
        struct history *history = some_history();
        struct kvtel_buffer json = { 0 };
        tell(&told, 3);
        grow(&told, 2, 4, 5);
        fail_allocation(n);
        enum kvtel_status taken = history_take(history, &told.summary, START + 20, (uint64_t)20e9 + 1);
        enum kvtel_status written = history_write_json(history, START + 20, &json);
        enum kvtel_status saved = history_save(history, dir, NULL);
        const bool failed = allocation_did_fail();
        assert_true(failed ? taken != KVTEL_OK || written != KVTEL_OK || saved != KVTEL_OK
                           : taken == KVTEL_OK && written == KVTEL_OK && saved == KVTEL_OK);
        kvtel_buffer_free(&json);
        take(history, &told, 25); /* it goes on */
        take(history, &told, 30);
        show(history, 30);
        close_all(history);
        history = history_create(HOUR);
        fail_allocation(n);
        enum kvtel_status loaded = history ? history_load(history, dir, START + 30, NULL) : KVTEL_OK;
        assert_true(loaded == KVTEL_OK || (allocation_did_fail() && loaded == KVTEL_E_NOMEM));
        (void)allocation_did_fail();
        close_all(history);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_restart_keeps_the_points, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_restart_after_what_is_rare, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_refuses_the_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(hostile_content_is_refused_or_harmless, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(without_memory, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
