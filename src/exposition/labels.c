/* SPDX-License-Identifier: Apache-2.0 */
/* The order of labels, and a family's unit. */
#include "exposition/labels.h"

#include <string.h>

void kvtel_label_order(const struct kvtel_snapshot_family *family, size_t *order)
{
    for (size_t i = 0; i < family->label_count; i++) {
        size_t place = i;
        for (; place > 0 && strcmp(family->labelnames[order[place - 1]], family->labelnames[i]) > 0; place--)
            order[place] = order[place - 1];
        order[place] = i;
    }
}

const char *kvtel_family_unit(const struct kvtel_snapshot_family *family)
{
    static const char *const names[] = {
        [KVTEL_UNIT_COUNT] = "",
        [KVTEL_UNIT_SECONDS] = "seconds",
        [KVTEL_UNIT_BYTES] = "bytes",
        [KVTEL_UNIT_RATIO] = "ratio",
    };
    const char *unit = names[family->unit];
    size_t size = strlen(unit), name_size = strlen(family->name);
    return name_size > size && family->name[name_size - size - 1] == '_' &&
                   strcmp(family->name + name_size - size, unit) == 0
               ? unit
               : "";
}
