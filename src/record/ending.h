/* SPDX-License-Identifier: Apache-2.0 */
/* The word of a store's file that records that the writer ended in order. A reader uses it to tell an orderly end
 * from a killed process. */
#ifndef KVTEL_RECORD_ENDING_H
#define KVTEL_RECORD_ENDING_H

#include "record/store.h"

/* Registers a new store in a file, so that exit(3) marks it as closed if kvtel_store_ends() has not done so before.
 * Any thread; takes no lock. */
void kvtel_store_begins(struct kvtel_store *store);
/* Marks the store as closed; called by the process that closes the store. In a child of a fork nothing is written.
 * Returns false while exit(3) is using the store: the caller must then leave it as it is. */
bool kvtel_store_ends(struct kvtel_store *store);

#endif
