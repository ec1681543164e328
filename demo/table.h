/* SPDX-License-Identifier: Apache-2.0 */
/* The live table. */
#ifndef KVTEL_DEMO_TABLE_H
#define KVTEL_DEMO_TABLE_H

#include "demo/engine.h"

struct demo_table {
    bool terminal;
    struct kvtel_snapshot *snapshot;
    unsigned lines; /* number of lines on the terminal, to be overwritten */
    double shown_at, line_at;
    struct {
        double count, bytes;
    } before[DEMO_WORKERS][DEMO_FLOWS];
};

/* False: no memory. */
bool demo_table_open(struct demo_table *table);
void demo_table_close(struct demo_table *table);
/* A callback for demo_engine_run(). On a terminal it overwrites the table, otherwise it prints a line each second.
 * `context` is the table. */
void demo_table_show(void *context, const struct demo_engine *engine);
/* Fills the snapshot from the workers' stores. False, after printing a message: one cannot be read. */
bool demo_table_collect(struct demo_table *table, const struct demo_engine *engine);

#endif
