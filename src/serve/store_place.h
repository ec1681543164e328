/* SPDX-License-Identifier: Apache-2.0 */
/* The directory itself: who may use it, the lock that keeps a second exporter out, the watch, and whether its path
 * still leads there.
 */
#ifndef KVTEL_SERVE_STORE_PLACE_H
#define KVTEL_SERVE_STORE_PLACE_H

#include "serve/store_dir.h"

/* Makes the directory if it is not there, opens, locks and watches it; one that may only be read is not locked.
 * @return KVTEL_OK; KVTEL_E_BUSY: another exporter has it; KVTEL_E_IO: `error` says why */
enum kvtel_status store_place_open(struct store_dir *dir, struct kvtel_error *error);
void store_place_close(struct store_dir *dir);
/* Whether the path leads to another directory than before, which is used from now on; one is made where there has been
 * none for three seconds. One that cannot be used (another user's, or in use by another exporter) is said once, and
 * asked for again at the next call. */
bool store_place_moved(struct store_dir *dir, uint64_t now_ns);
/* Whether anything has happened in the directory since the last call. Without a watch: always. */
bool store_place_changed(struct store_dir *dir);

#endif
