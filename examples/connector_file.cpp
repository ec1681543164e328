/* SPDX-License-Identifier: Apache-2.0 */
/* A connector that no table of the build has: its families are those of a connector file. */
#include <kvtel/connector_file.h>
#include <kvtel/kvtel.hpp>

#include <cstdio>

int main(int argc, char **argv)
{
    kvtel_error error = {};
    if (kvtel_connector_load(argc > 1 ? argv[1] : "examplefs.json", true, &error) != KVTEL_OK) {
        std::fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    const auto store = kvtel::Store::open(KVTEL_STORE_OPTIONS(.model_name = "m", .connector = "ExampleFSConnector"));
    const kvtel::Recorder recorder(store, "ExampleFSConnector");
    const kvtel::Operation load = recorder.operation("load");
    {
        kvtel::Transfer transfer = load.begin(1 << 20); /* a return before done() counts a failure */
        transfer.done();
    }
    recorder.fail(KVTEL_FAILED_LOAD);
    std::printf("%.*s\n", static_cast<int>(store.path().size()), store.path().data());
}
