/* SPDX-License-Identifier: Apache-2.0 */
/* Connectors that do not report stats. Their names are known so that they are not reported as unknown. */
#include <kvtel/connector.h>

KVTEL_CONNECTOR(without_stats) = {
    .names = KVTEL_NAMES({ .name = "ExampleConnector" }, { .name = "ExampleHiddenStatesConnector" },
                         { .name = "LMCacheConnectorV1" }, { .name = "DecodeBenchConnector" },
                         { .name = "FlexKVConnectorV1" }, { .name = "SharedStorageConnector" },
                         { .name = "P2pNcclConnector" }),
    .payload_kind = KVTEL_PAYLOAD_NONE,
};
