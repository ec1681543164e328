/* SPDX-License-Identifier: Apache-2.0 */
/* The plug-in's agents, and turning the plug-in off. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lock.h"
#include "record/thread.h"
#include "state.h"

enum { NAME_MOST = 1 << 20 }; /* bytes of a name that NIXL could mean */

bool plugin_off;
static struct plugin_agent agents[PLUGIN_AGENTS];
static struct plugin_lock lock; /* taken when an agent begins or ends */

void plugin_say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    int head = snprintf(line, sizeof(line), "kvtel: NIXL plug-in: ");
    va_start(arguments, format);
    int size = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, arguments);
    va_end(arguments);
    size = size < 0 ? head : head + size;
    if (size > (int)sizeof(line) - 2)
        size = (int)sizeof(line) - 2;
    line[size] = '\n';
    if (write(STDERR_FILENO, line, (size_t)size + 1) < 0)
        return; /* nobody is there to be told */
}

void plugin_disable(const char *why)
{
    if (!__atomic_exchange_n(&plugin_off, true, __ATOMIC_SEQ_CST))
        plugin_say("%s; nothing is recorded from now on", why);
}

uint32_t plugin_agent_index(const struct plugin_agent *agent)
{
    return (uint32_t)(agent - agents);
}

bool plugin_agent_has_events(uint32_t index)
{
    return atomic_load_explicit(&agents[index].exported, memory_order_relaxed);
}

/* The store of this process; made at the first call. */
static bool open_store(void)
{
    if (plugin_is_on())
        return true;
    memset(agents, 0, sizeof(agents));
    plugin_posts_clear();
    plugin_peers_clear();
    return plugin_records_open();
}

/* An agent of this name that lacks the half, else a new one. NULL: there are too many. */
static struct plugin_agent *find_agent(const char *name, bool exporter)
{
    struct plugin_agent *free_agent = NULL;
    for (size_t i = 0; i < PLUGIN_AGENTS; i++) {
        struct plugin_agent *agent = &agents[i];
        if (!agent->used && !free_agent)
            free_agent = agent;
        if (agent->used && strcmp(agent->name, name) == 0 && !(exporter ? agent->exported : agent->traced))
            return agent;
    }
    if (free_agent) {
        memset(free_agent, 0, sizeof(*free_agent));
        (void)snprintf(free_agent->name, sizeof(free_agent->name), "%s", name);
        free_agent->used = true;
    }
    return free_agent;
}

static void set_half(struct plugin_agent *agent, bool exporter, bool there)
{
    atomic_store(exporter ? &agent->exported : &agent->traced, there);
}

static struct plugin_agent *open_agent(const char *name, bool exporter)
{
    struct plugin_agent *agent = open_store() ? find_agent(name, exporter) : NULL;
    if (!agent)
        return NULL;
    if (exporter) {
        enum kvtel_status status = kvtel_nixl_metrics_init_events(&agent->metrics, plugin_records.store);
        if (status != KVTEL_OK) {
            plugin_say("agent %.64s: no room for its events: %s", name, kvtel_status_text(status));
            agent->used = agent->traced;
            return NULL;
        }
        agent->event_count = agent->early_count = 0;
        agent->batched = agent->in_post = false;
        agent->post_us = UINT64_MAX;
        agent->expire_ns = plugin_posts_expire(agent, kvtel_now_ns());
        plugin_note_source(PLUGIN_FROM_EVENTS);
    }
    set_half(agent, exporter, true);
    return agent;
}

struct plugin_half plugin_agent_open(struct plugin_text text, bool exporter)
{
    char name[PLUGIN_PEER_NAME];
    struct plugin_half half = { 0 };
    if (plugin_is_off())
        return half;
    if (text.size > NAME_MOST || (text.size > 0 && !text.bytes)) {
        plugin_disable("NIXL passed a name that cannot be one: its interface is not the one known here");
        return half;
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)text.size, text.size > 0 ? text.bytes : "");
    plugin_lock(&lock);
    half.agent = open_agent(name, exporter);
    half.epoch = plugin_records.epoch;
    plugin_unlock(&lock);
    if (half.agent && !exporter)
        plugin_peer_make(text); /* an agent's transfers with itself */
    return half;
}

static void flush(struct plugin_agent *agent)
{
    if (agent->event_count > 0)
        (void)kvtel_nixl_metrics_count(&agent->metrics, &agent->metrics.all, agent->events, agent->event_count);
    agent->event_count = 0;
}

void plugin_agent_close(const struct plugin_half *half, bool exporter)
{
    struct plugin_agent *agent = half->agent;
    if (!plugin_is_recording(half))
        return;
    plugin_lock(&lock);
    if (exporter) {
        flush(agent); /* of a batch that did not end */
        kvtel_nixl_metrics_close(&agent->metrics);
    } else {
        plugin_posts_abandon(agent);
    }
    set_half(agent, exporter, false);
    agent->used = agent->traced || agent->exported;
    plugin_unlock(&lock);
}

void plugin_thread_ready(const struct plugin_half *half)
{
    if (plugin_is_recording(half))
        (void)kvtel_thread_lane_of(plugin_records.store);
}

void plugin_peer_named(const struct plugin_half *half, struct plugin_text name)
{
    if (plugin_is_recording(half))
        plugin_peer_make(name);
}

bool plugin_post_begin(struct plugin_call *call, const struct plugin_half *half, uint64_t handle,
                       enum plugin_direction direction)
{
    if (!plugin_is_recording(half))
        return false;
    *call = (struct plugin_call){ .agent = half->agent,
                                  .handle = handle,
                                  .began_ns = kvtel_now_ns(),
                                  .bytes = KVTEL_UNMEASURED,
                                  .peer = PLUGIN_OTHER_PEER,
                                  .direction = direction };
    plugin_posts_expect(handle);
    return true;
}

void plugin_post_peer(struct plugin_call *call, struct plugin_text name)
{
    call->peer = plugin_peer_find(name);
}

void plugin_post_end(const struct plugin_call *call)
{
    if (plugin_is_off() || !kvtel_store_is_own(plugin_records.store))
        return;
    const uint64_t now = kvtel_now_ns();
    plugin_record_post(call->direction, now - call->began_ns);
    plugin_posts_add(call, now);
}

void plugin_completed(const struct plugin_half *half, uint64_t handle)
{
    if (plugin_is_recording(half) && !plugin_posts_complete(handle, kvtel_now_ns()))
        plugin_count(plugin_records.unmatched);
}

/* Looks again for the posts of events that came before their posts returned. */
static void try_early(struct plugin_agent *agent)
{
    enum { TRIES = 8 };
    size_t kept = 0;
    for (size_t i = 0; i < agent->early_count; i++) {
        struct plugin_early early = agent->early[i];
        if (!plugin_posts_done_in_post(agent, early.direction, early.bytes) && ++early.tries < TRIES)
            agent->early[kept++] = early;
    }
    agent->early_count = kept;
}

static void end_in_post(struct plugin_agent *agent, enum plugin_direction direction, uint64_t bytes)
{
    if (atomic_load_explicit(&agent->traced, memory_order_relaxed) &&
        atomic_load_explicit(&plugin_records.source, memory_order_relaxed) == PLUGIN_FROM_EVENTS &&
        !plugin_posts_done_in_post(agent, direction, bytes) && agent->early_count < PLUGIN_EARLY)
        agent->early[agent->early_count++] = (struct plugin_early){ .direction = direction, .bytes = bytes };
}

/* Follows the events of one transfer: the times, then bytes. Equal times: it was done when its post returned. */
static void follow(struct plugin_agent *agent, uint32_t type, uint64_t value)
{
    switch (type) {
    case KVTEL_NIXL_POST_TIME:
        try_early(agent);
        agent->post_us = value;
        agent->in_post = false;
        break;
    case KVTEL_NIXL_XFER_TIME:
        agent->in_post = value == agent->post_us;
        agent->post_us = UINT64_MAX;
        break;
    case KVTEL_NIXL_TX_BYTES:
    case KVTEL_NIXL_RX_BYTES:
        if (agent->in_post)
            end_in_post(agent, type == KVTEL_NIXL_TX_BYTES ? PLUGIN_TX : PLUGIN_RX, value);
        agent->in_post = false;
        break;
    default:
        break;
    }
}

static void expire(struct plugin_agent *agent)
{
    const uint64_t now = kvtel_now_ns();
    if (now >= agent->expire_ns)
        agent->expire_ns = plugin_posts_expire(agent, now);
}

void plugin_event(const struct plugin_half *half, uint32_t type, uint64_t value)
{
    struct plugin_agent *agent = half->agent;
    if (!plugin_is_recording(half))
        return;
    agent->events[agent->event_count++] = (struct kvtel_nixl_event){
        .type = type < KVTEL_NIXL_EVENT_TYPES ? (enum kvtel_nixl_event_type)type : KVTEL_NIXL_UNRECOGNISED,
        .value = value,
    };
    if (!agent->batched || agent->event_count == PLUGIN_BATCH) {
        flush(agent);
        expire(agent);
    }
    follow(agent, type, value);
}

void plugin_batch_begin(const struct plugin_half *half)
{
    if (plugin_is_recording(half))
        half->agent->batched = true;
}

void plugin_batch_end(const struct plugin_half *half)
{
    struct plugin_agent *agent = half->agent;
    if (!plugin_is_recording(half))
        return;
    agent->batched = false;
    try_early(agent);
    flush(agent);
    expire(agent);
}
