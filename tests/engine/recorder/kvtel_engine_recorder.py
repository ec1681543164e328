# SPDX-License-Identifier: Apache-2.0
"""A stat logger of vLLM that writes what it is given into a recording (docs/recording-format.md), one for each API server process:
ENGINE_RECORDINGS/PID.jsonl. It sees what kvtel's plugin and vLLM's own loggers see, in the same calls; a line is in the file before
the call returns, so that a kill loses none."""

import json
import os
import time

from vllm.v1.metrics.loggers import AggregateStatLoggerBase


def jsonable(value):
    """With label tuples in the place of keys as the text of a list: JSON has no other keys."""
    if isinstance(value, dict):
        return {
            json.dumps(key) if isinstance(key, (tuple, list)) else key: jsonable(item) for key, item in value.items()
        }
    if isinstance(value, (tuple, list)):
        return [jsonable(item) for item in value]
    return value


class Recorder(AggregateStatLoggerBase):
    def __init__(self, vllm_config, engine_indexes):
        path = os.path.join(os.environ["ENGINE_RECORDINGS"], f"{os.getpid()}.jsonl")
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        config = vllm_config.kv_transfer_config
        names = ("kv_connector", "kv_role", "kv_buffer_device", "kv_connector_extra_config")
        name = vllm_config.model_config.served_model_name
        self._write(
            kvtel=1,
            kv_transfer_config={key: getattr(config, key) for key in names},
            model_name=name if isinstance(name, str) else name[0],
            engines=list(engine_indexes),
        )

    def _write(self, **line):
        os.write(self._file, json.dumps(jsonable(line)).encode() + b"\n")

    def record(self, scheduler_stats, iteration_stats, mm_cache_stats=None, engine_idx=0):
        payload = scheduler_stats and scheduler_stats.kv_connector_stats
        if payload is not None:
            self.write_payload(payload, engine_idx)

    def write_payload(self, payload, engine=0):
        self._write(ts=time.time(), engine=engine, payload=payload)

    def log(self):
        self._write(log=True)

    def log_engine_initialized(self):
        pass
