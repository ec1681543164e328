/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of columns: which requests find the same one, and how many rows of a batch may be written before readers are
 * told of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/recorder.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/lane.h"
#include "record/recorder.h"
#include "support/stores.h"

/* A group whose folds read doubles in a column cannot take the rows of a caller who writes integers there. */
static void test_a_group_is_found_by_its_columns(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(0);
    const struct kvtel_family_spec spec = { .name = "n", .type = KVTEL_COUNTER, .help = "Help." };
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, NULL, 0, &series), KVTEL_OK);
    const struct kvtel_row_group_feed feed = { .series = series, .column = 0, .kind = KVTEL_COLUMN_ADD };
    const struct kvtel_row_group *first, *found;
    const struct {
        struct kvtel_row_group_columns columns;
        enum kvtel_status status;
    } rows[] = {
        { { .count = 2, .doubles = 1 }, KVTEL_OK },     { { .count = 2, .doubles = 1 }, KVTEL_OK },
        { { .count = 2, .doubles = 3 }, KVTEL_OK },     { { .count = 2 }, KVTEL_E_BUSY },
        { { .count = 2, .doubles = 2 }, KVTEL_E_BUSY }, { { .count = 2, .ns = 1, .doubles = 1 }, KVTEL_E_BUSY },
        { { .count = 1, .doubles = 1 }, KVTEL_E_BUSY },
    };
    assert_int_equal(kvtel_store_row_group(store, &feed, 1, rows[0].columns, &first), KVTEL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        found = NULL;
        if (kvtel_store_row_group(store, &feed, 1, rows[i].columns, &found) != rows[i].status ||
            found != (rows[i].status == KVTEL_OK ? first : NULL))
            fail_msg("row %zu", i);
    }
    kvtel_store_close(store);
}

enum { BEFORE_THE_FAULT = 100, BATCH = 200 };

static const kvtel_word *head_word;

/* A reader believes that all but the newest KVTEL_ROWS_AT_ONCE of the last 256 rows are whole. */
static void look_at_head(int signal_number)
{
    (void)signal_number;
    const uint64_t published = kvtel_word_load(head_word) - 1;
    _exit(published <= BEFORE_THE_FAULT && published + KVTEL_ROWS_AT_ONCE > BEFORE_THE_FAULT ? 0 : 1);
}

/* In a child of its own the batch ends in memory that cannot be read, so that it stops after a known number of rows. */
static void record_up_to_a_fault(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 4 * page;
    char *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || BEFORE_THE_FAULT * sizeof(struct kvtel_transfer) > room ||
        mprotect(memory + room, page, PROT_NONE) != 0)
        _exit(2);
    struct kvtel_transfer *transfers =
        (struct kvtel_transfer *)(void *)(memory + room - BEFORE_THE_FAULT * sizeof(struct kvtel_transfer));
    for (int i = 0; i < BEFORE_THE_FAULT; i++)
        transfers[i] = (struct kvtel_transfer){ .duration_ns = 9, .post_ns = 3, .bytes = 1, .descriptors = 1 };
    struct kvtel_store *store = create_store(0);
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    const struct kvtel_operation *operation = kvtel_recorder_operation(recorder, NULL, NULL);
    if (!kvtel_record_operation(operation, &transfers[0])) /* the thread has its lane now */
        _exit(3);
    head_word = kvtel_lane_head(store->lanes[0], operation->group);
    signal(SIGSEGV, look_at_head);
    signal(SIGBUS, look_at_head);
    kvtel_record_transfers(operation, transfers, BATCH);
    _exit(4);
}

static void test_rows_of_a_batch_are_published_soon(void **state)
{
    (void)state;
    int status;
    const pid_t child = fork();
    if (child == 0)
        record_up_to_a_fault();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_group_is_found_by_its_columns),
        cmocka_unit_test(test_rows_of_a_batch_are_published_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
