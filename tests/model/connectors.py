# SPDX-License-Identifier: Apache-2.0
"""One class per connector: its fields, when its stats are empty, what its log line says."""

import copy
import math
from statistics import fmean

import numpy as np

from .payloads import Columns, Counts, Rows, Stats, Typed, add_up

MB = 2**20


def rounded(value, digits=3):
    """Python's rounding of the exact binary value, which numpy's own round() is not."""
    return round(float(value), digits)


def mean(values, scale=1.0, digits=3):
    return rounded(np.mean(values) * scale, digits) if len(values) else 0.0


def p90(values, scale=1.0):
    return rounded(np.percentile(values, 90) * scale) if len(values) else 0.0


class Nixl(Columns):
    transfer = ("transfer_duration", "post_duration", "bytes_transferred", "num_descriptors")
    lists = (
        "num_failed_transfers",
        "num_failed_notifications",
        "num_failed_handshakes",
        "num_kv_expired_reqs",
        "num_notifications_after_expiry",
    )

    def is_empty(self):
        return not self.data["transfer_duration"] and not any(self.data[key] for key in self.lists)

    def reduce(self):
        data = self.data
        failed = ("num_failed_transfers", "num_failed_handshakes", "num_failed_notifications")
        return (
            {"Num successful transfers": len(data["transfer_duration"])}
            | transfer_lines(data, timeless=math.inf)
            | {
                "Num failed transfers": sum(len(data[key]) for key in failed),
                "Num KV expired reqs": len(data["num_kv_expired_reqs"]),
                "Num notifs after expiry": len(data["num_notifications_after_expiry"]),
            }
        )


class MoRIIO(Nixl):
    """NIXL's fields, apart from two; its line says nothing of failures."""

    lists = ("num_failed_transfers", "num_failed_notifications", "num_kv_expired_reqs")

    def reduce(self):
        return {"Num successful transfers": len(self.data["transfer_duration"])} | transfer_lines(self.data, timeless=0.0)


class Mooncake(Columns):
    transfer = ("transfer_duration", "bytes_transferred", "num_descriptors")
    lists = ("num_failed_transfers", "num_failed_recvs", "num_kv_expired_reqs")

    def is_empty(self):
        return not self.data["transfer_duration"] and not any(self.data[key] for key in self.lists)

    def reduce(self):
        data = self.data
        return (
            {"Num successful transfers": len(data["transfer_duration"])}
            | transfer_lines(data, timeless=0.0)
            | {
                "Num failed transfers": len(data["num_failed_transfers"]),
                "Num failed recvs": len(data["num_failed_recvs"]),
                "Num KV expired reqs": len(data["num_kv_expired_reqs"]),
            }
        )


def transfer_lines(data, timeless):
    """What NIXL and Mooncake say of successful transfers; integer 0 throughout when there was none. `timeless` is the throughput of
    bytes that took no time at all."""
    xfer, post = np.asarray(data["transfer_duration"]), np.asarray(data.get("post_duration", []))
    megabytes = np.asarray(data["bytes_transferred"]) / MB
    total, seconds = float(np.sum(megabytes)), float(np.sum(xfer))
    lines = {"Avg xfer time (ms)": mean(xfer, 1e3), "P90 xfer time (ms)": p90(xfer, 1e3)}
    if "post_duration" in data:
        lines |= {"Avg post time (ms)": mean(post, 1e3), "P90 post time (ms)": p90(post, 1e3)}
    lines |= {
        "Avg MB per transfer": mean(megabytes),
        "Throughput (MB/s)": rounded(total / seconds) if seconds else timeless if total else timeless * 0.0,
        "Avg number of descriptors": mean(data["num_descriptors"], digits=1),
    }
    return lines if len(xfer) else dict.fromkeys(lines, 0)


class MooncakeStore(Rows):
    fields = ("duration_seconds", "num_keys", "num_bytes", "status", "num_failed_keys")
    texts = ("status",)

    def reduce(self):
        reduced = {}
        for operation, rows in sorted(self.data.items()):
            if not rows:
                continue
            durations = sorted(row["duration_seconds"] for row in rows)
            rank = min(max(int(0.9 * len(rows) - 1e-12), 0), len(rows) - 1)
            reduced |= {
                f"{operation}_count": len(rows),
                f"{operation}_avg_ms": round(fmean(durations) * 1e3, 3),
                f"{operation}_p90_ms": round(durations[rank] * 1e3, 3),
                f"{operation}_total_keys": add_up(row["num_keys"] for row in rows),
                f"{operation}_total_bytes": add_up(row["num_bytes"] for row in rows),
                f"{operation}_failed_keys": add_up(row["num_failed_keys"] for row in rows),
                f"{operation}_error_count": sum(row["status"] == "error" for row in rows),
            }
        return reduced


class Offloading(Typed):
    has_info = True
    metrics = {
        **{
            f"vllm:kv_offload_{name}": (kind, 0)
            for kind, names in {
                "counter": "load_bytes load_time store_bytes store_time allocation_failure stores_skipped",
                "histogram": "load_size store_size lookup_sync_delay_seconds lookup_async_delay_seconds cpu_allocation_size",
                "gauge": "cpu_cache_usage_perc cpu_cache_write_usage_perc cpu_cache_read_usage_perc",
            }.items()
            for name in names.split()
        },
        **{
            f"vllm:kv_offload_tiering_{name}": (kind, 1)
            for kind, names in {
                "counter": "read_bytes read_time write_bytes write_time promotion_job_failures cascade_job_failures chunk_queries"
                " chunk_hits backpressure_stores_dropped backpressure_blocks_dropped",
                "histogram": "lookup_sync_delay_seconds lookup_async_delay_seconds",
                "gauge": "primary_write_usage_perc primary_read_usage_perc active_promotion_jobs active_cascade_jobs"
                " backpressure_store_latency_ema",
            }.items()
            for name in names.split()
        },
        "vllm:kv_offload_tiering_promotion_latency_seconds": ("histogram", 2),
        "vllm:kv_offload_tiering_promotion_allocation_failures": ("counter", 0),
    }


class OldOffloading(Rows):
    """Payloads of the OffloadingConnector before they were typed: {transfer type: [{op_size, op_time}]}."""

    fields = ("op_size", "op_time")

    def reduce(self):
        reduced = {}
        for operation, rows in self.data.items():
            if rows:
                reduced[f"{operation}_total_bytes"] = add_up(row["op_size"] for row in rows)
                reduced[f"{operation}_total_time"] = add_up(row["op_time"] for row in rows)
        return reduced


class SimpleCPUOffload(Typed):
    metrics = {
        "vllm:simple_kv_offload_save_outcomes_total": ("counter", 1),
        "vllm:simple_kv_offload_load_blocks_total": ("counter", 0),
        "vllm:simple_kv_offload_used_blocks": ("gauge", 0),
        "vllm:simple_kv_offload_pending_store_blocks": ("gauge", 0),
        "vllm:simple_kv_offload_info": ("gauge", 4),
    }
    unlogged = ("vllm:simple_kv_offload_info",)


class HiSparse(Columns):
    lists = (
        "cache_hits",
        "cache_misses",
        "host_to_device_bytes",
        "host_block_lifetime_seconds",
        "host_block_idle_before_evict_seconds",
        "host_block_reuse_gap_seconds",
    )
    levels = ("host_cache_usage_perc", "pending_page_transfers")

    def is_empty(self):
        return not any(self.data.values())

    def reduce(self):
        reduced = {
            "HiSparse hot-buffer hits": add_up(self.data["cache_hits"]),
            "HiSparse hot-buffer misses": add_up(self.data["cache_misses"]),
            "HiSparse host-to-device bytes": add_up(self.data["host_to_device_bytes"]),
        }
        if self.data["host_cache_usage_perc"]:
            reduced["HiSparse host KV cache usage %"] = round(100 * self.data["host_cache_usage_perc"][-1], 1)
        return reduced


class HF3FS(Columns):
    lists = ("save_duration", "load_duration")
    totals = ("num_failed_save", "num_failed_load", "num_transfer_task")

    def is_empty(self):
        return self.data["num_transfer_task"] == 0

    def reduce(self):
        save, load = self.data["save_duration"], self.data["load_duration"]
        reduced = {
            "Num transfers task": self.data["num_transfer_task"],
            "Num save task success": len(save),
            "Num save task failed": self.data["num_failed_save"],
            "Num load task success": len(load),
            "Num load task failed": self.data["num_failed_load"],
            "Avg save duration (ms)": mean(save, 1e3),
            "P90 save duration (ms)": p90(save, 1e3),
            "Avg load duration (ms)": mean(load, 1e3),
            "P90 load duration (ms)": p90(load, 1e3),
        }
        return dict.fromkeys(reduced, 0) if self.is_empty() else reduced


class UMBPStore(Counts):
    fields = ("submitted", "completed", "failed", "num_bytes")

    def reduce(self):
        return {f"{operation}_{key}": value for operation, counts in self.data.items() for key, value in counts.items()}


class LMCacheMP(Columns):
    lists = ("lookup_duration_seconds",)

    def is_empty(self):
        return not self.data["lookup_duration_seconds"]

    def reduce(self):
        durations = self.data["lookup_duration_seconds"]
        if not durations:
            return {}
        return {
            "LMCache MP lookup count": len(durations),
            "LMCache MP lookup avg latency (ms)": round(add_up(durations) / len(durations) * 1000, 3),
        }


class Multi(Stats):
    """{class name: payload}, where older versions say {class name: {"data": payload}}."""

    def __init__(self, payload=None):
        super().__init__(payload)
        if payload and "_metrics_descriptor" in payload:
            self.refuse("descriptor")  # its children have one each

    def blank(self):
        self.wrapped = set()  # children that came as older versions send them, and are written so again
        return {}

    def decode(self, payload):
        for name, child in payload.items():
            wrapped = isinstance(child, dict) and list(child) == ["data"]
            child = child["data"] if wrapped else child
            if name not in CLASSES:
                self.refuse("unknown_connector")
            elif not has_stats(name):
                self.refuse("no_stats")
            elif self.of_type(child, dict):
                self.data[name] = stats_of(name, child)
                self.refused += self.data[name].refused
                self.wrapped |= {name} if wrapped else set()

    def aggregate(self, other):
        self.wrapped |= other.wrapped - self.data.keys()
        for name, stats in other.data.items():
            self.data[name] = self.data[name].aggregate(stats) if name in self.data else copy.deepcopy(stats)
        return self

    def is_empty(self):
        return all(stats.is_empty() for stats in self.data.values())

    def reduce(self):
        return {name: stats.reduce() for name, stats in self.data.items()}

    def encode(self):
        children = {name: stats.encode() for name, stats in self.data.items()}
        return {name: {"data": child} if name in self.wrapped else child for name, child in children.items()}


CLASSES = {
    "NixlPullConnector": Nixl,
    "NixlPushConnector": Nixl,
    "MooncakeConnector": Mooncake,
    "MooncakeStoreConnector": MooncakeStore,
    "OffloadingConnector": Offloading,
    "SimpleCPUOffloadConnector": SimpleCPUOffload,
    "HiSparseConnector": HiSparse,
    "HF3FSKVConnector": HF3FS,
    "UMBPStoreConnector": UMBPStore,
    "LMCacheMPConnector": LMCacheMP,
    "MoRIIOConnector": MoRIIO,
    "MultiConnector": Multi,
    **dict.fromkeys(
        (
            "ExampleConnector",
            "ExampleHiddenStatesConnector",
            "LMCacheConnectorV1",
            "DecodeBenchConnector",
            "FlexKVConnectorV1",
            "SharedStorageConnector",
            "P2pNcclConnector",
        )
    ),
}


def class_name(configured):
    """A configured name is the class's own, but for the one that vLLM maps to another."""
    return "NixlPullConnector" if configured == "NixlConnector" else configured


def has_stats(name):
    return CLASSES.get(name) is not None


def stats_of(name, payload):
    """Stats of a class that has some, from a payload."""
    if name == "OffloadingConnector" and payload and not payload.keys() & {"types", "data", "info"}:
        return OldOffloading(payload)
    return CLASSES[name](payload)
