# SPDX-License-Identifier: Apache-2.0
"""Functions that the extension module calls: configurations, exceptions, the logger."""

import json
import logging
from collections.abc import Mapping

from . import _errors

_logger = logging.getLogger("kvtel")


def make_error(status, message, offset, line, column):
    """Returns the exception for a status of kvtel/base.h."""
    return _errors.BY_STATUS.get(status, _errors.Error)(message, offset=offset, line=line, column=column)


def warn(messages):
    for message in messages:
        _logger.warning("%s", message)


def default_log():
    return _logger.info


def metric_classes(metric_types):
    """Returns (counter, gauge, histogram) from vLLM's metric_types, whose keys are prometheus_client's classes."""
    by_name = {getattr(key, "__name__", str(key)).lower(): value for key, value in metric_types.items()}
    try:
        return by_name["counter"], by_name["gauge"], by_name["histogram"]
    except KeyError as missing:
        raise _errors.ArgumentError(f"metric_types has no {missing.args[0]}") from None


def config_of(config):
    """Returns (KVTransferConfig as JSON or None, whether vLLM runs with --kv-cache-metrics)."""
    cache_metrics = False
    if hasattr(config, "kv_transfer_config"):  # a VllmConfig
        cache_metrics = bool(getattr(getattr(config, "observability_config", None), "kv_cache_metrics", False))
        config = config.kv_transfer_config
    if config is None:
        return None, cache_metrics
    if isinstance(config, bytes):
        return config, cache_metrics
    if isinstance(config, str):
        return (
            config if config.lstrip().startswith("{") else json.dumps({"kv_connector": config})
        ).encode(), cache_metrics
    if not isinstance(config, Mapping):
        config = {name: getattr(config, name, None) for name in ("kv_connector", "kv_connector_extra_config")}
    if config.get("kv_connector") is None:
        return None, cache_metrics
    return json.dumps(dict(config), default=str).encode(), cache_metrics
