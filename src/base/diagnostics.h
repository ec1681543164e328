/* SPDX-License-Identifier: Apache-2.0 */
/* Counting what is refused. */
#ifndef KVTEL_BASE_DIAGNOSTICS_H
#define KVTEL_BASE_DIAGNOSTICS_H

#include <kvtel/diagnostics.h>

/* Adds `n` to the count of `reason` and warns, if nothing was yet said of this reason and `subject`.
 * `subject` (at most 96 bytes count) is what the warning is about: a connector, a key. It remembers 1,024
 * subjects; past that it counts without a word. NULL `diagnostics` does nothing. Never fails, allocates nothing. */
void kvtel_diagnostics_refuse(struct kvtel_diagnostics *diagnostics, enum kvtel_refusal reason, uint64_t n,
                              const char *subject, const char *format, ...) KVTEL_PRINTF(5, 6);

#endif
