/* SPDX-License-Identifier: Apache-2.0 */
/* A host that loads the recording library like a plug-in: host LIBRARY DIR. A thread records 500 transfers into a
 * file. */
#include <dlfcn.h>
#include <kvtel/recorder.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct kvtel_recorder *recorder;
static bool (*record)(const struct kvtel_recorder *recorder, const struct kvtel_transfer *transfer);

/* ISO C has no conversion from an object's address to a function's. */
static bool take(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof(found));
    return found != NULL;
}

static void *run(void *unused)
{
    const struct kvtel_transfer transfer = { .duration_ns = 1000, .post_ns = 100, .bytes = 4096, .descriptors = 2 };
    (void)unused;
    for (int i = 0; i < 500; i++) {
        if (!record(recorder, &transfer))
            return NULL;
    }
    return &recorder;
}

int main(int argc, char **argv)
{
    struct kvtel_store *(*open_store)(const struct kvtel_store_options *options);
    const char *(*path)(const struct kvtel_store *store);
    const struct kvtel_connector *(*find)(const char *name);
    struct kvtel_recorder *(*create)(struct kvtel_store *, const struct kvtel_connector *,
                                     const struct kvtel_recorder_options *);
    void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL, *done = NULL;
    pthread_t thread;
    if (!library || !take(library, "kvtel_store_open", &open_store) || !take(library, "kvtel_store_path", &path) ||
        !take(library, "kvtel_connector_find", &find) || !take(library, "kvtel_recorder_create", &create) ||
        !take(library, "kvtel_record_transfer", &record)) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    struct kvtel_store *store = open_store(KVTEL_STORE_OPTIONS(.dir = argv[2]));
    recorder = store && path(store) ? create(store, find("NixlConnector"), NULL) : NULL;
    if (!recorder || pthread_create(&thread, NULL, run, NULL) != 0 || pthread_join(thread, &done) != 0 || !done)
        return 2;
    return 0;
}
