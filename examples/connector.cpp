/* SPDX-License-Identifier: Apache-2.0 */
/* The same from C++: blocks copied by several threads, each transfer shown while it is under way, and left with its
 * request as an exemplar, by which the slow ones are found again. */
#include <kvtel/recorder.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace
{

constexpr std::size_t block_bytes = 64 * 1024, blocks = 16;
constexpr int transfers = 200, threads = 2;

struct closer {
    void operator()(kvtel_store *store) const
    {
        kvtel_store_close(store);
    }
    void operator()(kvtel_recorder *recorder) const
    {
        kvtel_recorder_destroy(recorder);
    }
};

/* Copies a request's blocks one by one, as they lie scattered in both caches. */
kvtel_transfer copy_blocks(std::vector<char> &to, const std::vector<char> &from)
{
    kvtel_transfer transfer = {};
    const std::uint64_t start = kvtel_now_ns();
    for (std::size_t block = 0; block < blocks; block++)
        std::memcpy(&to[block * block_bytes], &from[(blocks - 1 - block) * block_bytes], block_bytes);
    transfer.duration_ns = kvtel_now_ns() - start;
    transfer.bytes = blocks * block_bytes;
    transfer.descriptors = blocks;
    return transfer;
}

/* An engine has the request's own id, and often the `traceparent` of its trace: kvtel_exemplar_add_traceparent(). */
std::string request_of(int thread, int transfer)
{
    return "cmpl-" + std::to_string(thread) + "-" + std::to_string(transfer);
}

void decode(const kvtel_operation *operation, int thread)
{
    std::vector<char> to(blocks * block_bytes), from(blocks * block_bytes, 7);
    for (int i = 0; i < transfers; i++) {
        kvtel_transfer_start start = {};
        start.bytes = blocks * block_bytes;
        kvtel_transfer_token token = kvtel_transfer_begin(operation, &start);
        const kvtel_transfer transfer = copy_blocks(to, from);
        kvtel_exemplar exemplar = {};
        kvtel_exemplar_add(&exemplar, "request_id", request_of(thread, i).c_str());
        kvtel_transfer_end_exemplar(&token, &transfer, &exemplar);
    }
}

} // namespace

int main()
{
    const std::unique_ptr<kvtel_store, closer> store(
        kvtel_store_open(KVTEL_STORE_OPTIONS(.model_name = "llama-70b", .connector = "MooncakeConnector")));
    const std::unique_ptr<kvtel_recorder, closer> recorder(
        kvtel_recorder_create(store.get(), kvtel_connector_find("MooncakeConnector"),
                              KVTEL_RECORDER_OPTIONS(.windows = true, .open_transfers = 4, .exemplars = true)));
    const kvtel_operation *operation = kvtel_recorder_operation(recorder.get(), nullptr, nullptr);

    std::vector<std::thread> running;
    for (int i = 0; i < threads; i++)
        running.emplace_back(decode, operation, i);
    for (auto &thread : running)
        thread.join();
    const char *path = store ? kvtel_store_path(store.get()) : nullptr;
    std::puts(path ? path : "nothing was recorded in a file");
}
