# SPDX-License-Identifier: Apache-2.0
"""Holds kvtel against real engines: `./run engine-test`, and on GPUs `./run engine-test --gpu`.

Most cases start a prefill and a decode server of vLLM that move KV cache over NIXL, with kvtel's plugin in both, and `kvtel serve`, which
reads the plugin's stores and NIXL's telemetry rings. Requests are driven through them, some with a peer that is wrong or dead. Then
these must be equal:

  classes    (first, without servers) kvtel's Python classes and vLLM's own, given random payloads of every connector
  exporter   each sample of the connector's families on vLLM's own pages, and on kvtel's
  replay     the same, and what `kvtel replay` makes of a recording of what the servers' engines reported
  log lines  what vLLM logged, and what `kvtel replay` logs of that recording
  rings      transfers, bytes and times in vLLM's stats, and in NIXL's rings as kvtel reads them

In stand-in cases vLLM's page and log come from kvtel: there vLLM's own classes, given the recording, say what they must be.
"""

import argparse
import dataclasses
import functools
import sys
import traceback
from pathlib import Path

from . import classes, installed
from .case import LEASE, NIXL, Case, Run
from .core import Core, Offline, OnRay
from .engines import Machine

EXAMPLE = {"kv_connector": "ExampleConnector", "kv_role": "kv_both"}


def multi_of(*children):
    extra = {"connectors": list(children)}
    return {"kv_connector": "MultiConnector", "kv_role": "kv_both", "kv_connector_extra_config": extra}


MULTI = multi_of(NIXL, EXAMPLE)

NO_PREFIX = ["--no-enable-prefix-caching"]
SHORT_PROMPTS = (200, 400, 1500, 1000)  # tokens
# Offloading where the model runs on the CPU itself.
ON_HOST = {
    "kv_connector": "OffloadingConnector",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {
        "spec_name": "HostOffloadingSpec",
        "spec_module_path": "kvtel_engine_host_spec",
        "cpu_bytes_to_use": 64 << 20,
    },
}

SHORT_LEASE = NIXL | {"kv_connector_extra_config": {"kv_lease_duration": LEASE}}

CASES = [
    Case("nixl-pd", dead_peer=True),
    Case("kv-expiry", SHORT_LEASE, expiry=True),
    Case("nixl-tp2", decode=["--tensor-parallel-size", "2"], ranks=2, transfers=10),
    Case("nixl-dp2", decode=["--data-parallel-size", "2"]),
    Case("nixl-dp2-one-api-server", decode=["--data-parallel-size", "2", "--api-server-count", "1"]),
    Case("multi", MULTI),
    Case("stand-in", stand_in=True),
    Case("stand-in-dp2", decode=["--data-parallel-size", "2"], stand_in=True),
    Case("stand-in-multi", MULTI, stand_in=True),
    Case("kill", kill=True, environment={"UCX_TLS": "tcp,self"}),
    Case("engine", at="engine"),
    Case("worker", decode=["--tensor-parallel-size", "2"], ranks=2, transfers=10, at="worker"),
    Case("nixl-plugin", SHORT_LEASE, plugin=True, expiry=True, dead_peer=True),
]


def with_files(connector, folder):
    """A connector of tests/engine/third_party."""
    extra = {"shared_storage_path": str(folder / "files")}
    return {"kv_connector": connector, "kv_role": "kv_both", "kv_connector_extra_config": extra}


def third_party_cases(work):
    """Connectors that kvtel has no table for, in the ways in which they may be configured."""

    def alone(case, connector, **more):
        config = with_files(connector, work / case)
        return Case(case, config, ("node",), NO_PREFIX, rounds=2, prompts=SHORT_PROMPTS, **more)

    def multi(case, connector, **more):
        return Case(case, multi_of(NIXL, with_files(connector, work / case)), transfers=20, **more)

    cases = [
        alone("third-party-columns", "LedgerConnector"),
        alone("third-party-typed", "DepotConnector"),
        alone("third-party-stand-in", "DepotConnector", stand_in=True),
        alone("third-party-engine", "LedgerConnector", at="engine"),
        multi("third-party-multi", "RelayConnector"),
        multi("third-party-multi-stand-in", "RelayConnector", stand_in=True),
    ]
    return [dataclasses.replace(case, third_party=True, group="third-party") for case in cases]


def core_cases(work):
    """Where no plug-in is loaded above the engine core."""

    def rust(name, config, **more):
        return Case(f"rust-frontend-{name}", config, frontend="rust", group="rust-frontend", **more)

    def offline(name, config):
        return Case(f"offline-{name}", config, at="engine", frontend="none", group="offline")

    node = {"servers": ("node",), "arguments": NO_PREFIX, "rounds": 2, "prompts": SHORT_PROMPTS}
    return [
        rust("nixl", NIXL, transfers=20),
        rust("offloading", ON_HOST, **node),
        rust("multi", multi_of(NIXL, ON_HOST), transfers=20),
        offline("offloading", ON_HOST),
        offline("multi", multi_of(ON_HOST, with_files("RelayConnector", work / "offline-multi"))),
        offline("third-party", with_files("LedgerConnector", work / "offline-third-party")),
    ]


def ray_cases(work):
    """Where workers, and with data parallelism engine cores, are actors of Ray, which get few variables of the server."""

    def offline(name, config, executor=2, **more):
        options = {"distributed_executor_backend": "ray", "tensor_parallel_size": more.get("ranks", 1)}
        environment = {"VLLM_USE_RAY_V2_EXECUTOR_BACKEND": str(executor - 1)}
        return Case(name, config, frontend="none", options=options, environment=environment, **more)

    def worker(name, **more):
        config = with_files("LedgerConnector", work / name)
        return offline(name, config, at="worker", of_scheduler=("vllm:ledger_num_misses",), **more)

    actors = ["--data-parallel-backend", "ray", "--data-parallel-size", "2", "--api-server-count", "1", *NO_PREFIX]
    cases = [
        offline("ray-engine", ON_HOST, at="engine"),
        worker("ray-worker", ranks=2),
        worker("ray-worker-v1", executor=1),
        Case("ray-dp2", ON_HOST, ("node",), actors, rounds=2, prompts=SHORT_PROMPTS, at="engine"),
    ]
    return [dataclasses.replace(case, ray=True, group="ray") for case in cases]


def cpu_cases(work):
    return [*CASES, *third_party_cases(work), *core_cases(work), *ray_cases(work)]


GPU_NIXL = NIXL | {"kv_buffer_device": "cuda"}
HOST = {"cpu_bytes_to_use": 8 << 30, "block_size": 16}
OFFLOADING = {"kv_connector": "OffloadingConnector", "kv_role": "kv_both", "kv_connector_extra_config": HOST}
BOTH = {
    "kv_connector": "MultiConnector",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {"connectors": [GPU_NIXL, OFFLOADING]},
}
# Fewer blocks than the prompts of a round need.
FEW_BLOCKS = ["--num-gpu-blocks-override", "900"]


def tiering(folder):
    """Offloading to host memory that holds a part of the prompts, and from there to files in a folder."""
    extra = HOST | {
        "cpu_bytes_to_use": 2 << 30,
        "spec_name": "TieringOffloadingSpec",
        "secondary_tiers": [{"type": "fs", "root_dir": str(folder)}],
    }
    return OFFLOADING | {"kv_connector_extra_config": extra}


def gpu_cases(work):
    return [
        Case("gpu-nixl-pd", GPU_NIXL, arguments=NO_PREFIX, transfers=30),
        Case("gpu-offloading", OFFLOADING, servers=("node",), arguments=FEW_BLOCKS, rounds=3),
        Case(
            "gpu-tiering",
            tiering(work / "gpu-tiers"),
            servers=("node",),
            arguments=FEW_BLOCKS,
            rounds=3,
            pause=0.3,
        ),
        # Only the prefill server has few blocks: vLLM 0.26 may end with an AssertionError where NIXL's and offloaded blocks meet.
        Case("gpu-multi", BOTH, arguments=FEW_BLOCKS, decode=["--num-gpu-blocks-override", "8000"], rounds=3),
        Case("gpu-stand-in", GPU_NIXL, arguments=NO_PREFIX, transfers=30, stand_in=True),
        Case("gpu-kill", GPU_NIXL, arguments=NO_PREFIX, transfers=30, kill_in_transfer=True),
        Case("gpu-engine", GPU_NIXL, arguments=NO_PREFIX, transfers=30, at="engine"),
        Case("gpu-worker", GPU_NIXL, arguments=NO_PREFIX, transfers=30, at="worker"),
        Case("gpu-offloading-engine", OFFLOADING, servers=("node",), arguments=FEW_BLOCKS, rounds=2, at="engine"),
        Case("gpu-nixl-plugin", GPU_NIXL, arguments=NO_PREFIX, transfers=30, plugin=True),
    ]


RUNS = {"python": Run, "rust": Core, "none": Offline}


class Report:
    """What was compared, how many, and what differed."""

    def __init__(self):
        self.rows, self.failed = [], False

    def add(self, case, what, count, found):
        self.rows.append((case, what, str(count), "equal" if not found else f"{len(found)} DIFFER"))
        self.failed |= bool(found) or count == 0
        print(f"  {what}: {count} compared, {len(found)} differ", flush=True)
        for text in found[:5]:
            print(f"    {text}", flush=True)

    def leave_out(self, case, why):
        self.rows.append((case, why, "", "LEFT OUT"))
        print(f"  LEFT OUT: {why}", flush=True)

    def table(self):
        rows = [("case", "compared", "number", "result"), *self.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def main():
    parser = argparse.ArgumentParser(
        prog="./run engine-test", description="Holds kvtel against real vLLM servers and NIXL."
    )
    parser.add_argument("--work", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--gpu", action="store_true", help="cases on GPUs, with vLLM as it is installed")
    parser.add_argument("case", nargs="*", metavar="CASE", help="all if none is named")
    arguments = parser.parse_args()
    machine = installed.machine() if arguments.gpu else Machine()
    cases = gpu_cases(arguments.work) if arguments.gpu else cpu_cases(arguments.work)
    names = [*([] if arguments.gpu else ["classes"]), *(case.name for case in cases)]
    names += sorted({case.group for case in cases if case.group})
    unknown = set(arguments.case) - set(names)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    report = Report()
    if "classes" in names and (not arguments.case or "classes" in arguments.case):
        print("== classes", flush=True)
        report.failed |= bool(classes.main(["--cases", "50"]))
    for case in cases:
        if not arguments.case or {case.name, case.group} & set(arguments.case):
            print(f"== {case.name}", flush=True)
            kind = functools.partial(OnRay, RUNS[case.frontend]) if case.ray else RUNS[case.frontend]
            run = kind(case, machine, arguments.work, report)
            try:
                run.run()
            except (Exception, SystemExit) as error:  # the other cases go on
                traceback.print_exc()
                report.add(case.name, "the case itself", 0, [str(error)])
            finally:
                run.close()
    print(report.table())
    sys.exit(report.failed)


if __name__ == "__main__":
    main()
