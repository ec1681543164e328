/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of parts of a store's file that need no other part. */
#ifndef KVTEL_COLLECT_CHECK_H
#define KVTEL_COLLECT_CHECK_H

#include <kvtel/base.h>

#include "format/layout.h"

/* Checks the header. KVTEL_OK; KVTEL_E_FORMAT, and `error` (may be NULL) says why. */
enum kvtel_status kvtel_check_header(const struct kvtel_layout_header *header, struct kvtel_error *error);
/* Checks the texts of a family: its name, its help, and `label_count` label names, each followed by a NUL. False: a
 * name is malformed, a label occurs twice, or a label has a name that a histogram's own labels use. */
bool kvtel_check_names(const char *text, uint32_t label_count, bool histogram);
/* Checks the family's bounds in a copy of the table of bounds. */
bool kvtel_check_bounds(const char *table, const struct kvtel_layout_family *family);
/* Grows an array of marks to hold `count`; new marks are 0. `room` is its capacity. False: no memory, and the array
 * is unchanged. */
bool kvtel_marks_reserve(uint8_t **marks, uint32_t *room, uint32_t count);

#endif
