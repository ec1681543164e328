# SPDX-License-Identifier: Apache-2.0
"""The Prometheus families of every connector, made and fed through the real prometheus_client."""

import collections

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from .connectors import OldOffloading, class_name

disable_created_metrics()

XFER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 5.0)
POST_SECONDS = (0.001, *XFER_SECONDS)
XFER_BYTES = tuple(2.0**exponent for exponent in range(11, 34, 2))
DESCRIPTORS = (10, 20, 30, 50, 75, 100, 200, 400, 1000, 2000, 4000, 10000, 20000, 50000)
STORE_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
OFFLOAD_BYTES = tuple(megabytes * 1e6 for megabytes in (1, 5, 10, 20, 40, 60, 80, 100, 150, 200))
CPU_BLOCKS = tuple(4.0**exponent for exponent in range(10))
SYNC_SECONDS = (1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1.0)
ASYNC_SECONDS = (1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
PROMOTION_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
RESIDENCY_SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0),
    *(120.0, 300.0, 600.0, 1200.0, 1800.0),
)


class Metrics:
    """The families of one connector. A subclass makes them and says what observing its stats does to them."""

    def __init__(self, registry, refused, engines, transfer_config, cache_metrics):
        self.registry, self.refused, self.engines = registry, refused, engines
        self.extra = transfer_config.get("kv_connector_extra_config") or {}
        self.families = {}
        self.make(cache_metrics)

    def add(self, cls, name, labels=(), **options):
        self.families[name] = cls(
            f"vllm:{name}", name, ("model_name", "engine", *labels), registry=self.registry, **options
        )

    def counter(self, name, *labels):
        self.add(Counter, name, labels)

    def gauge(self, name, *labels):
        self.add(Gauge, name, labels)

    def histogram(self, name, buckets, *labels):
        self.add(Histogram, name, labels, **({"buckets": buckets} if buckets else {}))

    def at(self, name, engine, *labels):
        """A payload of an older vLLM may lack labels: to Prometheus an empty one is none."""
        family, values = self.families[name], (*self.engines[engine], *labels)
        return family.labels(*values, *[""] * (len(family._labelnames) - len(values)))


class ColumnMetrics(Metrics):
    """Families without labels of their own; every engine's are there from the start. `feeds`: family name -> keys."""

    def __init__(self, *arguments):
        self.feeds = {}
        super().__init__(*arguments)
        for name in self.feeds:
            for engine in self.engines:
                self.at(name, engine)

    def feed(self, cls, name, *keys, **options):
        self.feeds[name] = keys
        self.add(cls, name, **options)

    def observe(self, stats, engine):
        for name, keys in self.feeds.items():
            for key in keys:
                value = stats.data[key]
                feed(self.at(name, engine), value if isinstance(value, list) else [value])


def feed(child, values):
    if isinstance(child, Histogram):
        for value in values:
            child.observe(value)
    elif isinstance(child, Counter):
        for value in values:
            child.inc(value)
    elif values:
        child.set(values[-1])


class NixlMetrics(ColumnMetrics):
    def make(self, cache_metrics):
        self.feed(Histogram, "nixl_xfer_time_seconds", "transfer_duration", buckets=XFER_SECONDS)
        self.feed(Histogram, "nixl_post_time_seconds", "post_duration", buckets=POST_SECONDS)
        self.feed(Histogram, "nixl_bytes_transferred", "bytes_transferred", buckets=XFER_BYTES)
        self.feed(Histogram, "nixl_num_descriptors", "num_descriptors", buckets=DESCRIPTORS)
        self.feed(
            Counter,
            "nixl_num_failed_transfers",
            "num_failed_transfers",
            "num_failed_handshakes",
            "num_failed_notifications",
        )
        self.feed(Counter, "nixl_num_failed_notifications", "num_failed_notifications")
        self.feed(Counter, "nixl_num_kv_expired_reqs", "num_kv_expired_reqs")
        self.feed(Counter, "nixl_num_notifications_after_expiry", "num_notifications_after_expiry")


class MoRIIOMetrics(ColumnMetrics):
    def make(self, cache_metrics):
        self.feed(Histogram, "moriio_xfer_time_seconds", "transfer_duration", buckets=XFER_SECONDS)
        self.feed(Histogram, "moriio_post_time_seconds", "post_duration", buckets=POST_SECONDS)
        self.feed(Histogram, "moriio_bytes_transferred", "bytes_transferred", buckets=XFER_BYTES)
        self.feed(Histogram, "moriio_num_descriptors", "num_descriptors", buckets=DESCRIPTORS)
        self.feed(Counter, "moriio_num_failed_transfers", "num_failed_transfers")
        self.feed(Counter, "moriio_num_failed_notifications", "num_failed_notifications")
        self.feed(Counter, "moriio_num_kv_expired_reqs", "num_kv_expired_reqs")


class MooncakeMetrics(ColumnMetrics):
    def make(self, cache_metrics):
        self.feed(Histogram, "mooncake_xfer_time_seconds", "transfer_duration", buckets=XFER_SECONDS)
        self.feed(Histogram, "mooncake_bytes_transferred", "bytes_transferred", buckets=XFER_BYTES)
        self.feed(Histogram, "mooncake_num_descriptors", "num_descriptors", buckets=DESCRIPTORS)
        for key in ("num_failed_transfers", "num_failed_recvs", "num_kv_expired_reqs"):
            self.feed(Counter, f"mooncake_{key}", key)


class HiSparseMetrics(ColumnMetrics):
    def make(self, cache_metrics):
        for key in ("cache_hits", "cache_misses", "host_to_device_bytes"):
            self.feed(Counter, f"hisparse_{key}", key)
        for key in ("host_cache_usage_perc", "pending_page_transfers"):
            self.feed(Gauge, f"hisparse_{key}", key)
        if cache_metrics:
            for key in (
                "host_block_lifetime_seconds",
                "host_block_idle_before_evict_seconds",
                "host_block_reuse_gap_seconds",
            ):
                self.feed(Histogram, f"hisparse_{key}", key, buckets=RESIDENCY_SECONDS)


class HF3FSMetrics(ColumnMetrics):
    def make(self, cache_metrics):
        for key in ("save_duration", "load_duration"):
            self.feed(Histogram, f"hf3fs_{key}_seconds", key, buckets=POST_SECONDS)
        for key in ("num_failed_save", "num_failed_load"):
            self.feed(Counter, f"hf3fs_{key}", key)


class LMCacheMPMetrics(ColumnMetrics):
    def make(self, cache_metrics):
        self.feed(Histogram, "lmcache_mp_lookup_duration_seconds", "lookup_duration_seconds")


class MooncakeStoreMetrics(Metrics):
    def make(self, cache_metrics):
        own = ("operation", "status")
        self.histogram("mooncake_store_operation_time_seconds", STORE_SECONDS, *own)
        for what in ("total", "keys_total", "bytes_total", "failed_keys_total"):
            self.counter(f"mooncake_store_operation_{what}", *own)

    def observe(self, stats, engine):
        for operation, rows in stats.data.items():
            for row in rows:
                where = (engine, operation, row["status"])
                self.at("mooncake_store_operation_time_seconds", *where).observe(row["duration_seconds"])
                self.at("mooncake_store_operation_total", *where).inc()
                self.at("mooncake_store_operation_keys_total", *where).inc(row["num_keys"])
                self.at("mooncake_store_operation_bytes_total", *where).inc(row["num_bytes"])
                self.at("mooncake_store_operation_failed_keys_total", *where).inc(row["num_failed_keys"])


class UMBPStoreMetrics(Metrics):
    fields = {"submitted": "submitted", "completed": "completed", "failed": "failed", "bytes": "num_bytes"}

    def make(self, cache_metrics):
        for what in self.fields:
            self.counter(f"umbp_transfer_{what}_total", "operation")

    def observe(self, stats, engine):
        for operation, counts in stats.data.items():
            for what, key in self.fields.items():
                self.at(f"umbp_transfer_{what}_total", engine, operation).inc(counts[key])


class TypedMetrics(Metrics):
    """Families that feed themselves, under the payload's own names; series appear when first observed."""

    def observe(self, stats, engine):
        for name, series in stats.data["data"].items():
            if name.removeprefix("vllm:") not in self.families:  # known, but not as the connector is configured
                self.refused["unknown_metric"] += 1
                continue
            for labels, value in series.items():
                feed(
                    self.at(name.removeprefix("vllm:"), engine, *labels), value if isinstance(value, list) else [value]
                )


class SimpleCPUOffloadMetrics(TypedMetrics):
    def make(self, cache_metrics):
        self.counter("simple_kv_offload_save_outcomes_total", "outcome")
        self.counter("simple_kv_offload_load_blocks_total")
        self.gauge("simple_kv_offload_used_blocks")
        self.gauge("simple_kv_offload_pending_store_blocks")
        self.gauge("simple_kv_offload_info", "backend", "page_cache", "lazy_offload", "capacity_blocks")


class OffloadingMetrics(TypedMetrics):
    old_names = {"load": "CPU_to_GPU", "store": "GPU_to_CPU"}
    cpu_info = ("cpu_num_chunks", "cpu_blocks_per_chunk", "cpu_kv_cache_size_bytes", "cpu_kv_cache_size_tokens")

    def make(self, cache_metrics):
        tiering = self.extra.get("spec_name") == "TieringOffloadingSpec"
        self.counter("kv_offload_total_bytes", "transfer_type")
        self.counter("kv_offload_total_time", "transfer_type")
        self.histogram("kv_offload_size", OFFLOAD_BYTES, "transfer_type")
        for name in tuple(self.families):
            for engine in self.engines:
                for transfer_type in self.old_names.values():
                    self.at(name, engine, transfer_type)
        for what in ("", "write_", "read_"):
            self.gauge(f"kv_offload_cpu_cache_{what}usage_perc")
        self.histogram("kv_offload_cpu_allocation_size", CPU_BLOCKS)
        if self.extra.get("store_threshold", 0) >= 2:
            self.counter("kv_offload_stores_skipped")
        if tiering:
            self.make_tiering()
        for what in ("load", "store"):
            self.counter(f"kv_offload_{what}_bytes")
            self.counter(f"kv_offload_{what}_time")
            self.histogram(f"kv_offload_{what}_size", OFFLOAD_BYTES)
        self.histogram("kv_offload_lookup_sync_delay_seconds", SYNC_SECONDS)
        self.histogram("kv_offload_lookup_async_delay_seconds", ASYNC_SECONDS)
        self.counter("kv_offload_allocation_failure")
        self.info_labels = (*self.cpu_info, "tier", "example_info") if tiering else self.cpu_info
        self.gauge("kv_offload_config_info", *self.info_labels)

    def make_tiering(self):
        prefix = "kv_offload_tiering_"
        self.histogram(prefix + "lookup_sync_delay_seconds", SYNC_SECONDS, "tier")
        self.histogram(prefix + "lookup_async_delay_seconds", ASYNC_SECONDS, "tier")
        for what in (
            "read_bytes",
            "read_time",
            "write_bytes",
            "write_time",
            "promotion_job_failures",
            "cascade_job_failures",
        ):
            self.counter(prefix + what, "tier")
        for what in ("chunk_queries", "chunk_hits"):
            self.counter(prefix + what, "tier")
        self.counter(prefix + "promotion_allocation_failures")
        for what in (
            "primary_write_usage_perc",
            "primary_read_usage_perc",
            "active_promotion_jobs",
            "active_cascade_jobs",
        ):
            self.gauge(prefix + what, "tier")
        self.histogram(prefix + "promotion_latency_seconds", PROMOTION_SECONDS, "tier", "result")
        self.gauge(prefix + "backpressure_store_latency_ema", "tier")
        for what in ("backpressure_stores_dropped", "backpressure_blocks_dropped"):
            self.counter(prefix + what, "tier")

    def observe(self, stats, engine):
        if isinstance(stats, OldOffloading):
            self.observe_old(stats, engine)
            return
        super().observe(stats, engine)
        for what, transfer_type in self.old_names.items():
            for field, old in (("bytes", "total_bytes"), ("time", "total_time"), ("size", "size")):
                value = stats.data["data"].get(f"vllm:kv_offload_{what}_{field}", {}).get((), [])
                feed(self.at(f"kv_offload_{old}", engine, transfer_type), value if isinstance(value, list) else [value])
        for info in stats.data["info"] or []:
            self.at("kv_offload_config_info", engine, *(str(info.get(label, "")) for label in self.info_labels)).set(1)

    def observe_old(self, stats, engine):
        for transfer_type, rows in stats.data.items():
            for row in rows:
                self.at("kv_offload_total_bytes", engine, transfer_type).inc(row["op_size"])
                self.at("kv_offload_total_time", engine, transfer_type).inc(row["op_time"])
                self.at("kv_offload_size", engine, transfer_type).observe(row["op_size"])


class MultiMetrics(Metrics):
    """Every configured child's own metrics; one set for two children of a class."""

    def make(self, cache_metrics):
        self.children = {}
        for config in self.extra.get("connectors", []):
            name = class_name(config["kv_connector"])
            if name not in self.children:
                self.children[name] = metrics_of(self.registry, self.refused, self.engines, config, cache_metrics)

    def observe(self, stats, engine):
        for name, child in stats.data.items():
            if name in self.children:
                self.children[name].observe(child, engine)
            else:
                self.refused["unknown_connector"] += 1


CLASSES = {
    "NixlPullConnector": NixlMetrics,
    "NixlPushConnector": NixlMetrics,
    "MoRIIOConnector": MoRIIOMetrics,
    "MooncakeConnector": MooncakeMetrics,
    "MooncakeStoreConnector": MooncakeStoreMetrics,
    "OffloadingConnector": OffloadingMetrics,
    "SimpleCPUOffloadConnector": SimpleCPUOffloadMetrics,
    "HiSparseConnector": HiSparseMetrics,
    "HF3FSKVConnector": HF3FSMetrics,
    "UMBPStoreConnector": UMBPStoreMetrics,
    "LMCacheMPConnector": LMCacheMPMetrics,
    "MultiConnector": MultiMetrics,
}


def metrics_of(registry, refused, engines, transfer_config, cache_metrics):
    cls = CLASSES.get(class_name(transfer_config["kv_connector"]))
    return cls(registry, refused, engines, transfer_config, cache_metrics) if cls else None


class Prom:
    """vLLM's KVConnectorProm: the configured connector's metrics, or none."""

    def __init__(self, header):
        self.registry, self.refused = CollectorRegistry(), collections.Counter()
        self.engines = {engine: (header["model_name"], str(engine)) for engine in header["engines"]}
        self.metrics = metrics_of(
            self.registry,
            self.refused,
            self.engines,
            header["kv_transfer_config"],
            header.get("kv_cache_metrics", False),
        )

    def observe(self, stats, engine):
        if self.metrics:
            self.metrics.observe(stats, engine)

    def text(self):
        lines = generate_latest(self.registry).decode().splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("# HELP"))
