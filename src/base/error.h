/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a struct kvtel_error. */
#ifndef KVTEL_BASE_ERROR_H
#define KVTEL_BASE_ERROR_H

#include <kvtel/base.h>

/* Fills `error` (may be NULL), with line and column 0, and returns `status`. A message that is too long is cut, and
 * unprintable characters are escaped. */
enum kvtel_status kvtel_fail(struct kvtel_error *error, enum kvtel_status status, size_t offset, const char *format,
                             ...) KVTEL_PRINTF(4, 5);
/* The same for a failed system call. `number` is its errno; `what` says what failed. Returns KVTEL_E_NOMEM for
 * ENOMEM, else KVTEL_E_IO. */
enum kvtel_status kvtel_fail_system(struct kvtel_error *error, int number, size_t offset, const char *what);

#endif
