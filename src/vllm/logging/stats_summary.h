/* SPDX-License-Identifier: Apache-2.0 */
/* Making a summary from stats. */
#ifndef KVTEL_VLLM_LOGGING_STATS_SUMMARY_H
#define KVTEL_VLLM_LOGGING_STATS_SUMMARY_H

#include <kvtel/stats.h>

#include "report/summary.h"

/* Makes a summary, which borrows from the stats and their table.
 * @param summary out, to be closed with kvtel_summary_close(); unchanged on failure
 * @return KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_stats_summary_init(struct kvtel_summary *summary, const struct kvtel_stats *stats);

#endif
