/* SPDX-License-Identifier: Apache-2.0 */
/* The body of /api/v1/summary, which the page shows. docs/api-summary.md describes the members. */
#ifndef KVTEL_REPORT_SUMMARY_JSON_H
#define KVTEL_REPORT_SUMMARY_JSON_H

#include <kvtel/diagnostics.h>
#include <kvtel/buffer.h>
#include <kvtel/snapshot.h>

#include "report/peers.h"

/* A source of numbers. Texts are borrowed. */
struct summary_source {
    const char *kind, *name, *state;
    const char *reason; /* reason of the state; NULL or "": none */
    char connector[128];
    uint32_t engine, rank;
    uint64_t pid;
    double age_seconds;
};

/* A writer; see struct writer. */
struct summary_writer {
    char connector[128], model_name[512];
    uint32_t engine, rank, live;
    uint64_t pid, restarts, unclosed;
    double last_seen_seconds; /* seconds since its last writer ended; negative: none ended */
};

/* Open transfers of one connector, engine and operation. */
struct summary_open_row {
    char connector[128], model_name[512], engine[128], operation[128];
    uint64_t open, stalled;
    double bytes, oldest_seconds;
};

/* One open transfer. */
struct summary_open {
    char connector[128], engine[128], operation[128], peer[48];
    uint64_t pid;
    double bytes; /* below 0: not known */
    double age_seconds;
    bool stalled;
};
/* The oldest transfers that the summary shows. */
enum { SUMMARY_OPEN = 20 };

struct summary_options {
    const char *filter; /* as in kvtel_summary_choice */
    size_t offset;
    size_t limit; /* of entries; 0: SUMMARY_ENTRIES */
    double uptime_seconds;
    const struct summary_source *sources;
    size_t source_count; /* number given here */
    size_t all_sources;  /* number of all */
    const struct summary_writer *writers;
    size_t writer_count; /* number given here */
    size_t all_writers;  /* number of all */
    const struct summary_open_row *open;
    size_t open_count;
    const struct summary_open *oldest; /* the oldest first */
    size_t oldest_count;
    const struct summary_open_peers *open_peers; /* NULL: none */
    size_t recording;                            /* number of sources that record now */
    uint64_t refused[KVTEL_REFUSAL_COUNT];
};

/* Limits of entries (connector and engine), and of other values in one entry. What exceeds them is counted, but not
 * shown. */
enum { SUMMARY_ENTRIES = 256, SUMMARY_OTHERS = 100 };

/* Appends the body. @return KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged */
enum kvtel_status summary_json_write(const struct kvtel_snapshot *snapshot, const struct summary_options *options,
                                     struct kvtel_buffer *buffer);

#endif
