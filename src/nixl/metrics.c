/* SPDX-License-Identifier: Apache-2.0 */
/* The families that NIXL's events feed, in a store. */
#include "nixl/metrics.h"

#include <string.h>

#include "connectors/buckets.h"

/* Bounds for transfers inside a node and a rack, followed by the bounds of vLLM's NIXL connector. */
#define TIME_BUCKETS                                                                                                   \
    KVTEL_BUCKETS(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, \
                  0.1, 0.2, 0.3, 0.5, 0.75, 1, 5)

enum family {
    XFER_TIME,
    POST_TIME,
    BYTES,
    REQUESTS,
    SIZES,
    ERRORS,
    REGISTERED,
    DEREGISTERED,
    MEMORY,
    DROPPED,
    RINGS,
    READ, /* from here on in the order of enum kvtel_nixl_total */
    UNRECOGNISED,
    FULL,
    RESTARTS,
    CONTENDED,
    READABLE,
    FAMILIES
};

static const struct {
    const char *name; /* a counter's name is without _total */
    enum kvtel_metric_type type;
    const char *help;
    const char *label;
    const struct kvtel_buckets *buckets;
    enum kvtel_unit unit;
} families[FAMILIES] = {
    [XFER_TIME] = { "nixl_xfer_time_seconds", KVTEL_HISTOGRAM,
                    "Seconds from posting a NIXL transfer until the application saw its completion, so the "
                    "application's pauses "
                    "between two looks are in it. One value per finished transfer of an agent.",
                    NULL, TIME_BUCKETS, KVTEL_UNIT_SECONDS },
    [POST_TIME] = { "nixl_post_time_seconds", KVTEL_HISTOGRAM,
                    "Seconds that the call which posts a NIXL transfer took, a part of its transfer time. One value "
                    "per finished "
                    "transfer of an agent.",
                    NULL, TIME_BUCKETS, KVTEL_UNIT_SECONDS },
    [BYTES] = { "nixl_bytes", KVTEL_COUNTER,
                "Bytes of finished NIXL transfers, counted by the agent that posted them: tx it wrote to a peer or to "
                "storage, "
                "rx it read from there.",
                "direction", NULL, KVTEL_UNIT_BYTES },
    [REQUESTS] = { "nixl_requests", KVTEL_COUNTER,
                   "Finished NIXL transfers, counted by the agent that posted them: tx writes, rx reads.", "direction",
                   NULL, KVTEL_UNIT_COUNT },
    [SIZES] = { "nixl_xfer_size_bytes", KVTEL_HISTOGRAM,
                "Bytes of a NIXL transfer, all its descriptors together. One value per finished transfer of the agent "
                "that posted "
                "it.",
                "direction", KVTEL_BUCKETS_TRANSFER_BYTES, KVTEL_UNIT_BYTES },
    [ERRORS] = { "nixl_errors", KVTEL_COUNTER,
                 "Errors that calls to a NIXL agent returned, by NIXL's status. A transfer whose peer died leaves "
                 "none.",
                 "status", NULL, KVTEL_UNIT_COUNT },
    [REGISTERED] = { "nixl_memory_registered_bytes", KVTEL_COUNTER, "Bytes of memory that agents registered.", NULL,
                     NULL, KVTEL_UNIT_BYTES },
    [DEREGISTERED] = { "nixl_memory_deregistered_bytes", KVTEL_COUNTER, "Bytes of memory that agents deregistered.",
                       NULL, NULL, KVTEL_UNIT_BYTES },
    [MEMORY] = { "nixl_memory_bytes", KVTEL_GAUGE,
                 "Bytes of memory registered now, as far as kvtel read the registrations. An agent that ended counts "
                 "until its "
                 "ring is "
                 "removed or taken over by the next one.",
                 NULL, NULL, KVTEL_UNIT_BYTES },
    [DROPPED] = { "nixl_events_dropped", KVTEL_COUNTER,
                  "Events that agents say they dropped before these reached their ring. Every other number here lacks "
                  "them. Events "
                  "dropped because a ring was full are in no number.",
                  NULL, NULL, KVTEL_UNIT_COUNT },
    [RINGS] = { "kvtel_nixl_rings", KVTEL_GAUGE, "Files in the telemetry folder, by what kvtel does with them.",
                "state", NULL, KVTEL_UNIT_COUNT },
    [READ] = { "kvtel_nixl_events", KVTEL_COUNTER, "Events read from rings.", NULL, NULL, KVTEL_UNIT_COUNT },
    [UNRECOGNISED] = { "kvtel_nixl_events_unrecognised", KVTEL_COUNTER,
                       "Events read from rings whose type kvtel does not know.", NULL, NULL, KVTEL_UNIT_COUNT },
    [FULL] = { "kvtel_nixl_ring_full", KVTEL_COUNTER,
               "How often a ring was found full: its agent drops new events until there is room, and does not say how "
               "many.",
               NULL, NULL, KVTEL_UNIT_COUNT },
    [RESTARTS] = { "kvtel_nixl_ring_restarts", KVTEL_COUNTER,
                   "How often a ring was found to have begun anew: its agent was started again. What was unread is "
                   "lost.",
                   NULL, NULL, KVTEL_UNIT_COUNT },
    [CONTENDED] = { "kvtel_nixl_ring_contended", KVTEL_COUNTER,
                    "How often another reader was found to consume a ring that kvtel was consuming.", NULL, NULL,
                    KVTEL_UNIT_COUNT },
    [READABLE] = { "kvtel_nixl_folder_readable", KVTEL_GAUGE, "1 while the telemetry folder can be listed, else 0.",
                   NULL, NULL, KVTEL_UNIT_COUNT },
};

static const char *const directions[2] = { "tx", "rx" };

/* The family of a type of event; `label` returns the value of the family's own label. */
static enum family family_of(enum kvtel_nixl_event_type type, const char **label)
{
    *label = NULL;
    switch (type) {
    case KVTEL_NIXL_TX_BYTES:
    case KVTEL_NIXL_RX_BYTES:
        *label = directions[type - KVTEL_NIXL_TX_BYTES];
        return BYTES;
    case KVTEL_NIXL_TX_REQUESTS:
    case KVTEL_NIXL_RX_REQUESTS:
        *label = directions[type - KVTEL_NIXL_TX_REQUESTS];
        return REQUESTS;
    case KVTEL_NIXL_REGISTERED:
        return REGISTERED;
    case KVTEL_NIXL_DEREGISTERED:
        return DEREGISTERED;
    case KVTEL_NIXL_XFER_TIME:
        return XFER_TIME;
    case KVTEL_NIXL_POST_TIME:
        return POST_TIME;
    case KVTEL_NIXL_EVENTS_DROPPED:
        return DROPPED;
    default:
        *label = kvtel_nixl_event_name(type) + strlen("agent_err_");
        return ERRORS;
    }
}

/* Makes or finds a series. `agent` is NULL if the family does not have this label; `value` is that of the family's
 * own label. */
static enum kvtel_status make(struct kvtel_store *store, enum family which, const char *agent, const char *value,
                              uint32_t *series)
{
    const char *names[2], *values[2];
    size_t labels = 0;
    if (agent)
        names[labels] = "agent", values[labels++] = agent;
    if (families[which].label)
        names[labels] = families[which].label, values[labels++] = value;
    struct kvtel_family_spec spec = {
        .name = families[which].name,
        .type = families[which].type,
        .help = families[which].help,
        .labelnames = names,
        .label_count = labels,
        .buckets = families[which].buckets,
        .unit = families[which].unit,
    };
    uint32_t family;
    enum kvtel_status status = kvtel_store_family(store, &spec, &family);
    return status == KVTEL_OK ? kvtel_store_series(store, family, values, labels, series) : status;
}

static enum kvtel_status make_agent(struct kvtel_store *store, const char *name, struct kvtel_nixl_agent *agent)
{
    enum kvtel_status status = KVTEL_OK;
    for (unsigned type = 0; type < KVTEL_NIXL_EVENT_TYPES && status == KVTEL_OK; type++) {
        const char *label;
        enum family family = family_of(type, &label);
        status = make(store, family, name, label, &agent->events[type]);
    }
    for (unsigned i = 0; i < 2 && status == KVTEL_OK; i++)
        status = make(store, SIZES, name, directions[i], &agent->sizes[i]);
    return status == KVTEL_OK ? make(store, MEMORY, name, NULL, &agent->memory) : status;
}

static enum kvtel_status make_own(struct kvtel_nixl_metrics *metrics)
{
    enum kvtel_status status = make(metrics->store, READABLE, NULL, NULL, &metrics->readable);
    for (unsigned i = 0; i < KVTEL_NIXL_STATES && status == KVTEL_OK; i++)
        status = make(metrics->store, RINGS, NULL, kvtel_nixl_state_text(i), &metrics->states[i]);
    for (unsigned i = 0; i < KVTEL_NIXL_TOTALS && status == KVTEL_OK; i++)
        status = make(metrics->store, READ + i, NULL, NULL, &metrics->totals[i]);
    return status;
}

enum kvtel_status kvtel_nixl_metrics_init(struct kvtel_nixl_metrics *metrics, struct kvtel_store *store, bool by_agent)
{
    *metrics = (struct kvtel_nixl_metrics){ .store = store, .by_agent = by_agent };
    enum kvtel_status status = make_agent(store, by_agent ? "" : NULL, &metrics->all);
    if (status == KVTEL_OK)
        status = make_own(metrics);
    return status == KVTEL_OK ? kvtel_lane_open(store, &metrics->lane) : status;
}

void kvtel_nixl_metrics_close(struct kvtel_nixl_metrics *metrics)
{
    kvtel_lane_close(metrics->lane);
}

void kvtel_nixl_metrics_agent(struct kvtel_nixl_metrics *metrics, const char *name, struct kvtel_nixl_agent *agent)
{
    if (!metrics->by_agent || make_agent(metrics->store, name, agent) != KVTEL_OK)
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

/* A number that is no less cannot be: it fell below zero in the agent. Times are in microseconds. */
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
            (void)kvtel_lane_increase(metrics->lane, metrics->totals[KVTEL_NIXL_TOTAL_EVENTS],
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
    kvtel_lane_increase(metrics->lane, metrics->totals[KVTEL_NIXL_TOTAL_EVENTS], (double)count);
    kvtel_lane_increase(metrics->lane, metrics->totals[KVTEL_NIXL_TOTAL_UNRECOGNISED], totals[KVTEL_NIXL_UNRECOGNISED]);
    return totals[KVTEL_NIXL_REGISTERED] - totals[KVTEL_NIXL_DEREGISTERED];
}
