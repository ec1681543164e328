/* SPDX-License-Identifier: Apache-2.0 */
/* What a store's file may say: parts that need nothing but themselves. */
#ifndef KVTEL_COLLECT_CHECK_H
#define KVTEL_COLLECT_CHECK_H

#include <kvtel/base.h>

#include "format/layout.h"

/* KVTEL_OK, KVTEL_E_FORMAT. */
enum kvtel_status kvtel_check_header(const struct kvtel_layout_header *header, struct kvtel_error *error);
/* Names of a metric and, behind its help, of its labels: each once, and none that a histogram has of its own. */
bool kvtel_check_names(const char *text, uint32_t label_count, bool histogram);
/* The family's bounds in the table of bounds. */
bool kvtel_check_bounds(const char *table, const struct kvtel_layout_family *family);
/* An array of marks with room for `count`, the new ones 0. False without memory. */
bool kvtel_marks_reserve(uint8_t **marks, uint32_t *room, uint32_t count);

#endif
