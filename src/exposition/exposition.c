/* SPDX-License-Identifier: Apache-2.0 */
/* Expositions in every format: a table of the formats, each of which writes a family. */
#include "exposition/exposition.h"

#include "base/buffer.h"
#include "exposition/text.h"

static const struct {
    enum kvtel_status (*family)(const struct kvtel_snapshot_family *family, struct kvtel_buffer *buffer);
    const char *end;
} formats[] = {
    [KVTEL_FORMAT_TEXT] = { kvtel_text_family, "" },
    [KVTEL_FORMAT_OPENMETRICS] = { kvtel_openmetrics_family, "# EOF\n" },
};

enum kvtel_status kvtel_exposition_family(const struct kvtel_snapshot_family *family,
                                          enum kvtel_exposition_format format, struct kvtel_buffer *buffer)
{
    return formats[format].family(family, buffer);
}

enum kvtel_status kvtel_exposition_end(enum kvtel_exposition_format format, struct kvtel_buffer *buffer)
{
    return kvtel_buffer_append_text(buffer, formats[format].end);
}

enum kvtel_status kvtel_exposition(const struct kvtel_snapshot *snapshot, enum kvtel_exposition_format format,
                                   struct kvtel_buffer *buffer)
{
    size_t size = buffer->size, count = kvtel_snapshot_family_count(snapshot);
    enum kvtel_status status = KVTEL_OK;
    if ((size_t)format >= sizeof formats / sizeof *formats)
        return KVTEL_E_ARGUMENT;
    for (size_t i = 0; i < count && status == KVTEL_OK; i++)
        status = kvtel_exposition_family(kvtel_snapshot_family(snapshot, i), format, buffer);
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
