/* SPDX-License-Identifier: Apache-2.0 */
/* An exposition family by family, for those who choose the families. */
#ifndef KVTEL_EXPOSITION_EXPOSITION_H
#define KVTEL_EXPOSITION_EXPOSITION_H

#include <kvtel/exposition.h>

/* What a histogram is in protobuf. The texts have classic buckets always. */
enum kvtel_histograms { KVTEL_HISTOGRAMS_BOTH, KVTEL_HISTOGRAMS_CLASSIC, KVTEL_HISTOGRAMS_NATIVE };

/* The schemas of native histograms: the coarsest, and the finest that a store's bins can have. */
enum { KVTEL_NATIVE_SCHEMA_LEAST = -4, KVTEL_NATIVE_SCHEMA_MOST = 3 };

struct kvtel_exposition_options {
    enum kvtel_exposition_format format;
    enum kvtel_histograms histograms;
    int native_schema;     /* at most */
    unsigned most_buckets; /* native ones of a series; at least 1 */
    bool created;          /* lines _created in OpenMetrics */
};

/* What kvtel_exposition() takes for a format. */
struct kvtel_exposition_options kvtel_exposition_defaults(enum kvtel_exposition_format format);

/* Appends one family. A family may not be there twice. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_exposition_family(const struct kvtel_snapshot_family *family,
                                          const struct kvtel_exposition_options *options, struct kvtel_buffer *buffer);

/* Appends what ends an exposition. Status as above. */
enum kvtel_status kvtel_exposition_end(enum kvtel_exposition_format format, struct kvtel_buffer *buffer);

#endif
