/* SPDX-License-Identifier: Apache-2.0 */
/* Connectors that do not report stats. Their names are known so that they are not reported as unknown. */
#include <kvtel/connector.h>

KVTEL_CONNECTOR(without_stats) = {
    .names = KVTEL_NAMES({ "ExampleConnector", NULL }, { "ExampleHiddenStatesConnector", NULL },
                         { "LMCacheConnectorV1", NULL }, { "MoRIIOConnector", NULL }, { "DecodeBenchConnector", NULL },
                         { "FlexKVConnectorV1", NULL }, { "SharedStorageConnector", NULL },
                         { "P2pNcclConnector", NULL }),
    .payload_kind = KVTEL_PAYLOAD_NONE,
};
