/* SPDX-License-Identifier: Apache-2.0 */
/* NIXL's two plug-in interfaces, telemetry exporter (version 2) and trace backend (version 1), over core.h.
 *
 * Compiled without exceptions and RTTI, and linked without the C++ library. Nothing here has a constructor or
 * destructor that runs by itself: NIXL's threads may call while the process exits. Virtual functions stand in the order
 * in which NIXL calls them. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "core.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

enum { TELEMETRY_VERSION = 2, TRACE_VERSION = 1, NAME_LIMIT = 64, KINDS = 8 };

static plugin_text text_of(const abi::string_view &view)
{
    return plugin_text{ view.bytes, view.size };
}

static bool is(const abi::string_view &view, const char *text, size_t size)
{
    return view.size == size && memcmp(view.bytes, text, size) == 0;
}
#define IS(view, literal) is(view, literal, sizeof(literal) - 1)

/* Whether a call looks like one of NIXL's. If not, its interface has changed: the plug-in turns itself off. */
static bool is_sane(const abi::string_view &name, uint8_t kind)
{
    if (__builtin_expect(!name.bytes || name.size >= NAME_LIMIT || kind >= KINDS || name.size < 6 ||
                             memcmp(name.bytes, "nixl::", 6) != 0,
                         0)) {
        plugin_disable("NIXL traced something of another form than the trace interface known here");
        return false;
    }
    return true;
}

/* Each class has an operator delete of its own for the destructor that NIXL calls, and one to make it in place. */
struct in_place {
    void *at;
};

/* What a thread of NIXL's is doing. */
struct thread_state {
    uint64_t handle; /* pushed and not popped */
    uint64_t epoch;  /* of the process in which the thread has its lane */
    bool in_span;    /* `span` is in use */
    bool is_post;    /* ... by a call that posts; else by one that names a peer */
    const plugin_half *half;
    plugin_call call;
    alignas(void *) char span[sizeof(void *)]; /* the object that NIXL sees */
};
static __thread thread_state thread PLUGIN_THREAD_MODEL;

/* A span of the calling thread: its state is in `thread`. NIXL ends it in the thread that began it. */
class span
{
  public:
    static void *operator new(size_t, const in_place &place) noexcept
    {
        return place.at;
    }
    static void operator delete(void *) noexcept
    {
        thread.in_span = false;
    }
    PLUGIN_HOT virtual ~span()
    {
        if (thread.in_span && thread.is_post)
            plugin_post_end(&thread.call);
    }
    PLUGIN_HOT virtual void add_text(abi::string_view key, abi::string_view value) noexcept
    {
        if (!thread.in_span || !IS(key, "remote_agent"))
            return;
        if (thread.is_post)
            plugin_post_peer(&thread.call, text_of(value));
        else
            plugin_peer_named(thread.half, text_of(value));
    }
    PLUGIN_HOT virtual void add_integer(abi::string_view key, int64_t value) noexcept
    {
        if (thread.in_span && thread.is_post && IS(key, "bytes") && value >= 0)
            thread.call.bytes = static_cast<uint64_t>(value);
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
static_assert(sizeof(span) == sizeof(thread.span), "a span is only its class");

/* The trace half of an agent. */
class tracer
{
  public:
    explicit tracer(const plugin_half &given) noexcept : half(given)
    {
    }
    static void *operator new(size_t, const in_place &place) noexcept
    {
        return place.at;
    }
    static void operator delete(void *object) noexcept
    {
        free(object);
    }
    virtual ~tracer()
    {
        plugin_agent_close(&half, false);
    }
    PLUGIN_HOT virtual abi::owner<span> begin_span(abi::string_view name, uint8_t kind) noexcept
    {
        return abi::owner<span>(begin(name, kind) ? new (in_place{ thread.span }) span : nullptr);
    }
    PLUGIN_HOT virtual void mark(abi::string_view name, uint8_t kind) noexcept
    {
        if (!plugin_is_off() && is_sane(name, kind) && IS(name, "nixl::xfer.complete"))
            plugin_completed(&half, thread.handle);
    }
    PLUGIN_HOT virtual void push(uint64_t id) noexcept
    {
        thread.handle = id;
    }
    PLUGIN_HOT virtual void pop() noexcept
    {
        thread.handle = 0;
    }
    virtual abi::string_view name() const noexcept
    {
        return abi::string_view{ 5, "kvtel" };
    }

  private:
    /* Whether NIXL is to get a span for the call: one that posts, or one in which a peer is named. */
    bool begin(const abi::string_view &name, uint8_t kind) noexcept
    {
        if (plugin_is_off() || thread.in_span || !is_sane(name, kind))
            return false;
        const bool write = IS(name, "nixl::postXferReq.write");
        thread.is_post = write || IS(name, "nixl::postXferReq.read");
        if (thread.is_post) {
            thread.in_span = plugin_post_begin(&thread.call, &half, thread.handle, write ? PLUGIN_TX : PLUGIN_RX);
            return thread.in_span;
        }
        if (thread.epoch != half.epoch) {
            thread.epoch = half.epoch;
            plugin_thread_ready(&half);
        }
        thread.half = &half;
        thread.in_span = IS(name, "nixl::loadRemoteMD") || IS(name, "nixl::makeConnection");
        return thread.in_span;
    }

    const plugin_half half;
};

/* The exporter half of an agent. */
class exporter
{
  public:
    exporter(const plugin_half &given, size_t most) noexcept : max_events(most), half(given)
    {
    }
    static void *operator new(size_t, const in_place &place) noexcept
    {
        return place.at;
    }
    static void operator delete(void *object) noexcept;
    virtual ~exporter()
    {
        plugin_agent_close(&half, true);
    }
    virtual int export_event(const abi::event &event) noexcept
    {
        plugin_event(&half, event.type, event.value);
        return 0;
    }
    virtual void batch_begin() noexcept
    {
        plugin_batch_begin(&half);
    }
    virtual void batch_end() noexcept
    {
        plugin_batch_end(&half);
    }

  private:
    [[maybe_unused]] const size_t max_events; /* NIXL reads it here */
    const plugin_half half;
};

/* NIXL's agent does not start without an exporter. Where there is no memory for one, all share this place, and its
 * exporter does nothing. */
alignas(exporter) static char spare[sizeof(exporter)];

void exporter::operator delete(void *object) noexcept
{
    if (object != spare)
        free(object);
}

static abi::owner<exporter> create_exporter(const abi::telemetry_params &params) noexcept
{
    const plugin_half half = plugin_agent_open(plugin_text{ params.agent_name.bytes, params.agent_name.size }, true);
    void *memory = malloc(sizeof(exporter));
    if (!memory) {
        plugin_say("no memory for an exporter: its events are not counted");
        plugin_agent_close(&half, true);
        return abi::owner<exporter>(new (in_place{ spare }) exporter(plugin_half{}, params.max_events));
    }
    return abi::owner<exporter>(new (in_place{ memory }) exporter(half, params.max_events));
}

static abi::owner<tracer> create_tracer(const abi::trace_params &params) noexcept
{
    const plugin_half half = plugin_agent_open(text_of(params.agent_name), false);
    void *memory = half.agent ? malloc(sizeof(tracer)) : nullptr;
    if (half.agent && !memory)
        plugin_agent_close(&half, false);
    return abi::owner<tracer>(memory ? new (in_place{ memory }) tracer(half) : nullptr);
}

/* Text for NIXL, which copies it at most. The object stays where it is. */
static void set(abi::string *string, const char *text)
{
    string->size = strlen(text);
    memcpy(string->own, text, string->size + 1);
    string->bytes = string->own;
}

static abi::plugin<exporter, abi::telemetry_params> telemetry;
static abi::plugin<tracer, abi::trace_params> trace;

EXPORT void *nixl_telemetry_plugin_init()
{
    telemetry.version = TELEMETRY_VERSION;
    telemetry.create = create_exporter;
    set(&telemetry.name, "kvtel");
    set(&telemetry.release, KVTEL_VERSION);
    return &telemetry;
}

EXPORT void nixl_telemetry_plugin_fini()
{
}

/* Whether the NIXL that asks has the tracer whose calls are known here. A plug-in is told no version. */
static bool is_known_nixl()
{
    static const char *const symbols[] = {
        "_ZN4nixl5trace6Tracer9beginSpanESt17basic_string_viewIcSt11char_traitsIcEENS0_4KindE",
    };
    void *library = dlopen("libnixl.so", RTLD_NOLOAD | RTLD_LAZY);
    bool known = library != nullptr;
    for (const char *symbol : symbols)
        known = known && dlsym(library, symbol);
    if (library)
        (void)dlclose(library);
    return known;
}

EXPORT void *nixl_trace_plugin_init()
{
    if (!is_known_nixl()) {
        plugin_say("this process has no libnixl.so with the tracer of NIXL 1.4 or later: no trace is recorded");
        return nullptr;
    }
    trace.version = TRACE_VERSION;
    trace.create = create_tracer;
    set(&trace.name, "kvtel");
    set(&trace.release, KVTEL_VERSION);
    return &trace;
}

EXPORT void nixl_trace_plugin_fini()
{
}
