/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the telemetry rings of a folder into a store. */
#ifndef KVTEL_NIXL_RINGS_H
#define KVTEL_NIXL_RINGS_H

#include <kvtel/base.h>

#include "nixl/ring.h"

struct kvtel_store;

/* Called when a ring's state has changed, at most once in ten seconds for each ring. `name` is the file's name,
 * which may contain any bytes; "" stands for the folder itself. The texts are borrowed until the call returns. */
typedef void (*kvtel_nixl_say_fn)(void *context, const char *name, enum kvtel_nixl_state state, const char *reason);

struct kvtel_nixl_rings_options {
    const char *folder;        /* NIXL_TELEMETRY_DIR of the agents; need not exist yet */
    struct kvtel_store *store; /* must outlive the rings */
    bool agent_label;          /* each agent gets series of its own */
    /* Time between two looks at a ring in use; 0: 50 ms. It gets longer while nothing is found, and shorter while a
     * ring fills. */
    uint64_t interval_ns;
    size_t most_open;      /* limit of rings kept open, at most 256; 0: 256 */
    kvtel_nixl_say_fn say; /* may be NULL */
    void *context;
};

/* Single owner. */
struct kvtel_nixl_rings;

/* @param rings out, owned; free it with kvtel_nixl_rings_destroy()
 * @return KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT, KVTEL_E_MISMATCH (a family of the store has another definition) */
enum kvtel_status kvtel_nixl_rings_create(const struct kvtel_nixl_rings_options *options,
                                          struct kvtel_nixl_rings **rings);
/* Frees everything; does not read further events. NULL is allowed. */
void kvtel_nixl_rings_destroy(struct kvtel_nixl_rings *rings);

/* Looks at the rings that are due, and at the folder: once a second, and soon after a file appears or vanishes. Does
 * not block.
 * @param now_ns CLOCK_MONOTONIC
 * @return ns until the next call is due */
uint64_t kvtel_nixl_rings_poll(struct kvtel_nixl_rings *rings, uint64_t now_ns);

/* Makes the next poll scan the folder. */
void kvtel_nixl_rings_look(struct kvtel_nixl_rings *rings);

struct kvtel_nixl_ring_info {
    const char *name; /* borrowed until the next poll */
    const struct kvtel_nixl_ring *ring;
};
size_t kvtel_nixl_rings_count(const struct kvtel_nixl_rings *rings);
/* The i-th ring in the order of names. Files that were never rings are not listed. */
struct kvtel_nixl_ring_info kvtel_nixl_rings_at(const struct kvtel_nixl_rings *rings, size_t i);

#endif
