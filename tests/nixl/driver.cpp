/* SPDX-License-Identifier: Apache-2.0 */
/* Loads libkvtel_nixl.so as NIXL does and calls it as NIXL does, with the standard library's own classes. Commands come
 * line by line from standard input; each is answered by one line. tests/e2e/nixl_driver.py drives it. */
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

/* While it is true, malloc() has no memory for this thread. Not where a sanitizer has its own, or another C library. */
static thread_local bool no_memory;
#if defined(__GLIBC__) && !defined(SANITIZED)
#define CAN_FAIL 1
extern "C" void *__libc_malloc(size_t size);
extern "C" void *malloc(size_t size)
{
    return no_memory ? nullptr : __libc_malloc(size);
}
#else
#define CAN_FAIL 0
#endif

/* NIXL's classes, as far as a plug-in sees them. */
struct Event {
    uint32_t type;
    uint64_t value;
};
struct ExporterParams {
    std::string agent_name;
    size_t max_events;
};
class Exporter
{
  public:
    explicit Exporter(size_t most) : max_events(most)
    {
    }
    virtual ~Exporter() = default;
    virtual int exportEvent(const Event &event) = 0;
    virtual void onBatchBegin() = 0;
    virtual void onBatchEnd() = 0;
    const size_t max_events;
};
struct ExporterPlugin {
    uint32_t version;
    std::unique_ptr<Exporter> (*create)(const ExporterParams &);
    std::string name, release;
};

class SpanBackend
{
  public:
    virtual ~SpanBackend() = default;
    virtual void addAttribute(std::string_view key, std::string_view value) = 0;
    virtual void addAttribute(std::string_view key, int64_t value) = 0;
    virtual void addAttribute(std::string_view key, double value) = 0;
    virtual void addCtrlDep(uint64_t id) = 0;
    virtual void addDataDep(uint64_t id) = 0;
    virtual uint64_t id() const = 0;
};
class TraceBackend
{
  public:
    virtual ~TraceBackend() = default;
    virtual std::unique_ptr<SpanBackend> beginSpan(std::string_view name, uint8_t kind) = 0;
    virtual void mark(std::string_view name, uint8_t kind) = 0;
    virtual void pushCorrelationId(uint64_t id) = 0;
    virtual void popCorrelationId() = 0;
    virtual std::string_view name() const = 0;
};
struct TraceParams {
    std::string_view agent_name;
};
struct TracePlugin {
    uint32_t version;
    std::unique_ptr<TraceBackend> (*create)(const TraceParams &);
    std::string name, release;
};

struct Agent {
    std::unique_ptr<TraceBackend> trace;
    std::unique_ptr<Exporter> exporter;
};

static void *handles[2];
static ExporterPlugin *exporters;
static TracePlugin *traces;
static auto &agents = *new std::vector<Agent *>; /* never destroyed by themselves: an application may leak them */

enum { REGISTERED = 4, XFER_TIME = 6, POST_TIME = 7, META = 7, SEND = 4, RECEIVE = 5 };

template <typename T> static T symbol(const char *name)
{
    void *found = nullptr;
    for (void *handle : handles)
        if (handle && !found)
            found = dlsym(handle, name);
    return reinterpret_cast<T>(found);
}

static std::string load(const std::string &exporter_path, const std::string &trace_path)
{
    const std::string paths[2] = { exporter_path, trace_path };
    for (int i = 0; i < 2; i++) {
        if (paths[i] == "-")
            continue;
        handles[i] = dlopen(paths[i].c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        if (!handles[i])
            return std::string("dlopen: ") + dlerror();
    }
    if (handles[0])
        exporters = symbol<ExporterPlugin *(*)()>("nixl_telemetry_plugin_init")();
    if (handles[1])
        traces = symbol<TracePlugin *(*)()>("nixl_trace_plugin_init")();
    std::ostringstream text;
    text << "exporter " << (exporters ? exporters->version : 0) << " trace " << (traces ? traces->version : 0);
    if (handles[0] && handles[1])
        text << (dlsym(handles[0], "kvtel_nixl_outcome") == dlsym(handles[1], "kvtel_nixl_outcome") ? " one" : " two");
    return text.str();
}

/* `poor`: without memory for what the plug-in allocates. */
static std::string make_agent(const std::string &name, bool poor = false)
{
    auto *agent = new Agent;
    const ExporterParams params{ name, 4096 };
    no_memory = poor;
    if (exporters)
        agent->exporter = exporters->create(params);
    if (traces)
        agent->trace = traces->create(TraceParams{ name });
    no_memory = false;
    agents.push_back(agent);
    std::ostringstream text;
    text << agents.size() - 1 << " exporter " << (agent->exporter ? agent->exporter->max_events : 0) << " trace "
         << (agent->trace ? agent->trace->name() : std::string_view("-"));
    return text.str();
}

/* A call of NIXL's that names a peer. */
static void name_peer(Agent &agent, const char *call, uint8_t kind, const std::string &peer)
{
    if (!agent.trace)
        return;
    auto span = agent.trace->beginSpan(call, kind);
    if (span && !peer.empty())
        span->addAttribute("remote_agent", std::string_view(peer));
}

static void create_request(Agent &agent, const std::string &peer, int64_t descriptors)
{
    if (!agent.trace)
        return;
    auto span = agent.trace->beginSpan("nixl::createXferReq", 0);
    if (span) {
        span->addAttribute("remote_agent", std::string_view(peer));
        span->addAttribute("desc_count", descriptors);
    }
}

static void post(Agent &agent, uint64_t handle, bool write, const std::string &peer, int64_t bytes)
{
    if (!agent.trace)
        return;
    agent.trace->pushCorrelationId(handle);
    {
        auto span = agent.trace->beginSpan(write ? "nixl::postXferReq.write" : "nixl::postXferReq.read",
                                           write ? SEND : RECEIVE);
        if (span) {
            if (!peer.empty())
                span->addAttribute("remote_agent", std::string_view(peer));
            span->addAttribute("bytes", bytes);
        }
    }
    agent.trace->popCorrelationId();
}

static void mark(Agent &agent, uint64_t handle)
{
    if (!agent.trace)
        return;
    agent.trace->pushCorrelationId(handle);
    agent.trace->mark("nixl::xfer.complete", META);
    agent.trace->popCorrelationId();
}

/* The events of a finished transfer, as NIXL's thread passes them. */
static void finish(Agent &agent, bool write, uint64_t bytes, uint64_t post_us, uint64_t xfer_us)
{
    if (!agent.exporter)
        return;
    for (const Event &event : { Event{ POST_TIME, post_us }, Event{ XFER_TIME, xfer_us },
                                Event{ write ? 0u : 1u, bytes }, Event{ write ? 2u : 3u, 1 } })
        (void)agent.exporter->exportEvent(event);
}

/* Threads that post and threads that poll: every third transfer is done in its post, as NIXL's thread then tells. */
static std::string run_threads(Agent &agent, unsigned count, unsigned threads)
{
    std::vector<std::thread> running;
    for (unsigned t = 0; t < threads; t++) {
        running.emplace_back([&agent, count, t] {
            std::thread poller;
            std::vector<uint64_t> marks;
            for (unsigned i = 0; i < count; i++) {
                const uint64_t handle = 0x7f0000000000 + (static_cast<uint64_t>(t) << 24) + (i + 1) * 16;
                post(agent, handle, t % 2 == 0, "peer", 1000 + t);
                if (i % 3 != 0)
                    marks.push_back(handle);
                if (i % 64 == 63 || i + 1 == count) {
                    if (poller.joinable())
                        poller.join();
                    poller = std::thread([&agent, marks] {
                        for (uint64_t done : marks)
                            mark(agent, done);
                    });
                    marks.clear();
                }
            }
            poller.join();
        });
    }
    for (std::thread &thread : running)
        thread.join();
    if (agent.exporter) {
        agent.exporter->onBatchBegin();
        for (unsigned t = 0; t < threads; t++)
            for (unsigned i = 0; i < count; i += 3)
                finish(agent, t % 2 == 0, 1000 + t, 5, 5);
        agent.exporter->onBatchEnd();
    }
    return "done";
}

/* A child that uses the parent's agent and, with a name, one of its own. It ends by exit(), with all destructors. */
static std::string fork_child(Agent &agent, const std::string &own)
{
    pid_t child = fork();
    if (child == 0) {
        post(agent, 0x1110, false, "peer", 10);
        mark(agent, 0x1110);
        finish(agent, false, 10, 5, 5);
        if (own != "-") {
            make_agent(own);
            name_peer(*agents.back(), "nixl::loadRemoteMD", META, "peer");
            post(*agents.back(), 0x2220, false, "peer", 20);
            mark(*agents.back(), 0x2220);
            post(agent, 0x1110, false, "peer", 10); /* the child's own agent may have its place */
            mark(agent, 0x1110);
            finish(agent, false, 10, 5, 5);
        }
        agent.trace.reset();
        agent.exporter.reset();
        if (own != "-") {
            post(*agents.back(), 0x2220, false, "peer", 20);
            mark(*agents.back(), 0x2220);
            finish(*agents.back(), false, 20, 5, 5);
        }
        std::exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return std::to_string(status);
}

/* Threads that each name peers of their own, at the same time. */
static std::string name_peers(Agent &agent, unsigned threads, unsigned count)
{
    std::vector<std::thread> running;
    for (unsigned t = 0; t < threads; t++)
        running.emplace_back([&agent, t, count] {
            for (unsigned i = 0; i < count; i++)
                name_peer(agent, "nixl::makeConnection", 0, "t" + std::to_string(t) + "-" + std::to_string(i));
        });
    for (std::thread &thread : running)
        thread.join();
    return "done";
}

/* Forks while another thread makes agents and lets them go; each child makes agents in several threads at once. */
static std::string fork_while_agents_change(unsigned count)
{
    std::atomic<bool> goes_on{ true };
    std::thread changing([&goes_on] {
        while (goes_on) {
            auto made = traces->create(TraceParams{ "changing" });
            auto exported = exporters->create(ExporterParams{ "changing", 4096 });
        }
    });
    int failed = 0;
    for (unsigned i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            std::vector<std::thread> running;
            for (int t = 0; t < 4; t++)
                running.emplace_back([t] {
                    Agent own;
                    own.trace = traces->create(TraceParams{ "child" + std::to_string(t) });
                    post(own, 0x1000 + static_cast<uint64_t>(t) * 16, false, "peer", 10);
                    mark(own, 0x1000 + static_cast<uint64_t>(t) * 16);
                });
            for (std::thread &thread : running)
                thread.join();
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        failed += status != 0;
    }
    goes_on = false;
    changing.join();
    return std::to_string(failed);
}

/* NIXL's thread of a leaked agent goes on while the process exits. */
static std::string leak(Agent &agent)
{
    std::thread([&agent] {
        for (;;) {
            finish(agent, false, 10, 5, 5);
            post(agent, 0x3330, false, "peer", 10);
        }
    }).detach();
    return "started";
}

static std::string run(const std::string &command, std::istringstream &words)
{
    std::string text, other, more;
    unsigned index = 0;
    uint64_t handle = 0;
    int64_t bytes = 0;
    if (command == "library") { /* what NIXL's own library is in this process */
        words >> text;
        return dlopen(text.c_str(), RTLD_NOW | RTLD_GLOBAL) ? "ok" : dlerror();
    }
    if (command == "load") {
        words >> text >> other;
        return load(text, other);
    }
    if (command == "agent") {
        words >> text;
        return make_agent(text == "empty"   ? ""
                          : text == "long"  ? std::string(100000, 'x')
                          : text == "bytes" ? "\xff\xfe\x01"
                                            : text);
    }
    if (command == "poor_agent") {
        words >> text;
        return CAN_FAIL ? make_agent(text, true) : "cannot fail";
    }
    if (command == "huge_agent") { /* a name whose length cannot be one */
        auto made = traces->create(TraceParams{ std::string_view("x", size_t(1) << 40) });
        return made ? "made" : "none";
    }
    if (command == "told") {
        int status = 0;
        words >> std::hex >> handle >> std::dec >> status;
        symbol<void (*)(uint64_t, int)>("kvtel_nixl_outcome")(handle, status);
        return "ok";
    }
    if (command == "released") {
        uint64_t number = 0;
        words >> std::hex >> handle >> std::dec >> number;
        symbol<void (*)(uint64_t, uint64_t)>("kvtel_nixl_released")(handle, number);
        return "ok";
    }
    if (command == "number") {
        words >> std::hex >> handle;
        return std::to_string(symbol<uint64_t (*)(uint64_t)>("kvtel_nixl_post")(handle));
    }
    if (command == "name") {
        words >> text >> other;
        symbol<void (*)(const char *, const char *)>("kvtel_nixl_peer")(text.c_str(), other.c_str());
        return "ok";
    }
    if (command == "fork_while_agents_change") {
        unsigned count = 0;
        words >> count;
        return fork_while_agents_change(count);
    }
    if (command == "recording")
        return std::to_string(symbol<int (*)()>("kvtel_nixl_is_recording")());
    if (command == "fini") {
        symbol<void (*)()>("nixl_telemetry_plugin_fini")();
        symbol<void (*)()>("nixl_trace_plugin_fini")();
        return "ok";
    }
    if (command == "exit")
        std::exit(0);
    if (command == "_exit")
        _exit(0);
    words >> index;
    Agent &agent = *agents.at(index);
    if (command == "peer") {
        words >> text;
        name_peer(agent, "nixl::loadRemoteMD", META, text == "-" ? "" : text);
    } else if (command == "connect") {
        words >> text;
        name_peer(agent, "nixl::makeConnection", 0, text);
    } else if (command == "create") {
        words >> text;
        create_request(agent, text, 3);
    } else if (command == "post") {
        words >> std::hex >> handle >> std::dec >> other >> text >> bytes;
        post(agent, handle, other == "write", text == "-" ? "" : text, bytes);
    } else if (command == "mark") {
        words >> std::hex >> handle;
        mark(agent, handle);
    } else if (command == "finish") {
        uint64_t post_us = 0, xfer_us = 0;
        words >> text >> bytes >> post_us >> xfer_us;
        finish(agent, text == "write", static_cast<uint64_t>(bytes), post_us, xfer_us);
    } else if (command == "event") {
        Event event{};
        words >> event.type >> event.value;
        return std::to_string(agent.exporter->exportEvent(event));
    } else if (command == "batch") {
        agent.exporter->onBatchBegin();
    } else if (command == "batch_end") {
        agent.exporter->onBatchEnd();
    } else if (command == "span") { /* any name and kind, and what a span can be told */
        int kind = 0;
        words >> text >> kind;
        auto span = agent.trace->beginSpan(text, static_cast<uint8_t>(kind));
        const bool made = span != nullptr;
        if (span) {
            span->addAttribute("ratio", 0.5);
            span->addCtrlDep(1);
            span->addDataDep(2);
            (void)span->id();
        }
        return made ? "span" : "null";
    } else if (command == "flood") {
        uint64_t count = 0;
        words >> count;
        for (uint64_t i = 1; i <= count; i++)
            post(agent, 0x100000000 + i * 16, false, "peer", 100);
    } else if (command == "flood_end") {
        uint64_t count = 0;
        words >> count;
        for (uint64_t i = 1; i <= count; i++)
            mark(agent, 0x100000000 + i * 16);
    } else if (command == "threads") {
        unsigned count = 0, threads = 0;
        words >> count >> threads;
        return run_threads(agent, count, threads);
    } else if (command == "name_peers") {
        unsigned threads = 0, count = 0;
        words >> threads >> count;
        return name_peers(agent, threads, count);
    } else if (command == "fork") {
        words >> text;
        return fork_child(agent, text);
    } else if (command == "leak") {
        return leak(agent);
    } else if (command == "destroy") { /* in NIXL's order */
        agent.trace.reset();
        agent.exporter.reset();
    } else {
        return "unknown command";
    }
    return "ok";
}

int main()
{
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string command;
        words >> command;
        std::cout << run(command, words) << std::endl;
    }
    return 0;
}
