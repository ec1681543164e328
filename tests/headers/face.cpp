/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.hpp and kvtel_cuda.hpp: what is recorded through them is what is read. Compiled without exceptions, in each
 * version of C++ that they are for. */
#include <kvtel/kvtel_cuda.hpp>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* g++: a function of C beside a struct of its name */
#include <kvtel/snapshot.h>
#pragma GCC diagnostic pop

#include <cstdio>
#include <cstdlib>
#include <thread>

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                        \
        }                                                                        \
    } while (0)

/* A runtime without a device: an event is done `pending` records after it was recorded, and each takes 2 ms. */
struct CUevent_st {
    long recorded;
};
static long now, done_up_to;
static int allocations, failing_event = -1;

cudaError_t cudaHostAlloc(void **memory, size_t size, unsigned)
{
    *memory = std::malloc(size ? size : 1);
    allocations++;
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void *memory)
{
    std::free(memory);
    allocations--;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    if (failing_event-- == 0)
        return cudaErrorMemoryAllocation;
    *event = new CUevent_st();
    allocations++;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    allocations--;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t)
{
    event->recorded = ++now;
    return cudaSuccess;
}
static cudaError_t last_error = cudaSuccess;

/* As the runtime does it, the answer "not ready" is the last error, too. */
cudaError_t cudaEventQuery(cudaEvent_t event)
{
    if (event->recorded <= done_up_to)
        return cudaSuccess;
    return last_error = cudaErrorNotReady;
}
cudaError_t cudaPeekAtLastError()
{
    return last_error;
}
cudaError_t cudaGetLastError()
{
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}
cudaError_t cudaEventSynchronize(cudaEvent_t)
{
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end)
{
    *milliseconds = 2.0f * static_cast<float>(end->recorded - begin->recorded);
    return cudaSuccess;
}

namespace
{

kvtel_reading read(const kvtel::Store &store, const char *name)
{
    const char *const labels[] = { "m", "0" };
    kvtel_reading reading = {};
    CHECK(kvtel_store_read(store.get(), name, labels, 2, &reading) == KVTEL_OK);
    return reading;
}

kvtel::Store make_store()
{
    kvtel::Store store = kvtel::Store::in_heap(KVTEL_STORE_OPTIONS(.model_name = "m"));
    CHECK(store && store.path().empty());
    return store;
}

void test_recording()
{
    const kvtel::Store store = make_store();
    const kvtel::Recorder recorder(store, std::string_view("NixlConnector and more").substr(0, 13),
                                   KVTEL_RECORDER_OPTIONS(.exemplars = true));
    const kvtel::Operation operation = recorder.operation();
    kvtel_transfer transfers[3] = {};
    for (kvtel_transfer &transfer : transfers) {
        transfer.duration_ns = 4000000;
        transfer.bytes = 1000;
    }
    CHECK(recorder && operation);
    std::thread([&] { CHECK(operation.record(transfers[0])); }).join();
    CHECK(operation.record(transfers, 3) == 3);
    kvtel::Exemplar exemplar;
    CHECK(exemplar.add("request_id", std::string_view("r-12 and more").substr(0, 4)));
    CHECK(exemplar.add_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    CHECK(!exemplar.add("request_id", "again") && !exemplar.add("", "x"));
    CHECK(!exemplar.add("nul", std::string_view("a\0b", 3)) && !exemplar.add("long", std::string(1000, 'x')));
    CHECK(!exemplar.add_traceparent("nonsense") && !exemplar.add_traceparent(std::string(1000, '0')));
    exemplar.at(1);
    CHECK(std::string_view(exemplar.get()->text) == "request_id" && exemplar.get()->time_ns == 1);
    CHECK(operation.record(transfers[0], exemplar));
    CHECK(recorder.fail(KVTEL_FAILED_NOTIFICATION) && !recorder.fail(KVTEL_FAILED_SAVE));
    CHECK(read(store, "vllm:nixl_bytes_transferred").sum == 5000);
    CHECK(read(store, "vllm:nixl_xfer_time_seconds").count == 5);
    CHECK(!recorder.operation("store") && !recorder.instrument("no_such_field", { "x" }));
}

void test_transfers_end_once()
{
    const kvtel::Store store = make_store();
    const kvtel::Recorder recorder(store, "NixlConnector",
                                   KVTEL_RECORDER_OPTIONS(.windows = true, .open_transfers = 4));
    const kvtel::Operation operation = recorder.operation();
    const std::uint32_t peer = store.peer("10.0.0.7:5600");
    CHECK(peer != 0);
    kvtel::Transfer first = operation.begin(100, peer);
    first.posted();
    first.first_byte();
    kvtel::Transfer moved(std::move(first));
    CHECK(!first.done() && !first.fail()); // NOLINT: what was moved from has no transfer
    CHECK(moved.done(0, 7) && !moved.done() && !moved.fail());
    CHECK(operation.begin(1).fail(KVTEL_FAILED_HANDSHAKE));
    operation.begin(1).fails_as(KVTEL_FAILED_EXPIRED);
    {
        kvtel::Transfer replaced = operation.begin(1);
        replaced = operation.begin(2);
        CHECK(replaced.done(kvtel::Exemplar()));
    }
    CHECK(read(store, "vllm:nixl_bytes_transferred").sum == 102);
    CHECK(read(store, "vllm:nixl_num_failed_transfers").value == 2); // a handshake, and the one that was replaced
    CHECK(read(store, "vllm:nixl_num_kv_expired_reqs").value == 1);
    CHECK(store.info().tokens_refused == 0);
}

/* What could not be made does nothing. */
void test_empty_ones()
{
    const kvtel::Store store = make_store(), none;
    const kvtel::Recorder nobodys(store, "NobodysConnector"), nowhere(none, "NixlConnector"), empty;
    for (const kvtel::Recorder *recorder : { &nobodys, &nowhere, &empty }) {
        CHECK(!*recorder && !recorder->operation() && !recorder->operation("load").record(kvtel_transfer{}));
        CHECK(!recorder->instrument("x").record(1) && !recorder->fail(KVTEL_FAILED_SAVE));
        kvtel::Transfer transfer = recorder->operation().begin(1);
        CHECK(!transfer.done());
    }
    CHECK(!none && none.path().empty() && none.peer("x") == 0 && none.info().series == 0);
}

void test_cuda_batches()
{
    const kvtel::Store store = make_store();
    const kvtel::Recorder recorder(store, "NixlConnector");
    {
        kvtel::CopyBatch batch(recorder.operation(), 100);
        CHECK(batch.error() == cudaSuccess);
        std::size_t recorded = 0;
        for (int i = 0; i < 250; i++) {
            while (!batch.begin(nullptr, 10)) {
                CHECK(batch.pending() == 100 && batch.record() == 0);
                CHECK(cudaGetLastError() == cudaSuccess); /* what the program checks next */
                done_up_to = now - 60;                    /* the newest 30 copies are under way */
                const std::size_t done = batch.record();
                CHECK(done == 70);
                recorded += done;
            }
            CHECK(batch.end(nullptr));
        }
        recorded += batch.record(true);
        CHECK(recorded == 250 && batch.pending() == 0);
    }
    CHECK(read(store, "vllm:nixl_bytes_transferred").sum == 2500);
    const kvtel_reading times = read(store, "vllm:nixl_xfer_time_seconds");
    CHECK(times.count == 250 && times.sum > 0.4999 && times.sum < 0.5001);
    const float milliseconds[] = { 1, __builtin_nanf(""), -1, __builtin_inff() };
    const std::uint64_t bytes[] = { 1, 1, 1, 1 };
    CHECK(kvtel::record_event_times(recorder.operation(), milliseconds, bytes, 4) == 2);
    CHECK(store.info().values_refused == 2);
    failing_event = 3;
    kvtel::CopyBatch refused(recorder.operation(), 8);
    CHECK(refused.error() == cudaErrorMemoryAllocation && !refused.begin(nullptr, 1) && refused.record() == 0);
}

} // namespace

int main()
{
    test_recording();
    test_transfers_end_once();
    test_empty_ones();
    test_cuda_batches();
    CHECK(allocations == 0);
}
