/* SPDX-License-Identifier: Apache-2.0 */
/* The way of requests: arrival, prefill, decode; and the one worker that is killed. */
#include "demo/engine.h"

#include "demo/fail.h"
#include "demo/processes.h"
#include "demo/random.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
    SHOW_MS = 500,
    DRAIN_MS = 5000, /* for unfinished requests at the end of the time */
    PER_WORKER = 4   /* requests of one worker at the same time */
};

double demo_engine_seconds(const struct demo_engine *engine)
{
    return (double)(kvtel_now_ns() - engine->start_ns) / 1e9;
}

/* The worker of a role with the fewest orders. Among equals the choice rotates. Each role has a worker. */
static struct demo_process *least_busy(struct demo_engine *engine, enum demo_role role)
{
    uint32_t count = engine->options.counts[role];
    struct demo_process *best = engine->current[role][engine->next_id % count];
    for (uint32_t i = 1; i < count; i++) {
        struct demo_process *process = engine->current[role][(engine->next_id + i) % count];
        if (process->busy < best->busy)
            best = process;
    }
    return best;
}

static void send_order(struct demo_engine *engine, struct demo_flight *flight, struct demo_process *to)
{
    const struct demo_request *request = &engine->options.trace->requests[flight->request];
    const uint64_t *ids = engine->options.trace->blocks + request->first_block;
    bool decode = to->worker.role == DEMO_DECODE;
    struct demo_order order = {
        .kind = decode ? DEMO_DO_DECODE : DEMO_DO_PREFILL,
        .request = flight->id,
        .output_blocks = request->output_tokens / DEMO_BLOCK_TOKENS,
        .block_count = request->block_count,
    };
    if (order.output_blocks > DEMO_REQUEST_BLOCKS)
        order.output_blocks = DEMO_REQUEST_BLOCKS;
    if (decode) {
        order.prefill = flight->prefill->worker.index;
        order.port = atomic_load_explicit(&flight->prefill->ledger->port, memory_order_relaxed);
    } else {
        flight->prefill = to;
    }
    for (uint32_t i = 0; i < request->block_count; i++) /* in each round of the trace the tokens are different */
        order.keys[i] = demo_mix(ids[i] + flight->round * 0x9e3779b97f4a7c15u);
    flight->at = to;
    to->busy++;
    /* A failed send is ignored: that the worker has gone is noticed by the end of its socket. */
    (void)send(to->control, &order, offsetof(struct demo_order, keys) + request->block_count * sizeof *ids,
               MSG_NOSIGNAL);
}

/* Time of the next request's arrival, in nanoseconds from the start. */
static uint64_t next_arrival(const struct demo_engine *engine)
{
    const struct demo_trace *trace = engine->options.trace;
    double first = trace->requests[0].at_ms, span = trace->requests[trace->count - 1].at_ms - first;
    double gap = trace->count > 1 && span > 0 ? span / (double)(trace->count - 1) : 100;
    double at_ms = (span + gap) * (double)engine->round + trace->requests[engine->next_request].at_ms - first;
    double ns = at_ms * 1e6 / engine->options.speed;
    return ns < 0x1p62 ? (uint64_t)ns : UINT64_C(1) << 62;
}

static bool has_room(const struct demo_engine *engine)
{
    return engine->flight_count <
           PER_WORKER * (engine->options.counts[DEMO_PREFILL] + engine->options.counts[DEMO_DECODE]);
}

static void admit(struct demo_engine *engine, uint64_t elapsed_ns)
{
    while (has_room(engine) && next_arrival(engine) <= elapsed_ns) {
        struct demo_flight *flight = &engine->flights[engine->flight_count++];
        *flight =
            (struct demo_flight){ .id = ++engine->next_id, .request = engine->next_request, .round = engine->round };
        send_order(engine, flight, least_busy(engine, DEMO_PREFILL));
        engine->arrived++;
        if (++engine->next_request == engine->options.trace->count) {
            engine->next_request = 0;
            engine->round++;
        }
    }
}

/* Starts the requests of a worker that has gone anew. */
static void begin_again(struct demo_engine *engine, const struct demo_process *gone)
{
    for (uint32_t i = 0; i < engine->flight_count; i++) {
        struct demo_flight *flight = &engine->flights[i];
        if (flight->at != gone)
            continue;
        flight->id = ++engine->next_id; /* messages about the old id are ignored */
        engine->again++;
        send_order(engine, flight, least_busy(engine, DEMO_PREFILL));
    }
}

static void order_done(struct demo_engine *engine, struct demo_process *process, uint64_t request)
{
    for (uint32_t i = 0; i < engine->flight_count; i++) {
        struct demo_flight *flight = &engine->flights[i];
        if (flight->id != request || flight->at != process)
            continue;
        process->busy--;
        if (process->worker.role == DEMO_PREFILL) {
            send_order(engine, flight, least_busy(engine, DEMO_DECODE));
        } else {
            engine->done++;
            *flight = engine->flights[--engine->flight_count];
        }
        return;
    }
}

/* Kills a worker in the middle of the run, and if possible while it works. */
static void kill_one(struct demo_engine *engine, double elapsed)
{
    uint32_t index = engine->options.counts[engine->options.killed_role] - 1;
    struct demo_process *victim = engine->current[engine->options.killed_role][index];
    if (elapsed < 0.4 * engine->options.duration || (victim->busy == 0 && elapsed < 0.6 * engine->options.duration))
        return;
    engine->options.kill = false;
    if (!demo_process_kill(victim) || !demo_process_replace(engine, victim)) {
        engine->failed = true;
        return;
    }
    begin_again(engine, victim);
}

/* Receives a reply. False: the worker has gone. */
static bool hear(struct demo_engine *engine, struct demo_process *process)
{
    struct demo_reply reply;
    ssize_t got = recv(process->control, &reply, sizeof reply, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got != (ssize_t)sizeof reply)
        return false;
    if (reply.kind == DEMO_ORDER_DONE)
        order_done(engine, process, reply.request);
    else if (!demo_process_ready(process, &reply))
        engine->failed = true;
    return true;
}

/* Waits for replies and signals. */
static void wait_for_workers(struct demo_engine *engine, int timeout_ms)
{
    struct pollfd polled[DEMO_PROCESSES + 1] = { { .fd = engine->signals, .events = POLLIN } };
    for (uint32_t i = 0; i < engine->process_count; i++)
        polled[i + 1] = (struct pollfd){ .fd = engine->processes[i].control, .events = POLLIN }; /* poll() ignores -1 */
    if (poll(polled, engine->process_count + 1, timeout_ms) <= 0)
        return;
    engine->interrupted = engine->interrupted || polled[0].revents;
    for (uint32_t i = 0; i < engine->process_count; i++) {
        if (!polled[i + 1].revents || hear(engine, &engine->processes[i]))
            continue;
        demo_process_gone(&engine->processes[i]);
        engine->failed = true;
    }
}

bool demo_engine_start(struct demo_engine *engine, const struct demo_engine_options *options, int signals)
{
    *engine = (struct demo_engine){ .options = *options, .signals = signals };
    if (!demo_processes_spawn(engine))
        return false;
    uint64_t limit_ns = kvtel_now_ns() + UINT64_C(10000000000);
    for (uint32_t ready = 0; ready < engine->process_count && !engine->failed && !engine->interrupted;) {
        wait_for_workers(engine, 100);
        ready = 0;
        for (uint32_t i = 0; i < engine->process_count; i++)
            ready += engine->processes[i].ready;
        if (ready < engine->process_count && kvtel_now_ns() > limit_ns) {
            demo_fail("workers did not start within ten seconds");
            return false;
        }
    }
    return !engine->failed;
}

/* Milliseconds until an arrival, the next table, or the end. */
static int patience(const struct demo_engine *engine, uint64_t elapsed_ns, uint64_t until_ns, bool admits)
{
    if (admits && has_room(engine) && next_arrival(engine) < until_ns)
        until_ns = next_arrival(engine);
    return until_ns <= elapsed_ns ? 0 : (int)((until_ns - elapsed_ns) / 1000000 + 1);
}

bool demo_engine_run(struct demo_engine *engine, void (*show)(void *context, const struct demo_engine *engine),
                     void *context)
{
    const uint64_t end_ns = (uint64_t)(engine->options.duration * 1e9);
    uint64_t show_ns = SHOW_MS * UINT64_C(1000000), stop_ns = end_ns;
    engine->start_ns = kvtel_now_ns();
    for (;;) {
        uint64_t elapsed_ns = kvtel_now_ns() - engine->start_ns;
        if (engine->interrupted && elapsed_ns < stop_ns)
            stop_ns = elapsed_ns;
        bool admits = elapsed_ns < stop_ns;
        if (engine->failed || (!admits && engine->flight_count == 0) ||
            elapsed_ns > stop_ns + DRAIN_MS * UINT64_C(1000000))
            break;
        if (admits)
            admit(engine, elapsed_ns);
        if (admits && engine->options.kill)
            kill_one(engine, (double)elapsed_ns / 1e9);
        if (elapsed_ns >= show_ns) {
            show(context, engine);
            show_ns += SHOW_MS * UINT64_C(1000000);
        }
        wait_for_workers(engine, patience(engine, elapsed_ns, admits && stop_ns < show_ns ? stop_ns : show_ns, admits));
    }
    if (engine->flight_count > 0 && !engine->failed) {
        demo_fail("%u requests were not done five seconds after the end", engine->flight_count);
        engine->failed = true;
    }
    engine->over = true;
    show(context, engine);
    return !engine->failed;
}
