/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Exposition: a snapshot as text that Prometheus reads.
 *
 * libkvtel_record does not have its function.
 */
#ifndef KVTEL_EXPOSITION_H
#define KVTEL_EXPOSITION_H

#include <kvtel/buffer.h>
#include <kvtel/snapshot.h>

KVTEL_BEGIN_DECLS

/** Content-Type of the text format. */
#define KVTEL_CONTENT_TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"
/** Content-Type of OpenMetrics 1.0. */
#define KVTEL_CONTENT_TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/** Appends the snapshot in Prometheus' text format 0.0.4, as prometheus_client prints it: families and series in the
 * order in which they were made, labels sorted by name, numbers as Python's repr. Bytes of label values that are no
 * UTF-8 become U+FFFD.
 * @return KVTEL_OK; KVTEL_E_NOMEM: `buffer` is as before */
KVTEL_API enum kvtel_status kvtel_exposition_text(const struct kvtel_snapshot *snapshot, struct kvtel_buffer *buffer);

KVTEL_END_DECLS
#endif
