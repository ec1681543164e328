# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Optional, TypeVar, Union, final

__version__: str

_Payload = Union[Mapping[str, Any], bytes]
_Config = Any  # a VllmConfig, a KVTransferConfig, a dict, JSON, a connector's name, None
_Format = Literal["msgpack", "json"]
_Failure = Literal[
    "transfer", "handshake", "notification", "receive", "expired", "late_notification", "allocation", "save", "load"
]
_Histogram = tuple[list[tuple[float, int]], float]
_Family = tuple[str, Literal["counter", "gauge", "histogram"], str, tuple[str, ...], list[tuple[tuple[str, ...], Any]]]
_Column = Any  # a buffer of float64 or 8-byte integers, an int that all rows share, None
_Stats = TypeVar("_Stats", bound="Stats")
_Metric = Any

def connectors() -> list[str]: ...
def load_connector(path: Union[str, bytes, PathLike[str]], /) -> None: ...
def _load_connector_path() -> list[str]: ...
def now_ns() -> int: ...
def trace_labels(traceparent: str, /) -> dict[str, str]: ...
def default_dir() -> str: ...

class Stats:
    def __init__(self, connector: str, data: Optional[_Payload] = None, sample_limit: int = 1_000_000) -> None: ...
    @property
    def data(self) -> dict[str, Any]: ...
    @data.setter
    def data(self, payload: _Payload) -> None: ...
    @property
    def connector(self) -> str: ...
    @property
    def is_summarised(self) -> bool: ...
    @property
    def refused(self) -> dict[str, int]: ...
    def to_dict(self) -> dict[str, Any]: ...
    def reset(self) -> None: ...
    def aggregate(self: _Stats, other: Stats, /) -> _Stats: ...
    def reduce(self) -> dict[str, Any]: ...
    def is_empty(self) -> bool: ...
    def clone_and_reset(self: _Stats) -> _Stats: ...
    def encode(self, format: _Format = "msgpack") -> bytes: ...
    def decode(self, payload: bytes, format: _Format = "msgpack") -> None: ...
    def record_transfer(
        self,
        flow: Optional[str] = None,
        *,
        duration_ns: Optional[int] = None,
        post_ns: Optional[int] = None,
        bytes: Optional[int] = None,
        descriptors: Optional[int] = None,
        failed: Optional[int] = None,
    ) -> None: ...
    def record_failure(self, failure: _Failure, /) -> None: ...
    def record_operation(
        self,
        operation: str,
        status: str,
        /,
        *,
        duration_ns: Optional[int] = None,
        bytes: Optional[int] = None,
        descriptors: Optional[int] = None,
        failed: Optional[int] = None,
    ) -> None: ...
    def record_value(self, key: str, value: float, labels: Sequence[str] = ()) -> None: ...

class Logging:
    def __init__(self, kv_transfer_config: _Config, style: Literal["vllm", "default"] = "vllm") -> None: ...
    @property
    def refused(self) -> dict[str, int]: ...
    def observe(self, transfer_stats_data: _Payload, engine_idx: int = 0, ranks: int = 0) -> None: ...
    def log(self, log_fn: Optional[Callable[[str, str], Any]] = None, interval_seconds: float = 0) -> None: ...
    def reset(self) -> None: ...

class _Prom:
    @property
    def store(self) -> Optional[Store]: ...
    @property
    def refused(self) -> dict[str, int]: ...
    def observe(self, transfer_stats_data: Union[_Payload, Stats], engine_idx: int = 0) -> None: ...
    def create_metric_per_engine(
        self, metric: _Metric, per_engine_labelvalues: Mapping[int, Sequence[object]]
    ) -> dict[int, _Metric]: ...

class PromMetrics(_Prom):
    def __init__(
        self,
        vllm_config: _Config,
        metric_types: Union[Mapping[type, Any], Store, None],
        labelnames: Sequence[str],
        per_engine_labelvalues: Mapping[int, Sequence[object]],
    ) -> None: ...

class Prom(_Prom):
    def __init__(
        self,
        vllm_config: _Config,
        labelnames: Sequence[str],
        per_engine_labelvalues: Mapping[int, Sequence[object]],
        store: Optional[Store] = None,
    ) -> None: ...

class Store:
    def __init__(
        self,
        model_name: str = "",
        engine: int = 0,
        rank: int = 0,
        connector: str = "",
        max_series: int = 0,
        max_lanes: int = 0,
    ) -> None: ...
    @classmethod
    def open(
        cls,
        model_name: str = "",
        dir: Union[str, bytes, PathLike[str], None] = None,
        mode: int = 0,
        engine: int = 0,
        rank: int = 0,
        connector: str = "",
        max_series: int = 0,
        max_lanes: int = 0,
    ) -> Store: ...
    @property
    def path(self) -> Optional[str]: ...
    @property
    def warnings(self) -> list[str]: ...
    def text(self) -> str: ...
    def collect(self) -> list[_Family]: ...
    def exemplars(self) -> list[tuple[str, tuple[str, ...], float, float, int, dict[str, str]]]: ...
    def info(self) -> dict[str, Any]: ...
    def remove(self, name: str, labelvalues: Sequence[str] = ()) -> None: ...
    def clear(self, name: str) -> None: ...

@final
class Operation:
    def record(
        self,
        *,
        duration_ns: Optional[int] = None,
        post_ns: Optional[int] = None,
        bytes: Optional[int] = None,
        descriptors: Optional[int] = None,
        failed: Optional[int] = None,
        submitted_ns: Optional[int] = None,
        posted_ns: Optional[int] = None,
        first_byte_ns: Optional[int] = None,
        done_ns: Optional[int] = None,
    ) -> bool: ...
    def record_exemplar(
        self,
        exemplar: dict[str, str],
        *,
        duration_ns: Optional[int] = None,
        post_ns: Optional[int] = None,
        bytes: Optional[int] = None,
        descriptors: Optional[int] = None,
        failed: Optional[int] = None,
        submitted_ns: Optional[int] = None,
        posted_ns: Optional[int] = None,
        first_byte_ns: Optional[int] = None,
        done_ns: Optional[int] = None,
    ) -> bool: ...
    def record_many(
        self, duration_ns: _Column, post_ns: _Column = None, bytes: _Column = None, descriptors: _Column = None
    ) -> int: ...

    def begin(
        self, *, bytes: Optional[int] = None, peer: Optional[str] = None, began_ns: Optional[int] = None
    ) -> Transfer: ...

@final
class Transfer:
    def end(
        self,
        *,
        duration_ns: Optional[int] = None,
        post_ns: Optional[int] = None,
        bytes: Optional[int] = None,
        descriptors: Optional[int] = None,
        failed: Optional[int] = None,
        submitted_ns: Optional[int] = None,
        posted_ns: Optional[int] = None,
        first_byte_ns: Optional[int] = None,
        done_ns: Optional[int] = None,
    ) -> bool: ...
    def end_exemplar(
        self,
        exemplar: dict[str, str],
        *,
        duration_ns: Optional[int] = None,
        post_ns: Optional[int] = None,
        bytes: Optional[int] = None,
        descriptors: Optional[int] = None,
        failed: Optional[int] = None,
        submitted_ns: Optional[int] = None,
        posted_ns: Optional[int] = None,
        first_byte_ns: Optional[int] = None,
        done_ns: Optional[int] = None,
    ) -> bool: ...
    def fail(self, failure: _Failure = "transfer", /) -> bool: ...
    def __enter__(self) -> Transfer: ...
    def __exit__(self, type: Any, value: Any, traceback: Any, /) -> Literal[False]: ...

@final
class Instrument:
    def record(self, value: float, /) -> bool: ...

class Recorder:
    def __init__(
        self,
        store: Store,
        connector: _Config,
        engine: Optional[str] = None,
        windows: bool = False,
        open_transfers: int = 0,
        exemplars: bool = False,
    ) -> None: ...
    @property
    def store(self) -> Store: ...
    def operation(self, name: Optional[str] = None, status: Optional[str] = None) -> Operation: ...
    def instrument(self, key: str, labels: Sequence[str] = ()) -> Instrument: ...
    def begin(
        self, *, bytes: Optional[int] = None, peer: Optional[str] = None, began_ns: Optional[int] = None
    ) -> Transfer: ...
    def record_failure(self, failure: _Failure, /) -> bool: ...
    def record_transfer(
        self,
        *,
        duration_ns: Optional[int] = None,
        post_ns: Optional[int] = None,
        bytes: Optional[int] = None,
        descriptors: Optional[int] = None,
        failed: Optional[int] = None,
        submitted_ns: Optional[int] = None,
        posted_ns: Optional[int] = None,
        first_byte_ns: Optional[int] = None,
        done_ns: Optional[int] = None,
    ) -> bool: ...
    def record_exemplar(
        self,
        exemplar: dict[str, str],
        *,
        duration_ns: Optional[int] = None,
        post_ns: Optional[int] = None,
        bytes: Optional[int] = None,
        descriptors: Optional[int] = None,
        failed: Optional[int] = None,
        submitted_ns: Optional[int] = None,
        posted_ns: Optional[int] = None,
        first_byte_ns: Optional[int] = None,
        done_ns: Optional[int] = None,
    ) -> bool: ...
    def record_transfers(
        self, duration_ns: _Column, post_ns: _Column = None, bytes: _Column = None, descriptors: _Column = None
    ) -> int: ...

class SchedulerStatsRecorder:
    prom: Optional[Prom]
    takes: bool
    def record(
        self, scheduler_stats: Any, iteration_stats: Any = None, mm_cache_stats: Any = None, engine_idx: int = 0
    ) -> None: ...

class _Series:
    def _attach(
        self,
        store: Store,
        type: int,
        name: str,
        help: str,
        labelnames: Sequence[str],
        bounds: Optional[Sequence[float]],
        unit: int,
        labelvalues: Optional[Sequence[str]],
        /,
    ) -> None: ...
    def _remove(self) -> None: ...
    def _detach(self) -> None: ...

class _CounterSeries(_Series):
    def inc(self, amount: float = 1, exemplar: Optional[dict[str, str]] = None) -> None: ...

class _GaugeSeries(_Series):
    def inc(self, amount: float = 1) -> None: ...
    def dec(self, amount: float = 1) -> None: ...
    def set(self, value: float) -> None: ...
    def _only_set(self) -> None: ...

class _HistogramSeries(_Series):
    def observe(self, amount: float, exemplar: Optional[dict[str, str]] = None) -> None: ...
