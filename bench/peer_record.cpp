/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus-cpp: the same transfers into four histograms with classic buckets, shared by all threads. */
#include "record_load.h"

#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace
{

struct load {
    prometheus::Registry registry;
    prometheus::Histogram *seconds, *post, *bytes, *descriptors;
    record_value values[RECORD_VALUES];
};

prometheus::Histogram *add(prometheus::Registry &registry, const char *name,
                           const prometheus::Histogram::BucketBoundaries &bounds)
{
    return &prometheus::BuildHistogram().Name(name).Help("").Register(registry).Add(
        { { "model_name", "m" }, { "engine", "0" } }, bounds);
}

void record_window(void *context)
{
    auto *load = static_cast<struct load *>(context);
    for (int i = 0; i < RECORD_WINDOW; i++) {
        const record_value &value = load->values[i % RECORD_VALUES];
        load->seconds->Observe(value.seconds);
        load->post->Observe(value.post_seconds);
        load->bytes->Observe(value.bytes);
        load->descriptors->Observe(value.descriptors);
    }
}

/* Fills the struct right before the calls. */
void record_filled(void *context)
{
    auto *load = static_cast<struct load *>(context);
    for (int i = 0; i < RECORD_WINDOW; i++) {
        const record_value &from = load->values[i % RECORD_VALUES];
        record_value value = { from.seconds, from.post_seconds, from.bytes, from.descriptors };
        __asm__ volatile("" : : "r"(&value) : "memory");
        load->seconds->Observe(value.seconds);
        load->post->Observe(value.post_seconds);
        load->bytes->Observe(value.bytes);
        load->descriptors->Observe(value.descriptors);
    }
}

} // namespace

int main()
{
    load load;
    load.seconds =
        add(load.registry, "xfer_time_seconds", { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5 });
    load.post = add(load.registry, "post_time_seconds",
                    { 0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5 });
    load.bytes = add(load.registry, "bytes_transferred",
                     { 2048, 8192, 32768, 131072, 524288, 2097152, 8388608, 33554432, 134217728, 536870912,
                       2147483648.0, 8589934592.0 });
    load.descriptors = add(load.registry, "num_descriptors",
                           { 10, 20, 30, 50, 75, 100, 200, 400, 1000, 2000, 4000, 10000, 20000, 50000 });
    record_fill(load.values);
    for (int threads = 1; threads <= RECORD_THREADS && threads <= record_processors(); threads *= 2) {
        double ns = record_median_ns(record_window, &load, threads);
        if (ns > 0)
            bench_report_peer(record_row(threads), "prometheus-cpp", ns, "ns");
    }
    double ns = record_median_ns(record_filled, &load, 1);
    if (ns > 0)
        bench_report_peer(RECORD_ROW_FILLED, "prometheus-cpp", ns, "ns");
}
