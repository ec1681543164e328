/* SPDX-License-Identifier: Apache-2.0 */
/* A process that begins transfers for tests: open_writer DIR. It prints "ready PATH", then obeys lines of its standard
 * input and says "ok" after each: "begin BYTES PEER AGE_NS" begins a transfer that many ns ago, "end" ends the one that
 * was begun first, "fail" fails it. When its input ends it closes the store. */
#include <kvtel/kvtel.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRANSFERS = 64 };

int main(int argc, char **argv)
{
    struct kvtel_transfer_token tokens[TRANSFERS];
    unsigned begun = 0, ended = 0;
    char line[256], peer[128];
    unsigned long long bytes, age;
    struct kvtel_store *store = kvtel_store_open(
        KVTEL_STORE_OPTIONS(.dir = argc > 1 ? argv[1] : NULL, .model_name = "m", .connector = "NixlConnector"));
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"),
                                                            KVTEL_RECORDER_OPTIONS(.open_transfers = TRANSFERS / 2));
    const struct kvtel_operation *operation = kvtel_recorder_operation(recorder, NULL, NULL);
    if (!operation || !kvtel_store_path(store))
        return 1;
    printf("ready %s\n", kvtel_store_path(store));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "begin %llu %127s %llu", &bytes, peer, &age) == 3 && begun < TRANSFERS) {
            const struct kvtel_transfer_start start = { .bytes = bytes,
                                                        .began_ns = kvtel_now_ns() - age,
                                                        .peer = kvtel_store_peer(store, peer) };
            tokens[begun++] = kvtel_transfer_begin(operation, &start);
        } else if (strcmp(line, "end\n") == 0 && ended < begun) {
            (void)kvtel_transfer_end(&tokens[ended++], NULL);
        } else if (strcmp(line, "fail\n") == 0 && ended < begun) {
            (void)kvtel_transfer_fail(&tokens[ended++], KVTEL_FAILED_TRANSFER);
        } else {
            return 2;
        }
        puts("ok");
        fflush(stdout);
    }
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    return 0;
}
