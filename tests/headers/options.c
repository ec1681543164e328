/* SPDX-License-Identifier: Apache-2.0 */
/* The macros that fill options, as C and as C++: compiled without a warning by each compiler in each language version.
 */
#include <kvtel/recorder.h>
#include <kvtel/store.h>

static void warn(void *context, const char *message)
{
    (void)context;
    (void)message;
}

static int record(struct kvtel_store *store)
{
    struct kvtel_recorder *all = kvtel_recorder_create(store, NULL, KVTEL_RECORDER_OPTIONS());
    struct kvtel_recorder *some =
        kvtel_recorder_create(store, NULL, KVTEL_RECORDER_OPTIONS(.engine = "0", .windows = true));
    kvtel_recorder_destroy(all);
    kvtel_recorder_destroy(some);
    kvtel_store_close(store);
    return KVTEL_STORE_OPTIONS(.mode = 0644)->mode == 0644 &&
           KVTEL_STORE_OPTIONS(.mode = 0644)->size == sizeof(struct kvtel_store_options);
}

int main(int argc, char **argv)
{
    const uint32_t rank = (uint32_t)argc;
    return record(kvtel_store_create(KVTEL_STORE_OPTIONS())) &&
                   record(kvtel_store_create(KVTEL_STORE_OPTIONS(.rank = rank))) &&
                   record(kvtel_store_create(KVTEL_STORE_OPTIONS(.model_name = "m", .connector = argv[0], .engine = 1,
                                                                 .rank = rank, .max_lanes = 2, .warn = warn)))
               ? 0
               : 1;
}
