# SPDX-License-Identifier: Apache-2.0
"""vLLM's own pages, and kvtel's plugin in the same servers: real ones of ./run engine-test, of which one is killed."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import known
from row import Row, yes

ROOT = Path(__file__).resolve().parents[2]
HOW = "not measured: `./run engine-test classes` makes the environment, then `./run compare` again"
NO_RUST = "not measured: `vllm-rs`, vLLM's Rust frontend, is not beside the environment; `./run engine-test` fetches it"
TRANSFER = "a payload of one transfer, in the frontend"
TWO = ["--data-parallel-size", "2"]


def ask(venv, *arguments, environment=None):
    command = [venv / "bin/python", "-m", "bench.compare.vllm_worker", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        sys.exit("compare: vLLM's servers failed")
    return json.loads(done.stdout.splitlines()[-1])


@functools.cache
def classes_ns(venv):
    return ask(venv, "classes")


def rust_frontend(venv):
    """vLLM's Rust frontend: the program that ./run engine-test fetches, or that of the vLLM in the environment; None where neither is."""
    places = [venv.parent / "vllm-rs", *venv.glob("lib/python*/site-packages/vllm/vllm-rs")]
    return next((place for place in places if place.exists()), None)


@functools.cache
def servers(build, venv, *arguments, rust=None):
    environment = {"VLLM_USE_RUST_FRONTEND": str(int(bool(rust))), "KVTEL": str(build / "kvtel")}
    if rust:
        environment["VLLM_RUST_FRONTEND_PATH"] = str(rust)
    return ask(venv, "servers", venv.parent, build / "kvtel", *arguments, environment=environment)


def is_there(venv):
    return (venv / "requirements.txt").exists()


def row_of(name, found, scrape_what, better):
    row = Row(
        name, "here: real servers", found["families"], transfer_what=TRANSFER, scrape_what=scrape_what, better=better
    )
    row.native = row.in_flight = "no"
    if found["counted"]:
        row.quantiles = known.errors(known.of_explicit(known.counts_below(found["bounds"])))
        row.buckets, row.afterwards = "vLLM's buckets, computed", "nothing; counts begin at 0 again"
    else:
        row.buckets, row.afterwards = "all values stay 0", "nothing; there was nothing"
    row.exemplars, row.starts, row.peers = yes(found["exemplars"]), yes(found["starts"]), yes(found["peers"])
    row.recorded = row.lost = found["recorded"]
    row.scrape_ms = found["scrape_ms"]
    return row


def one(build, venv):
    if not is_there(venv):
        return Row("vLLM, 1 API server", HOW)
    better = "nothing to install; requests, tokens and cache use on the same page"
    row = row_of("vLLM, 1 API server", servers(build, venv), "the whole page of vLLM", better)
    row.transfer_ns = classes_ns(venv)["vllm"]
    return row


def several(build, venv):
    if not is_there(venv):
        return Row("vLLM, 2 API servers", HOW)
    row = row_of(
        "vLLM, 2 API servers", servers(build, venv, *TWO), "the whole page of vLLM, both servers'", "as with one"
    )
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        row.transfer_ns = ask(venv, "classes", environment={"PROMETHEUS_MULTIPROC_DIR": place})["vllm"]
    return row


def rust(build, venv):
    name = "vLLM's Rust frontend"
    if not is_there(venv):
        return Row(name, HOW)
    frontend = rust_frontend(venv)
    if not frontend:
        return Row(name, NO_RUST)
    better = "the cheapest page of vLLM's; it has families of KV transfers, which version 0.32 leaves at 0"
    row = row_of(name, servers(build, venv, rust=frontend), "the whole page of vLLM", better)
    row.transfer_what = ""
    return row


def kvtel(build, venv):
    name = "kvtel, its plugin in vLLM's engine core"
    if not is_there(venv):
        return Row(name, HOW)
    found = servers(build, venv)
    row = Row(name, "here: real servers", found["kvtel_families"], buckets="native: as kvtel")
    row.native = row.starts = "yes"
    row.exemplars = row.peers = row.in_flight = "no: vLLM's payloads have none"
    row.recorded, row.lost = found["recorded"], found["kvtel_lost"]
    row.afterwards = "all"
    row.transfer_ns, row.transfer_what = classes_ns(venv)["kvtel"], TRANSFER
    row.scrape_what = "as kvtel"
    return row


ROWS = {"vllm": one, "vllm-several": several, "vllm-rust": rust, "kvtel-vllm": kvtel}
