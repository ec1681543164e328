/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus-cpp: the same families, labels and values as bench_exposition.c. */
#include "bench.h"
#include "exposition_load.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sstream>
#include <string>
#include <vector>

namespace
{

const struct {
    const char *name;
    std::vector<double> buckets; /* none: a counter */
} families[] = {
    { "vllm:nixl_xfer_time_seconds", { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5 } },
    { "vllm:nixl_post_time_seconds", { 0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5 } },
    { "vllm:nixl_bytes_transferred",
      { 2048, 8192, 32768, 131072, 524288, 2097152, 8388608, 33554432, 134217728, 536870912, 2147483648.0,
        8589934592.0 } },
    { "vllm:nixl_num_descriptors", { 10, 20, 30, 50, 75, 100, 200, 400, 1000, 2000, 4000, 10000, 20000, 50000 } },
    { "vllm:nixl_num_failed_transfers_total", {} },
    { "vllm:nixl_num_failed_notifications_total", {} },
    { "vllm:nixl_num_kv_expired_reqs_total", {} },
    { "vllm:nixl_num_notifications_after_expiry_total", {} },
};

struct scrape {
    prometheus::Registry registry;
    prometheus::TextSerializer serializer;
    std::vector<prometheus::MetricFamily> collected;
    std::string text;
};

void encode(void *context)
{
    auto *scrape = static_cast<struct scrape *>(context);
    std::ostringstream out;
    scrape->serializer.Serialize(out, scrape->collected);
    scrape->text = out.str();
}

void collect_and_encode(void *context)
{
    auto *scrape = static_cast<struct scrape *>(context);
    scrape->collected = scrape->registry.Collect();
    encode(context);
}

void load_family(prometheus::Registry &registry, int i)
{
    const char *help = "Text about as long as a real help text is, with its unit and window, and what it counts.";
    const auto &family = families[i];
    for (int engine = 0; engine < LOAD_ENGINES; engine++) {
        const prometheus::Labels labels{ { "model_name", LOAD_MODEL }, { "engine", std::to_string(engine) } };
        if (family.buckets.empty()) {
            prometheus::BuildCounter()
                .Name(family.name)
                .Help(help)
                .Register(registry)
                .Add(labels)
                .Increment(load_count(i - LOAD_HISTOGRAMS, engine));
            continue;
        }
        auto &histogram =
            prometheus::BuildHistogram().Name(family.name).Help(help).Register(registry).Add(labels, family.buckets);
        for (int transfer = 0; transfer < LOAD_TRANSFERS; transfer++)
            histogram.Observe(load_sample(i, engine, transfer));
    }
}

} // namespace

int main()
{
    scrape scrape;
    for (int i = 0; i < LOAD_HISTOGRAMS + LOAD_COUNTERS; i++)
        load_family(scrape.registry, i);
    double ns = bench_median_ns(collect_and_encode, &scrape);
    bench_report_peer(LOAD_ROW_SCRAPE, "prometheus-cpp", ns / 1e6, "ms");
    bench_report_peer(LOAD_ROW_SCRAPE_RATE, "prometheus-cpp", static_cast<double>(scrape.text.size()) / ns, "GB/s");
    ns = bench_median_ns(encode, &scrape);
    bench_report_peer(LOAD_ROW_ENCODE, "prometheus-cpp", ns / 1e6, "ms");
    bench_report_peer(LOAD_ROW_ENCODE_RATE, "prometheus-cpp", static_cast<double>(scrape.text.size()) / ns, "GB/s");
}
