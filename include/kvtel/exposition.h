/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Exposition: a snapshot in the formats that Prometheus reads.
 *
 * libkvtel_record does not have its functions.
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

/** Content-Type of Prometheus' protobuf format. */
#define KVTEL_CONTENT_TYPE_PROTOBUF \
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

/** The formats. Samples are the same bytes in both texts; OpenMetrics also has exemplars. */
enum kvtel_exposition_format {
    KVTEL_FORMAT_TEXT,        /**< Prometheus' text format 0.0.4 */
    KVTEL_FORMAT_OPENMETRICS, /**< OpenMetrics 1.0: UNIT where a family's name ends in its unit; ends in `# EOF` */
    /** Messages io.prometheus.client.MetricFamily, each with its size before it. A histogram has its explicit buckets,
     * without the one up to +Inf, and native ones of schema 3 (or less, so that a series has at most 160). */
    KVTEL_FORMAT_PROTOBUF
};

/** Appends the whole snapshot in a format: families and series in the order in which they were made, labels sorted by
 * name, numbers in the texts as Python's repr. In label values U+FFFD takes the place of bytes that are not UTF-8. The
 * texts do not depend on the locale. Any thread, while no other one changes the snapshot. Protobuf asks the snapshot to
 * keep sums for native buckets: it does from the next round on, of what it keeps of stores (see
 * kvtel_snapshot_reset()), for ten minutes.
 * @return KVTEL_OK; KVTEL_E_NOMEM: `buffer` is as before; KVTEL_E_ARGUMENT: there is no such format, likewise */
KVTEL_API enum kvtel_status kvtel_exposition(const struct kvtel_snapshot *snapshot, enum kvtel_exposition_format format,
                                             struct kvtel_buffer *buffer);

/** Appends the snapshot in Prometheus' text format 0.0.4, as prometheus_client prints it:
 * kvtel_exposition() with KVTEL_FORMAT_TEXT. */
KVTEL_API enum kvtel_status kvtel_exposition_text(const struct kvtel_snapshot *snapshot, struct kvtel_buffer *buffer);

KVTEL_END_DECLS
#endif
