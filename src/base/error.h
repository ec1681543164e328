/* SPDX-License-Identifier: Apache-2.0 */
/* Filling the error that a parser reports. */
#ifndef KVTEL_BASE_ERROR_H
#define KVTEL_BASE_ERROR_H

#include <kvtel/base.h>

/* Fills `error` (may be NULL), with line and column 0, and returns `status`. A message too long is cut, and what is
 * not printable in it escaped. */
enum kvtel_status kvtel_fail(struct kvtel_error *error, enum kvtel_status status, size_t offset, const char *format,
                             ...) KVTEL_PRINTF(4, 5);
/* The same for a system call that left `number` in errno: `what` failed, and why. Returns KVTEL_E_NOMEM for ENOMEM,
 * else KVTEL_E_IO. */
enum kvtel_status kvtel_fail_system(struct kvtel_error *error, int number, size_t offset, const char *what);

#endif
