# SPDX-License-Identifier: Apache-2.0
"""A connector's own metrics, as vLLM asks for them. kvtel's plugin feeds them without a word about kvtel in here."""

from prometheus_client import Counter, Histogram
from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorBase_V1
from vllm.distributed.kv_transfer.kv_connector.v1.metrics import KVConnectorPromMetrics


class PondPromMetrics(KVConnectorPromMetrics):
    def __init__(self, vllm_config, metric_types, labelnames, per_engine_labelvalues):
        super().__init__(vllm_config, metric_types, labelnames, per_engine_labelvalues)
        waits = metric_types[Histogram](
            name="vllm:pond_wait_seconds", documentation="Seconds until a block came.", labelnames=labelnames
        )
        self.waits = {engine: waits.labels(*values) for engine, values in per_engine_labelvalues.items()}
        self.blocks = metric_types[Counter](
            name="vllm:pond_blocks", documentation="Blocks that moved.", labelnames=[*labelnames, "direction"]
        )

    def observe(self, transfer_stats_data, engine_idx=0):
        for seconds in transfer_stats_data["waits"]:
            self.waits[engine_idx].observe(seconds)
        for direction, count in transfer_stats_data["blocks"].items():
            self.blocks.labels(*self.per_engine_labelvalues[engine_idx], direction).inc(count)


class PondConnector(KVConnectorBase_V1):
    @classmethod
    def build_prom_metrics(cls, vllm_config, metric_types, labelnames, per_engine_labelvalues):
        return PondPromMetrics(vllm_config, metric_types, labelnames, per_engine_labelvalues)
