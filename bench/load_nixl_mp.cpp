/* SPDX-License-Identifier: Apache-2.0 */
/* An agent of peer_nixl.py: load_nixl_mp PLUGIN AGENT gives NIXL's exporter plugin prometheus_mp the events of
 * transfers, as NIXL's telemetry thread does, prints the nanoseconds of an event, and ends with its input. */
#include "bench.h"

#include <cstdint>
#include <dlfcn.h>
#include <memory>
#include <string>

/* What the plugin exchanges with NIXL 1.5, declared anew. Not in an unnamed namespace: there the compiler would see
 * that nothing is derived from the exporter. */
struct event {
    uint32_t type;
    uint64_t value;
};

class exporter
{
  public:
    virtual ~exporter() = default;
    virtual int export_event(const event &event) = 0;
    virtual void on_batch_begin() = 0;
    virtual void on_batch_end() = 0;
};

struct parameters {
    std::string agent;
    size_t max_events;
};

struct plugin {
    uint32_t api_version;
    std::unique_ptr<exporter> (*create)(const parameters &);
    std::string name, version;
};

namespace
{

enum { API_VERSION = 2, POST_TIME = 7, TRANSFER_TIME = 6, BYTES_SENT = 0, REQUESTS_SENT = 2 };
enum { BATCHES = 500, TRANSFERS = 64, EVENTS = 4 };

void export_round(void *context)
{
    auto *to = static_cast<exporter *>(context);
    for (int batch = 0; batch < BATCHES; batch++) {
        to->on_batch_begin();
        for (unsigned i = 0; i < TRANSFERS; i++) {
            const event events[EVENTS] = { { POST_TIME, 300 + i },
                                           { TRANSFER_TIME, 3000 + 40 * i },
                                           { BYTES_SENT, 262144 * (1 + i) },
                                           { REQUESTS_SENT, 1 } };
            for (const event &each : events)
                to->export_event(each);
        }
        to->on_batch_end();
    }
}

} // namespace

int main(int argc, char **argv)
{
    bench_require(argc == 3, "usage: load_nixl_mp PLUGIN AGENT");
    void *library = dlopen(argv[1], RTLD_NOW);
    bench_require(library != nullptr, "the plugin");
    auto init = reinterpret_cast<plugin *(*)()>(dlsym(library, "nixl_telemetry_plugin_init"));
    bench_require(init != nullptr, "the plugin's start");
    const plugin *made = init();
    bench_require(made && made->api_version == API_VERSION, "the plugin's version");
    std::unique_ptr<exporter> agent = made->create({ argv[2], 4096 });
    bench_require(agent != nullptr, "an exporter");
    printf("%.6g\n", bench_median_ns(export_round, agent.get()) / (BATCHES * TRANSFERS * EVENTS));
    fflush(stdout);
    while (getchar() != EOF)
        continue;
}
