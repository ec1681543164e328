/* SPDX-License-Identifier: Apache-2.0 */
/* The live table. */
#ifndef KVTEL_DEMO_TABLE_H
#define KVTEL_DEMO_TABLE_H

#include "demo/engine.h"

struct demo_table {
    bool terminal;
    struct kvtel_snapshot *snapshot;
    unsigned lines; /* on the terminal, to be written over */
    double shown_at, line_at;
    struct {
        double count, bytes;
    } before[DEMO_WORKERS][DEMO_FLOWS];
};

/* False without memory. */
bool demo_table_open(struct demo_table *table);
void demo_table_close(struct demo_table *table);
/* As demo_engine_run() wants it: on a terminal the table, in place of the one before; else a line a second. `context`:
 * the table.
 */
void demo_table_show(void *context, const struct demo_engine *engine);
/* Fills the snapshot from the workers' stores. False, with a message, when one cannot be read. */
bool demo_table_collect(struct demo_table *table, const struct demo_engine *engine);

#endif
