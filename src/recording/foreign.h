/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for input that is not a recording. All text is static. Any thread. */
#ifndef KVTEL_RECORDING_FOREIGN_H
#define KVTEL_RECORDING_FOREIGN_H

#include <kvtel/base.h>

/* Number of first bytes that are examined. */
enum { KVTEL_FOREIGN_BYTES = 6 };
/* Says what kind of file begins with these bytes. NULL: it may be a recording. */
const char *kvtel_recording_foreign(const char *bytes, size_t size);

/* A more helpful message for a line of JSON that failed with `status` at its byte `at`; NULL: none. `has_end`: the
 * line ends with a newline. */
const char *kvtel_recording_hint(enum kvtel_status status, const char *line, size_t size, size_t at, bool has_end);

#endif
