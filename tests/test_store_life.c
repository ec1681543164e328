/* SPDX-License-Identifier: Apache-2.0 */
/* Things that a process does without the store's knowledge: signal handlers that record, cancelled threads, forks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/series.h"
#include "record/lane.h"
#include "record/recorder.h"
#include <fcntl.h>
#include <kvtel/reader.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fork.h"
#include "support/recordings.h"
#include "support/sanitizer.h"

static const struct kvtel_transfer transfer = {
    .duration_ns = 3000000, .post_ns = 300000, .bytes = 262144, .descriptors = 2
};
static char dir[] = "/dev/shm/kvtel-test-XXXXXX";

static double now(void)
{
    return (double)kvtel_now_ns() / 1e9;
}

/* --- Signal handlers --- */

static struct recording handled[2];
static struct kvtel_lane *handled_lane;
static volatile uint64_t taken[3], refused[3]; /* by the store of that number; 2: through a lane */

static void note(int which, bool recorded)
{
    *(recorded ? &taken[which] : &refused[which]) += 1;
}

static void record_in_handler(int number)
{
    static int turn;
    (void)number;
    for (int i = 0; i < 3; i++)
        note(turn % 2, kvtel_record_transfer(handled[turn % 2].recorder, &transfer));
    note(2, kvtel_lane_record(handled_lane, handled[0].recorder->first, &transfer));
    (void)kvtel_record_failure(handled[0].recorder, KVTEL_FAILED_TRANSFER);
    turn++;
}

static void set_timer(suseconds_t interval_us)
{
    const struct itimerval timer = { { 0, interval_us }, { 0, interval_us } };
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

/* A handler comes at any instruction of a call, and records into the same store and into another one. */
static void test_signal_handler(void **state)
{
    (void)state;
    const struct sigaction action = { .sa_handler = record_in_handler, .sa_flags = SA_RESTART };
    struct sigaction before;
    uint64_t own[2] = { 0 }, lost = 0;
    for (int i = 0; i < 2; i++) {
        handled[i] = start_recording(KVTEL_STORE_OPTIONS(.dir = dir), true);
        own[i] += kvtel_record_transfer(handled[i].recorder, &transfer);
    }
    assert_int_equal(kvtel_lane_open(handled[0].store, &handled_lane), KVTEL_OK);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    set_timer(20);
    for (double until = now() + 20; now() < until && (refused[0] < 50 || refused[1] < 50);) {
        for (int i = 0; i < 4096; i++) {
            int which = i >> 8 & 1;
            if (kvtel_record_transfer(handled[which].recorder, &transfer))
                own[which]++;
            else
                lost++;
        }
    }
    set_timer(0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_int_equal(lost, 0);
    assert_true(refused[0] > 0 && refused[1] > 0 && refused[2] > 0);
    assert_int_equal(count_recorded(&handled[0]), own[0] + taken[0] + taken[2]);
    assert_int_equal(count_recorded(&handled[1]), own[1] + taken[1]);
    assert_true(dropped_by(handled[0].store) >= refused[0] + refused[2]);
    assert_int_equal(dropped_by(handled[1].store), refused[1]);
    end_recording(&handled[0]);
    end_recording(&handled[1]);
}

static void make_series_in_handler(int number)
{
    static unsigned made;
    char value[32];
    uint32_t family, series;
    const char *label = "n", *values[] = { value };
    const struct kvtel_family_spec spec = {
        .name = "late", .type = KVTEL_COUNTER, .help = "Late.", .labelnames = &label, .label_count = 1
    };
    (void)number;
    (void)snprintf(value, sizeof(value), "%u", made++ % 100);
    enum kvtel_status status = kvtel_store_family(handled[0].store, &spec, &family);
    if (status == KVTEL_OK)
        status = kvtel_store_series(handled[0].store, family, values, 1, &series);
    note(0, status == KVTEL_OK);
    (void)kvtel_record_transfer(handled[0].recorder, &transfer);
}

/* One that comes while its thread holds the store's lock is refused: it would wait for ever. */
static void test_handler_within_the_lock(void **state)
{
    (void)state;
    if (UNDER_TSAN) /* takes a handler that makes series for a fault */
        skip();
    const struct sigaction action = { .sa_handler = make_series_in_handler, .sa_flags = SA_RESTART };
    struct sigaction before;
    struct kvtel_lane *lane;
    handled[0] = start_recording(NULL, false);
    (void)kvtel_record_transfer(handled[0].recorder, &transfer);
    refused[0] = 0;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    set_timer(30);
    for (double until = now() + 20; now() < until && refused[0] < 50;) {
        for (int i = 0; i < 1000; i++) {
            if (kvtel_lane_open(handled[0].store, &lane) == KVTEL_OK)
                kvtel_lane_close(lane);
        }
    }
    set_timer(0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_true(refused[0] > 0);
    end_recording(&handled[0]);
}

/* --- Threads that end inside a call --- */

struct worker {
    const struct recording *recording;
    _Atomic uint64_t done;
};

static void *record_until_cancelled(void *argument)
{
    struct worker *worker = argument;
    int before;
    (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
    for (;;) {
        if (kvtel_record_transfer(worker->recording->recorder, &transfer))
            atomic_fetch_add_explicit(&worker->done, 1, memory_order_relaxed);
    }
    return NULL;
}

static void test_cancelled_threads(void **state)
{
    (void)state;
    if (UNDER_TSAN || UNDER_ASAN) /* takes what a thread leaves that ends at any instruction for a fault */
        skip();
    const struct recording recording = start_recording(KVTEL_STORE_OPTIONS(.dir = dir), true);
    enum { ROUNDS = 400 };
    uint64_t done = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct worker worker = { .recording = &recording };
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, record_until_cancelled, &worker), 0);
        while (atomic_load(&worker.done) < 100 + round % 256)
            continue;
        assert_int_equal(pthread_cancel(thread), 0);
        pthread_join(thread, NULL);
        done += atomic_load(&worker.done);
        uint64_t found = count_recorded(&recording);
        if (found < done || found > done + round + 1)
            fail_msg("round %u: %llu of %llu", round, (unsigned long long)found, (unsigned long long)done);
    }
    struct kvtel_store_info info;
    kvtel_store_describe(recording.store, &info);
    assert_int_equal(info.lanes, 1); /* each got that of the one before */
    end_recording(&recording);
}

/* A lane whose owner ended with `folded` of the four columns folded, and the next one's first `added` values in their
 * cells. */
static void check_unfinished(uint32_t folded, uint32_t added)
{
    const struct recording recording = start_recording(KVTEL_STORE_OPTIONS(.dir = dir), true);
    const struct kvtel_row_group *group = recording.recorder->first->group;
    struct kvtel_lane *lane, *again;
    assert_int_equal(kvtel_lane_open(recording.store, &lane), KVTEL_OK);
    for (int i = 0; i < 2 * KVTEL_BLOCK_ROWS; i++)
        assert_true(kvtel_lane_record(lane, recording.recorder->first, &transfer));
    for (uint32_t i = folded; i < group->feed_count; i++) { /* take back the second fold */
        kvtel_word *slot = kvtel_lane_slot(lane, group->feeds[i].slot);
        kvtel_word *cells = lane->words + group->feeds[i].cells_at;
        uint64_t first = kvtel_word_load(slot + KVTEL_SLOT_FIRST);
        bool begun = i == folded && added > 0;
        assert_int_equal(kvtel_word_load(&cells[first]), 2 * KVTEL_BLOCK_ROWS);
        kvtel_word_store(&cells[first], KVTEL_BLOCK_ROWS + (begun ? added : 0));
        kvtel_word_store(slot + KVTEL_SLOT_SEQ, begun ? 3 : 2);
        kvtel_word_store(slot + KVTEL_SLOT_TOTAL, 0);
        kvtel_word_store(slot + KVTEL_SLOT_COUNT, 0);
    }
    assert_int_equal(count_recorded(&recording), 2 * KVTEL_BLOCK_ROWS);
    kvtel_lane_close(lane);
    assert_int_equal(kvtel_lane_open(recording.store, &again), KVTEL_OK);
    assert_ptr_equal(again, lane);
    for (int i = 0; i < 1000; i++)
        assert_true(kvtel_lane_record(again, recording.recorder->first, &transfer));
    assert_int_equal(count_recorded(&recording), 2 * KVTEL_BLOCK_ROWS + 1000);
    end_recording(&recording);
}

static void test_next_owner_finishes_the_fold(void **state)
{
    (void)state;
    for (uint32_t folded = 0; folded < 4; folded++) {
        check_unfinished(folded, 0);
        check_unfinished(folded, 1);
        check_unfinished(folded, KVTEL_BLOCK_ROWS);
    }
}

/* Two threads wrote into one lane, say: it is left out and given to nobody, the others count. */
static void test_contradicting_lane(void **state)
{
    (void)state;
    const struct recording recording = start_recording(KVTEL_STORE_OPTIONS(.dir = dir), true);
    const struct kvtel_row_group *group = recording.recorder->first->group;
    struct kvtel_lane *lanes[2], *again;
    uint64_t found = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kvtel_lane_open(recording.store, &lanes[i]), KVTEL_OK);
        for (int k = 0; k < 1000; k++)
            assert_true(kvtel_lane_record(lanes[i], recording.recorder->first, &transfer));
    }
    kvtel_word *slot = kvtel_lane_slot(lanes[0], group->feeds[1].slot);
    kvtel_word_store(slot + KVTEL_SLOT_SEQ, kvtel_word_load(slot + KVTEL_SLOT_SEQ) + 4);
    assert_int_equal(count_path(kvtel_store_path(recording.store), &found), KVTEL_E_MISMATCH);
    assert_int_equal(found, 1000);
    kvtel_lane_close(lanes[0]);
    assert_int_equal(kvtel_lane_open(recording.store, &again), KVTEL_OK);
    assert_ptr_not_equal(again, lanes[0]);
    end_recording(&recording);
}

/* --- Forks --- */

static _Atomic bool stop;

static void *make_series(void *argument)
{
    struct kvtel_store *store = argument;
    const char *label = "n";
    const struct kvtel_family_spec spec = {
        .name = "grows", .type = KVTEL_COUNTER, .help = "Grows.", .labelnames = &label, .label_count = 1
    };
    uint32_t family, series;
    if (kvtel_store_family(store, &spec, &family) != KVTEL_OK)
        abort();
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        char value[32];
        const char *values[] = { value };
        (void)snprintf(value, sizeof(value), "%u", i % 5000);
        (void)kvtel_store_series(store, family, values, 1, &series);
    }
    return NULL;
}

static int use_in_child(const struct recording *recording)
{
    const struct kvtel_family_spec spec = { .name = "x", .type = KVTEL_COUNTER, .help = "X.", .label_count = 0 };
    struct kvtel_lane *lane;
    uint32_t number;
    uint64_t before = dropped_by(recording->store);
    bool off = kvtel_lane_open(recording->store, &lane) == KVTEL_E_BUSY &&
               kvtel_store_family(recording->store, &spec, &number) == KVTEL_E_BUSY &&
               !kvtel_record_transfer(recording->recorder, &transfer) &&
               !kvtel_record_operation(kvtel_recorder_operation(recording->recorder, NULL, NULL), &transfer) &&
               !kvtel_record_failure(recording->recorder, KVTEL_FAILED_TRANSFER);
    return off && dropped_by(recording->store) >= before + 3 ? 0 : 1;
}

/* Whatever lock a thread holds at that moment, the child's calls return at once. They record nothing, and that is
 * counted. */
static void check_forks(bool file)
{
    skip_unless_fork_wipes();
    const struct recording recording = start_recording(KVTEL_STORE_OPTIONS(.dir = dir), file);
    pthread_t thread;
    assert_true(kvtel_record_transfer(recording.recorder, &transfer));
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, make_series, recording.store), 0);
    for (int i = 0; i < 200; i++) {
        pid_t child = fork();
        if (child == 0) {
            (void)alarm(120);
            _exit(use_in_child(&recording));
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_true(kvtel_record_transfer(recording.recorder, &transfer));
    end_recording(&recording);
}

static void test_fork_in_the_heap(void **state)
{
    (void)state;
    check_forks(false);
}

static void test_fork_with_a_file(void **state)
{
    (void)state;
    check_forks(true);
}

/* A child reads what it has of its parent's store, and closes the store. */
static int read_in_child(const struct recording *recording)
{
    struct kvtel_reading reading;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    const char *labels[] = { "", "0" };
    bool good = kvtel_snapshot_add(snapshot, recording->store) == KVTEL_OK &&
                kvtel_store_read(recording->store, "vllm:nixl_bytes_transferred", labels, 2, &reading) == KVTEL_OK &&
                reading.count == 1;
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recording->recorder);
    kvtel_store_close(recording->store);
    return good ? 0 : 1;
}

/* The child of a fork lacks the lanes that its parent opens afterwards, although both share the file. */
static void test_lanes_after_a_fork(void **state)
{
    (void)state;
    skip_unless_fork_wipes();
    const struct recording recording = start_recording(KVTEL_STORE_OPTIONS(.dir = dir), true);
    struct kvtel_lane *lanes[3];
    int opened[2], status;
    char byte;
    assert_true(kvtel_record_transfer(recording.recorder, &transfer));
    assert_int_equal(pipe(opened), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(120);
        (void)close(opened[1]);
        _exit(read(opened[0], &byte, 1) == 0 ? read_in_child(&recording) : 2);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kvtel_lane_open(recording.store, &lanes[i]), KVTEL_OK);
        assert_true(kvtel_lane_record(lanes[i], recording.recorder->first, &transfer));
    }
    (void)close(opened[0]);
    (void)close(opened[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < 3; i++)
        kvtel_lane_close(lanes[i]);
    end_recording(&recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signal_handler),     cmocka_unit_test(test_handler_within_the_lock),
        cmocka_unit_test(test_cancelled_threads),  cmocka_unit_test(test_next_owner_finishes_the_fold),
        cmocka_unit_test(test_contradicting_lane), cmocka_unit_test(test_fork_in_the_heap),
        cmocka_unit_test(test_fork_with_a_file),   cmocka_unit_test(test_lanes_after_a_fork),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
