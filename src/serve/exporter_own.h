/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's own store: where rings and the receiver count. The exporter's lock is held in each call, or nothing
 * else runs yet. */
#ifndef KVTEL_SERVE_EXPORTER_OWN_H
#define KVTEL_SERVE_EXPORTER_OWN_H

#include "serve/exporter.h"

/* Opens the store, the rings and the receiver. On failure `error` says why; exporter_close() frees what was opened. */
enum kvtel_status exporter_own_open(struct exporter *exporter, struct kvtel_error *error);
/* Closes the rings and the store. */
void exporter_own_close(struct exporter *exporter);
/* Whether the store's file was truncated or has lost its name, or no new one could be begun since. */
bool exporter_own_is_lost(struct exporter *exporter);
/* Keeps the store's numbers of now, whatever happens to its file. False: its file was not found in the directory yet,
 * or cannot be read now. */
bool exporter_own_keep(struct exporter *exporter);
/* Closes store and rings and begins new ones, without the receiver, which must be paused. On failure there are none;
 * try again later. */
enum kvtel_status exporter_own_renew(struct exporter *exporter, struct kvtel_error *error);
/* Makes the folder of rings if it is missing, because a NIXL agent does not start without it. An agent of another user
 * needs a directory that this user made. */
void exporter_make_ring_folder(struct exporter *exporter);

#endif
