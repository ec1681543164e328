# SPDX-License-Identifier: Apache-2.0
class StatLoggerBase:
    def __init__(self, vllm_config, engine_index=0):
        raise NotImplementedError
