/* SPDX-License-Identifier: Apache-2.0 */
/* Expositions in every format: a table of the formats, each of which writes a family. */
#include "exposition/exposition.h"

#include "base/buffer.h"
#include "collect/snapshot.h"
#include "exposition/protobuf.h"
#include "exposition/text.h"
#include "histogram/exponential.h"

_Static_assert((int)KVTEL_NATIVE_SCHEMA_LEAST == (int)KVTEL_SCHEMA_LEAST, "a schema that cannot be halved further");

static enum kvtel_status text(const struct kvtel_snapshot_family *family,
                              const struct kvtel_exposition_options *options, struct kvtel_buffer *buffer)
{
    return options->format == KVTEL_FORMAT_OPENMETRICS ? kvtel_openmetrics_family(family, options->created, buffer)
                                                       : kvtel_text_family(family, buffer);
}

static const struct {
    enum kvtel_status (*family)(const struct kvtel_snapshot_family *family,
                                const struct kvtel_exposition_options *options, struct kvtel_buffer *buffer);
    const char *end;
} formats[] = {
    [KVTEL_FORMAT_TEXT] = { text, "" },
    [KVTEL_FORMAT_OPENMETRICS] = { text, "# EOF\n" },
    [KVTEL_FORMAT_PROTOBUF] = { kvtel_protobuf_family, "" },
};

struct kvtel_exposition_options kvtel_exposition_defaults(enum kvtel_exposition_format format)
{
    return (struct kvtel_exposition_options){
        .format = format,
        .histograms = KVTEL_HISTOGRAMS_BOTH,
        .native_schema = KVTEL_SCHEMA_DEFAULT,
        .most_buckets = KVTEL_EXPONENTIAL_BUCKETS,
    };
}

enum kvtel_status kvtel_exposition_family(const struct kvtel_snapshot_family *family,
                                          const struct kvtel_exposition_options *options, struct kvtel_buffer *buffer)
{
    return formats[options->format].family(family, options, buffer);
}

enum kvtel_status kvtel_exposition_end(enum kvtel_exposition_format format, struct kvtel_buffer *buffer)
{
    return kvtel_buffer_append_text(buffer, formats[format].end);
}

enum kvtel_status kvtel_exposition(const struct kvtel_snapshot *snapshot, enum kvtel_exposition_format format,
                                   struct kvtel_buffer *buffer)
{
    const struct kvtel_exposition_options options = kvtel_exposition_defaults(format);
    size_t size = buffer->size, count = kvtel_snapshot_family_count(snapshot);
    enum kvtel_status status = KVTEL_OK;
    if ((size_t)format >= sizeof formats / sizeof *formats)
        return KVTEL_E_ARGUMENT;
    if (format == KVTEL_FORMAT_PROTOBUF)
        kvtel_snapshot_ask_parts(snapshot);
    for (size_t i = 0; i < count && status == KVTEL_OK; i++)
        status = kvtel_exposition_family(kvtel_snapshot_family(snapshot, i), &options, buffer);
    if (status == KVTEL_OK)
        status = kvtel_exposition_end(format, buffer);
    if (status != KVTEL_OK)
        buffer->size = size;
    return status;
}

enum kvtel_status kvtel_exposition_text(const struct kvtel_snapshot *snapshot, struct kvtel_buffer *buffer)
{
    return kvtel_exposition(snapshot, KVTEL_FORMAT_TEXT, buffer);
}
