# SPDX-License-Identifier: Apache-2.0
"""kvtel serve on telemetry rings that other processes write at speed, each playing a NIXL agent in shared memory."""

import mmap
import multiprocessing
import os
import random
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from exporter import PATIENCE, free_port
from nixl_agent import HEADER, Agent
from prometheus_client.parser import text_string_to_metric_families

DATA = Path(os.environ.get("KVTEL_TEST_DATA", Path(__file__).resolve().parents[1] / "data"))
RINGS = DATA / "engines" / "nixl-rings"
SHARED_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
NO_WRAP = (
    1 << 16
)  # capacity of rings that another reader consumes: when that one stops at slot 0, it looks like a restart
PROCESSES = multiprocessing.get_context("fork")


def in_process(function, *arguments):
    """Runs it in a process of its own. Returns a function that waits for its result."""
    mine, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=lambda: theirs.send(function(*arguments)))
    process.start()
    theirs.close()

    def result():
        value = mine.recv()
        process.join()
        return value

    return result


class Exporter:
    def __init__(self, kvtel, folder, log):
        self.address = f"127.0.0.1:{free_port()}"
        command = [kvtel, "serve", f"--web.listen-address={self.address}", f"--nixl.telemetry-dir={folder}"]
        environment = os.environ | {"KVTEL_STORE_DIR": tempfile.mkdtemp(prefix="kvtel_stores_", dir=SHARED_MEMORY)}
        self.log = log
        self.stores = environment["KVTEL_STORE_DIR"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        self.wait_for("kvtel_nixl_folder_readable", lambda value: value >= 0)

    def samples(self):
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
        return {
            (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "agent")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith(("nixl_", "kvtel_nixl_"))
        }

    def wait_for(self, name, condition, *labels, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while True:
            try:
                samples = self.samples()
                value = samples.get((name, *labels))
            except (OSError, urllib.error.URLError):
                value = None
            if value is not None and condition(value):
                return samples
            assert self.process.poll() is None, f"kvtel ended with {self.process.returncode}: {self.log.read_text()}"
            assert time.monotonic() < end, f"{name} is {value}: {self.log.read_text()}"
            time.sleep(0.05)

    def stop(self):
        if self.process.returncode is not None:
            return
        self.process.terminate()
        assert self.process.wait(timeout=PATIENCE) == 0
        shutil.rmtree(self.stores, ignore_errors=True)


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="kvtel_rings_", dir=SHARED_MEMORY))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def serve(kvtel, folder, tmp_path):
    exporters = []

    def start():
        exporters.append(Exporter(kvtel, folder, tmp_path / f"log{len(exporters)}"))
        return exporters[-1]

    yield start
    for exporter in exporters:
        exporter.stop()


def write_transfers(path, count, seed, capacity=4096, wait=True, pause=0):
    """An agent's whole life. Returns what it wrote: reads, bytes read, bytes written, microseconds, dropped events."""
    agent, choose = Agent(path, capacity), random.Random(seed)
    reads = read = written = microseconds = 0
    for _ in range(count):
        is_read, time_us, size = choose.random() < 0.5, choose.randrange(1, 10**6), choose.randrange(1, 1 << 30)
        agent.transfer(is_read, time_us, size, wait)
        reads += is_read
        read += size * is_read
        written += size * (not is_read)
        microseconds += time_us
        if pause:
            time.sleep(pause)
    return reads, read, written, microseconds, agent.dropped


def check_totals(samples, transfers, results):
    reads, read, written, microseconds, _ = (sum(column) for column in zip(*results))
    assert samples["nixl_requests_total", "rx"] == reads
    assert samples["nixl_requests_total", "tx"] == transfers - reads
    assert samples["nixl_bytes_total", "rx"] == read
    assert samples["nixl_bytes_total", "tx"] == written
    assert samples["nixl_xfer_time_seconds_count",] == samples["nixl_post_time_seconds_count",] == transfers
    assert samples["nixl_xfer_time_seconds_sum",] == pytest.approx(microseconds / 1e6, rel=1e-9)
    assert samples["nixl_xfer_size_bytes_count", "rx"] == reads
    assert samples["nixl_xfer_size_bytes_sum", "tx"] == pytest.approx(written, rel=1e-9)


def test_agents_at_speed(serve, folder):
    """Three agents at once with rings of different sizes, as fast as their rings are emptied: every event counts once."""
    exporter = serve()
    agents = [in_process(write_transfers, folder / f"agent-{i}", 30000, i, 1 << (12 - 2 * i)) for i in range(2)]
    agents.append(in_process(write_transfers, folder / "small", 3000, 9, 64))
    results = [result() for result in agents]
    samples = exporter.wait_for("kvtel_nixl_events_total", lambda value: value >= 4 * 63000)
    check_totals(samples, 63000, results)
    assert samples["kvtel_nixl_events_total",] == 4 * 63000
    assert samples["kvtel_nixl_ring_full_total",] > 0
    assert samples["kvtel_nixl_ring_restarts_total",] == samples["kvtel_nixl_ring_contended_total",] == 0
    assert samples["kvtel_nixl_rings", "read"] == 3


def test_an_agent_that_drops(serve, folder):
    """Real agents do not wait for room. What they kept is counted, and that the ring was full is said."""
    exporter = serve()
    result = in_process(write_transfers, folder / "agent", 50000, 1, 256, False)()
    dropped = result[-1]
    assert dropped > 0
    samples = exporter.wait_for("kvtel_nixl_events_total", lambda value: value >= 4 * 50000 - dropped)
    assert samples["kvtel_nixl_events_total",] == 4 * 50000 - dropped
    assert samples["kvtel_nixl_ring_full_total",] > 0


def test_restarts_in_place(serve, folder):
    """Starts under one name, each with another size of ring: nothing counts twice, and a file that shrinks harms nobody."""
    exporter, capacities, results = serve(), [256, 64, 4096, 16, 16, 1024], []

    def live_once(capacity, seed):
        result = write_transfers(folder / "agent", 100, seed, capacity)
        opened = os.open(folder / "agent", os.O_RDONLY)
        with mmap.mmap(opened, 16, access=mmap.ACCESS_READ) as positions:
            while positions[0:8] != positions[8:16]:
                time.sleep(0.005)
        return result

    for life in range(18):
        results.append(in_process(live_once, capacities[life % 6], life)())
    samples = exporter.wait_for("kvtel_nixl_events_total", lambda value: value >= 4 * 1800)
    check_totals(samples, 1800, results)
    assert samples["kvtel_nixl_ring_contended_total",] == 0
    assert samples["kvtel_nixl_rings", "read"] == 1


def test_a_file_that_shrinks_all_the_time(serve, folder):
    exporter = serve()

    def shrink_and_grow():
        agent = folder / "agent"
        for life in range(1500):
            Agent(agent, 4096 if life % 2 else 16).transfer(True, 1, 1)
            os.truncate(agent, 41 if life % 5 else 0)
        Agent(agent, 64).transfer(True, 1, 1)

    in_process(shrink_and_grow)()
    exporter.wait_for("kvtel_nixl_rings", lambda value: value == 1, "read")


def test_another_reader(serve, folder):
    """A reader that knows nothing of kvtel gets its events, kvtel counts them all the same and says so."""
    exporter = serve()
    stop = PROCESSES.Event()

    def drain():
        with (folder / "agent").open("r+b") as ring, mmap.mmap(ring.fileno(), 16) as file:
            positions = memoryview(file).cast("Q")
            while not stop.is_set():
                positions[1] = positions[0]
                time.sleep(0.02)
            positions.release()

    Agent(folder / "agent", NO_WRAP).close()
    exporter.wait_for("kvtel_nixl_rings", lambda value: value == 1, "read")
    reader = in_process(drain)
    result = in_process(write_transfers, folder / "agent", 3000, 1, NO_WRAP, True, 0.001)()
    samples = exporter.wait_for("kvtel_nixl_events_total", lambda value: value >= 4 * 3000)
    stop.set()
    reader()
    check_totals(samples, 3000, [result])
    assert samples["kvtel_nixl_ring_contended_total",] >= 1
    assert samples["kvtel_nixl_rings", "contended"] == 1


def test_two_exporters(serve, folder):
    """One consumes, the other follows; when the first ends the second consumes."""
    Agent(folder / "agent", NO_WRAP).close()
    first, second = serve(), serve()
    first.wait_for("kvtel_nixl_rings", lambda value: value == 1, "read")
    second.wait_for("kvtel_nixl_rings", lambda value: value == 1, "contended")
    result = in_process(write_transfers, folder / "agent", 2000, 1, NO_WRAP, True, 0.0005)()
    for exporter in first, second:
        samples = exporter.wait_for("kvtel_nixl_events_total", lambda value: value >= 4 * 2000)
        check_totals(samples, 2000, [result])
    first.stop()
    second.wait_for("kvtel_nixl_rings", lambda value: value == 1, "read")
    Agent(folder / "later").transfer(True, 1, 1)
    second.wait_for("kvtel_nixl_events_total", lambda value: value == 4 * 2001)


def test_files_that_are_no_rings_or_newer(serve, folder):
    """They are left as they are; the rings beside them are read."""
    shutil.copy(RINGS / "tcp-3-multi.ring", folder / "ring")
    (folder / "notes.txt").write_text("no ring\n" * 100)
    newer = HEADER.pack(9, 0, 5, 5, 64, 63) + bytes(16 * 64)
    (folder / "newer").write_bytes(newer)
    shutil.copy(RINGS / "refused-size-100.ring", folder / "refused")
    samples = serve().wait_for("kvtel_nixl_rings", lambda value: value == 1, "read")
    assert samples["kvtel_nixl_rings", "unsupported_version"] == samples["kvtel_nixl_rings", "not_a_ring"] == 1
    assert samples["kvtel_nixl_rings", "unfinished"] == 1
    assert samples["nixl_requests_total", "rx"] == 22
    assert (folder / "newer").read_bytes() == newer
    assert (folder / "refused").read_bytes() == (RINGS / "refused-size-100.ring").read_bytes()
    assert (folder / "notes.txt").read_text() == "no ring\n" * 100
