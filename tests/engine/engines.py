# SPDX-License-Identifier: Apache-2.0
"""Real vLLM servers that move KV cache, on a CPU or on GPUs."""

import dataclasses
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from .model import MAX_TOKENS, WORDS

LOG_INTERVAL = 1
LINE = re.compile(r"KV Transfer metrics: .*")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cores_of(second, ranks):
    """Half of the machine's cores: a prefill and a decode server that share one stall for seconds. All of them where a half has fewer
    than the server has ranks, which wait for each other without giving way."""
    cores = sorted(os.sched_getaffinity(0))
    half = cores[len(cores) // 2 :] if second else cores[: (len(cores) + 1) // 2]
    return set(half if len(half) >= ranks else cores)


@dataclasses.dataclass
class Machine:
    """What servers run on. Without GPUs: this machine's CPU."""

    gpus: list = dataclasses.field(default_factory=list)  # names
    prompts: tuple = (20, 100, 400, 1500)  # tokens

    def arguments(self):
        if not self.gpus:
            return ["--dtype", "float32"]
        # Two servers share a GPU where there is only one.
        return ["--dtype", "bfloat16", "--gpu-memory-utilization", "0.8" if len(self.gpus) > 1 else "0.4"]

    def environment(self, second):
        if not self.gpus:
            return {
                "CUDA_VISIBLE_DEVICES": "",
                "VLLM_CPU_KVCACHE_SPACE": "1",
                "VLLM_CPU_OMP_THREADS_BIND": "nobind",
                "OMP_NUM_THREADS": "1",
                "UCX_TLS": "tcp,shm,self",
            }
        return {
            "CUDA_VISIBLE_DEVICES": str(min(int(second), len(self.gpus) - 1)),
            "UCX_TLS": "cuda_copy,cuda_ipc,sm,tcp,self",
            "VLLM_USE_FLASHINFER_SAMPLER": "0",  # vLLM's own sampler needs no compiler
        }

    def cores(self, second, ranks):
        return set(os.sched_getaffinity(0)) if self.gpus else cores_of(second, ranks)


class Engine:
    """A server NAME. What it writes is in FOLDER/NAME: its log, a recording for each API server process."""

    def __init__(self, machine, folder, name, config, model, arguments=(), environment=None, ranks=1):
        self.name, self.folder, self.port = name, folder / name, free_port()
        self.folder.mkdir(parents=True)
        self.served_model = f"tiny-{name}"
        second = name == "decode"
        command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model]
        command += ["--load-format", "dummy", "--enforce-eager", "--max-model-len", str(MAX_TOKENS)]
        command += ["--served-model-name", self.served_model, "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--kv-transfer-config", json.dumps(config), *machine.arguments(), *arguments]
        own = {
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_HOST_IP": "127.0.0.1",
            "VLLM_NIXL_SIDE_CHANNEL_HOST": "127.0.0.1",
            "VLLM_NIXL_SIDE_CHANNEL_PORT": str(free_port()),
            "VLLM_LOG_STATS_INTERVAL": str(LOG_INTERVAL),
            # An idle server logs its transfers at this level.
            "VLLM_LOGGING_LEVEL": "DEBUG",
            "ENGINE_RECORDINGS": str(self.folder),
        }
        cores = machine.cores(second, ranks)
        self.log = self.folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                env=os.environ | own | machine.environment(second) | (environment or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    def shared_memory(self):
        """Files that its processes share. Whoever is killed leaves them."""
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if os.getsid(int(process.name)) == self.process.pid:
                    found |= set(re.findall(r"/dev/shm/psm_\w+", (process / "maps").read_text()))
            except OSError:  # it has ended
                continue
        return found

    def end(self):
        """Ends the server and its workers, gently if that goes."""
        left = self.shared_memory()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                pass
        self.kill(left)

    def kill(self, left=()):
        """SIGKILL to all of its processes: they are a session of their own."""
        left = {*left, *self.shared_memory()}
        self.signal(signal.SIGKILL)
        self.process.wait(30)
        for path in left:
            Path(path).unlink(missing_ok=True)

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def wait_until_ready(self, seconds=1800):
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.text("/health")
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(
                        f"{self.name} did not start; see {self.log}:\n{self.log.read_text()[-3000:]}"
                    ) from None
                time.sleep(0.5)

    def text(self, path, timeout=20):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as answer:
            return answer.read().decode()

    def complete(self, prompt, max_tokens, kv_transfer_params, timeout=180):
        """The answer to a prompt of tokens."""
        body = {
            "model": self.served_model,
            "prompt": prompt,
            "max_tokens": max_tokens,
            "ignore_eos": True,
            "kv_transfer_params": kv_transfer_params,
        }
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    def log_lines(self):
        """vLLM's log lines of KV transfers so far."""
        return LINE.findall(self.log.read_text(errors="replace"))

    def agents(self):
        """Names of its NIXL agents, which are those of their telemetry rings."""
        return re.findall(r"Initialized NIXL agent: (\S+)", self.log.read_text(errors="replace"))

    def recordings(self):
        """The recording of each of its API servers, as objects."""
        return [
            [json.loads(line) for line in path.read_text().splitlines()] for path in sorted(self.folder.glob("*.jsonl"))
        ]


class Client:
    """Sends prompts through a prefill and a decode server, as a router in front of them does."""

    def __init__(self, prefill, decode, sizes, seed=1):
        self.prefill, self.decode, self.sizes, self.random = prefill, decode, sizes, random.Random(seed)

    def prompt(self, tokens=None):
        return [self.random.randrange(2, WORDS) for _ in range(tokens or self.random.choice(self.sizes))]

    def prefilled(self, prompt):
        """What the decode server needs to fetch the KV cache of a prompt."""
        none = dict.fromkeys(["remote_engine_id", "remote_block_ids", "remote_host", "remote_port"])
        answer = self.prefill.complete(prompt, 1, {"do_remote_decode": True, "do_remote_prefill": False, **none})
        return answer["kv_transfer_params"]

    def transfer(self, prompt):
        return self.decode.complete(prompt, 3, self.prefilled(prompt))

    def local(self, prompt):
        """By one server, which no other hands anything."""
        return self.decode.complete(prompt, 1, None)

    def failing_transfer(self, prompt, params, timeout=60):
        """A transfer that cannot be; whether the server says so or computes the prompt itself is its policy."""
        try:
            return self.decode.complete(prompt, 3, params, timeout)
        except (OSError, http.client.HTTPException):
            return None
