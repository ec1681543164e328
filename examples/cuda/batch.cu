/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel_cuda.hpp: loads KV blocks from pinned host memory and records the copies that are done, many by one call.
 *
 *   nvcc -std=c++17 -O2 -I include examples/cuda/batch.cu libkvtel_record.a -o batch && ./batch
 *
 * Prints for some block sizes the rate with timed events alone and with kvtel, and whether all copies were recorded. */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <kvtel/kvtel_cuda.hpp>

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

constexpr std::size_t pool_bytes = std::size_t(1) << 28, in_flight = 64;

struct Memory {
    char *gpu, *host;
    cudaStream_t stream;
};

/* Loads the pool block by block; returns bytes a second by the wall clock. An empty operation records nothing. */
double load(const Memory &memory, std::size_t bytes, kvtel::Operation operation, std::size_t &recorded)
{
    kvtel::CopyBatch batch(operation, in_flight);
    CHECK(batch.error());
    const std::uint64_t began = kvtel_now_ns();
    for (std::size_t offset = 0; offset < pool_bytes; offset += bytes) {
        while (!batch.begin(memory.stream, bytes)) {
            CHECK(batch.error());
            recorded += batch.record();
        }
        CHECK(cudaMemcpyAsync(memory.gpu + offset, memory.host + offset, bytes, cudaMemcpyHostToDevice, memory.stream));
        batch.end(memory.stream);
        CHECK(batch.error());
    }
    recorded += batch.record(true);
    CHECK(batch.error());
    return double(pool_bytes) / (double(kvtel_now_ns() - began) / 1e9);
}

double median(std::vector<double> values)
{
    std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
    return values[values.size() / 2];
}

} // namespace

int main()
{
    Memory memory;
    cudaDeviceProp device;
    CHECK(cudaGetDeviceProperties(&device, 0));
    CHECK(cudaMalloc(&memory.gpu, pool_bytes));
    CHECK(cudaMallocHost(&memory.host, pool_bytes));
    CHECK(cudaStreamCreate(&memory.stream));
    kvtel_store_options options = {};
    options.size = sizeof options;
    const kvtel::Store store = kvtel::Store::in_heap(&options);
    const kvtel::Recorder recorder(store, "OffloadingConnector");
    const kvtel::Operation operation = recorder.operation("load");
    if (!operation)
        return 1;
    std::printf("%s\n", device.name);
    for (std::size_t bytes = 64 << 10; bytes <= 16 << 20; bytes *= 4) {
        std::vector<double> with, without;
        std::size_t recorded = 0, nothing = 0;
        const int rounds = 21;
        for (int i = 0; i < rounds; i++) {
            with.push_back(load(memory, bytes, operation, recorded));
            without.push_back(load(memory, bytes, kvtel::Operation(), nothing));
        }
        const std::size_t copies = pool_bytes / bytes * rounds;
        std::printf("%6zu KiB: timed %6.2f GB/s, recorded %6.2f GB/s, %zu of %zu copies recorded\n", bytes >> 10,
                    median(without) / 1e9, median(with) / 1e9, recorded, copies);
        if (recorded != copies)
            return 1;
    }
}
