# SPDX-License-Identifier: Apache-2.0
"""A general plug-in of vLLM that registers three connectors. kvtel has no table for any of them, and they know nothing of kvtel."""

NAMES = ("LedgerConnector", "DepotConnector", "RelayConnector")


def register():
    from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory

    for name in NAMES:
        if name not in KVConnectorFactory._registry:
            KVConnectorFactory.register_connector(name, "kvtel_engine_third_party_connectors", name)
