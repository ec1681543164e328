/* SPDX-License-Identifier: Apache-2.0 */
/* A store with a recorder for NIXL's connector, and what is counted in it. */
#ifndef KVTEL_TEST_RECORDINGS_H
#define KVTEL_TEST_RECORDINGS_H

#include <kvtel/reader.h>
#include <kvtel/recorder.h>

struct recording {
    struct kvtel_store *store;
    struct kvtel_recorder *recorder;
};

/* For kvtel_store_options.warn: `context` is a char[512], which keeps the last message. */
void keep_warning(void *context, const char *message);

/* `file`: in a file, otherwise on the heap. */
struct recording start_recording(const struct kvtel_store_options *options, bool file);

/* Removes the file too. */
void end_recording(const struct recording *recording);

uint64_t dropped_by(const struct kvtel_store *store);

/* What a reader of the file counts, in each of the four histograms alike. */
enum kvtel_status count_path(const char *path, uint64_t *count);
uint64_t count_recorded(const struct recording *recording);

#endif
