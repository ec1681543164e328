/* SPDX-License-Identifier: Apache-2.0 */
/* The body of /api/v1/summary: what the page shows. docs/api-summary.md says what each member is. */
#ifndef KVTEL_REPORT_SUMMARY_JSON_H
#define KVTEL_REPORT_SUMMARY_JSON_H

#include <kvtel/diagnostics.h>
#include <kvtel/buffer.h>
#include <kvtel/snapshot.h>

/* Where numbers come from. Texts are borrowed. */
struct summary_source {
    const char *kind, *name, *state;
    const char *reason; /* why it is in this state; NULL or "": there is nothing to say */
    char connector[128];
    uint32_t engine, rank;
    uint64_t pid;
    double age_seconds;
};

/* Who records; see struct writer. */
struct summary_writer {
    char connector[128], model_name[512];
    uint32_t engine, rank, live;
    uint64_t pid, restarts, unclosed;
    double last_seen_seconds; /* ago; negative: no writer of it ended */
};

struct summary_options {
    double uptime_seconds;
    const struct summary_source *sources;
    size_t source_count; /* given here */
    size_t all_sources;  /* that there are */
    const struct summary_writer *writers;
    size_t writer_count; /* given here */
    size_t all_writers;  /* that are known */
    size_t recording;    /* sources that record now */
    uint64_t refused[KVTEL_REFUSAL_COUNT];
};

/* More connectors and engines, and more other values of one, than these are counted, not told. */
enum { SUMMARY_ENTRIES = 256, SUMMARY_OTHERS = 100 };

/* Appends the body. @return KVTEL_OK; KVTEL_E_NOMEM: `buffer` is as before */
enum kvtel_status summary_json_write(const struct kvtel_snapshot *snapshot, const struct summary_options *options,
                                     struct kvtel_buffer *buffer);

#endif
