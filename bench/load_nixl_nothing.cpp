/* SPDX-License-Identifier: Apache-2.0 */
/* A trace backend of NIXL's that records nothing, for nixl_posts.py: what NIXL takes to call one. The agent's name says
 * how much it does: "..._spans" gets a span for each post, and takes its attributes; "..._clock" also reads the clock
 * at the beginning and the end of the post. Any other agent gets no span. */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "abi.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

enum level { CALLS, SPANS, CLOCK };

static __thread struct {
    uint64_t handle, began_ns, ended_ns, bytes;
    size_t peer_size;
    enum level level;
} post;

static uint64_t now_ns()
{
    timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

/* The slots of NIXL's SpanBackend. */
class span
{
  public:
    static void operator delete(void *) noexcept
    {
    }
    virtual ~span()
    {
        if (post.level == CLOCK)
            post.ended_ns = now_ns();
    }
    virtual void add_text(abi::string_view, abi::string_view value) noexcept
    {
        post.peer_size = value.size;
    }
    virtual void add_integer(abi::string_view, int64_t value) noexcept
    {
        post.bytes = static_cast<uint64_t>(value);
    }
    virtual void add_double(abi::string_view, double) noexcept
    {
    }
    virtual void add_control_dependency(uint64_t) noexcept
    {
    }
    virtual void add_data_dependency(uint64_t) noexcept
    {
    }
    virtual uint64_t id() const noexcept
    {
        return 0;
    }
};

/* The slots of NIXL's TraceBackend. */
class tracer
{
  public:
    static void operator delete(void *) noexcept
    {
    }
    virtual ~tracer()
    {
    }
    virtual abi::owner<span> begin_span(abi::string_view name, uint8_t) noexcept;
    virtual void mark(abi::string_view, uint8_t) noexcept
    {
    }
    virtual void push(uint64_t id) noexcept
    {
        post.handle = id;
    }
    virtual void pop() noexcept
    {
        post.handle = 0;
    }
    virtual abi::string_view name() const noexcept
    {
        return abi::string_view{ 7, "nothing" };
    }
    enum level level = CALLS;
};

static span the_span;
static tracer tracers[CLOCK + 1];

abi::owner<span> tracer::begin_span(abi::string_view name, uint8_t) noexcept
{
    if (level == CALLS || name.size < 17 || memcmp(name.bytes, "nixl::postXferReq", 17) != 0)
        return abi::owner<span>(nullptr);
    post.level = level;
    if (level == CLOCK)
        post.began_ns = now_ns();
    return abi::owner<span>(&the_span);
}

static bool ends_in(const abi::string_view &name, const char *end)
{
    const size_t size = strlen(end);
    return name.size >= size && memcmp(name.bytes + name.size - size, end, size) == 0;
}

static abi::owner<tracer> create(const abi::trace_params &params) noexcept
{
    const enum level level = ends_in(params.agent_name, "_spans")   ? SPANS
                             : ends_in(params.agent_name, "_clock") ? CLOCK
                                                                    : CALLS;
    tracers[level].level = level;
    return abi::owner<tracer>(&tracers[level]);
}

static abi::plugin<tracer, abi::trace_params> trace;

static void set(abi::string *string, const char *text)
{
    string->size = strlen(text);
    memcpy(string->own, text, string->size + 1);
    string->bytes = string->own;
}

EXPORT void *nixl_trace_plugin_init()
{
    trace.version = 1;
    trace.create = create;
    set(&trace.name, "nothing");
    set(&trace.release, "0");
    return &trace;
}

EXPORT void nixl_trace_plugin_fini()
{
}
