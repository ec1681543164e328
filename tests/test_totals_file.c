/* SPDX-License-Identifier: Apache-2.0 */
/* The file of totals and room for it: pages of zeros that an ended store gives back. */
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

#include "totals/file.h"

enum { PAGE = 4096, PAGES = 64 };

/* A file in shared memory: content in its first and last page, zeros in between, all of it allocated. */
static int setup(void **state)
{
    static char path[64];
    char page[PAGE] = { 0 };
    strcpy(path, "/dev/shm/kvtel-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (int i = 0; i < PAGES; i++) {
        page[7] = i == 0 || i == PAGES - 1;
        assert_int_equal(write(fd, page, sizeof page), sizeof page);
    }
    assert_int_equal(close(fd), 0);
    *state = path;
    return 0;
}

static int teardown(void **state)
{
    return unlink(*state);
}

/* An open file that holds a lock of this kind on the whole of it. */
static int lock(const char *path, short kind)
{
    struct flock lock = { .l_type = kind, .l_whence = SEEK_SET };
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    return fd;
}

static void check_content(const char *path)
{
    char page[PAGE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < PAGES; i++) {
        assert_int_equal(read(fd, page, sizeof page), sizeof page);
        assert_int_equal(page[7], i == 0 || i == PAGES - 1);
    }
    assert_int_equal(read(fd, page, sizeof page), 0);
    close(fd);
}

static void zeros_are_given_back(void **state)
{
    assert_int_equal(totals_punch_zeros(*state), (PAGES - 2) * PAGE);
    check_content(*state);
    assert_int_equal(totals_punch_zeros(*state), 0);
}

/* Another reader's lock keeps no room. */
static void zeros_of_a_file_that_is_read(void **state)
{
    int reader = lock(*state, F_RDLCK);
    assert_int_equal(totals_punch_zeros(*state), (PAGES - 2) * PAGE);
    check_content(*state);
    close(reader);
}

/* A writer maps its pages. */
static void nothing_of_a_writer_is_taken(void **state)
{
    int writer = lock(*state, F_WRLCK);
    assert_int_equal(totals_punch_zeros(*state), 0);
    close(writer);
    assert_int_equal(totals_punch_zeros(*state), (PAGES - 2) * PAGE);
}

static void what_is_no_file(void **state)
{
    (void)state;
    assert_int_equal(totals_punch_zeros("/dev/shm"), 0);
    assert_int_equal(totals_punch_zeros("/dev/null"), 0);
    assert_int_equal(totals_punch_zeros("/dev/shm/no such file"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(zeros_are_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(zeros_of_a_file_that_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_of_a_writer_is_taken, setup, teardown),
        cmocka_unit_test(what_is_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
