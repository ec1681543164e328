/* SPDX-License-Identifier: Apache-2.0 */
/* The directory itself: who may use it, the lock against a second exporter, the watch, and whether the path still
 * leads to it. */
#ifndef KVTEL_SERVE_STORE_PLACE_H
#define KVTEL_SERVE_STORE_PLACE_H

#include "serve/store_dir.h"

/* Opens, locks and watches the directory; a missing one is made. A directory without write permission is not locked.
 * @return KVTEL_OK; KVTEL_E_BUSY: another exporter uses it; KVTEL_E_IO: `error` says why */
enum kvtel_status store_place_open(struct store_dir *dir, struct kvtel_error *error);
void store_place_close(struct store_dir *dir);
/* Follows the path to another directory than before. True: that one is used from now on. If the path has not existed
 * for three seconds, the directory is made. A directory that cannot be used (another user's, or another exporter's)
 * is logged once and tried again at the next call. */
bool store_place_moved(struct store_dir *dir, uint64_t now_ns);
/* Whether something happened in the directory since the last call. Always true without a watch. */
bool store_place_changed(struct store_dir *dir);

#endif
