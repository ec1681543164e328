/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as OTLP: a message opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest. */
#ifndef KVTEL_EXPOSITION_OTLP_H
#define KVTEL_EXPOSITION_OTLP_H

#include "exposition/exposition.h"

#include <kvtel/snapshot.h>

struct kvtel_otlp_options {
    enum kvtel_histograms histograms; /* a point has one kind of buckets: explicit ones for KVTEL_HISTOGRAMS_CLASSIC */
    int native_schema;                /* at most */
    unsigned most_buckets;            /* exponential ones from the lowest to the highest of a series; at least 1 */
    uint64_t time_ns;                 /* of the points, since 1970 */
};

/* Appends one family as a metric of the request. The request is what was appended since the buffer had its first
 * metric. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_otlp_family(const struct kvtel_snapshot_family *family,
                                    const struct kvtel_otlp_options *options, struct kvtel_buffer *buffer);

/* An attribute of the resource. */
struct kvtel_otlp_attribute {
    const char *name, *value; /* UTF-8 */
};
/* Puts resource and scope around the metrics that the buffer holds, and nothing else. KVTEL_OK; KVTEL_E_NOMEM: `buffer`
 * is unchanged. */
enum kvtel_status kvtel_otlp_finish(const struct kvtel_otlp_attribute *resource, size_t count,
                                    struct kvtel_buffer *buffer);

#endif
