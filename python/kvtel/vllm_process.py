# SPDX-License-Identifier: Apache-2.0
"""The plugin below vLLM's frontend: an entry point of the group vllm.general_plugins, which each process of vLLM loads.

KVTEL_AT says where KV connector stats are recorded, once:

frontend: in the API server, by kvtel.vllm.StatLogger. The default.
engine: in the engine core, what Scheduler.make_stats() is given in each step. The default under VLLM_USE_RUST_FRONTEND=1,
    whose frontend loads no plugin. Also works for the offline class LLM.
worker: in each worker, what its connector reports, with the label rank.

Where engine cores or workers are actors of Ray, vLLM passes on variables by the beginnings of their names; register() adds
those of kvtel, so that every process finds the same KVTEL_AT and the same directory.

Nothing is raised into the engine. A vLLM that has no such places is said once and left alone.
"""

import functools
import os
import time
from types import SimpleNamespace

from . import nixl
from ._hooks import guarded, is_free, say_once, when_imported

PLACES = ("frontend", "engine", "worker")
_SCHEDULER = "vllm.v1.core.sched.scheduler"
_FACTORY = "vllm.distributed.kv_transfer.kv_connector.factory"
_LOG_SECONDS = 10.0
_OWN_PREFIX = "KVTEL_"
_RAY = "vllm.ray.ray_env"


def place():
    """Returns where this vLLM records: one of PLACES."""
    default = "engine" if os.environ.get("VLLM_USE_RUST_FRONTEND", "0").lower() in ("1", "true") else "frontend"
    asked = os.environ.get("KVTEL_AT") or default
    if asked in PLACES:
        return asked
    say_once("KVTEL_AT=%s is none of %s: it is %s", asked, ", ".join(PLACES), default)
    return default


def pass_on_to_ray(module):
    """Adds kvtel's variables to those that vLLM's module hands to actors of Ray. Not by VLLM_RAY_EXTRA_ENV_VAR_PREFIXES_TO_COPY:
    it is part of the key of vLLM's compile cache, so without Ray, too, each model would be compiled anew."""
    prefixes = getattr(module, "DEFAULT_ENV_VAR_PREFIXES", None)
    if isinstance(prefixes, set):
        prefixes.add(_OWN_PREFIX)


def register():
    """Called by vLLM in each of its processes, maybe more than once."""
    when_imported(_RAY, pass_on_to_ray)
    nixl.register()
    at = place()
    if at == "engine":
        when_imported(_SCHEDULER, watch_scheduler)
    elif at == "worker":
        when_imported(_FACTORY, watch_factory)


def _payload_of(stats):
    """Returns the payload of a KVConnectorStats, or None. Before vLLM 0.32 it has no to_dict()."""
    if stats is None:
        return None
    to_dict = getattr(stats, "to_dict", None)
    return to_dict() if to_dict is not None else stats.data


def _engine_of(vllm_config):
    parallel = getattr(vllm_config, "parallel_config", None)
    return getattr(parallel, "data_parallel_index", getattr(parallel, "data_parallel_rank", 0)) or 0


class _Recorder:
    """The logger of one engine or one of its workers, in this process. It is made in the first step: vLLM is ready then."""

    def __init__(self, vllm_config, rank=None):
        self._config, self._rank = vllm_config, rank
        self._pid, self._logger, self._next = None, None, 0.0

    @guarded
    def record(self, payload):
        """Records a payload. Without one (None) the connector's families are there, at zero."""
        if self._pid != os.getpid():
            from .vllm import CoreLogger

            self._logger = CoreLogger(self._config, _engine_of(self._config), self._rank)
            self._logger.log_engine_initialized()
            self._pid = os.getpid()
        if payload is None:
            return
        self._logger.record(SimpleNamespace(kv_connector_stats=payload), None, None, _engine_of(self._config))
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _LOG_SECONDS
            self._logger.log()


# --- Engine ---


@guarded
def _record_step(scheduler, made, arguments, options):
    """`made`: the SchedulerStats; None where vLLM logs no stats, as the class LLM does: then the argument has them."""
    if made is not None:
        payload = getattr(made, "kv_connector_stats", None)
    else:
        payload = _payload_of(options.get("kv_connector_stats", arguments[1] if len(arguments) > 1 else None))
    recorder = scheduler.__dict__.get("_kvtel_recorder")
    if recorder is None:
        if payload is None and getattr(scheduler.vllm_config, "kv_transfer_config", None) is None:
            return
        recorder = scheduler._kvtel_recorder = _Recorder(scheduler.vllm_config)
    recorder.record(payload)


def watch_scheduler(module):
    """Wraps Scheduler.make_stats() of vLLM's module."""
    scheduler = getattr(module, "Scheduler", None)
    make_stats = getattr(scheduler, "make_stats", None)
    if make_stats is None:
        say_once("%s has no Scheduler.make_stats: KVTEL_AT=engine records nothing", module.__name__)
        return
    if not is_free(scheduler):
        return

    @functools.wraps(make_stats)
    def make_and_record(self, *arguments, **options):
        made = make_stats(self, *arguments, **options)
        _record_step(self, made, arguments, options)
        return made

    scheduler.make_stats = make_and_record


# --- Worker ---


def _is_worker(role):
    return getattr(role, "name", role) == "WORKER"


@guarded
def _watch_connector(connector, vllm_config):
    """Wraps get_kv_connector_stats() of a worker's connector. Children of a MultiConnector are not made by the factory."""
    report = connector.get_kv_connector_stats
    recorder = _Recorder(vllm_config, getattr(getattr(vllm_config, "parallel_config", None), "rank", 0) or 0)

    @guarded
    def record(stats):
        recorder.record(_payload_of(stats))

    @functools.wraps(report)
    def report_and_record(*arguments, **options):
        stats = report(*arguments, **options)
        record(stats)
        return stats

    connector.get_kv_connector_stats = report_and_record


def watch_factory(module):
    """Wraps KVConnectorFactory.create_connector() of vLLM's module."""
    factory = getattr(module, "KVConnectorFactory", None)
    create = getattr(factory, "create_connector", None)
    if create is None:
        say_once("%s has no KVConnectorFactory.create_connector: KVTEL_AT=worker records nothing", module.__name__)
        return
    if not is_free(factory):
        return

    @guarded
    def watch(connector, config=None, role=None, *_, **__):
        if _is_worker(role):
            _watch_connector(connector, config)

    @functools.wraps(create)
    def create_and_watch(*arguments, **options):
        connector = create(*arguments, **options)
        watch(connector, *arguments, **options)
        return connector

    factory.create_connector = staticmethod(create_and_watch)
