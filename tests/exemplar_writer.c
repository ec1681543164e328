/* SPDX-License-Identifier: Apache-2.0 */
/* A connector's process that leaves exemplars, for tests: exemplar_writer DIR. For each line of its standard input,
 * "DURATION_NS TIME_NS TRACEPARENT REQUEST", it records a NIXL transfer with the labels trace_id, span_id and
 * request_id, and answers "recorded". TIME_NS 0 is now; a "-" leaves labels out. The process prints "ready" and the
 * store's path when the store exists, and ends when its standard input ends. */
#include <kvtel/kvtel.h>

#include <stdio.h>
#include <string.h>

static bool take_line(const struct kvtel_operation *operation, const char *line)
{
    unsigned long long duration, time;
    char traceparent[64], request[256];
    if (sscanf(line, "%llu %llu %63s %255[^\n]", &duration, &time, traceparent, request) != 4)
        return false;
    struct kvtel_exemplar exemplar = { .time_ns = time };
    if ((strcmp(traceparent, "-") != 0 && !kvtel_exemplar_add_traceparent(&exemplar, traceparent)) ||
        (strcmp(request, "-") != 0 && !kvtel_exemplar_add(&exemplar, "request_id", request)))
        return false;
    const struct kvtel_transfer transfer = { .duration_ns = duration, .bytes = 262144, .descriptors = 2 };
    return kvtel_record_exemplar(operation, &transfer, &exemplar);
}

int main(int argc, char **argv)
{
    char line[512];
    if (argc != 2)
        return 2;
    struct kvtel_store *store =
        kvtel_store_open(KVTEL_STORE_OPTIONS(.model_name = "m", .connector = "NixlConnector", .dir = argv[1]));
    struct kvtel_recorder *recorder =
        kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), KVTEL_RECORDER_OPTIONS(.exemplars = true));
    const struct kvtel_operation *operation = kvtel_recorder_operation(recorder, NULL, NULL);
    if (!operation || !kvtel_store_path(store))
        return 1;
    printf("ready %s\n", kvtel_store_path(store));
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        puts(take_line(operation, line) ? "recorded" : "refused");
        (void)fflush(stdout);
    }
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    return 0;
}
