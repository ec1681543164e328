# SPDX-License-Identifier: Apache-2.0
"""What the tests of the wheel share: golden cases, and the models of tests/model beside it."""

import json
import os
import sys
from pathlib import Path

import pytest

from standins import vllm  # noqa: F401: a fixture

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

DATA = Path(os.environ.get("KVTEL_TEST_DATA", ROOT / "tests" / "data"))
LABELNAMES = ["model_name", "engine"]
ENGINE = {0: ["m", "0"]}


class Case:
    """A golden case: its header, its records, and what vLLM made of them."""

    def __init__(self, path):
        self.path, self.name = path, path.stem
        self.header, *self.records = (json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines())
        self.config = self.header["kv_transfer_config"]
        self.connector = self.config["kv_connector"]
        self.labels = {engine: [self.header["model_name"], str(engine)] for engine in self.header["engines"]}

    @property
    def vllm_config(self):
        """As vLLM's VllmConfig has it."""
        return Namespace(
            kv_transfer_config=Namespace(**{"kv_connector_extra_config": {}, **self.config}),
            observability_config=Namespace(kv_cache_metrics=self.header.get("kv_cache_metrics", False)),
            model_config=Namespace(served_model_name=self.header["model_name"]),
        )

    def payloads(self, record):
        return record["workers"] if "workers" in record else [record["payload"]]

    def text(self, suffix):
        return self.path.with_suffix(suffix).read_text()


class Namespace:
    def __init__(self, **members):
        self.__dict__.update(members)


def with_tuples(value):
    """JSON has no tuples as keys: in its place stands the JSON text of the array."""
    if isinstance(value, list):
        return [with_tuples(item) for item in value]
    if isinstance(value, dict):
        return {
            tuple(json.loads(key)) if key.startswith("[") else key: with_tuples(item) for key, item in value.items()
        }
    return value


CASES = [Case(path) for path in sorted((DATA / "golden").glob("*.prom"))]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture
def nixl():
    return {
        "transfer_duration": [0.003026, 0.001],
        "post_duration": [0.000315, 0.0002],
        "bytes_transferred": [262144, 1048576],
        "num_descriptors": [2, 7],
        "num_failed_transfers": [],
        "num_failed_notifications": [1],
        "num_failed_handshakes": [],
        "num_kv_expired_reqs": [],
        "num_notifications_after_expiry": [],
    }


def samples(store, name):
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
        for line in store.text().splitlines()
        if line.startswith(name)
    }


def total(store, name):
    return sum(samples(store, name).values())
