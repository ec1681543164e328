# SPDX-License-Identifier: Apache-2.0
"""Connectors that kvtel has no table for: vLLM's factory has their classes, which build metrics of their own.

A connector's class makes its metrics by build_prom_metrics(), from the classes that it is given; here kvtel's Counter, Gauge
and Histogram. Under a MultiConnector each such child gets its own part of a payload.
"""

import copy

from . import _kvtel
from ._errors import Error, NoStatsError, UnknownConnectorError
from .metrics import metric_types

MULTI = "MultiConnector"


def has_table(connector, _=None):
    """Whether kvtel has a table of a connector's stats."""
    try:
        _kvtel.Stats(connector)
        return True
    except (NoStatsError, UnknownConnectorError):
        return connector == MULTI
    except Error:
        return True


def _children_of(vllm_config):
    """Yields a configuration for each child of a MultiConnector, as vLLM makes it."""
    from vllm.config import KVTransferConfig

    transfer = vllm_config.kv_transfer_config
    for child in (transfer.kv_connector_extra_config or {}).get("connectors") or ():
        config = copy.copy(vllm_config)
        config.kv_transfer_config = KVTransferConfig(**{"engine_id": getattr(transfer, "engine_id", None), **child})
        yield config


class Foreign:
    """The metrics of those of the configured connectors that kvtel does not know, for some engines.

    is_known: a function of a connector's name and its extra configuration. failed: called with each exception of a
    connector's code, which goes no further.
    """

    def __init__(self, vllm_config, open_store, labelnames, per_engine_labelvalues, is_known, failed):
        self._types = None
        self._arguments = (open_store, list(labelnames), {k: list(v) for k, v in per_engine_labelvalues.items()})
        self._is_known, self._failed = is_known, failed
        self.left_out = []  # names of connectors that are neither known nor have metrics of their own
        self._metrics = self._build(vllm_config)

    def __bool__(self):
        return bool(self._metrics)

    def _build(self, vllm_config):
        """Returns the metrics of a connector; of a MultiConnector a dict {name of the child's class: its metrics}."""
        transfer = vllm_config.kv_transfer_config
        name = transfer.kv_connector
        try:
            if name == MULTI:
                children = [(config, self._build(config)) for config in _children_of(vllm_config)]
                return {_class_of(config).__name__: built for config, built in children if built is not None}
            if name is None or self._is_known(name, transfer.kv_connector_extra_config or {}):
                return None
            metrics = self._metrics_of(vllm_config)
            if metrics is None:
                self.left_out.append(name)
            return metrics
        except ImportError:  # vLLM is not as known here, or the class cannot be imported, which vLLM itself will say
            self.left_out.append(name)
        except Exception as error:
            self.left_out.append(name)
            self._failed(error)
        return None

    def _metrics_of(self, vllm_config):
        open_store, labelnames, values = self._arguments
        if self._types is None:
            self._types = metric_types(open_store)
        return _class_of(vllm_config).build_prom_metrics(vllm_config, self._types, labelnames, values)

    def take(self, stats, engine):
        """Observes what of a payload is of these connectors. Returns the rest, or None if nothing is left."""
        return self._take(self._metrics, stats, engine)

    def _take(self, metrics, stats, engine):
        if not isinstance(metrics, dict):
            try:
                metrics.observe(stats, engine)
            except Exception as error:
                self._failed(error)
            return None
        if not isinstance(stats, dict):
            return stats
        left = {}
        for name, part in stats.items():
            rest = self._take(metrics[name], part, engine) if name in metrics else part
            if rest is not None:
                left[name] = rest
        return left or None


def _class_of(vllm_config):
    from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory

    return KVConnectorFactory.get_connector_class(vllm_config.kv_transfer_config)
