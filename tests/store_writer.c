/* SPDX-License-Identifier: Apache-2.0 */
/* A connector's process for tests: store_writer DIR BOOK COUNT [ENGINE] [RANK] [THREADS]. Each thread records COUNT
 * NIXL transfers (0: without end), and after each writes their number to the mapped file BOOK (8 bytes for each
 * thread). The process prints "ready" when the store exists and "done" when everything is recorded, and ends when
 * its standard input ends. */
#include <kvtel/kvtel.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS_MAX = 16 };

static struct kvtel_recorder *recorder;
static _Atomic uint64_t *book;
static uint64_t wanted;

static void *record(void *argument)
{
    const struct kvtel_transfer transfer = {
        .duration_ns = 3000000, .post_ns = 300000, .bytes = 262144, .descriptors = 2
    };
    uint64_t place = (uint64_t)(uintptr_t)argument;
    for (uint64_t i = 1; wanted == 0 || i <= wanted; i++) {
        if (!kvtel_record_transfer(recorder, &transfer))
            return argument;
        atomic_store_explicit(&book[place], i, memory_order_release);
    }
    return argument;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    unsigned threads = argc > 6 ? (unsigned)atoi(argv[6]) : 1;
    int file = open(argv[2], O_RDWR | O_CREAT, 0600);
    if (threads > THREADS_MAX || file < 0 || ftruncate(file, THREADS_MAX * 8) != 0)
        return 1;
    book = mmap(NULL, THREADS_MAX * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    wanted = strtoull(argv[3], NULL, 10);
    struct kvtel_store *store =
        kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = argv[1], .model_name = "m", .connector = "NixlConnector",
                                             .engine = argc > 4 ? (uint32_t)atoi(argv[4]) : 0,
                                             .rank = argc > 5 ? (uint32_t)atoi(argv[5]) : 0));
    recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    if (book == MAP_FAILED || !recorder || !kvtel_store_path(store))
        return 1;
    printf("ready %s\n", kvtel_store_path(store));
    fflush(stdout);
    pthread_t thread[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, record, (void *)(uintptr_t)i) != 0)
            return 1;
    for (unsigned i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    puts("done");
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    return 0;
}
