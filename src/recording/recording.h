/* SPDX-License-Identifier: Apache-2.0 */
/* A recording: a header, payloads and interval marks, as JSON Lines or as MessagePack objects one after the other. The
 * format is described in docs/recording-format.md. Reading streams: memory is bounded by the largest object. */
#ifndef KVTEL_RECORDING_RECORDING_H
#define KVTEL_RECORDING_RECORDING_H

#include "value/value.h"
#include <kvtel/transfer_config.h>

enum {
    KVTEL_RECORDING_VERSION = 1,
    /* The largest object that is read; one NIXL transfer takes about 35 bytes in JSON. */
    KVTEL_RECORDING_OBJECT_LIMIT = 256 << 20
};

/* The largest sequence number. A clock's nanoseconds fit; one that can only be a mistake does not. */
#define KVTEL_RECORDING_SEQUENCE_LIMIT INT64_C(9000000000000000000)

/* Reads at most `size` bytes; 0 at the end, SIZE_MAX when reading failed. */
typedef size_t (*kvtel_read_fn)(void *context, void *bytes, size_t size);

enum kvtel_record_kind {
    KVTEL_RECORD_END,
    KVTEL_RECORD_HEADER,
    KVTEL_RECORD_PAYLOADS, /* of one engine: one payload, or one a worker to be aggregated in order */
    KVTEL_RECORD_LOG       /* a logging interval ends */
};

struct kvtel_record {
    enum kvtel_record_kind kind;
    size_t offset; /* of the object in the recording */
    size_t size;
    uint32_t line;    /* from 1; MessagePack: the object's number */
    const char *text; /* of the object; JSON Lines only */
    const struct kvtel_value *object;
    /* PAYLOADS */
    uint32_t engine;
    const struct kvtel_value *payloads;
    size_t payload_count;
    bool from_workers; /* "workers", not "payload" */
    double timestamp;  /* 0: not given */
    int64_t sequence;  /* from 0 to 9e18; -1: not given */
    /* HEADER */
    struct kvtel_transfer_config *config; /* owned by the caller */
    const char *model_name;
    const char *source; /* NULL: not given */
    double started;     /* of the source, seconds; 0: not given */
    const uint32_t *engines;
    size_t engine_count;
};

struct kvtel_recording;

/* @return owned, or NULL without memory. `read` is called until it says end. */
struct kvtel_recording *kvtel_recording_open(kvtel_read_fn read, void *context);
void kvtel_recording_close(struct kvtel_recording *recording);
/* The most that one object may have, in place of KVTEL_RECORDING_OBJECT_LIMIT (reading grows in powers of 2 from 64
 * KiB) and KVTEL_VALUE_COUNT. Before the first object is read. */
void kvtel_recording_limit(struct kvtel_recording *recording, size_t bytes, size_t values);
/* The format, known after the first record. */
enum kvtel_format kvtel_recording_format(const struct kvtel_recording *recording);

/* The next object; all that it points to is valid until the next call.
 * On failure `error` (may be NULL) has the place in the recording, and the object is skipped: in JSON Lines the next
 * call reads the next line, in MessagePack it says KVTEL_RECORD_END unless the object was complete. Status: KVTEL_OK;
 * what kvtel_value_decode() returns; KVTEL_E_TYPE (not an object of a recording), KVTEL_E_FORMAT (another version; what
 * is no recording by its first bytes), KVTEL_E_UNKNOWN (no header came first), KVTEL_E_LIMIT (an object is too large),
 * KVTEL_E_IO. */
enum kvtel_status kvtel_recording_next(struct kvtel_recording *recording, struct kvtel_record *record,
                                       struct kvtel_error *error);

#endif
