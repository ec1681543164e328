/* SPDX-License-Identifier: Apache-2.0 */
/* Adds one more label to every series of a view. */
#ifndef KVTEL_TOTALS_RELABEL_H
#define KVTEL_TOTALS_RELABEL_H

#include <kvtel/buffer.h>

#include "format/view.h"

/* Copies of the view's tables with the label added. They grow with the view. Start from {0} and set name and value. */
struct kvtel_relabel {
    /* Name of the label, which comes last; borrowed. A family that already has this label, or has as many labels as
     * it can, is left as it is. */
    const char *name;
    char value[16];
    struct kvtel_buffer families, series, strings;
    uint64_t removed_count; /* of the view whose removed series are marked */
};

/* Puts the copies into the view. All calls must pass views of the same store. `relabel` is a struct kvtel_relabel; the
 * function is a kvtel_view_fn. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_relabel_view(void *relabel, struct kvtel_view *view);
void kvtel_relabel_free(struct kvtel_relabel *relabel);

#endif
