/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that record at full speed and end in every way: all records that they had finished are in their stores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <kvtel/reader.h>
#include <kvtel/recorder.h>

#include "collect/series.h"
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, DEFAULT_ROUNDS = 200 };

/* Shared with the processes that are killed. */
struct progress {
    _Atomic uint64_t finished[THREADS];
    _Atomic uint64_t failures[THREADS];
    _Atomic int ready;
};

struct writer {
    struct kvtel_recorder *recorder;
    struct progress *progress;
    int number;
    uint64_t limit;
};

static char dir[] = "/dev/shm/kvtel-test-XXXXXX";
static struct progress *progress;

/* Values by which a sum tells how many were added: of n transfers the descriptors add up to n, the bytes to 1000 n. */
static void *record(void *argument)
{
    struct writer *writer = argument;
    struct progress *shared = writer->progress;
    for (uint64_t i = 0; i < writer->limit; i++) {
        const struct kvtel_transfer transfer = {
            .duration_ns = 1000 + i * 7919 % 50000000, .post_ns = 500, .bytes = 1000, .descriptors = 1
        };
        (void)kvtel_record_transfer(writer->recorder, &transfer);
        atomic_store_explicit(&shared->finished[writer->number], i + 1, memory_order_relaxed);
        if (i % 1000 == 0) {
            (void)kvtel_record_failure(writer->recorder, KVTEL_FAILED_HANDSHAKE);
            atomic_store_explicit(&shared->failures[writer->number], i / 1000 + 1, memory_order_relaxed);
        }
        if (i == 0)
            atomic_fetch_add(&shared->ready, 1);
    }
    return NULL;
}

static void record_in_threads(struct kvtel_recorder *recorder, uint64_t limit)
{
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){ recorder, progress, i, limit };
        if (pthread_create(&threads[i], NULL, record, &writers[i]) != 0)
            _exit(1);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static pid_t start(uint64_t limit, void (*end)(struct kvtel_store *store))
{
    memset(progress, 0, sizeof(*progress));
    pid_t child = fork();
    if (child != 0)
        return child;
    struct kvtel_store *store = kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = dir));
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    if (!store || !kvtel_store_path(store) || !recorder)
        _exit(1);
    record_in_threads(recorder, limit);
    end(store);
    _exit(1);
}

/* The only store in the directory. False: there is none yet. */
static bool find_store(char *path, size_t size)
{
    DIR *listing = opendir(dir);
    bool found = false;
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_name[0] != '.' && strstr(entry->d_name, ".kvtel"))
            found = (size_t)snprintf(path, size, "%s/%s", dir, entry->d_name) < size;
    }
    closedir(listing);
    return found;
}

static uint64_t total_of(const struct kvtel_snapshot_series *series)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < series->bin_count; i++)
        total += series->bins[i];
    return total;
}

/* One histogram agrees with itself; all four agree with each other. Returns the number of transfers. */
static uint64_t check_agreement(const struct kvtel_snapshot *snapshot)
{
    static const char *const names[] = { "vllm:nixl_xfer_time_seconds", "vllm:nixl_post_time_seconds",
                                         "vllm:nixl_bytes_transferred", "vllm:nixl_num_descriptors" };
    uint64_t count = 0;
    for (size_t i = 0; i < 4; i++) {
        const struct kvtel_snapshot_series *series = &kvtel_snapshot_find(snapshot, names[i])->series[0];
        assert_int_equal(total_of(series), series->count);
        assert_true(i == 0 || series->count == count);
        count = series->count;
    }
    const struct kvtel_snapshot_series *bytes = &kvtel_snapshot_find(snapshot, names[2])->series[0];
    assert_true(bytes->sum == 1000.0 * (double)count);
    assert_true(fabs(kvtel_snapshot_find(snapshot, names[1])->series[0].sum - 500e-9 * (double)count) <
                1e-9 * (double)count * 500e-9 + 1e-15);
    return count;
}

static uint64_t finished(void)
{
    uint64_t total = 0;
    for (int i = 0; i < THREADS; i++)
        total += atomic_load(&progress->finished[i]);
    return total;
}

static uint64_t finished_failures(void)
{
    uint64_t total = 0;
    for (int i = 0; i < THREADS; i++)
        total += atomic_load(&progress->failures[i]);
    return total;
}

static void read_store(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *reader)
{
    struct kvtel_error error = { 0 };
    kvtel_snapshot_reset(snapshot);
    if (kvtel_snapshot_add_reader(snapshot, reader, &error) != KVTEL_OK)
        fail_msg("%s at %zu", error.message, error.offset);
}

/* Counts of a writer that never stops may be read one column by itself, and then differ: only that they grow is
 * checked. */
static uint64_t read_live(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *reader, uint64_t before)
{
    read_store(snapshot, reader);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "vllm:nixl_bytes_transferred");
    if (!family || family->series_count == 0)
        return before;
    assert_int_equal(total_of(&family->series[0]), family->series[0].count);
    assert_true(family->series[0].count >= before);
    return family->series[0].count;
}

static void sleep_us(long us)
{
    nanosleep(&(const struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

static void wait_until_ready(void)
{
    for (int i = 0; i < 20000 && atomic_load(&progress->ready) < THREADS; i++)
        sleep_us(500);
    assert_int_equal(atomic_load(&progress->ready), THREADS);
}

static void check_killed(uint64_t counted)
{
    uint64_t done = finished();
    if (counted < done || counted > done + THREADS)
        fail_msg("%llu finished, %llu read", (unsigned long long)done, (unsigned long long)counted);
}

static void test_kill(void **state)
{
    (void)state;
    const char *wanted = getenv("KVTEL_TEST_ROUNDS");
    int rounds = wanted ? atoi(wanted) : DEFAULT_ROUNDS;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    unsigned seed = 7;
    uint64_t torn = 0;
    for (int round = 0; round < rounds; round++) {
        char path[4096];
        pid_t child = start(UINT64_MAX, NULL);
        struct kvtel_store_reader *reader = NULL;
        wait_until_ready();
        assert_true(find_store(path, sizeof(path)));
        assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
        assert_int_equal(kvtel_store_reader_state(reader), KVTEL_STORE_LIVE);
        seed = seed * 1103515245 + 12345;
        uint64_t counted = 0;
        for (int i = 0; i < round % 3; i++)
            counted = read_live(snapshot, reader, counted);
        sleep_us((long)(seed >> 16) % 8000);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(kvtel_store_reader_state(reader), KVTEL_STORE_ENDED);
        read_store(snapshot, reader);
        uint64_t last = check_agreement(snapshot);
        check_killed(last);
        assert_true(last >= counted);
        torn += last % 256 != 0;
        double failures = kvtel_snapshot_find(snapshot, "vllm:nixl_num_failed_transfers")->series[0].value;
        assert_true(failures >= (double)finished_failures() && failures <= (double)finished_failures() + THREADS);
        kvtel_store_reader_close(reader);
        assert_int_equal(unlink(path), 0);
    }
    assert_true(rounds < 10 || torn > 0);
    kvtel_snapshot_destroy(snapshot);
}

static void end_by_exit(struct kvtel_store *store)
{
    (void)store;
    _exit(0);
}

static void end_by_close(struct kvtel_store *store)
{
    kvtel_store_close(store);
    _exit(0);
}

static void end_by_exec(struct kvtel_store *store)
{
    (void)store;
    execl("/bin/true", "true", (char *)NULL);
}

static void end_by_abort(struct kvtel_store *store)
{
    (void)store;
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

static void test_other_ends(void **state)
{
    (void)state;
    void (*const ends[])(struct kvtel_store *) = { end_by_exit, end_by_close, end_by_exec, end_by_abort };
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char path[4096];
        struct kvtel_store_reader *reader;
        pid_t child = start(12345, ends[i]);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_true(find_store(path, sizeof(path)));
        assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
        assert_int_equal(kvtel_store_reader_state(reader), KVTEL_STORE_ENDED);
        read_store(snapshot, reader);
        assert_int_equal(check_agreement(snapshot), THREADS * 12345);
        assert_true(kvtel_snapshot_find(snapshot, "vllm:nixl_num_failed_transfers")->series[0].value == THREADS * 13);
        kvtel_store_reader_close(reader);
        assert_int_equal(unlink(path), 0);
    }
    kvtel_snapshot_destroy(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_kill), cmocka_unit_test(test_other_ends) };
    progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED || !mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
