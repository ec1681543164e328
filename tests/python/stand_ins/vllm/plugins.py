# SPDX-License-Identifier: Apache-2.0
import importlib.metadata


def load_general_plugins():
    found, group = importlib.metadata.entry_points(), "vllm.general_plugins"
    for point in found.select(group=group) if hasattr(found, "select") else found[group]:
        point.load()()
