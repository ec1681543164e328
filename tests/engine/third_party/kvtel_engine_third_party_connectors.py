# SPDX-License-Identifier: Apache-2.0
"""vLLM's ExampleConnector, which keeps prompts' KV cache in files, with stats and metrics in three ways.

LedgerConnector reports columns, DepotConnector typed values with labels, RelayConnector a structure of its own.
"""

import collections
import dataclasses
import time

from prometheus_client import Counter, Gauge, Histogram
from vllm.distributed.kv_transfer.kv_connector.v1.example_connector import ExampleConnector
from vllm.distributed.kv_transfer.kv_connector.v1.metrics import KVConnectorPromMetrics, KVConnectorStats


class Measured(ExampleConnector):
    """Notes what loads and saves took, in the worker, and which prompts had a file, in the scheduler."""

    stats_class = prom_class = None

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._stats = self.stats_class()
        self._save_began = None

    def _tokens(self, is_store):
        requests = self._get_connector_metadata().requests
        return [len(request.slot_mapping) for request in requests if request.is_store == is_store]

    def start_load_kv(self, forward_context, **options):
        began, tokens = time.perf_counter(), self._tokens(False)
        super().start_load_kv(forward_context, **options)
        self._save_began = time.perf_counter()
        for count in tokens:
            self._stats.moved("load", (time.perf_counter() - began) / len(tokens), count)

    def wait_for_save(self):
        super().wait_for_save()
        tokens = self._tokens(True)
        for count in tokens:
            self._stats.moved("save", (time.perf_counter() - (self._save_began or 0)) / len(tokens), count)

    def get_num_new_matched_tokens(self, request, num_computed_tokens):
        found = super().get_num_new_matched_tokens(request, num_computed_tokens)
        self._stats.looked_up(found[0] > 0)
        return found

    def get_kv_connector_stats(self):
        if self._stats.is_empty():
            return None
        stats, self._stats = self._stats, self.stats_class()
        return stats

    @classmethod
    def build_kv_connector_stats(cls, data=None):
        return cls.stats_class(data=data) if data is not None else cls.stats_class()

    @classmethod
    def build_prom_metrics(cls, vllm_config, metric_types, labelnames, per_engine_labelvalues):
        return cls.prom_class(vllm_config, metric_types, labelnames, per_engine_labelvalues)


# --- Columns ---


@dataclasses.dataclass
class LedgerStats(KVConnectorStats):
    COLUMNS = ("load_seconds", "save_seconds", "load_tokens", "save_tokens", "num_misses")

    def __post_init__(self):
        if not self.data:
            self.reset()

    def reset(self):
        self.data = {column: [] for column in self.COLUMNS}

    def is_empty(self):
        return not any(self.data.values())

    def moved(self, direction, seconds, tokens):
        self.data[f"{direction}_seconds"].append(seconds)
        self.data[f"{direction}_tokens"].append(tokens)

    def looked_up(self, found):
        if not found:
            self.data["num_misses"].append(1)

    def aggregate(self, other):
        for column, values in other.data.items():
            self.data[column] = self.data[column] + list(values)
        return self

    def reduce(self):
        return {f"Total {column}": round(sum(values), 3) for column, values in self.data.items()}


class LedgerProm(KVConnectorPromMetrics):
    def __init__(self, vllm_config, metric_types, labelnames, per_engine_labelvalues):
        super().__init__(vllm_config, metric_types, labelnames, per_engine_labelvalues)
        self.metrics = {}
        for column in LedgerStats.COLUMNS:
            name = f"vllm:ledger_{column}"
            if column.startswith("num_"):
                metric = self._counter_cls(name=name, documentation="Prompts without a file.", labelnames=labelnames)
            else:
                buckets = [0.001, 0.01, 0.1, 1] if column.endswith("seconds") else [16, 128, 1024]
                metric = self._histogram_cls(
                    name=name, documentation="One value a prompt.", buckets=buckets, labelnames=labelnames
                )
            self.metrics[column] = {engine: metric.labels(*v) for engine, v in per_engine_labelvalues.items()}

    def observe(self, transfer_stats_data, engine_idx=0):
        for column, values in transfer_stats_data.items():
            for value in values:
                metric = self.metrics[column][engine_idx]
                (metric.inc if column.startswith("num_") else metric.observe)(value)


class LedgerConnector(Measured):
    stats_class, prom_class = LedgerStats, LedgerProm


# --- Typed values with labels ---


@dataclasses.dataclass
class DepotStats(KVConnectorStats):
    TYPES = {
        "vllm:depot_moved_tokens": "counter",
        "vllm:depot_move_seconds": "histogram",
        "vllm:depot_last_tokens": "gauge",
        "vllm:depot_lookups": "counter",
    }

    def __post_init__(self):
        if not self.data:
            self.reset()

    def reset(self):
        self.data = {"types": dict(self.TYPES), "data": collections.defaultdict(dict)}

    def is_empty(self):
        return not self.data["data"]

    def moved(self, direction, seconds, tokens):
        data, labels = self.data["data"], (direction,)
        data["vllm:depot_moved_tokens"][labels] = data["vllm:depot_moved_tokens"].get(labels, 0) + tokens
        data["vllm:depot_move_seconds"].setdefault(labels, []).append(seconds)
        data["vllm:depot_last_tokens"][()] = tokens

    def looked_up(self, found):
        lookups, labels = self.data["data"]["vllm:depot_lookups"], ("hit" if found else "miss",)
        lookups[labels] = lookups.get(labels, 0) + 1

    def aggregate(self, other):
        for name, values in other.data["data"].items():
            mine = self.data["data"].setdefault(name, {})
            for labels, value in values.items():
                kind = self.TYPES[name]
                mine[labels] = value if kind == "gauge" or labels not in mine else mine[labels] + value
        return self

    def reduce(self):
        return {
            f"{name}{list(labels)}": len(value) if isinstance(value, list) else value
            for name, values in self.data["data"].items()
            for labels, value in values.items()
        }


class DepotProm(KVConnectorPromMetrics):
    LABELS = {
        "vllm:depot_moved_tokens": ["direction"],
        "vllm:depot_move_seconds": ["direction"],
        "vllm:depot_last_tokens": [],
        "vllm:depot_lookups": ["result"],
    }

    def __init__(self, vllm_config, metric_types, labelnames, per_engine_labelvalues):
        super().__init__(vllm_config, metric_types, labelnames, per_engine_labelvalues)
        classes = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
        self.metrics = {
            name: metric_types[classes[kind]](name, f"The {kind}.", labelnames=[*labelnames, *self.LABELS[name]])
            for name, kind in DepotStats.TYPES.items()
        }

    def observe(self, transfer_stats_data, engine_idx=0):
        types = transfer_stats_data["types"]
        for name, values in transfer_stats_data["data"].items():
            for labels, value in values.items():
                metric = self.metrics[name].labels(*self.per_engine_labelvalues[engine_idx], *labels)
                if types[name] == "histogram":
                    for one in value:
                        metric.observe(one)
                else:
                    (metric.inc if types[name] == "counter" else metric.set)(value)


class DepotConnector(Measured):
    stats_class, prom_class = DepotStats, DepotProm


# --- A structure of its own ---


@dataclasses.dataclass
class RelayStats(KVConnectorStats):
    def __post_init__(self):
        if not self.data:
            self.reset()

    def reset(self):
        self.data = {"events": [], "lookups": {"hits": 0, "all": 0}}

    def is_empty(self):
        return not self.data["events"] and not self.data["lookups"]["all"]

    def moved(self, direction, seconds, tokens):
        self.data["events"].append({"do": direction, "took": seconds, "tokens": tokens})

    def looked_up(self, found):
        self.data["lookups"]["all"] += 1
        self.data["lookups"]["hits"] += found

    def aggregate(self, other):
        lookups = {key: count + other.data["lookups"][key] for key, count in self.data["lookups"].items()}
        return RelayStats(data={"events": self.data["events"] + other.data["events"], "lookups": lookups})

    def reduce(self):
        events, lookups = self.data["events"], self.data["lookups"]
        return {"Relay events": len(events), "Relay hit rate": f"{lookups['hits']}/{lookups['all']}"}


class RelayProm(KVConnectorPromMetrics):
    """Names without a prefix of vLLM's, labels by name, default buckets, a gauge that goes up and down."""

    def __init__(self, vllm_config, metric_types, labelnames, per_engine_labelvalues):
        super().__init__(vllm_config, metric_types, labelnames, per_engine_labelvalues)
        self.seconds = self._histogram_cls("relay_seconds", "What a move took.", [*labelnames, "do"])
        self.tokens = self._counter_cls("relay_tokens_total", "Tokens that moved.", [*labelnames, "do"])
        self.kept = self._gauge_cls("relay_kept_tokens", "Tokens saved, less those loaded.", labelnames)
        self.hits = self._counter_cls("relay_hits", "Prompts with a file.", labelnames)
        for values in per_engine_labelvalues.values():
            self.hits.labels(*values)

    def observe(self, transfer_stats_data, engine_idx=0):
        labels = dict(zip(self._labelnames, self.per_engine_labelvalues[engine_idx]))
        for event in transfer_stats_data["events"]:
            self.seconds.labels(do=event["do"], **labels).observe(event["took"])
            self.tokens.labels(do=event["do"], **labels).inc(event["tokens"])
            kept = self.kept.labels(**labels)
            (kept.inc if event["do"] == "save" else kept.dec)(event["tokens"])
        self.hits.labels(**labels).inc(transfer_stats_data["lookups"]["hits"])


class RelayConnector(Measured):
    stats_class, prom_class = RelayStats, RelayProm
