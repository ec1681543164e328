# SPDX-License-Identifier: Apache-2.0
"""A platform plug-in of vLLM, where ENGINE_RAY is set: this CPU, as a device that Ray hands out. vLLM's own platform for CPUs names no
such device, and vLLM refuses Ray without one. A cluster has as many as it was started with, under the name of GPUs.

The value of ENGINE_RAY begins the names of what vLLM's processes share in memory, so that it can be found when they were killed."""

import os
from multiprocessing import shared_memory

from vllm.platforms.cpu import CpuPlatform


class RayCpuPlatform(CpuPlatform):
    ray_device_key = "GPU"


def register():
    mark = os.environ.get("ENGINE_RAY")
    if not mark:
        return None
    shared_memory._SHM_NAME_PREFIX, shared_memory._SHM_SAFE_NAME_LENGTH = f"/{mark}", 24
    return "kvtel_engine_ray_platform.RayCpuPlatform"
