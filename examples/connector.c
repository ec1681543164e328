/* SPDX-License-Identifier: Apache-2.0 */
/* A connector that moves KV blocks through a socket and records each transfer. Run it, then: kvtel dump STORE */
#include <kvtel/recorder.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024, BLOCKS = 16, TRANSFERS = 200 };

/* The prefill side: sends the blocks of each request. */
static void *prefill(void *socket)
{
    static char blocks[BLOCKS * BLOCK];
    memset(blocks, 7, sizeof blocks);
    for (int i = 0; i < TRANSFERS; i++) {
        for (size_t sent = 0; sent < sizeof blocks;) {
            ssize_t n = write(*(int *)socket, blocks + sent, sizeof blocks - sent);
            if (n <= 0)
                return NULL;
            sent += (size_t)n;
        }
    }
    return NULL;
}

/* The decode side: fetches a request's blocks into its cache. False when the peer is gone. */
static bool fetch(int socket, char *cache, struct kvtel_transfer *transfer)
{
    static char staging[BLOCK];
    transfer->submitted_ns = transfer->posted_ns = kvtel_now_ns();
    for (int block = 0; block < BLOCKS; block++) {
        if (recv(socket, staging, BLOCK, MSG_WAITALL) != BLOCK)
            return false;
        if (block == 0)
            transfer->first_byte_ns = kvtel_now_ns();
        memcpy(cache + (size_t)block * BLOCK, staging, BLOCK);
    }
    transfer->done_ns = kvtel_now_ns();
    transfer->bytes = BLOCKS * BLOCK;
    transfer->descriptors = BLOCKS;
    return true;
}

int main(void)
{
    /* Once, when the connector starts. None of this can fail the engine: without a store, recording does nothing. */
    struct kvtel_store *store =
        kvtel_store_open(KVTEL_STORE_OPTIONS(.model_name = "llama-70b", .connector = "NixlConnector"));
    struct kvtel_recorder *recorder =
        kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), KVTEL_RECORDER_OPTIONS(.windows = true));

    int ends[2];
    pthread_t thread;
    char *cache = malloc(BLOCKS * BLOCK);
    if (!cache || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
        pthread_create(&thread, NULL, prefill, &ends[0]) != 0)
        return 1;
    for (int i = 0; i < TRANSFERS; i++) {
        struct kvtel_transfer transfer = { 0 };
        if (fetch(ends[1], cache, &transfer))
            kvtel_record_transfer(recorder, &transfer); /* once per transfer: nanoseconds */
        else
            kvtel_record_failure(recorder, KVTEL_FAILED_TRANSFER);
    }
    pthread_join(thread, NULL);
    free(cache);

    printf("%s\n", store && kvtel_store_path(store) ? kvtel_store_path(store) : "nothing was recorded in a file");
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store); /* the file stays: the exporter takes its totals and removes it */
    return 0;
}
