/* SPDX-License-Identifier: Apache-2.0 */
/* A connector that offloads KV blocks from GPU to pinned host memory and loads them back, with CUDA streams and events, and records
 * each copy natively. Prints for block sizes from 64 KiB to 64 MiB the rate with recording off and on.
 *
 *   nvcc -O2 -I include examples/cuda/offload.cu libkvtel_record.a -o offload && ./offload [SECONDS-A-SIZE]
 *
 * Three ways to move the same blocks: untimed (an event without timing says when a copy is done), timed (two timed events a copy,
 * as a connector needs that reports how long a copy took, in whatever way), and recorded (timed, and one call of kvtel). What kvtel
 * costs is the last against the one before. Rounds alternate, so that a change of the machine's speed meets all three. */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <cuda_runtime.h>
#include <kvtel/kvtel.h>
#include <kvtel/recorder.h>

#define CHECK(call)                                                              \
    do {                                                                         \
        cudaError_t result = (call);                                             \
        if (result != cudaSuccess) {                                             \
            std::fprintf(stderr, "%s: %s\n", #call, cudaGetErrorString(result)); \
            std::exit(1);                                                        \
        }                                                                        \
    } while (0)

namespace
{

enum Way { untimed, timed, recorded, ways };

constexpr int in_flight = 16;
constexpr size_t pool_bytes = size_t(1) << 30;

struct Copy {
    cudaEvent_t began, done, plain; /* timed, timed, not timed */
    bool pending = false;
};

struct Connector {
    char *gpu, *host;
    cudaStream_t stream;
    Copy copies[in_flight];
    const struct kvtel_operation *store, *load;
};

volatile float sink;

void finish(Connector &connector, Copy &copy, size_t bytes, bool to_host, Way way)
{
    if (!copy.pending)
        return;
    CHECK(cudaEventSynchronize(way == untimed ? copy.plain : copy.done));
    copy.pending = false;
    if (way == untimed)
        return;
    float milliseconds;
    CHECK(cudaEventElapsedTime(&milliseconds, copy.began, copy.done));
    sink = milliseconds;
    if (way == timed)
        return;
    kvtel_transfer transfer = {};
    transfer.duration_ns = uint64_t(double(milliseconds) * 1e6);
    transfer.bytes = bytes;
    kvtel_record_operation(to_host ? connector.store : connector.load, &transfer);
}

/* Moves `count` blocks; returns bytes a second by the wall clock. */
double move(Connector &connector, size_t bytes, size_t count, bool to_host, Way way)
{
    size_t blocks = pool_bytes / bytes;
    uint64_t began = kvtel_now_ns();
    for (size_t i = 0; i < count; i++) {
        Copy &copy = connector.copies[i % in_flight];
        size_t offset = i % blocks * bytes;
        finish(connector, copy, bytes, to_host, way);
        if (way != untimed)
            CHECK(cudaEventRecord(copy.began, connector.stream));
        if (to_host)
            CHECK(
                cudaMemcpyAsync(connector.host + offset, connector.gpu + offset, bytes, cudaMemcpyDeviceToHost, connector.stream));
        else
            CHECK(
                cudaMemcpyAsync(connector.gpu + offset, connector.host + offset, bytes, cudaMemcpyHostToDevice, connector.stream));
        CHECK(cudaEventRecord(way == untimed ? copy.plain : copy.done, connector.stream));
        copy.pending = true;
    }
    for (Copy &copy : connector.copies)
        finish(connector, copy, bytes, to_host, way);
    return double(bytes) * double(count) / (double(kvtel_now_ns() - began) / 1e9);
}

double median(std::vector<double> values)
{
    std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
    return values[values.size() / 2];
}

/* One size: rounds of all ways in turn, the median of each and of the ratio that kvtel makes. */
void measure(Connector &connector, size_t bytes, bool to_host, double seconds)
{
    size_t count = std::max<size_t>(in_flight * 2, (size_t(64) << 20) / bytes * 4);
    std::vector<double> rates[ways], ratio;
    for (int way = 0; way < ways; way++)
        move(connector, bytes, count, to_host, Way(way));
    uint64_t end = kvtel_now_ns() + uint64_t(seconds * 1e9);
    for (int round = 0; kvtel_now_ns() < end || round < 9; round++) {
        double now[ways];
        for (int i = 0; i < ways; i++) {
            int way = (round + i) % ways;
            now[way] = move(connector, bytes, count, to_host, Way(way));
            rates[way].push_back(now[way]);
        }
        ratio.push_back(now[recorded] / now[timed]);
    }
    std::printf("%-11s %6zu KiB %9.2f GB/s %9.2f GB/s %9.2f GB/s %+8.2f %%  (%zu rounds of %zu)\n",
                to_host ? "GPU to CPU" : "CPU to GPU", bytes >> 10, median(rates[untimed]) / 1e9, median(rates[timed]) / 1e9,
                median(rates[recorded]) / 1e9, 100 * (median(ratio) - 1), ratio.size(), count);
}

} // namespace

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? std::atof(argv[1]) : 1;
    Connector connector;
    cudaDeviceProp device;
    CHECK(cudaGetDeviceProperties(&device, 0));
    CHECK(cudaMalloc(&connector.gpu, pool_bytes));
    CHECK(cudaMallocHost(&connector.host, pool_bytes));
    CHECK(cudaStreamCreate(&connector.stream));
    for (Copy &copy : connector.copies) {
        CHECK(cudaEventCreate(&copy.began));
        CHECK(cudaEventCreate(&copy.done));
        CHECK(cudaEventCreateWithFlags(&copy.plain, cudaEventDisableTiming));
    }
    kvtel_store_options options = {};
    options.size = sizeof options;
    options.model_name = "example";
    struct kvtel_store *store = kvtel_store_open(&options);
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("OffloadingConnector"), nullptr);
    connector.store = kvtel_recorder_operation(recorder, "store", nullptr);
    connector.load = kvtel_recorder_operation(recorder, "load", nullptr);
    std::printf("%s, pinned memory, %d copies in flight\n%-11s %10s %14s %14s %14s %10s\n", device.name, in_flight, "direction",
                "block", "untimed", "timed", "recorded", "kvtel");
    for (bool to_host : { true, false })
        for (size_t bytes = size_t(64) << 10; bytes <= size_t(64) << 20; bytes *= 4)
            measure(connector, bytes, to_host, seconds);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
    return 0;
}
