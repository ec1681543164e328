/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries of what happened between two snapshots. They have the form of summaries from stats, but are made from
 * metrics only. One thread at a time. */
#ifndef KVTEL_REPORT_SNAPSHOT_SUMMARY_H
#define KVTEL_REPORT_SNAPSHOT_SUMMARY_H

#include <kvtel/log_line.h>

#include "report/interval.h"
#include "report/summary.h"

/* The bins of one flow. */
struct kvtel_flow_bins {
    struct kvtel_interval_bins time, post, size;
};

/* One connector in one engine. Quantiles of time and post are within 1 %. Failure classes that share a family are
 * reported together, for example as "transfer_or_handshake". */
struct kvtel_engine_summary {
    const char *connector, *model_name, *engine; /* "": the label is missing */
    struct kvtel_summary summary;                /* is_empty: nothing happened (a gauge does not count as an event) */
    struct kvtel_flow_bins *bins;                /* one for each of its flows */
};

/* All summaries. Borrows from the snapshots. */
struct kvtel_snapshot_summary {
    struct kvtel_engine_summary
        /* Connectors in the order of their tables, then NIXL's rings, then other metrics. */
        *entries;
    size_t count;
    size_t all; /* number of entries that the filter lets through, without offset and limit */
    struct kvtel_arena arena;
};

/* Makes summaries.
 * @param made    out, to be closed with kvtel_snapshot_summary_close(); unchanged on failure
 * @param earlier NULL: since the start
 * @param limit   largest number of entries
 * @return        KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_snapshot_summary_init(struct kvtel_snapshot_summary *made, const struct kvtel_snapshot *earlier,
                                              const struct kvtel_snapshot *later, size_t limit);

/* A part of the entries. */
struct kvtel_summary_choice {
    /* NULL or "": all. Otherwise those of whose "CONNECTOR engine ENGINE MODEL" this is a part; ASCII letters are equal
     * in both cases. */
    const char *filter;
    size_t offset, limit; /* of those that pass: how many are left out first; how many are made then */
};
/* The same as kvtel_snapshot_summary_init() since the start, of a part. */
enum kvtel_status kvtel_snapshot_summary_choose(struct kvtel_snapshot_summary *made,
                                                const struct kvtel_snapshot *snapshot,
                                                const struct kvtel_summary_choice *choice);
void kvtel_snapshot_summary_close(struct kvtel_snapshot_summary *made);

/* Passes the lines of the interval to `sink`. In the default style there is a line for each connector and engine in
 * which something happened, in vLLM's style one for each such connector, over all engines. In vLLM's style the
 * values are derived from metrics: counts are those of counters and histograms, means are sums divided by counts,
 * and P90 is read from bins, so it is within 1 % of vLLM's.
 * @param earlier may be empty: since the start
 * @return KVTEL_OK; KVTEL_E_NOMEM: no line was passed */
enum kvtel_status kvtel_snapshot_log(const struct kvtel_snapshot *earlier, const struct kvtel_snapshot *later,
                                     enum kvtel_log_style style, double interval_seconds, kvtel_log_fn sink,
                                     void *context);

#endif
