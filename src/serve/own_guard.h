/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter maps one file that others can cut: its own store, which must be a file so that the next exporter takes
 * it over. Where it was cut, an access ends in SIGBUS; this keeps the process alive. */
#ifndef KVTEL_SERVE_OWN_GUARD_H
#define KVTEL_SERVE_OWN_GUARD_H

#include <stdbool.h>

struct kvtel_store;

/* Guards one store until own_guard_end(). What is in its pages that were cut is lost; every call on the store after
 * that does nothing, as in a child of a fork. Before any thread that writes into it. False: a signal handler cannot be
 * set. */
bool own_guard_begin(struct kvtel_store *store);
/* Once a second: what the store's header says now, for calls that run when it is lost. */
void own_guard_note(void);
/* Whether pages of the store were found cut. Any thread. */
bool own_guard_was_cut(void);
/* Somebody cut the store, where nobody has touched it yet: no call on it begins any more. */
void own_guard_give_up(void);
/* Before the store is closed. */
void own_guard_end(void);

#endif
