/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, killing and replacing worker processes. */
#ifndef KVTEL_DEMO_PROCESSES_H
#define KVTEL_DEMO_PROCESSES_H

#include "demo/engine.h"

/* Starts all workers. False, after printing a message. */
bool demo_processes_spawn(struct demo_engine *engine);
/* Handles a worker's reply that it is ready, and opens its store. False, after printing a message: it has no store
 * in a file. */
bool demo_process_ready(struct demo_process *process, const struct demo_reply *reply);
/* Kills the worker and waits until it is dead. False, after printing a message: it had ended before. */
bool demo_process_kill(struct demo_process *process);
/* Starts another worker in place of `gone`. */
bool demo_process_replace(struct demo_engine *engine, const struct demo_process *gone);
/* Prints how a worker ended that should not have ended. */
void demo_process_gone(struct demo_process *process);

#endif
