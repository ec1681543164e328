/* SPDX-License-Identifier: Apache-2.0 */
/* Reading recordings. A recording is a header, payloads and interval marks, as JSON Lines or as MessagePack objects
 * one after the other; docs/recording-format.md describes it. Reading streams: memory is bounded by the largest
 * object. One thread at a time for each recording. */
#ifndef KVTEL_RECORDING_RECORDING_H
#define KVTEL_RECORDING_RECORDING_H

#include "value/value.h"
#include <kvtel/transfer_config.h>

enum {
    KVTEL_RECORDING_VERSION = 1,
    /* Largest size of an object in bytes; one NIXL transfer takes about 35 bytes in JSON. */
    KVTEL_RECORDING_OBJECT_LIMIT = 256 << 20
};

/* Largest sequence number. Nanoseconds of a clock fit; a larger number must be a mistake. */
#define KVTEL_RECORDING_SEQUENCE_LIMIT INT64_C(9000000000000000000)

/* Reads at most `size` bytes. Returns their number; 0: the end; SIZE_MAX: reading failed. */
typedef size_t (*kvtel_read_fn)(void *context, void *bytes, size_t size);

enum kvtel_record_kind {
    KVTEL_RECORD_END,
    KVTEL_RECORD_HEADER,
    KVTEL_RECORD_PAYLOADS, /* payloads of one engine: a single one, or one from each worker to be aggregated in order */
    KVTEL_RECORD_LOG       /* end of a logging interval */
};

struct kvtel_record {
    enum kvtel_record_kind kind;
    size_t offset; /* place of the object in the recording, in bytes */
    size_t size;
    uint32_t line;    /* line, from 1; for MessagePack the object's number */
    const char *text; /* text of the object; for JSON Lines only */
    const struct kvtel_value *object;
    /* for KVTEL_RECORD_PAYLOADS */
    uint32_t engine;
    const struct kvtel_value *payloads;
    size_t payload_count;
    bool from_workers; /* the member was "workers", not "payload" */
    double timestamp;  /* 0: not given */
    int64_t sequence;  /* from 0 to 9e18; -1: not given */
    /* for KVTEL_RECORD_HEADER */
    struct kvtel_transfer_config *config; /* owned by the caller */
    const char *model_name;
    const char *source; /* NULL: not given */
    double started;     /* start of the source, seconds since 1970; 0: not given */
    const uint32_t *engines;
    size_t engine_count;
};

struct kvtel_recording;

/* Opens a recording. `read` is called until it returns 0 or SIZE_MAX. @return owned; NULL: no memory */
struct kvtel_recording *kvtel_recording_open(kvtel_read_fn read, void *context);
void kvtel_recording_close(struct kvtel_recording *recording);
/* Sets the limits of one object: bytes instead of KVTEL_RECORDING_OBJECT_LIMIT (the buffer grows in powers of 2 from
 * 64 KiB), and values instead of KVTEL_VALUE_COUNT. Call it before the first object is read. */
void kvtel_recording_limit(struct kvtel_recording *recording, size_t bytes, size_t values);
/* The format, known after the first record. */
enum kvtel_format kvtel_recording_format(const struct kvtel_recording *recording);

/* Reads the next object. All pointers in `record` are valid until the next call, except `config`, which the caller
 * owns.
 * On failure `error` (may be NULL) gives the place in the recording, and the object is skipped. In JSON Lines the
 * next call reads the next line. In MessagePack the next call reads the next object if this one was complete, else
 * it returns KVTEL_RECORD_END.
 * Status: KVTEL_OK; any status of kvtel_value_decode(); KVTEL_E_TYPE (not an object of a recording), KVTEL_E_FORMAT
 * (another version, or a file that is not a recording by its first bytes), KVTEL_E_UNKNOWN (no header came before),
 * KVTEL_E_LIMIT (the object is too large), KVTEL_E_IO. */
enum kvtel_status kvtel_recording_next(struct kvtel_recording *recording, struct kvtel_record *record,
                                       struct kvtel_error *error);

#endif
