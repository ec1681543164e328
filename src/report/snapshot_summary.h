/* SPDX-License-Identifier: Apache-2.0 */
/* What happened between two snapshots, in the terms of an operator: the summaries that stats give, from metrics alone.
 */
#ifndef KVTEL_REPORT_SNAPSHOT_SUMMARY_H
#define KVTEL_REPORT_SNAPSHOT_SUMMARY_H

#include <kvtel/log_line.h>

#include "report/interval.h"
#include "report/summary.h"

/* Of one flow. */
struct kvtel_flow_bins {
    struct kvtel_interval_bins time, post, size;
};

/* One connector in one engine. Its time and post quantiles are within 1 %. What no family holds by itself is told
 * together: a class of failures is then "transfer_or_handshake". */
struct kvtel_engine_summary {
    const char *connector, *model_name, *engine; /* "": there is no such label */
    struct kvtel_summary summary;                /* is_empty: nothing happened; a level is no event */
    struct kvtel_flow_bins *bins;                /* of each of its flows */
};

/* Borrows from the snapshots. */
struct kvtel_snapshot_summary {
    struct kvtel_engine_summary
        *entries; /* connectors in the order of their tables, then NIXL's rings, then other metrics */
    size_t count;
    size_t all; /* that there are; more than `count` where a limit was reached */
    struct kvtel_arena arena;
};

/* The i-th of all tables that metrics can come from; NULL past the end. */
const struct kvtel_connector *kvtel_snapshot_table(size_t i);

/* A table of the families that none of these tables has, "other metrics", so that a connector's own are told too. All
 * of it is the arena's and borrows from the snapshot. @return KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_generic_table(const struct kvtel_snapshot *snapshot, struct kvtel_arena *arena,
                                      const struct kvtel_connector **made);

/* @param earlier NULL: since the start. @param limit how many entries are made. @param made out, to be closed with
 * kvtel_snapshot_summary_close(); untouched on failure.
 * @return KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_snapshot_summary_init(struct kvtel_snapshot_summary *made, const struct kvtel_snapshot *earlier,
                                              const struct kvtel_snapshot *later, size_t limit);
void kvtel_snapshot_summary_close(struct kvtel_snapshot_summary *made);

/* Gives the lines of the interval to `sink`: in the default style one for each connector and engine in which something
 * happened, in vLLM's style one for each such connector, over all engines. There vLLM's keys say what the metrics say:
 * counts are those of counters and histograms, means are sums over counts, and P90 is read from bins, so it is within 1
 * % of vLLM's.
 * @param earlier may be empty: since the start. @return KVTEL_OK, KVTEL_E_NOMEM (no line) */
enum kvtel_status kvtel_snapshot_log(const struct kvtel_snapshot *earlier, const struct kvtel_snapshot *later,
                                     enum kvtel_log_style style, double interval_seconds, kvtel_log_fn sink,
                                     void *context);

#endif
