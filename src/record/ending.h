/* SPDX-License-Identifier: Apache-2.0 */
/* The mark in a store's file that its writer ended in order, so that a reader can tell a process that was killed. */
#ifndef KVTEL_RECORD_ENDING_H
#define KVTEL_RECORD_ENDING_H

#include "record/store.h"

/* A store in a file was made: it is marked by kvtel_store_ends(), or else when the process calls exit(3). Any thread;
 * takes no lock. */
void kvtel_store_begins(struct kvtel_store *store);
/* Its process closes it. A child of a fork marks nothing. False: exit(3) is using it, so that it must stay as it is. */
bool kvtel_store_ends(struct kvtel_store *store);

#endif
