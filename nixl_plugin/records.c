/* SPDX-License-Identifier: Apache-2.0 */
/* The plug-in's store, and recording into it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/recorder.h"
#include "record/thread.h"
#include "state.h"

struct plugin_records plugin_records;

static const char *const directions[PLUGIN_DIRECTIONS] = { "tx", "rx" };

static void warn(void *context, const char *message)
{
    (void)context;
    plugin_say("%s", message);
}

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static bool make_operations(struct plugin_records *made)
{
    static const struct kvtel_connector *const tables[] = { &kvtel_nixl_posts, &kvtel_nixl_transfers,
                                                            &kvtel_nixl_endings };
    const char *engine = setting("KVTEL_ENGINE", "");
    for (int i = 0; i < 3; i++) {
        made->recorders[i] = kvtel_recorder_create(
            made->store, tables[i],
            KVTEL_RECORDER_OPTIONS(.engine = engine,
                                   .open_transfers = tables[i] == &kvtel_nixl_transfers ? PLUGIN_OPEN : 0,
                                   .exemplars = tables[i] == &kvtel_nixl_transfers));
        if (!made->recorders[i])
            return false;
    }
    for (int i = 0; i < PLUGIN_DIRECTIONS; i++) {
        made->posts[i] = kvtel_recorder_operation(made->recorders[0], directions[i], NULL);
        for (int outcome = 0; outcome < KVTEL_NIXL_OUTCOMES; outcome++)
            made->endings[i][outcome] =
                kvtel_recorder_operation(made->recorders[outcome <= KVTEL_NIXL_IN_POST ? 1 : 2], directions[i],
                                         kvtel_nixl_outcome_text((enum kvtel_nixl_outcome)outcome));
    }
    return true;
}

static uint32_t make(struct kvtel_store *store, enum kvtel_nixl_plugin_family which, const char *const *values)
{
    const struct kvtel_family_spec *spec = &kvtel_nixl_plugin_families[which];
    uint32_t family, series;
    return kvtel_store_family(store, spec, &family) == KVTEL_OK &&
                   kvtel_store_series(store, family, values, spec->label_count, &series) == KVTEL_OK
               ? series
               : UINT32_MAX; /* no series: what is recorded there is counted as dropped */
}

static void make_failures(struct plugin_records *made)
{
    for (int i = 0; i < PLUGIN_DIRECTIONS; i++) {
        for (unsigned status = 0; status < PLUGIN_STATUSES; status++) {
            /* NIXL's statuses from -1 on are the events' errors in the same order */
            unsigned type = KVTEL_NIXL_ERR_NOT_POSTED + status - 1;
            bool known = status > 0 && type <= KVTEL_NIXL_ERR_NO_TELEMETRY;
            const char *values[] = { directions[i],
                                     known ? kvtel_nixl_event_name(type) + strlen("agent_err_") : "other" };
            made->failures[i][status] = make(made->store, KVTEL_NIXL_FAILURES, values);
        }
    }
}

static void make_own(struct plugin_records *made)
{
    static const char *const texts[PLUGIN_SOURCES] = {
#define X(name, text) text,
        PLUGIN_SOURCE_LIST(X)
#undef X
    };
    made->untracked = make(made->store, KVTEL_NIXL_UNTRACKED, NULL);
    made->unmatched = make(made->store, KVTEL_NIXL_UNMATCHED, NULL);
    for (int i = 0; i < PLUGIN_SOURCES; i++)
        made->sources[i] = make(made->store, KVTEL_NIXL_OUTCOME_SOURCE, &texts[i]);
}

static void set_sources(int source)
{
    struct kvtel_lane *lane = kvtel_thread_lane_of(plugin_records.store);
    for (int i = 0; lane && i < PLUGIN_SOURCES; i++)
        (void)kvtel_lane_set(lane, plugin_records.sources[i], i == source);
}

bool plugin_records_open(void)
{
    struct plugin_records made = { .epoch = plugin_records.epoch + 1 };
    made.store = kvtel_store_open(
        KVTEL_STORE_OPTIONS(.model_name = setting("KVTEL_MODEL_NAME", ""), .connector = "NIXL plug-in", .warn = warn));
    if (!made.store || !kvtel_store_path(made.store) || !make_operations(&made)) {
        for (int i = 0; i < 3; i++)
            kvtel_recorder_destroy(made.recorders[i]);
        kvtel_store_close(made.store);
        plugin_disable("no store can be made");
        return false;
    }
    make_failures(&made);
    make_own(&made);
    atomic_store(&plugin_records.ready, false);
    plugin_records.parents_store = plugin_records.store;
    memcpy(plugin_records.parents_recorders, plugin_records.recorders, sizeof(made.recorders));
    plugin_records.store = made.store;
    memcpy(plugin_records.recorders, made.recorders, sizeof(made.recorders));
    memcpy(plugin_records.posts, made.posts, sizeof(made.posts));
    memcpy(plugin_records.endings, made.endings, sizeof(made.endings));
    memcpy(plugin_records.failures, made.failures, sizeof(made.failures));
    memcpy(plugin_records.sources, made.sources, sizeof(made.sources));
    plugin_records.untracked = made.untracked;
    plugin_records.unmatched = made.unmatched;
    plugin_records.epoch = made.epoch;
    atomic_store(&plugin_records.source, PLUGIN_FROM_NOBODY);
    atomic_store(&plugin_records.ready, true);
    set_sources(PLUGIN_FROM_NOBODY);
    plugin_peers_make_other();
    return true;
}

void plugin_record_post(enum plugin_direction direction, uint64_t post_ns)
{
    const struct kvtel_transfer row = { .duration_ns = post_ns };
    (void)kvtel_record_measured(plugin_records.posts[direction], &row);
}

void plugin_count(uint32_t series)
{
    struct kvtel_lane *lane = kvtel_thread_lane_of(plugin_records.store);
    if (lane)
        (void)kvtel_lane_increase(lane, series, 1);
}

bool plugin_record_open(const struct plugin_call *call, struct kvtel_transfer_token *token)
{
    if (atomic_load_explicit(&plugin_records.source, memory_order_relaxed) == PLUGIN_FROM_NOBODY)
        return false;
    const struct kvtel_transfer_start start = { .bytes = call->bytes,
                                                .began_ns = call->began_ns,
                                                .peer = plugin_peer_number(call->peer) };
    *token = kvtel_transfer_begin(plugin_records.endings[call->direction][KVTEL_NIXL_COMPLETED], &start);
    return true;
}

/* The slowest transfer that left an exemplar, and until when a faster one leaves none. Two threads at once may both
 * leave one. */
static struct {
    _Atomic uint64_t ns, until_ns;
} slowest[PLUGIN_DIRECTIONS][KVTEL_NIXL_IN_POST + 1];
static const uint64_t slowest_for_ns = 1000000000;

/* Whether the ending has a time that is shown. */
static bool is_timed(const struct plugin_ending *ending)
{
    return ending->outcome <= KVTEL_NIXL_IN_POST;
}

/* In a row of the table of endings, whose times are counted and not shown: a row is written faster when it has one. */
static const uint64_t untimed_ns = 1;

/* What a transfer leaves that is slower than others of the last second; else NULL. */
static const struct kvtel_exemplar *exemplar_of(const struct plugin_ending *ending)
{
    if (!is_timed(ending))
        return NULL;
    _Atomic uint64_t *ns = &slowest[ending->direction][ending->outcome].ns;
    _Atomic uint64_t *until_ns = &slowest[ending->direction][ending->outcome].until_ns;
    if (__builtin_expect(ending->duration_ns <= atomic_load_explicit(ns, memory_order_relaxed) &&
                             ending->ended_ns < atomic_load_explicit(until_ns, memory_order_relaxed),
                         1))
        return NULL;
    atomic_store_explicit(ns, ending->duration_ns, memory_order_relaxed);
    atomic_store_explicit(until_ns, ending->ended_ns + slowest_for_ns, memory_order_relaxed);
    return plugin_peer_exemplar(ending->peer);
}

void plugin_record_ending(const struct plugin_ending *ending, struct kvtel_transfer_token *token)
{
    const struct kvtel_operation *operation = plugin_records.endings[ending->direction][ending->outcome];
    const struct kvtel_transfer row = { .duration_ns = is_timed(ending) ? ending->duration_ns : untimed_ns,
                                        .bytes = ending->bytes };
    const struct kvtel_exemplar *exemplar = exemplar_of(ending);
    if (token && token->operation && operation) {
        token->operation = operation; /* of the same store: the end is recorded there */
        (void)kvtel_transfer_end_exemplar(token, &row, exemplar);
    } else if (exemplar) {
        (void)kvtel_record_exemplar(operation, &row, exemplar);
    } else {
        (void)kvtel_record_measured(operation, &row);
    }
    plugin_record_peer(ending->peer, ending);
    if (ending->outcome == KVTEL_NIXL_FAILED) {
        unsigned status = ending->status < 0 ? 0u - (unsigned)ending->status : 0;
        plugin_count(plugin_records.failures[ending->direction][status < PLUGIN_STATUSES ? status : 0]);
    }
}

void plugin_note_source(enum plugin_source source)
{
    int present = atomic_load_explicit(&plugin_records.source, memory_order_relaxed);
    if (__builtin_expect((int)source <= present, 1))
        return;
    if (atomic_compare_exchange_strong(&plugin_records.source, &present, (int)source))
        set_sources((int)source);
}
