/* SPDX-License-Identifier: Apache-2.0 */
/* The totals of ended stores, beside the stores of running writers. */
#ifndef KVTEL_SERVE_RETIRE_H
#define KVTEL_SERVE_RETIRE_H

#include "cli/serve/store_dir.h"

/* Opens the totals, and removes the files of stores that are in them. The directory's lock is held. */
enum kvtel_status retire_open(struct store_dir *dir, struct kvtel_error *error);
/* Adds ended stores to the totals, then removes their files. */
void retire_ended(struct store_dir *dir, uint64_t now_ns);

#endif
