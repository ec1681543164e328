# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace


class Scheduler:
    def __init__(self, vllm_config, log_stats=True):
        self.vllm_config, self.log_stats = vllm_config, log_stats

    def make_stats(
        self, spec_decoding_stats=None, kv_connector_stats=None, cudagraph_stats=None, perf_stats=None, ec_connector_stats=None
    ):
        if not self.log_stats:
            return None
        # As vLLM 0.32; before, there was no to_dict().
        to_dict = getattr(kv_connector_stats, "to_dict", lambda: kv_connector_stats and kv_connector_stats.data)
        return SimpleNamespace(kv_connector_stats=to_dict())


class AsyncScheduler(Scheduler):
    def make_stats(self, *arguments, **options):
        return super().make_stats(*arguments, **options)
