/* SPDX-License-Identifier: Apache-2.0 */
/* One more label on every series of a view. */
#ifndef KVTEL_COLLECT_RELABEL_H
#define KVTEL_COLLECT_RELABEL_H

#include <kvtel/buffer.h>

#include "format/view.h"

/* Zeroed but for name and value. Copies of the view's tables, which grow as those do. */
struct kvtel_relabel {
    const char *name; /* of the label, which comes last; a family that has it, or has no room for it, stays as it is */
    char value[16];
    struct kvtel_buffer families, series, strings;
};

/* Puts the copies into the view, which always is one of the same store. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_relabel_view(struct kvtel_relabel *relabel, struct kvtel_view *view);
void kvtel_relabel_free(struct kvtel_relabel *relabel);

#endif
