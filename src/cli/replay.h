/* SPDX-License-Identifier: Apache-2.0 */
/* The summary of a replay, for each recording, connector and engine: what was moved, what failed, and how long it
 * took. */
#ifndef KVTEL_CLI_REPLAY_H
#define KVTEL_CLI_REPLAY_H

#include "recording/recording.h"
#include <kvtel/stats.h>

struct replay_totals;

/* @return owned; NULL: no memory */
struct replay_totals *replay_totals_create(void);
void replay_totals_destroy(struct replay_totals *totals);
/* Begins a recording. `connector` NULL: it is unknown. KVTEL_OK or KVTEL_E_NOMEM. */
enum kvtel_status replay_totals_begin(struct replay_totals *totals, const char *file, const char *connector_name,
                                      const struct kvtel_connector *connector, const struct kvtel_record *header);
/* Adds a record's aggregated stats; NULL: no payload was usable. KVTEL_OK or KVTEL_E_NOMEM. */
enum kvtel_status replay_totals_add(struct replay_totals *totals, const struct kvtel_record *record,
                                    const struct kvtel_stats *stats);
/* Prints all recordings, and what was refused, on standard output. False, after printing a message: no memory. */
bool replay_totals_print(const struct replay_totals *totals, const struct kvtel_diagnostics *diagnostics);

#endif
