/* SPDX-License-Identifier: Apache-2.0 */
/* Recognises files that are not recordings by their first bytes, and says what to do about each kind. */
#include "recording/foreign.h"

#include <string.h>

#define COMPRESSED(name, cat) \
    "the recording is compressed (" name "): unpack it first, as in \"" cat " FILE | kvtel check -\""
#define UTF_16 "the recording is UTF-16; save it as UTF-8"

const char *kvtel_recording_foreign(const char *bytes, size_t size)
{
    static const struct {
        const char *first;
        size_t size;
        const char *message;
    } rows[] = {
        { "\xEF\xBB\xBF", 3, "the recording begins with a byte order mark (EF BB BF); save it as UTF-8 without one" },
        { "\xFF\xFE", 2, UTF_16 },
        { "\xFE\xFF", 2, UTF_16 },
        { "{\0", 2, UTF_16 },
        { "\0{", 2, UTF_16 },
        { "\x1F\x8B", 2, COMPRESSED("gzip", "zcat") ", or post it with the header Content-Encoding: gzip" },
        { "\x28\xB5\x2F\xFD", 4, COMPRESSED("zstd", "zstdcat") },
        { "\xFD"
          "7zXZ",
          5, COMPRESSED("xz", "xzcat") },
        { "BZh", 3, COMPRESSED("bzip2", "bzcat") },
        { "PK\x03\x04", 4, "the recording is a zip archive: unpack it first" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (size >= rows[i].size && memcmp(bytes, rows[i].first, rows[i].size) == 0)
            return rows[i].message;
    return NULL;
}

const char *kvtel_recording_hint(enum kvtel_status status, const char *line, size_t size, size_t at, bool has_end)
{
    while (size > 0 && strchr(" \t\r", line[size - 1]) && line[size - 1] != '\0')
        size--;
    if (status == KVTEL_E_TRAILING && at < size && line[at] == '{')
        return "two objects stand on one line; each needs a line of its own (curl --data takes line breaks out: use "
               "--data-binary)";
    if (status == KVTEL_E_TRUNCATED && has_end && size > 0 && line[size - 1] != '\0' && strchr("{[,:", line[size - 1]))
        return "the object does not end on its line; pretty-printed JSON becomes one object a line by jq -c . FILE";
    return NULL;
}
