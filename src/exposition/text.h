/* SPDX-License-Identifier: Apache-2.0 */
/* One family in the two text formats. */
#ifndef KVTEL_EXPOSITION_TEXT_H
#define KVTEL_EXPOSITION_TEXT_H

#include <kvtel/buffer.h>
#include <kvtel/snapshot.h>

/* Appends HELP, TYPE and all series of the family. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_text_family(const struct kvtel_snapshot_family *family, struct kvtel_buffer *buffer);

/* The same in OpenMetrics: a counter's HELP and TYPE are without _total, quotes in HELP are escaped, and UNIT is there
 * if the family's name ends in its unit. */
enum kvtel_status kvtel_openmetrics_family(const struct kvtel_snapshot_family *family, struct kvtel_buffer *buffer);

#endif
