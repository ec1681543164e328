# SPDX-License-Identifier: Apache-2.0
"""The plugin for vLLM.

StatLogger is an entry point of the group vllm.stat_logger_plugins. An API server of vLLM makes a StatLogger for each
engine if kvtel is installed, and passes it the stats of every scheduler. Each process records them into one store in a
file, which `kvtel serve` exports.

KVTEL_STORE_DIR is the directory of the store's file, KVTEL_STORE_MODE its permissions (octal, default 0600). A value that
is no such number is warned of, and 0600 is used.

KVTEL_REPLACE=1 replaces vLLM's own KVConnectorLogging and KVConnectorProm by kvtel's classes, which write the same log
lines and show the same numbers on vLLM's own page.
"""

import copy
import functools
import json
import logging
import os

from . import _kvtel
from ._errors import UnknownEngineError
from ._foreign import MULTI, Foreign, has_table
from ._support import config_of
from .vllm_process import place

try:
    from vllm.v1.metrics.loggers import StatLoggerBase
except ImportError:  # vLLM is not installed: a test, or a tool that examines the plugin
    StatLoggerBase = object

_logger = logging.getLogger("kvtel.vllm")


def _log_as_vllm_does():
    """Makes the logger "kvtel" write to vLLM's log, unless it was configured.

    vLLM configures its own logger only, so of other loggers just warnings would be printed, without a prefix.
    """
    own, vllm = logging.getLogger("kvtel"), logging.getLogger("vllm")
    if vllm.handlers and not own.handlers:
        own.handlers, own.propagate = list(vllm.handlers), False
        own.setLevel(vllm.level)


_log_as_vllm_does()

LABELNAMES = ("model_name", "engine")
_OFFLOADING_SPECS = ("CPUOffloadingSpec", "TieringOffloadingSpec")
# Their tables were not compared with a running vLLM, so vLLM's own classes stay.
_FROM_SOURCE = (
    "AscendStoreConnector",
    "MoRIIOConnector",
    "MooncakeConnectorStoreV1",
    "MooncakeConnectorV1",
    "MooncakeConnectorV2",
    "MooncakeD2RHConnectorV1",
    "MooncakeHybridConnector",
)


@functools.lru_cache(maxsize=None)
def _store_of(pid, model_name, connector, engine=0, rank=0):
    """Returns the store of this process.

    A child of a fork makes a store of its own, because `pid` is part of the cache's key.
    """
    return _kvtel.Store.open(model_name=model_name, connector=connector, engine=engine, rank=rank)


class StatLogger(_kvtel.SchedulerStatsRecorder, StatLoggerBase):
    """Records the KV connector stats of one engine (with data parallelism: of any engine) into the process' store.

    Exceptions do not reach the engine. They are counted in `errors` ({exception's name: count}), and each kind is
    logged once. With KVTEL_AT=engine or worker it records nothing: a CoreLogger does, in the other process.
    """

    _labelnames = LABELNAMES

    def __init__(self, vllm_config, engine_index=0):
        self.errors = {}
        self.store = None
        self._warned_of = 0
        self._vllm_config = vllm_config
        self._engine_index = engine_index
        self._proms, self._foreign = {}, {}
        try:
            self._start()
        except Exception as error:
            self._failed(error)

    def _stands_back(self):
        return place() != "frontend"

    def _start(self):
        if self._stands_back():
            return
        config = getattr(self._vllm_config, "kv_transfer_config", None)
        if config_of(config)[0] is None:
            return  # without a connector there are no stats
        name = self._vllm_config.model_config.served_model_name
        self._model_name = name if isinstance(name, str) else name[0]
        store = self._open_store()
        self.prom = self._prom_of(self._engine_index, store)
        self.takes = bool(self._foreign_of(self._engine_index))
        self.store = store

    def _open_store(self):
        return _store_of(os.getpid(), self._model_name, self._vllm_config.kv_transfer_config.kv_connector)

    def _foreign_of(self, engine):
        """Returns the metrics of connectors that kvtel has no table for, which vLLM's factory may know."""
        if engine not in self._foreign:
            labels = {engine: self._labelvalues(engine)}
            self._foreign[engine] = Foreign(
                self._vllm_config, self._open_store, self._labelnames, labels, has_table, self._failed
            )
        return self._foreign[engine]

    def _take(self, stats, engine):
        foreign = self._foreign_of(engine)
        return foreign.take(stats, engine) if foreign else stats

    def _labelvalues(self, engine):
        return (self._model_name, str(engine))

    def _prom_of(self, engine, store):
        if engine not in self._proms:
            labels = {engine: self._labelvalues(engine)}
            self._proms[engine] = _kvtel.Prom(self._vllm_config, self._labelnames, labels, store)
        return self._proms[engine]

    def _not_recorded(self, error, stats, engine):
        """Called by record() in place of raising."""
        try:
            if not isinstance(error, UnknownEngineError):
                raise error
            self._prom_of(engine or 0, self.store).observe(
                stats, engine or 0
            )  # an engine that this logger was not made for
        except Exception as error:
            self._failed(error)

    def _failed(self, error):
        name = type(error).__name__
        self.errors[name] = self.errors.get(name, 0) + 1
        if self.errors[name] == 1:
            _logger.warning(
                "KV connector stats were not recorded (said once for each kind of error): %s: %s", name, error
            )

    def log(self):
        """Called in each interval of vLLM's log: logs the store's new warnings.

        If the start failed it is tried again, because there may be room now.
        """
        try:
            if not self.store and self.errors:
                self._start()
                self.log_engine_initialized()
            warnings = self.store.warnings if self.store else []
            for warning in warnings[self._warned_of :]:
                _logger.warning("%s", warning)
            self._warned_of = len(warnings)
        except Exception as error:
            self._failed(error)

    def log_engine_initialized(self):
        if self.store:
            _logger.info(
                "KV connector stats go to %s",
                self.store.path or "a store inside this process, which no exporter can read",
            )
        elif self._stands_back():
            _logger.info("KVTEL_AT=%s: KV connector stats are recorded there, not in this process", place())


class CoreLogger(StatLogger):
    """As StatLogger, in an engine core, or with a rank in a worker, whose numbers have the label rank (vllm_process.py)."""

    def __init__(self, vllm_config, engine_index=0, rank=None):
        self._rank = rank
        if rank is not None:
            self._labelnames = (*LABELNAMES, "rank")
        super().__init__(vllm_config, engine_index)

    def _stands_back(self):
        return False

    def _labelvalues(self, engine):
        return (*super()._labelvalues(engine), *(() if self._rank is None else (str(self._rank),)))

    def _open_store(self):
        connector = self._vllm_config.kv_transfer_config.kv_connector
        return _store_of(os.getpid(), self._model_name, connector, self._engine_index, self._rank or 0)

    def _take(self, stats, engine):
        return super()._take(copy.deepcopy(stats), engine)  # the engine goes on with its own


class Logging:
    """Replaces vLLM's KVConnectorLogging.

    Makes a kvtel.Logging, or vLLM's own object if kvtel does not know the connector.
    """

    original = None

    def __new__(cls, kv_transfer_config):
        return _kvtel.Logging(kv_transfer_config) if _is_known(kv_transfer_config) else cls.original(kv_transfer_config)


class Prom:
    """Replaces vLLM's KVConnectorProm. Makes a kvtel.Prom on vLLM's own page. A connector that kvtel does not know makes
    its own metrics there, of kvtel's classes; if it has none, it is vLLM's own object.

    With several API servers, vLLM's page is made from files that prometheus_client's metrics write
    (PROMETHEUS_MULTIPROC_DIR). Then kvtel feeds such metrics, which is correct but not faster than vLLM's own code.
    """

    original = None

    def __new__(cls, vllm_config, labelnames, per_engine_labelvalues):
        has_files = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        if _is_known(vllm_config):
            return (_fed_metrics if has_files else _collected)(vllm_config, labelnames, per_engine_labelvalues)
        made = None if has_files else _collected_foreign(vllm_config, labelnames, per_engine_labelvalues)
        return made or cls.original(vllm_config, labelnames, per_engine_labelvalues)


def _is_known(config):
    """Whether kvtel knows all configured connectors.

    Without a connector or with an unreadable configuration: False, so vLLM's own class handles it.
    """
    try:
        text, _ = config_of(config)
        return text is not None and _is_all_known(json.loads(text))
    except Exception as error:
        _logger.warning("KVTEL_REPLACE=1: vLLM's classes stay for a configuration: %s: %s", type(error).__name__, error)
        return False


def _is_all_known(config):
    connector, extra = config.get("kv_connector"), config.get("kv_connector_extra_config") or {}
    if connector == MULTI:
        return all(map(_is_all_known, extra.get("connectors") or []))
    return _is_known_whole(connector, extra)


def _is_known_whole(connector, extra):
    """Whether kvtel's table has all that a connector counts."""
    if connector == "OffloadingConnector":
        tiers = extra.get("secondary_tiers") or []
        has_own_metrics = any(tier.get("module_path") or tier.get("enable_telemetry") for tier in tiers)
        return extra.get("spec_name", "CPUOffloadingSpec") in _OFFLOADING_SPECS and not has_own_metrics
    return connector in _kvtel.connectors() and connector not in _FROM_SOURCE


def _fed_metrics(vllm_config, labelnames, per_engine_labelvalues):
    from prometheus_client import Counter, Gauge, Histogram

    types = {cls: cls for cls in (Counter, Gauge, Histogram)}
    return _kvtel.PromMetrics(vllm_config, types, labelnames, per_engine_labelvalues)


def _collected(vllm_config, labelnames, per_engine_labelvalues):
    from prometheus_client import REGISTRY

    from .prometheus import StoreCollector

    prom = _kvtel.Prom(vllm_config, labelnames, per_engine_labelvalues)
    REGISTRY.register(StoreCollector(prom.store))
    return prom


class _WithForeign:
    """A kvtel.Prom, and the metrics of connectors that it does not know."""

    def __init__(self, prom, foreign):
        self.prom, self.foreign = prom, foreign

    @property
    def store(self):
        return self.prom.store

    def observe(self, transfer_stats_data, engine_idx=0):
        left = self.foreign.take(transfer_stats_data, engine_idx)
        if left is not None:
            self.prom.observe(left, engine_idx)


class _Failures:
    """Says each kind of exception of a connector's code once."""

    def __init__(self):
        self.errors = {}

    def __call__(self, error):
        name = type(error).__name__
        self.errors[name] = self.errors.get(name, 0) + 1
        if self.errors[name] == 1:
            _logger.warning("KVTEL_REPLACE=1: a connector's own metrics (said once for each kind): %s: %s", name, error)


def _collected_foreign(vllm_config, labelnames, per_engine_labelvalues):
    """Returns an object for a configuration of which kvtel does not know all, or None if some of it has no metrics."""
    try:
        from prometheus_client import REGISTRY

        from .prometheus import StoreCollector

        store, failures = _kvtel.Store(), _Failures()
        foreign = Foreign(
            vllm_config, lambda: store, labelnames, per_engine_labelvalues, _is_known_whole, failures
        )
        if not foreign or foreign.left_out:
            return None
        prom = _kvtel.Prom(vllm_config, labelnames, per_engine_labelvalues, store)
        REGISTRY.register(StoreCollector(store))
        return _WithForeign(prom, foreign)
    except Exception as error:
        _logger.warning("KVTEL_REPLACE=1: vLLM's classes stay: %s: %s", type(error).__name__, error)
        return None


def replace(loggers):
    """Replaces vLLM's classes by kvtel's in the module of vLLM's loggers.

    The modules that define vLLM's classes stay unchanged, because Ray's classes derive from them.
    """
    replaced = [
        (standin, name, getattr(loggers, name))
        for standin, name in ((Logging, "KVConnectorLogging"), (Prom, "KVConnectorProm"))
    ]
    for standin, name, original in replaced:
        standin.original = original
        setattr(loggers, name, standin)
    for user in vars(loggers).values():  # PrometheusStatLogger stores the class in an attribute
        if isinstance(user, type) and vars(user).get("_kv_connector_cls") is Prom.original:
            user._kv_connector_cls = Prom
    _logger.info("KVTEL_REPLACE=1: kvtel's classes stand in for vLLM's KVConnectorLogging and KVConnectorProm")


def _replace_if_asked():
    if os.environ.get("KVTEL_REPLACE") != "1":
        return
    try:
        from vllm.v1.metrics import loggers

        replace(loggers)
    except Exception as error:
        _logger.warning("KVTEL_REPLACE=1: vLLM's classes stay: %s: %s", type(error).__name__, error)


_replace_if_asked()
