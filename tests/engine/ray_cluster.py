# SPDX-License-Identifier: Apache-2.0
"""A cluster of Ray on this machine, in a process of its own: python -m tests.engine.ray_cluster. It prints its address, and ends when its
standard input does. Ray's processes end with it, whatever ends it."""

import importlib.util
import os
import re
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

CORES, DEVICES, MEMORY = 2, 2, 100 << 20  # MEMORY: bytes of Ray's object store


def is_installed():
    return importlib.util.find_spec("ray") is not None


class Cluster:
    """Its processes inherit no variable of kvtel's or vLLM's: what an engine passes on is seen in what its actors do. `environment` is
    what an engine needs to find it."""

    def __init__(self, log):
        self.mark = secrets.token_hex(4)
        own = {
            "ENGINE_RAY": self.mark,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on every system: 127.0.0.1 in the place of the machine's address
            "RAY_USAGE_STATS_ENABLED": "0",
            "VLLM_HOST_IP": "127.0.0.1",  # a node's own
        }
        left_out = ("KVTEL_", "VLLM_", "ENGINE_", "CUDA_", "RAY_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.engine.ray_cluster"],
                env=kept | own,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        address = self.process.stdout.readline().strip()
        self.environment = own | {"RAY_ADDRESS": address}
        if not address:
            self.close()
            raise SystemExit(f"Ray did not start; see {log}")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            print("Ray did not end by itself and is killed", file=sys.stderr)
            self.process.kill()
            self.process.wait()
        # Workers that vLLM has killed cannot remove theirs.
        for left in Path("/dev/shm").glob(f"{self.mark}*"):
            left.unlink()


def main():
    import ray

    with tempfile.TemporaryDirectory(prefix="ray-") as place:
        ray.init(
            num_cpus=CORES,
            num_gpus=DEVICES,
            object_store_memory=MEMORY,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=place,
        )
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        print(ray.get_runtime_context().gcs_address, flush=True)
        sys.stdin.read()
        ray.shutdown()
        # Semaphores of its compiled graphs have the number of the process that made them, and mostly stay.
        for child in children:
            for left in Path("/dev/shm").glob("sem.*"):
                if re.match(rf"sem\.\D*{child}-", left.name):
                    left.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
