/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for what people hand over in a recording's place. All text is static. Any thread. */
#ifndef KVTEL_RECORDING_FOREIGN_H
#define KVTEL_RECORDING_FOREIGN_H

#include <kvtel/base.h>

/* Bytes of a start that tell. */
enum { KVTEL_FOREIGN_BYTES = 6 };
/* What begins with these bytes and is no recording; NULL when it may be one. */
const char *kvtel_recording_foreign(const char *bytes, size_t size);

/* A better message for a line of JSON that failed with `status` at its byte `at`; NULL when there is none. `has_end`: a
 * newline is behind it. */
const char *kvtel_recording_hint(enum kvtel_status status, const char *line, size_t size, size_t at, bool has_end);

#endif
