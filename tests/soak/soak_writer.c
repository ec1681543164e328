/* SPDX-License-Identifier: Apache-2.0 */
/* Writers that come and go: soak_writer DIR SECONDS. Every 100 ms a process of its own opens a store under a new model,
 * records for about a second and ends: in order, or every fifth one by SIGKILL. At the end one line of JSON gives the
 * sums of what all recorded. */
#include <kvtel/kvtel.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_MS = 100, STEP_MS = 50, STEPS = 20, ENGINES = 8, KILLED = 5 };

/* Shared by all processes. A writer adds what it has recorded. */
struct book {
    _Atomic uint64_t transfers, bytes, failures, writers;
};

static void wait_ms(long ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Records a step's transfers and one failure. */
static bool record_step(struct kvtel_recorder *recorder, struct book *book, unsigned number, unsigned step)
{
    const struct kvtel_instrument *failed = kvtel_recorder_instrument(recorder, "num_failed_transfers", NULL, 0);
    unsigned count = 20 + number % 50;
    for (unsigned i = 0; i < count; i++) {
        const struct kvtel_transfer transfer = { .duration_ns = 1000000 * (1 + i + step),
                                                 .post_ns = 100000 + i,
                                                 .bytes = 65536 * (uint64_t)(1 + i),
                                                 .descriptors = 1 + i };
        if (!kvtel_record_transfer(recorder, &transfer))
            return false;
        atomic_fetch_add(&book->transfers, 1);
        atomic_fetch_add(&book->bytes, transfer.bytes);
    }
    if (!kvtel_record_value(failed, 1))
        return false;
    atomic_fetch_add(&book->failures, 1);
    return true;
}

/* A writer's whole life. Returns its exit code. */
static int write_store(const char *dir, struct book *book, unsigned number)
{
    char model[32];
    snprintf(model, sizeof model, "model-%u", number);
    struct kvtel_store *store = kvtel_store_open(
        KVTEL_STORE_OPTIONS(.dir = dir, .model_name = model, .connector = "NixlConnector", .engine = number % ENGINES));
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    if (!recorder || !kvtel_store_path(store))
        return 1;
    for (unsigned step = 0; step < STEPS; step++) {
        if (!record_step(recorder, book, number, step))
            return 1;
        wait_ms(STEP_MS);
    }
    atomic_fetch_add(&book->writers, 1);
    if (number % KILLED == KILLED - 1)
        raise(SIGKILL);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    return 0;
}

/* Waits for writers that ended, or for all of them. Returns the number that failed. */
static unsigned reap(bool all)
{
    unsigned failed = 0;
    int status;
    while (waitpid(-1, &status, all ? 0 : WNOHANG) > 0)
        failed +=
            !(WIFEXITED(status) && WEXITSTATUS(status) == 0) && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct book *book = mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (book == MAP_FAILED)
        return 1;
    double until = now_s() + atof(argv[2]);
    unsigned failed = 0, number = 0;
    for (; now_s() < until; number++) {
        pid_t child = fork();
        if (child == 0)
            _exit(write_store(argv[1], book, number));
        failed += child < 0;
        wait_ms(EVERY_MS);
        failed += reap(false);
    }
    failed += reap(true);
    printf("{\"begun\": %u, \"failed\": %u, \"writers\": %ju, \"transfers\": %ju, \"bytes\": %ju, \"failures\": %ju}\n",
           number, failed, (uintmax_t)book->writers, (uintmax_t)book->transfers, (uintmax_t)book->bytes,
           (uintmax_t)book->failures);
    return 0;
}
