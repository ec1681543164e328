/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel.hpp: blocks copied by a transfer that times itself; one that is left before it is done has failed. */
#include <kvtel/kvtel.hpp>

#include <cstdio>
#include <cstring>
#include <vector>

namespace
{

constexpr std::size_t block_bytes = 64 * 1024, blocks = 16;
constexpr int transfers = 200;

/* Copies a request's blocks. False: the request was cancelled, so the transfer is not done. */
bool copy_blocks(kvtel::Operation operation, std::uint32_t peer, std::vector<char> &to, const std::vector<char> &from,
                 bool cancelled)
{
    kvtel::Transfer transfer = operation.begin(blocks * block_bytes, peer);
    transfer.posted();
    for (std::size_t block = 0; block < blocks; block++) {
        if (cancelled && block == blocks / 2)
            return false;
        std::memcpy(&to[block * block_bytes], &from[(blocks - 1 - block) * block_bytes], block_bytes);
    }
    return transfer.done(0, blocks);
}

} // namespace

int main()
{
    const auto store =
        kvtel::Store::open(KVTEL_STORE_OPTIONS(.model_name = "llama-70b", .connector = "MooncakeConnector"));
    const kvtel::Recorder recorder(store, "MooncakeConnector", KVTEL_RECORDER_OPTIONS(.open_transfers = 4));
    const kvtel::Operation operation = recorder.operation();
    const std::uint32_t peer = store.peer("10.0.0.7:5600");
    std::vector<char> to(blocks * block_bytes), from(blocks * block_bytes, 7);
    int done = 0;
    for (int i = 0; i < transfers; i++)
        done += copy_blocks(operation, peer, to, from, i % 50 == 49);
    if (recorder && done != transfers - transfers / 50)
        return 1;
    std::printf("%.*s\n", static_cast<int>(store.path().size()), store.path().data());
}
