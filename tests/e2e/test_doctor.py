# SPDX-License-Identifier: Apache-2.0
"""kvtel doctor: each finding that it can make, on machines that are made up."""

import os
import random
import re
import resource
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
from exporter import KVTEL, PATIENCE, ROOT, Exporter, Writer, wait_for
from fake_machine import COVERED, FakeExporter, Machine, finds
from nixl_agent import Agent
from test_totals import small_tmpfs

OTHER = random.randrange(50000, 65000)  # a user without a name, another one where tests of several builds run at once
PLUGIN = "/opt/kvtel/lib/libkvtel_nixl.so"
PACKAGE = "/opt/venv/lib/python3.12/site-packages/kvtel/_kvtel.abi3.so"
NIXL = "/opt/venv/lib/python3.12/site-packages/.nixl_cu13.mesonpy.libs/libnixl.so"


@pytest.fixture
def memory():
    """A directory in shared memory."""
    place = Path(tempfile.mkdtemp(prefix="kvtel-doctor-", dir="/dev/shm"))
    yield place
    shutil.rmtree(place)


def as_user(number):
    """Options of subprocess for another user, who must be able to run kvtel."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    options = {"user": number, "group": number, "extra_groups": []}
    try:
        subprocess.run([KVTEL, "--version"], capture_output=True, check=True, timeout=PATIENCE, **options)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{KVTEL} is hidden from other users")
    return options


# -- The directory --


@finds("directory-missing", "exporter-unreachable")
def test_nothing_is_there(machine):
    machine.stores = machine.stores / "none"
    code, found = machine.doctor()
    assert code == 1 and found["directory-missing"] == [f"{machine.stores} does not exist"]
    assert "no answer" in found["exporter-unreachable"][0]


@finds("directory", "not-in-use", "room", "no-store", "exporter", "scraped")
def test_a_directory_that_nobody_uses(machine, memory):
    machine.stores = memory
    with FakeExporter() as fake:
        code, found = machine.doctor(f"--url={fake.url}")
    assert code == 0 or {"room-short", "nixl-link-broken"} & set(found), found
    assert f"{memory}: owner {os.geteuid()}, mode 0700" in found["directory"][0]
    of_this_machine = {"room-short", "directory-of-others", "nixl", "nixl-without-plugin", "nixl-link-broken"}
    assert set(found) - of_this_machine <= {"directory", "not-in-use", "room", "no-store", "exporter", "scraped"}
    assert "the last scrape was" in found["scraped"][0]


@finds("room-short")
def test_a_file_system_that_is_nearly_full(machine, tmp_path):
    with small_tmpfs(tmp_path, "512k") as machine.stores:
        code, found = machine.doctor()
    assert code == 1 and found["room-short"] == [f"0.5 of 0.5 MiB are free in {machine.stores}"] and "room" not in found


@finds("directory-not-in-memory", "directory-unusable")
def test_a_directory_on_a_disk_and_a_file(machine, tmp_path):
    kind = subprocess.run(["stat", "-f", "-c", "%T", machine.stores], capture_output=True, text=True).stdout.strip()
    assert ("directory-not-in-memory" in machine.doctor()[1]) == (kind not in ("tmpfs", "ramfs"))
    machine.stores = tmp_path / "file"
    machine.stores.touch()
    assert "is not a directory, but a link or a file" in machine.doctor()[1]["directory-unusable"][0]


@finds("in-use", "stores")
def test_an_exporter_and_a_writer(machine, tmp_path):
    writer = Writer(machine.stores, tmp_path / "book", 10).done()
    with Exporter(machine.stores) as exporter:
        wait_for(lambda: exporter.samples()['kvtel_stores{state="live"}'] == 1, "the store")
        code, found = machine.doctor(f"--url={exporter.url('')}")
        assert "in-use" in found and "not-in-use" not in found
        assert f"pid {writer.process.pid}, connector NixlConnector, model m, engine 0, rank 0" in found["stores"][0]
        assert "exporter" in found and "exporter-version" not in found
    writer.end()


@finds("directory-not-private")
def test_a_default_directory_of_others(machine, memory):
    directory = Path(f"/dev/shm/kvtel-{OTHER}")
    machine.root = memory
    memory.chmod(0o755)
    machine.stores = None
    directory.mkdir()
    try:
        code, found = machine.doctor(**as_user(OTHER))
        assert (
            code == 1 and f"{directory}: owner 0, mode 0755; this user is {OTHER}" in found["directory-not-private"][0]
        )
    finally:
        directory.rmdir()


@finds("directory-unreadable", "directory-read-only", "directory-sticky", "store-unread", "processes-hidden")
def test_what_another_user_may_not(tmp_path, memory):
    other = as_user(OTHER)
    memory.chmod(0o755)
    stores = memory / "stores"
    stores.mkdir()
    machine = Machine(memory / "root", stores)
    (machine.process(41, maps=[NIXL]) / "maps").chmod(0)
    Writer(stores, tmp_path / "book", 10).done().kill()
    found = machine.doctor(**other)[1]
    assert f"user {OTHER} may not write there" in found["directory-read-only"][0]
    assert "Permission denied" in found["store-unread"][0]
    assert found["processes-hidden"] == ["1 of 1 processes"]
    stores.chmod(0o1777)
    assert "owner 0, in a directory with the sticky bit" in machine.doctor(**other)[1]["directory-sticky"][0]
    stores.chmod(0o700)
    code, found = machine.doctor(**other)
    assert code == 1 and "Permission denied" in found["directory-unreadable"][0]


@finds("directory-of-others")
def test_stores_of_another_user(machine, tmp_path):
    other = Path(f"/dev/shm/kvtel-{random.randrange(3_000_000_000, 4_000_000_000)}")
    other.mkdir()
    try:
        (other / "1-2.kvtel").touch()
        assert any(
            str(other) in seen and "it has stores" in seen for seen in machine.doctor()[1]["directory-of-others"]
        )
    finally:
        shutil.rmtree(other)


@finds("directory-emptied-at-logout")
def test_a_user_whose_shared_memory_is_emptied(machine, memory):
    if os.geteuid() == 0:
        os.chown(memory, 1000, 1000)
    elif os.geteuid() < 1000:
        pytest.skip("a system user")
    machine.stores = memory
    assert "directory-emptied-at-logout" not in machine.doctor()[1]
    (machine.root / "run/systemd/system").mkdir(parents=True)
    assert "does not linger" in machine.doctor()[1]["directory-emptied-at-logout"][0]
    for file, line, emptied in (
        ("etc/systemd/logind.conf", "#RemoveIPC=no", True),
        ("usr/lib/systemd/logind.conf", "RemoveIPC=no", True),  # /etc has this file
        ("etc/systemd/logind.conf", "RemoveIPC=no", False),
        ("usr/lib/systemd/logind.conf.d/20-a.conf", " RemoveIPC = yes ", True),
        ("run/systemd/logind.conf.d/30-b.conf", "RemoveIPC=FALSE", False),
        ("usr/lib/systemd/logind.conf.d/30-b.conf", "RemoveIPC=1", False),  # /run has a file of this name
        ("etc/systemd/logind.conf.d/40-c.conf", "RemoveIPC=perhaps", False),
        ("etc/systemd/logind.conf.d/40-c", "RemoveIPC=on", False),
        ("etc/systemd/logind.conf.d/50-d.conf", "RemoveIPC=y", True),
        ("etc/systemd/logind.conf.d/60-e.conf", "RemoveIPC=off", False),
        ("etc/systemd/logind.conf.d/60-e.conf", "RemoveIPC=0", False),
    ):
        (machine.root / file).parent.mkdir(parents=True, exist_ok=True)
        (machine.root / file).write_text(f"[Login]\n{line}\n")
        assert ("directory-emptied-at-logout" in machine.doctor()[1]) == emptied, (file, line)


@finds("exporter-elsewhere")
def test_an_exporter_of_another_directory(machine):
    machine.process(7, "kvtel", command=["/usr/bin/kvtel", "serve", "--store.dir=/run/kvtel"])
    machine.process(8, "kvtel", command=["kvtel", "serve", "--store.dir", "/run/two"])
    machine.process(9, "kvtel", command=["kvtel", "serve"], environment={"KVTEL_STORE_DIR": "/run/three"})
    machine.process(10, "kvtel", command=["kvtel", "serve", f"--store.dir={machine.stores}"], open_files=1024)
    machine.process(11, "kvtel", command=["kvtel", "serve"])
    relative = machine.process(
        12, "kvtel", command=["kvtel", "serve", f"--store.dir={machine.stores.name}"], open_files=9
    )
    (relative / "cwd").symlink_to(machine.stores.parent)
    unknown = machine.process(13, "kvtel", command=["kvtel", "serve"]) / "environ"
    unknown.unlink()
    found = machine.doctor()[1]
    assert sorted(found["exporter-elsewhere"]) == [
        f"the exporter (pid 11) reads /dev/shm/kvtel-{os.geteuid()}",
        "the exporter (pid 7) reads /run/kvtel",
        "the exporter (pid 8) reads /run/two",
        "the exporter (pid 9) reads /run/three",
    ]
    assert "the exporter (pid 12) may open 9 files" in found["descriptors"][0]


@finds("directory-replaced")
def test_a_directory_that_was_removed_under_the_exporter(machine):
    place = machine.process(7, "kvtel", command=["/usr/bin/kvtel", "serve", f"--store.dir={machine.stores}"])
    (place / "fd/5").symlink_to(f"{machine.stores} (deleted)")
    assert "the exporter (pid 7)" in machine.doctor()[1]["directory-replaced"][0]


# -- Stores --


@finds("store-refused", "store-link", "store-damaged", "store-ended", "store-unclosed")
def test_files_of_stores(machine, tmp_path):
    Writer(machine.stores, tmp_path / "book", 10).done().kill()
    store = next(machine.stores.glob("*.kvtel"))
    content = bytearray(store.read_bytes())
    content[16:20] = (9).to_bytes(4, "little")
    (machine.stores / "1-newer.kvtel").write_bytes(content)
    (machine.stores / "2-\x1b[31m.kvtel").write_bytes(b"no store")
    (machine.stores / "3-link.kvtel").symlink_to("elsewhere")
    os.link(store, machine.stores / "9-second.kvtel")
    (machine.stores / "4-x.kvtel.damaged").touch()
    code, found = machine.doctor()
    assert code == 1
    assert any("layout version 9" in seen for seen in found["store-refused"]) and len(found["store-refused"]) == 2
    assert "3-link.kvtel is a symbolic link" in found["store-link"] and any(
        "another name of" in s for s in found["store-link"]
    )
    assert found["store-damaged"] == [f"{machine.stores}/4-x.kvtel.damaged"]
    assert found["store-ended"] == [f"1 stores in {machine.stores}"] and len(found["store-unclosed"]) == 1
    text = subprocess.run(
        [KVTEL, "doctor", f"--store.dir={machine.stores}"], capture_output=True, text=True, timeout=PATIENCE
    ).stdout
    assert "\x1b" not in text and "\\x1b[31m" in text


@finds("store-held", "totals")
def test_a_store_that_the_totals_hold_back(machine, tmp_path):
    writer = Writer(machine.stores, tmp_path / "book", 10).done()
    content = writer.path.read_bytes()
    writer.kill()
    with Exporter(machine.stores):
        wait_for(lambda: not list(machine.stores.glob("*.kvtel")), "retiring")
    assert "store-held" not in machine.doctor()[1]
    changed = content.replace(b"vllm:nixl_xfer_time_seconds\0", b"vllm:nixl_bytes_transferred\0")
    (machine.stores / "1-changed.kvtel").write_bytes(changed)
    found = machine.doctor()[1]
    assert "another definition" in found["store-held"][0] and "label sets" in found["totals"][0]


@finds("store-deleted", "store-elsewhere", "process")
def test_engines_whose_stores_nobody_sees(machine):
    machine.process(11, maps=[f"{machine.stores}/11-a.kvtel (deleted)"])
    machine.process(12, maps=["/run/other/12-b.kvtel", PLUGIN, NIXL])
    machine.process(13, maps=[PACKAGE], environment={"KVTEL_STORE_DIR": "/run/kvtel"})
    machine.process(14, maps=[PACKAGE], environment={"KVTEL_STORE_DIR": str(machine.stores)})
    code, found = machine.doctor()
    assert code == 1 and found["store-deleted"] == [
        f"pid 11 records into {machine.stores}/11-a.kvtel, which was removed"
    ]
    assert found["store-elsewhere"] == [
        "pid 12 records into /run/other/12-b.kvtel",
        "pid 13 was started with KVTEL_STORE_DIR=/run/kvtel",
    ]
    assert any(f"pid 14 python3: {PACKAGE}, KVTEL_STORE_DIR={machine.stores}" == seen for seen in found["process"])


@finds("store-drops")
def test_a_store_whose_writer_dropped_something(machine, tmp_path):
    Writer(machine.stores, tmp_path / "book", 10).done().kill()
    assert "store-drops" not in machine.doctor()[1]
    store = next(machine.stores.glob("*.kvtel"))
    content = bytearray(store.read_bytes())
    content[880:904] = struct.pack("=3Q", 1, 2, 3)  # as a writer counts them in the header (docs/store-format.md)
    store.write_bytes(content)
    assert machine.doctor()[1]["store-drops"] == [
        f"{store.name}: 1 label sets and 2 records were dropped, 3 values refused"
    ]


def test_a_directory_that_cannot_be_listed(machine, tmp_path):
    """It is not said to be empty: one descriptor besides the standard ones opens the directory, and a second one lists it."""
    writer = Writer(machine.stores, tmp_path / "book", 10).done()
    few = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))}
    found = machine.doctor(**few)[1]
    assert (
        f"{machine.stores} cannot be listed: Too many open files" in found["store-unread"] and "no-store" not in found
    )
    found = machine.doctor(f"--nixl.telemetry-dir={tmp_path}", **few)[1]
    assert found["ring-unusable"] == [f"{tmp_path} cannot be listed: Too many open files"] and "rings" not in found
    writer.end()


@finds("stores-left-out")
def test_more_files_than_are_looked_at(machine):
    for i in range(4096):
        (machine.stores / f"{i}-a.kvtel").touch()
    found = machine.doctor()[1]
    assert "stores-left-out" not in found and "no-store" in found
    for i in range(2):
        (machine.stores / f"{i}-b.kvtel").touch()
    found = machine.doctor()[1]
    assert found["stores-left-out"] == [f"2 of 4098 files in {machine.stores}"] and "no-store" not in found
    assert len(found["store-refused"]) == 4096


@finds("totals-by-rank", "totals-damaged")
def test_totals(machine, tmp_path):
    Writer(machine.stores, tmp_path / "book", 10).done().kill()
    with Exporter(machine.stores, "--store.rank-label"):
        wait_for(lambda: not list(machine.stores.glob("*.kvtel")), "retiring")
    assert "--store.rank-label" in machine.doctor()[1]["totals-by-rank"][0]
    (machine.stores / "totals.kvtel-retired").write_bytes(b"nonsense")
    (machine.stores / "totals.damaged-20260101T000000Z-00000001").touch()
    assert len(machine.doctor()[1]["totals-damaged"]) == 2


# -- NIXL --


@finds("ring-directory-missing", "rings", "ring-full", "ring-unusable")
def test_rings(machine, tmp_path):
    rings = tmp_path / "rings"
    assert "it does not exist" in machine.doctor(f"--nixl.telemetry-dir={rings}")[1]["ring-directory-missing"][0]
    rings.mkdir()
    assert machine.doctor(f"--nixl.telemetry-dir={rings}")[1]["rings"] == [f"{rings} has no ring yet"]
    good, full = Agent(rings / "good", 16), Agent(rings / "full", 16)
    for _ in range(20):
        full.write(0, 1, wait=False)
    good.write(0, 1)
    before = (rings / "good").read_bytes()
    odd = bytearray(before)
    odd[16:20] = odd[20:24] = (9).to_bytes(4, "little")
    (rings / "odd").write_bytes(odd)
    code, found = machine.doctor(f"--nixl.telemetry-dir={rings}")
    assert (
        code == 1
        and found["rings"] == ["good: version 4, room for 16 events"]
        and found["ring-full"] == ["full is full"]
    )
    assert "odd: unsupported_version" in found["ring-unusable"][0]
    assert (rings / "good").read_bytes() == before, "an event was taken"
    machine.process(3, maps=[NIXL], environment={"NIXL_TELEMETRY_ENABLE": "y", "NIXL_TELEMETRY_DIR": "/run/none"})
    assert "pid 3 has NIXL_TELEMETRY_DIR=/run/none" in machine.doctor()[1]["ring-directory-missing"][0]
    good.close()
    full.close()


@finds("nixl", "nixl-without-plugin", "nixl-link-broken")
def test_nixl(machine, tmp_path):
    site = tmp_path / "venv/lib/python3.12/site-packages"
    plugins = site / ".nixl_cu13.mesonpy.libs/plugins"
    plugins.mkdir(parents=True)
    (site / "nixl_cu13-1.5.1.dist-info").mkdir()
    environment = {"VIRTUAL_ENV": str(tmp_path / "venv")}
    assert f"NIXL 1.5.1 in {site}" in machine.doctor(environment=environment)[1]["nixl-without-plugin"]
    library = tmp_path / "libkvtel_nixl.so"
    library.touch()
    for name in ("libtrace_backend_kvtel.so", "libtelemetry_exporter_kvtel.so"):
        (plugins / name).symlink_to(library)
    assert f"NIXL 1.5.1 in {site}" in machine.doctor(environment=environment)[1]["nixl"]
    library.unlink()
    assert len(machine.doctor(environment=environment)[1]["nixl-link-broken"]) == 2


@finds("process-without-kvtel", "process-not-loaded", "plugin-left-out", "rust-frontend", "multiprocess")
def test_engines_without_kvtel(machine):
    machine.process(21, "VLLM::EngineCor", environment={"VLLM_PLUGINS": "a, b", "VLLM_USE_RUST_FRONTEND": "1"})
    machine.process(
        22, maps=[NIXL], environment={"NIXL_TRACE_BACKENDS": "other,kvtel", "PROMETHEUS_MULTIPROC_DIR": "/tmp/x"}
    )
    machine.process(23, "sleep", environment={"VLLM_PLUGINS": "a"})
    machine.process(24, "vllm", environment={"VLLM_PLUGINS": "a,kvtel"})
    machine.process(25, "vllm", environment={"VLLM_PLUGINS": "a, kvtel"})
    machine.process(26, "vllm", environment={"VLLM_PLUGINS": ""})
    code, found = machine.doctor()
    assert code == 1 and found["plugin-left-out"] == [
        "pid 21 has VLLM_PLUGINS=a, b",
        "pid 25 has VLLM_PLUGINS=a, kvtel",  # vLLM keeps the blank
        "pid 26 has VLLM_PLUGINS=",
    ]
    assert found["rust-frontend"] == ["pid 21 has VLLM_USE_RUST_FRONTEND=1"]
    assert found["process-not-loaded"][0].startswith(
        "pid 22 python3, PROMETHEUS_MULTIPROC_DIR=/tmp/x, NIXL_TRACE_BACKENDS="
    )
    assert found["multiprocess"] == ["pid 22 has PROMETHEUS_MULTIPROC_DIR=/tmp/x"]
    assert sorted(seen.split(",")[0] for seen in found["process-without-kvtel"]) == [
        "pid 21 VLLM::EngineCor",
        "pid 24 vllm",
        "pid 25 vllm",
        "pid 26 vllm",
    ]


@finds("descriptors", "descriptors-few")
def test_limits(machine, tmp_path):
    writers = [Writer(machine.stores, tmp_path / f"book{i}", 1, engine=i).done() for i in range(2)]
    machine.process(7, "kvtel", command=["kvtel", "serve", "--store.dir", machine.stores], open_files=1024)
    assert "may open 1024 files; there are 2 stores and rings" in machine.doctor()[1]["descriptors"][0]
    machine.process(8, "kvtel", command=["kvtel", "serve", "--store.dir", machine.stores], open_files=3)
    assert "may open 3 files" in machine.doctor()[1]["descriptors-few"][0]
    for writer in writers:
        writer.end()


# A file system without locks cannot be had here; tests/e2e/test_faults.py has it.
ELSEWHERE = {"directory-no-locks"}


def test_each_finding_has_a_test_and_a_place_in_the_list():
    import test_doctor_exporter  # noqa: F401  (its tests make findings, too)

    listed = subprocess.run([KVTEL, "doctor", "--list"], capture_output=True, text=True, timeout=PATIENCE).stdout
    names = re.findall(r"^(?:ok|note|problem) +(\S+)$", listed, re.M)
    assert len(names) == len(set(names)) and set(names) == COVERED | ELSEWHERE


def test_what_a_next_step_names_is_there():
    listed = subprocess.run([KVTEL, "doctor", "--list"], capture_output=True, text=True, timeout=PATIENCE).stdout
    helps = {
        command: subprocess.run([KVTEL, command, "--help"], capture_output=True, text=True, timeout=PATIENCE).stdout
        for command in ("serve", "doctor", "totals", "nixl", "dump", "check")
    }
    steps = re.findall(r"'kvtel (\w+)([^']*)'", listed)
    assert {command for command, _ in steps} == {"serve", "totals", "nixl", "dump"}
    for command, rest in steps:
        for word in re.findall(r"--[a-z][a-z.-]*[a-z]|\b(?:install|status)\b", rest):
            assert re.search(rf"(?<![\w-]){word}\b", helps[command]), (command, word)
    others = {"--shm-size"}  # docker's
    for flag in set(re.findall(r"--[a-z][a-z.-]*[a-z]", listed)) - others:
        assert any(flag in text for text in helps.values()), flag
    for file in re.findall(r"(?:docs|deploy)/[\w/.-]*\w", listed):
        assert (ROOT / file).is_file(), file
    for file, heading in re.findall(r"(docs/[\w-]+\.md), ([\w' ]+)", listed):
        assert re.search(rf"^#+ {heading}$", (ROOT / file).read_text(), re.M | re.I), (file, heading)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--store.dir="], "--store.dir is empty"),
        (["--nixl.telemetry-dir="], "--nixl.telemetry-dir is empty"),
        (["--urls=x"], "did you mean --url?"),
        (["--url=ftp://x"], "--url is http://HOST:PORT or https://HOST:PORT"),
        (["--url.user=x"], "go with --url"),
        (["--url=http://x", "--url.user=x"], "--url.user and --url.password-file go together"),
        (["x"], 'it takes no argument "x"'),
    ],
)
def test_wrong_usage(arguments, message):
    done = subprocess.run([KVTEL, "doctor", *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and message in done.stderr and done.stdout == ""


def test_the_text(machine):
    done = subprocess.run(
        [KVTEL, "doctor", f"--store.dir={machine.stores}", f"--root={machine.root}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert re.match(rf"ok       directory: {machine.stores}: owner \d+", done.stdout)
    assert re.search(r"\d+ ok, \d+ notes, \d+ problems\n\Z", done.stdout)
    assert "         Next: Start 'kvtel serve'.\n" in done.stdout
