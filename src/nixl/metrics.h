/* SPDX-License-Identifier: Apache-2.0 */
/* NIXL's events as Prometheus metrics in a store. */
#ifndef KVTEL_NIXL_METRICS_H
#define KVTEL_NIXL_METRICS_H

#include <kvtel/store.h>

#include "nixl/ring.h"

/* The series of one agent, or of all agents together. */
struct kvtel_nixl_agent {
    uint32_t events[KVTEL_NIXL_EVENT_TYPES]; /* for each type of event: the counter or histogram that it feeds */
    uint32_t sizes[2];                       /* histograms of bytes: tx, rx */
    uint32_t memory;
};

/* Totals about the rings themselves. */
enum kvtel_nixl_total {
    KVTEL_NIXL_TOTAL_EVENTS,
    KVTEL_NIXL_TOTAL_UNRECOGNISED,
    KVTEL_NIXL_TOTAL_FULL,
    KVTEL_NIXL_TOTAL_RESTARTS,
    KVTEL_NIXL_TOTAL_CONTENDED,
    KVTEL_NIXL_TOTALS
};

/* Single owner; writes through a lane of its own. */
struct kvtel_nixl_metrics {
    struct kvtel_store *store;
    struct kvtel_lane *lane;
    bool by_agent;
    bool of_rings;               /* the families about the rings are there, too */
    struct kvtel_nixl_agent all; /* all agents together; label agent, if used: "" */
    uint32_t states[KVTEL_NIXL_STATES];
    uint32_t totals[KVTEL_NIXL_TOTALS];
    uint32_t readable;
};

/* Makes the families and opens a lane. `store` must outlive the metrics.
 * @param by_agent the nixl_* families get a label `agent`
 * @return KVTEL_OK, or the store's error; then there is nothing to close */
enum kvtel_status kvtel_nixl_metrics_init(struct kvtel_nixl_metrics *metrics, struct kvtel_store *store, bool by_agent);
/* The same for events that come from an agent itself: without the families about rings, and without the gauge of
 * registered memory, which many processes would set in turn. */
enum kvtel_status kvtel_nixl_metrics_init_events(struct kvtel_nixl_metrics *metrics, struct kvtel_store *store);
void kvtel_nixl_metrics_close(struct kvtel_nixl_metrics *metrics);

/* Makes or finds the series of an agent. Without the label, or if the store has no room for more, the result is the
 * series of all agents. */
void kvtel_nixl_metrics_agent(struct kvtel_nixl_metrics *metrics, const char *name, struct kvtel_nixl_agent *agent);

/* Counts events one by one, because the four events of a transfer need not be complete: a full ring drops some, and
 * NIXL can filter events. Returns the change of the agent's registered memory in bytes. */
double kvtel_nixl_metrics_count(struct kvtel_nixl_metrics *metrics, const struct kvtel_nixl_agent *agent,
                                const struct kvtel_nixl_event *events, size_t count);

#endif
