# SPDX-License-Identifier: Apache-2.0
class KVTransferConfig:
    def __init__(self, kv_connector=None, engine_id="e", kv_connector_extra_config=None):
        self.kv_connector, self.engine_id = kv_connector, engine_id
        self.kv_connector_extra_config = kv_connector_extra_config or {}
