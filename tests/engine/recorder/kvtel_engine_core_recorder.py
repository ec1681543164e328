# SPDX-License-Identifier: Apache-2.0
"""A general plug-in of vLLM that writes what the engine core's scheduler is given, where ENGINE_RECORDINGS_AT=engine: a frontend in Rust
and the class LLM load no stat loggers. Files are as kvtel_engine_recorder.py's."""

import os


def register():
    if os.environ.get("ENGINE_RECORDINGS_AT") != "engine":
        return
    from kvtel_engine_recorder import Recorder
    from vllm.v1.core.sched.scheduler import Scheduler

    if hasattr(Scheduler, "_engine_recorder"):
        return
    Scheduler._engine_recorder, make_stats = None, Scheduler.make_stats

    def make_and_write(self, spec_decoding_stats=None, kv_connector_stats=None, *more, **options):
        if self._engine_recorder is None:
            self._engine_recorder = Recorder(self.vllm_config, [0])
        if kv_connector_stats is not None:
            self._engine_recorder.write_payload(kv_connector_stats.to_dict())
        return make_stats(self, spec_decoding_stats, kv_connector_stats, *more, **options)

    Scheduler.make_stats = make_and_write
