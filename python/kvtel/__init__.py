# SPDX-License-Identifier: Apache-2.0
"""KV-cache transfer telemetry for LLM inference.

Stats, Logging, PromMetrics and Prom are vLLM's KVConnectorStats, KVConnectorLogging, KVConnectorPromMetrics and
KVConnectorProm in native code. Store and Recorder record transfers natively. Counter, Gauge and Histogram are
prometheus_client's, recorded natively. kvtel.vllm is the plugin for vLLM,
kvtel.prometheus a collector for prometheus_client. Warnings and log lines go to the logger "kvtel".

One thread at a time may use an object, unless its documentation says otherwise. Long work is done without the GIL.
"""

import logging as _logging

from ._errors import (
    ArgumentError,
    BusyError,
    DecodeError,
    Error,
    LimitError,
    MismatchError,
    NoStatsError,
    StoreError,
    SummarisedError,
    UnknownConnectorError,
    UnknownEngineError,
    UnknownNameError,
    WrongTypeError,
)
from ._kvtel import (
    Instrument,
    Logging,
    Operation,
    Prom,
    PromMetrics,
    Recorder,
    Stats,
    Store,
    Transfer,
    __version__,
    connectors,
    _load_connector_path,
    default_dir,
    load_connector,
    now_ns,
    trace_labels,
)
from .metrics import REGISTRY, Counter, Gauge, Histogram, Registry

__all__ = [
    "ArgumentError",
    "BusyError",
    "Counter",
    "DecodeError",
    "Error",
    "Gauge",
    "Histogram",
    "Instrument",
    "LimitError",
    "Logging",
    "MismatchError",
    "NoStatsError",
    "Operation",
    "Prom",
    "PromMetrics",
    "Recorder",
    "REGISTRY",
    "Registry",
    "Stats",
    "Store",
    "StoreError",
    "SummarisedError",
    "Transfer",
    "UnknownConnectorError",
    "UnknownEngineError",
    "UnknownNameError",
    "WrongTypeError",
    "__version__",
    "connectors",
    "default_dir",
    "load_connector",
    "now_ns",
    "trace_labels",
]

for _message in _load_connector_path():
    _logging.getLogger(__name__).warning("KVTEL_CONNECTOR_PATH: %s", _message)
