# SPDX-License-Identifier: Apache-2.0
import enum


class KVConnectorRole(enum.Enum):
    SCHEDULER = 0
    WORKER = 1


class KVConnectorStats:
    def __init__(self, data):
        self.data = data

    def to_dict(self):
        return self.data


class Connector:
    """Reports what was put into it, once."""

    def __init__(self, config, role, kv_cache_config):
        self.role, self.stats = role, []

    def get_kv_connector_stats(self):
        return KVConnectorStats(self.stats.pop(0)) if self.stats else None


class KVConnectorFactory:
    @classmethod
    def create_connector(cls, config, role, kv_cache_config):
        return Connector(config, role, kv_cache_config)

    @classmethod
    def get_connector_class(cls, kv_transfer_config):
        raise ValueError("not registered")
