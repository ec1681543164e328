/* SPDX-License-Identifier: Apache-2.0 */
/* Adding a view of any kind to a snapshot. */
#ifndef KVTEL_STORE_SNAPSHOT_H
#define KVTEL_STORE_SNAPSHOT_H

#include <kvtel/snapshot.h>

#include "store/view.h"

/* As kvtel_snapshot_add(); also KVTEL_E_FORMAT and what view->read returns, with the snapshot unchanged. */
enum kvtel_status kvtel_snapshot_add_view(struct kvtel_snapshot *snapshot, const struct kvtel_view *view);

#endif
