/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter maps one file that other processes can truncate: its own store, which is a file so that the next
 * exporter can take it over. Access to a truncated page raises SIGBUS; the guard keeps the process alive. */
#ifndef KVTEL_SERVE_OWN_GUARD_H
#define KVTEL_SERVE_OWN_GUARD_H

#include <stdbool.h>

struct kvtel_store;

/* Guards one store until own_guard_end(). When a page turns out to be missing, its content is lost and every later
 * call on the store does nothing, as in a child of a fork. Call it before any thread writes into the store. False:
 * the signal handler cannot be installed. */
bool own_guard_begin(struct kvtel_store *store);
/* Copies the store's header; call it once a second. Calls that run while a page is lost use the copy. */
void own_guard_note(void);
/* Whether a page of the store was found missing. Any thread. */
bool own_guard_was_cut(void);
/* Call it when the file was found truncated before any access hit a missing page: no call on the store begins any
 * more. */
void own_guard_give_up(void);
/* Ends the guard. Call it before the store is closed. */
void own_guard_end(void);

#endif
