# SPDX-License-Identifier: Apache-2.0
"""What this machine offers for the cases on GPUs: vLLM, NIXL and PyTorch as they are installed."""

import importlib.metadata
import importlib.util

from .engines import Machine

DISTRIBUTIONS = {
    "torch": "PyTorch",
    "vllm": "vLLM",
    "nixl": "NIXL",
    "kvtel": "kvtel's wheel",
    "kvtel-engine-recorder": "the recorder of tests/engine/recorder",
}
PROMPTS = (64, 512, 1024, 4000, 8000)  # tokens: 8 MB to 1 GB of KV cache


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine():
    """The GPUs of this machine. Ends the program with a list of what is absent."""
    versions = {name: version(name) for name in DISTRIBUTIONS}
    absent = [f"{text} (Python package {name})" for name, text in DISTRIBUTIONS.items() if not versions[name]]
    gpus = []
    if versions["torch"]:
        import torch

        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if not gpus:
            absent.append("a GPU that PyTorch can use")
    if absent:
        raise SystemExit("engine-test --gpu needs what is not here: " + ", ".join(absent))
    print(", ".join(f"{name} {text}" for name, text in versions.items() if text), "on", ", ".join(gpus), flush=True)
    return Machine(gpus, PROMPTS)
