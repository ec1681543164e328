/* SPDX-License-Identifier: Apache-2.0 */
/* The families that NIXL's events feed, in a store. */
#include "nixl/metrics.h"

#include <string.h>

#include "nixl/telemetry.h"

/* The families about the rings themselves. */
enum own_family {
    RINGS,
    READ, /* from here on in the order of enum kvtel_nixl_total */
    UNRECOGNISED,
    FULL,
    RESTARTS,
    CONTENDED,
    READABLE
};

static const struct kvtel_metric own[] = {
    [RINGS] = { .name = "kvtel_nixl_rings",
                .type = KVTEL_GAUGE,
                .help = "Files in the telemetry folder, by what kvtel does with them.",
                .labels = { "state" },
                .unit = KVTEL_UNIT_COUNT },
    [READ] = { .name = "kvtel_nixl_events",
               .type = KVTEL_COUNTER,
               .help = "Events read from rings.",
               .unit = KVTEL_UNIT_COUNT },
    [UNRECOGNISED] = { .name = "kvtel_nixl_events_unrecognised",
                       .type = KVTEL_COUNTER,
                       .help = "Events read from rings whose type kvtel does not know.",
                       .unit = KVTEL_UNIT_COUNT },
    [FULL] = { .name = "kvtel_nixl_ring_full",
               .type = KVTEL_COUNTER,
               .help =
                   "How often a ring was found full: its agent drops new events until there is room, and does not say "
                   "how many.",
               .unit = KVTEL_UNIT_COUNT },
    [RESTARTS] = { .name = "kvtel_nixl_ring_restarts",
                   .type = KVTEL_COUNTER,
                   .help =
                       "How often a ring was found to have begun anew: its agent was started again. What was unread is "
                       "lost.",
                   .unit = KVTEL_UNIT_COUNT },
    [CONTENDED] = { .name = "kvtel_nixl_ring_contended",
                    .type = KVTEL_COUNTER,
                    .help = "How often another reader was found to consume a ring that kvtel was consuming.",
                    .unit = KVTEL_UNIT_COUNT },
    [READABLE] = { .name = "kvtel_nixl_folder_readable",
                   .type = KVTEL_GAUGE,
                   .help = "1 while the telemetry folder can be listed, else 0.",
                   .unit = KVTEL_UNIT_COUNT },
};

static const char *const directions[2] = { "tx", "rx" };

/* The family of a type of event; `label` returns the value of the family's own label. */
static enum kvtel_nixl_family family_of(enum kvtel_nixl_event_type type, const char **label)
{
    *label = NULL;
    switch (type) {
    case KVTEL_NIXL_TX_BYTES:
    case KVTEL_NIXL_RX_BYTES:
        *label = directions[type - KVTEL_NIXL_TX_BYTES];
        return KVTEL_NIXL_FAMILY_BYTES;
    case KVTEL_NIXL_TX_REQUESTS:
    case KVTEL_NIXL_RX_REQUESTS:
        *label = directions[type - KVTEL_NIXL_TX_REQUESTS];
        return KVTEL_NIXL_FAMILY_REQUESTS;
    case KVTEL_NIXL_REGISTERED:
        return KVTEL_NIXL_FAMILY_REGISTERED;
    case KVTEL_NIXL_DEREGISTERED:
        return KVTEL_NIXL_FAMILY_DEREGISTERED;
    case KVTEL_NIXL_XFER_TIME:
        return KVTEL_NIXL_FAMILY_XFER_TIME;
    case KVTEL_NIXL_POST_TIME:
        return KVTEL_NIXL_FAMILY_POST_TIME;
    case KVTEL_NIXL_EVENTS_DROPPED:
        return KVTEL_NIXL_FAMILY_DROPPED;
    default:
        *label = kvtel_nixl_event_name(type) + strlen("agent_err_");
        return KVTEL_NIXL_FAMILY_ERRORS;
    }
}

/* Makes or finds a series. `agent` is NULL if the family does not have this label; `value` is that of the family's
 * own label. */
static enum kvtel_status make(struct kvtel_store *store, const struct kvtel_metric *metric, const char *agent,
                              const char *value, uint32_t *series)
{
    const char *names[2], *values[2];
    size_t labels = 0;
    if (agent)
        names[labels] = "agent", values[labels++] = agent;
    if (metric->labels[0])
        names[labels] = metric->labels[0], values[labels++] = value;
    struct kvtel_family_spec spec = {
        .name = metric->name,
        .type = metric->type,
        .help = metric->help,
        .labelnames = names,
        .label_count = labels,
        .buckets = metric->buckets,
        .unit = metric->unit,
    };
    uint32_t family;
    enum kvtel_status status = kvtel_store_family(store, &spec, &family);
    return status == KVTEL_OK ? kvtel_store_series(store, family, values, labels, series) : status;
}

static enum kvtel_status make_agent(struct kvtel_store *store, const char *name, struct kvtel_nixl_agent *agent)
{
    const struct kvtel_metric *families = kvtel_nixl_telemetry.metrics;
    enum kvtel_status status = KVTEL_OK;
    for (unsigned type = 0; type < KVTEL_NIXL_EVENT_TYPES && status == KVTEL_OK; type++) {
        const char *label;
        enum kvtel_nixl_family family = family_of(type, &label);
        status = make(store, &families[family], name, label, &agent->events[type]);
    }
    for (unsigned i = 0; i < 2 && status == KVTEL_OK; i++)
        status = make(store, &families[KVTEL_NIXL_FAMILY_SIZES], name, directions[i], &agent->sizes[i]);
    return status;
}

static enum kvtel_status make_memory(struct kvtel_store *store, const char *name, struct kvtel_nixl_agent *agent)
{
    return make(store, &kvtel_nixl_telemetry.metrics[KVTEL_NIXL_FAMILY_MEMORY], name, NULL, &agent->memory);
}

static enum kvtel_status make_own(struct kvtel_nixl_metrics *metrics)
{
    enum kvtel_status status = make(metrics->store, &own[READABLE], NULL, NULL, &metrics->readable);
    for (unsigned i = 0; i < KVTEL_NIXL_STATES && status == KVTEL_OK; i++)
        status = make(metrics->store, &own[RINGS], NULL, kvtel_nixl_state_text(i), &metrics->states[i]);
    for (unsigned i = 0; i < KVTEL_NIXL_TOTALS && status == KVTEL_OK; i++)
        status = make(metrics->store, &own[READ + i], NULL, NULL, &metrics->totals[i]);
    return status;
}

enum kvtel_status kvtel_nixl_metrics_init(struct kvtel_nixl_metrics *metrics, struct kvtel_store *store, bool by_agent)
{
    *metrics = (struct kvtel_nixl_metrics){ .store = store, .by_agent = by_agent, .of_rings = true };
    enum kvtel_status status = make_agent(store, by_agent ? "" : NULL, &metrics->all);
    if (status == KVTEL_OK)
        status = make_memory(store, by_agent ? "" : NULL, &metrics->all);
    if (status == KVTEL_OK)
        status = make_own(metrics);
    return status == KVTEL_OK ? kvtel_lane_open(store, &metrics->lane) : status;
}

enum kvtel_status kvtel_nixl_metrics_init_events(struct kvtel_nixl_metrics *metrics, struct kvtel_store *store)
{
    *metrics = (struct kvtel_nixl_metrics){ .store = store };
    enum kvtel_status status = make_agent(store, NULL, &metrics->all);
    return status == KVTEL_OK ? kvtel_lane_open(store, &metrics->lane) : status;
}

void kvtel_nixl_metrics_close(struct kvtel_nixl_metrics *metrics)
{
    kvtel_lane_close(metrics->lane);
}

void kvtel_nixl_metrics_agent(struct kvtel_nixl_metrics *metrics, const char *name, struct kvtel_nixl_agent *agent)
{
    if (!metrics->by_agent || make_agent(metrics->store, name, agent) != KVTEL_OK ||
        make_memory(metrics->store, name, agent) != KVTEL_OK)
        *agent = metrics->all;
}

/* A histogram's values, collected before they are written to the lane. */
struct batch {
    double values[256];
    size_t count;
    uint32_t series;
};

static void flush(struct kvtel_lane *lane, struct batch *batch)
{
    if (batch->count > 0)
        kvtel_lane_observe(lane, batch->series, batch->values, batch->count);
    batch->count = 0;
}

static void observe(struct kvtel_lane *lane, struct batch *batch, double value)
{
    if (batch->count == sizeof(batch->values) / sizeof(batch->values[0]))
        flush(lane, batch);
    batch->values[batch->count++] = value;
}

/* The first number that is impossible: such a number fell below zero in the agent. Times are in microseconds. */
static uint64_t most_of(enum kvtel_nixl_event_type type)
{
    bool is_time = type == KVTEL_NIXL_XFER_TIME || type == KVTEL_NIXL_POST_TIME;
    return is_time ? KVTEL_TRANSFER_LIMIT / 1000 : KVTEL_TRANSFER_LIMIT;
}

double kvtel_nixl_metrics_count(struct kvtel_nixl_metrics *metrics, const struct kvtel_nixl_agent *agent,
                                const struct kvtel_nixl_event *events, size_t count)
{
    struct batch times[2], sizes[2];
    for (unsigned i = 0; i < 2; i++) {
        times[i].count = sizes[i].count = 0;
        times[i].series = agent->events[KVTEL_NIXL_XFER_TIME + i];
        sizes[i].series = agent->sizes[i];
    }
    double totals[KVTEL_NIXL_EVENT_TYPES + 1] = { 0 };
    for (size_t i = 0; i < count; i++) {
        enum kvtel_nixl_event_type type = events[i].type;
        double value = (double)events[i].value;
        bool once = type == KVTEL_NIXL_UNRECOGNISED ||
                    (type >= KVTEL_NIXL_ERR_NOT_POSTED && type <= KVTEL_NIXL_ERR_NO_TELEMETRY);
        if (!once && events[i].value >= most_of(type)) {
            (void)kvtel_lane_increase(metrics->lane, agent->events[KVTEL_NIXL_EVENTS_DROPPED],
                                      -1); /* counts as refused */
            continue;
        }
        if (type == KVTEL_NIXL_XFER_TIME || type == KVTEL_NIXL_POST_TIME)
            observe(metrics->lane, &times[type - KVTEL_NIXL_XFER_TIME], value / 1e6);
        if (type <= KVTEL_NIXL_RX_BYTES)
            observe(metrics->lane, &sizes[type], value);
        totals[type] += once ? 1 : value;
    }
    for (unsigned i = 0; i < 2; i++) {
        flush(metrics->lane, &times[i]);
        flush(metrics->lane, &sizes[i]);
    }
    totals[KVTEL_NIXL_XFER_TIME] = totals[KVTEL_NIXL_POST_TIME] = 0;
    for (unsigned type = 0; type < KVTEL_NIXL_EVENT_TYPES; type++) {
        if (totals[type] > 0)
            kvtel_lane_increase(metrics->lane, agent->events[type], totals[type]);
    }
    if (metrics->of_rings) {
        kvtel_lane_increase(metrics->lane, metrics->totals[KVTEL_NIXL_TOTAL_EVENTS], (double)count);
        kvtel_lane_increase(metrics->lane, metrics->totals[KVTEL_NIXL_TOTAL_UNRECOGNISED],
                            totals[KVTEL_NIXL_UNRECOGNISED]);
    }
    return totals[KVTEL_NIXL_REGISTERED] - totals[KVTEL_NIXL_DEREGISTERED];
}
