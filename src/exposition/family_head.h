/* SPDX-License-Identifier: Apache-2.0 */
/* What a family's message begins with, in Prometheus' protobuf and in OTLP. */
#ifndef KVTEL_EXPOSITION_FAMILY_HEAD_H
#define KVTEL_EXPOSITION_FAMILY_HEAD_H

#include "collect/series.h"

#include <kvtel/buffer.h>

/* Numbers of the message's fields. */
struct kvtel_family_head {
    unsigned name, help, unit;
    unsigned type; /* 0: the message has no such field */
};

/* Writes the name (that of a counter ends with _total), the help, the type's number and the unit, which may be empty.
 * KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_family_head(const struct kvtel_snapshot_family *family, const struct kvtel_family_head *fields,
                                    unsigned type, const char *unit, struct kvtel_buffer *buffer);

#endif
