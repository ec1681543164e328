/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot written as a store of its own: what an exporter keeps of stores whose writers have ended. */
#ifndef KVTEL_STORE_TOTALS_H
#define KVTEL_STORE_TOTALS_H

#include <kvtel/snapshot.h>

/* Family whose label says which stores' numbers are in the totals although their files may still be there. No exposition shows it.
 */
#define KVTEL_TOTALS_FAMILY "kvtel_retired_store"
#define KVTEL_TOTALS_LABEL "store"

/* Writes DIR/NAME as a whole or not at all: the file appears under its name by rename, in place of an older one. It holds the
 * snapshot, and the names of `included` stores instead of those that the snapshot's own KVTEL_TOTALS_FAMILY has.
 * @param kind  stands in the file's header, as the connector
 * @param error may be NULL
 * @return KVTEL_OK; KVTEL_E_IO (no room, not allowed), KVTEL_E_MISMATCH (a histogram with bins that this version does not make),
 * KVTEL_E_LIMIT, KVTEL_E_NOMEM: an older file is as it was */
enum kvtel_status kvtel_totals_write(const char *dir, const char *name, const char *kind, const struct kvtel_snapshot *snapshot,
                                     const char *const *included, size_t included_count, struct kvtel_error *error);

#endif
