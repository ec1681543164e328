/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/snapshot.h>
#include <stdio.h>
#include <unistd.h>

#include "collect/series.h"
#include "support/recordings.h"

void keep_warning(void *context, const char *message)
{
    (void)snprintf(context, 512, "%s", message);
}

struct recording start_recording(const struct kvtel_store_options *options, bool file)
{
    struct recording made = { .store = file ? kvtel_store_open(options) : kvtel_store_create(options) };
    made.recorder = kvtel_recorder_create(made.store, kvtel_connector_find("NixlConnector"), NULL);
    return made;
}

void end_recording(const struct recording *recording)
{
    kvtel_recorder_destroy(recording->recorder);
    if (kvtel_store_path(recording->store))
        (void)unlink(kvtel_store_path(recording->store));
    kvtel_store_close(recording->store);
}

uint64_t dropped_by(const struct kvtel_store *store)
{
    struct kvtel_store_info info;
    kvtel_store_describe(store, &info);
    return info.records_dropped;
}

enum kvtel_status count_path(const char *path, uint64_t *count)
{
    static const char *const names[] = { "vllm:nixl_xfer_time_seconds", "vllm:nixl_post_time_seconds",
                                         "vllm:nixl_bytes_transferred", "vllm:nixl_num_descriptors" };
    struct kvtel_store_reader *reader;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_store_reader_open(path, &reader, NULL), KVTEL_OK);
    enum kvtel_status status = kvtel_snapshot_add_reader(snapshot, reader, NULL);
    for (size_t i = 0; i < 4; i++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, names[i]);
        uint64_t in_bins = 0;
        assert_non_null(family);
        for (uint32_t bin = 0; bin < family->series[0].bin_count; bin++)
            in_bins += family->series[0].bins[bin];
        assert_int_equal(in_bins, family->series[0].count);
        if (i > 0)
            assert_int_equal(in_bins, *count);
        *count = in_bins;
    }
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_reader_close(reader);
    return status;
}

uint64_t count_recorded(const struct recording *recording)
{
    uint64_t found = 0;
    assert_int_equal(count_path(kvtel_store_path(recording->store), &found), KVTEL_OK);
    return found;
}
