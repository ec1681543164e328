# SPDX-License-Identifier: Apache-2.0
"""The directory of stores: shortages, links and names, deletions, another directory in its place, who may use it."""

import errno
import fcntl
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from exporter import KVTEL, PATIENCE, Exporter, Writer, wait_for
from faults import Faults
from store_files import COUNT, copies, few_descriptors, lock, store_files

# -- Shortages --


def test_more_ended_stores_than_descriptors(stores, tmp_path):
    copies(stores, tmp_path, 500)
    with Exporter(stores, preexec_fn=few_descriptors(256)) as exporter:
        assert exporter.samples()[COUNT % 0] == 50000
        wait_for(lambda: store_files(stores) == [], "no store file left")
        assert exporter.samples()[COUNT % 0] == 50000
        assert exporter.samples()['kvtel_stores{state="refused"}'] == 0


def test_more_live_stores_than_descriptors(stores, tmp_path):
    copies(stores, tmp_path, 300)
    locks = [lock(path) for path in stores.glob("*.kvtel")]
    with Exporter(stores, preexec_fn=few_descriptors(256)) as exporter:
        wait_for(lambda: exporter.samples()[COUNT % 0] == 30000, "all stores")
        time.sleep(2)  # nothing may happen in that time: all stores stay
        found = exporter.samples()
        assert found[COUNT % 0] == 30000 and found['kvtel_stores{state="live"}'] == 300
        for fd in locks:
            os.close(fd)
        wait_for(lambda: store_files(stores) == [], "no store file left")
        assert exporter.samples()[COUNT % 0] == 30000


def test_clients_take_no_descriptors_from_stores(stores, tmp_path):
    with Exporter(stores, preexec_fn=few_descriptors(256)) as exporter:
        clients = []
        for i in range(600):
            client = socket.socket()
            client.bind((f"127.0.0.{1 + i % 8}", 0))
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", exporter.port))
            clients.append(client)
        wait_for(lambda: len(os.listdir(f"/proc/{exporter.process.pid}/fd")) > 45, "connections")
        writers = [Writer(stores, tmp_path / f"book{i}", 10).done() for i in range(5)]
        for writer in writers[:3]:
            writer.end()
        for client in clients:
            client.close()
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 50, "all engines")
        for writer in writers[3:]:
            writer.end()


def test_the_soft_limit_of_descriptors_is_raised(stores):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with Exporter(stores, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))) as exporter:
        limits = Path(f"/proc/{exporter.process.pid}/limits").read_text()
        assert re.search(r"Max open files\s+(\d+)", limits)[1] == str(hard)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO, errno.EAGAIN])
def test_a_store_that_cannot_be_opened_now_is_opened_later(stores, tmp_path, number):
    faults = Faults(tmp_path / "faults")
    with Exporter(stores, env=faults.environment) as exporter:
        faults.on("open", number, text=".kvtel")
        writer = Writer(stores, tmp_path / "book", 70).done()
        wait_for(lambda: exporter.samples()["kvtel_stores_postponed"] == 1, "the store is postponed")
        assert exporter.samples()['kvtel_stores{state="refused"}'] == 0
        assert len(exporter.wait_for_log("cannot be opened now")) == 1
        faults.off()
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 70, "the store")
        assert exporter.samples()["kvtel_stores_postponed"] == 0
        writer.end()


# -- Names --


def test_another_name_of_a_store_counts_nothing(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 50).done()
    os.link(writer.path, stores / "1-hard.kvtel")
    (stores / "1-soft.kvtel").symlink_to(writer.path)
    os.mkfifo(stores / "1-pipe.kvtel")
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples()['kvtel_stores{state="refused"}'] == 3, "three refused")
        assert exporter.samples()[COUNT % 0] == 50
        for text in ["another name of", "symbolic link is not followed", "not a file"]:
            exporter.wait_for_log(text)
        writer.kill()
        wait_for(lambda: store_files(stores) == ["1-pipe.kvtel", "1-soft.kvtel"], "both names to go")
        assert exporter.samples()[COUNT % 0] == 50
        exporter.end(signal.SIGKILL)
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 50


@pytest.mark.parametrize("first", [True, False])
def test_a_store_whose_one_name_of_two_is_removed(stores, tmp_path, first):
    writer = Writer(stores, tmp_path / "book", 50).done()
    second = stores / "1-second.kvtel"
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 50, "the store")
        os.link(writer.path, second)
        wait_for(lambda: exporter.samples()['kvtel_stores{state="refused"}'] == 1, "the second name")
        (writer.path if first else second).unlink()
        wait_for(lambda: exporter.samples()['kvtel_stores{state="refused"}'] == 0, "one name")
        assert exporter.samples()[COUNT % 0] == 50
        assert exporter.samples()["kvtel_stores_deleted_total"] == 0
        writer.end()
        wait_for(lambda: store_files(stores) == [], "retiring")
        assert exporter.samples()[COUNT % 0] == 50


def test_a_renamed_store_is_the_same(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 50).done()
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 50, "the store")
        for name in ["1-renamed.kvtel", "zz.kvtel"]:
            writer.path = writer.path.rename(stores / name)
            wait_for(lambda: f'"{name}"' in exporter.text("/api/v1/summary"), "the new name")
            found = exporter.samples()
            assert found[COUNT % 0] == 50 and found["kvtel_stores_deleted_total"] == 0
        writer.end()
        wait_for(lambda: store_files(stores) == [], "retiring")
        assert exporter.samples()[COUNT % 0] == 50


def test_another_file_under_a_known_name_is_another_store(stores, tmp_path):
    """Over a live store, and over one that has ended and cannot be removed."""
    writer = Writer(stores, tmp_path / "book", 50).done()
    other = Writer(tmp_path, tmp_path / "book2", 7).done()
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 50, "the store")
        other.path.rename(writer.path)
        wait_for(lambda: exporter.samples()[COUNT % 0] == 57, "both")
        assert exporter.samples()["kvtel_stores_deleted_total"] == 1
        writer.end()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 1, "retiring")
        assert exporter.samples()[COUNT % 0] == 57 and store_files(stores) == [writer.path.name]
        other.end()
        wait_for(lambda: store_files(stores) == [], "retiring")
        assert exporter.samples()[COUNT % 0] == 57
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 57


def test_the_deletion_of_a_live_store_is_said_and_counted(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 600).done()
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 600, "the store")
        writer.path.unlink()
        wait_for(lambda: exporter.samples()["kvtel_stores_deleted_total"] == 1, "the deletion")
        exporter.wait_for_log("removed while its writer runs", writer.path.name)
        writer.end()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 1, "retiring")
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 600


def test_what_killed_writers_left_is_removed(stores, tmp_path):
    names = [".123-00ab.new", ".124-00ab.new", ".125-00ab.new", ".other.new"]
    for name in names:
        (stores / name).write_bytes(b"x")
        if name != names[2]:
            os.utime(stores / name, (1, 1))
    held = lock(stores / names[1])
    with Exporter(stores) as exporter:
        wait_for(lambda: not (stores / names[0]).exists(), "the leftover is removed")
        assert all((stores / name).exists() for name in names[1:])
        exporter.wait_for_log(names[0])
    os.close(held)


def test_a_readers_lock_keeps_no_store_live(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 50).done()
    path = writer.path
    writer.end()
    held = lock(path, fcntl.F_RDLCK)
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "retiring")
        assert exporter.samples()[COUNT % 0] == 50
    os.close(held)


# -- The directory --


def serve(directory, program=KVTEL, **options):
    command = [program, "serve", "--web.listen-address=127.0.0.1:0"] + ([f"--store.dir={directory}"] if directory else [])
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)


def test_a_second_exporter_is_kept_out_whatever_is_cleaned_away(stores):
    with Exporter(stores):
        for path in stores.iterdir():
            path.unlink()
        done = serve(stores)
        assert done.returncode == 1 and "in use by another exporter" in done.stderr


def test_a_file_system_without_locks_is_not_in_use(stores, tmp_path):
    faults = Faults(tmp_path / "faults")
    with faults.failing("flock", errno.ENOLCK, text="stores"):
        done = serve(stores, env=faults.environment)
    assert done.returncode == 1
    assert "No locks available" in done.stderr and "in use" not in done.stderr


def test_a_directory_that_was_removed_and_made_again(stores, tmp_path):
    Writer(stores, tmp_path / "book", 1000).done().end()
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "retiring")
        old = Writer(stores, tmp_path / "book1", 30).done()
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 1030, "the store")
        shutil.rmtree(stores.rename(tmp_path / "removed"))
        wait_for(lambda: stores.exists() and list(stores.glob("totals.*")), "totals in a directory that is made again")
        shutil.rmtree(stores.rename(tmp_path / "removed"))
        new = Writer(stores, tmp_path / "book2", 5).done()
        wait_for(lambda: exporter.samples()[COUNT % 0] == 1035, "the new engine, while the old one lives")
        exporter.wait_for_log("removed or replaced")
        assert serve(stores).returncode == 1
        old.end()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 2, "retiring the old one")
        assert exporter.samples()[COUNT % 0] == 1035
        new.end()
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 1035


def test_a_directory_that_another_exporter_took_meanwhile(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 30).done()
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 30, "the store")
        stores.rename(tmp_path / "moved")
        (tmp_path / "other").mkdir()
        held = os.open(tmp_path / "other", os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        (tmp_path / "other").rename(stores)
        exporter.wait_for_log("in use by another exporter")
        writer.end()
        wait_for(lambda: exporter.samples()['kvtel_stores{state="ended"}'] == 1, "the writer's end")
        assert list(stores.iterdir()) == [] and exporter.samples()[COUNT % 0] == 30
        os.close(held)
        wait_for(lambda: list(stores.glob("totals.*")), "the totals")
        assert exporter.samples()[COUNT % 0] == 30


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user")
@pytest.mark.parametrize("kind", ["owner", "mode", "link"])
def test_a_default_directory_that_somebody_else_made(tmp_path, kind):
    user = 54321
    path = Path(f"/dev/shm/kvtel-{user}")
    shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(tmp_path)
    else:
        path.mkdir()
        path.chmod(0o777)
        if kind == "mode":
            os.chown(path, user, user)
    environment = {key: value for key, value in os.environ.items() if key != "KVTEL_STORE_DIR"}
    try:
        with open(KVTEL, "rb") as program:  # its directory may be closed to others
            done = serve(
                None,
                f"/proc/self/fd/{program.fileno()}",
                pass_fds=[program.fileno()],
                env=environment,
                preexec_fn=lambda: os.setuid(user),
            )
        assert done.returncode == 1 and str(path) in done.stderr
        assert ("link" if kind == "link" else "not this user's alone") in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        path.unlink() if kind == "link" else shutil.rmtree(path)
