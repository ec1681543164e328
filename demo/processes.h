/* SPDX-License-Identifier: Apache-2.0 */
/* The life of worker processes. */
#ifndef KVTEL_DEMO_PROCESSES_H
#define KVTEL_DEMO_PROCESSES_H

#include "demo/engine.h"

/* Starts all. False, with a message. */
bool demo_processes_spawn(struct demo_engine *engine);
/* Takes a worker's word that it is ready, and opens its store. False, with a message, when it has none. */
bool demo_process_ready(struct demo_process *process, const struct demo_reply *reply);
/* Kills it and waits until it is dead. False, with a message, when it had ended before. */
bool demo_process_kill(struct demo_process *process);
/* Starts another one in its place. */
bool demo_process_replace(struct demo_engine *engine, const struct demo_process *gone);
/* A worker ended that was not to: says how. */
void demo_process_gone(struct demo_process *process);

#endif
