/* SPDX-License-Identifier: Apache-2.0 */
/* The connector tables by which a report reads the families of a snapshot. */
#ifndef KVTEL_REPORT_TABLES_H
#define KVTEL_REPORT_TABLES_H

#include <kvtel/connector.h>
#include <kvtel/snapshot.h>

#include "base/arena.h"

/* The i-th of all tables to which metrics can belong; NULL past the end. */
const struct kvtel_connector *kvtel_snapshot_table(size_t i);

/* Makes a table named "other metrics" of the families that none of these tables has, so that metrics of a
 * connector's own are reported, too. Its memory is from the arena, and it borrows from the snapshot. @return
 * KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_generic_table(const struct kvtel_snapshot *snapshot, struct kvtel_arena *arena,
                                      const struct kvtel_connector **made);

#endif
