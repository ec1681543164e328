# SPDX-License-Identifier: Apache-2.0
"""The totals of ended stores: damaged, in a full directory, past their limit; and kvtel totals."""

import contextlib
import ctypes
import functools
import json
import os
import random
import resource
import signal
import subprocess
import urllib.error
import urllib.request

import pytest

from exporter import KVTEL, PATIENCE, Exporter, Writer, wait_for

COUNT = 'vllm:nixl_xfer_time_seconds_count{engine="%s",model_name="m"}'
NAME = "totals.kvtel-retired"


def store_files(directory):
    return sorted(path.name for path in directory.glob("*.kvtel"))


def retire(stores, tmp_path, count, engine=0):
    """Leaves the store of a writer that was killed."""
    Writer(stores, tmp_path / "book", count, engine=engine).done().kill()


def retire_all(stores, *arguments):
    with Exporter(stores, *arguments):
        wait_for(lambda: store_files(stores) == [], "no store file left")


def set_aside(stores):
    return sorted(stores.glob("totals.damaged-*"))


def status(exporter, path):
    try:
        with urllib.request.urlopen(exporter.url(path), timeout=PATIENCE) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def good(exporter):
    return [status(exporter, path) for path in ["/metrics", "/api/v1/summary", "/-/ready"]] == [200, 200, 200]


def cut_to(size):
    return lambda content: content[: int(len(content) * size)]


def flip(content):
    changed = bytearray(content)
    changed[len(changed) * 2 // 3] ^= 4
    return bytes(changed)


def other_version(content):
    return content[:16] + (9).to_bytes(4, "little") + content[20:]


DAMAGE = {
    "cut to 0": (cut_to(0), "cut short"),
    "cut to half": (cut_to(0.5), "bytes where"),
    "a bit": (flip, "checksum"),
    "another version": (other_version, "version 9, this program knows versions 2 to 3"),
    "something else": (lambda _: b"something else" * 100, "does not begin as totals do"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_before_the_start(stores, tmp_path, what):
    """They are set aside and live stores go on; put back, whole, they count again."""
    damage, reason = DAMAGE[what]
    retire(stores, tmp_path, 100)
    retire_all(stores)
    content = (stores / NAME).read_bytes()
    (stores / NAME).write_bytes(damage(content))
    with Exporter(stores) as exporter:
        writer = Writer(stores, tmp_path / "book", 7).done()
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 7, "the live store")
        assert good(exporter)
        assert exporter.samples()["kvtel_totals_damaged_total"] == 1
        [aside] = set_aside(stores)
        assert aside.read_bytes() == damage(content)
        exporter.wait_for_log(aside.name, reason, "level=error")
        writer.end()
        wait_for(lambda: store_files(stores) == [], "no store file left")
        assert exporter.samples()[COUNT % 0] == 7
    (stores / NAME).write_bytes(content)
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 100


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_while_an_exporter_runs(stores, tmp_path, what):
    """The exporter has the numbers: it writes them again, and nothing is lost."""
    retire(stores, tmp_path, 100)
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
        content = (stores / NAME).read_bytes()
        (stores / NAME).write_bytes(DAMAGE[what][0](content))
        assert good(exporter) and exporter.samples()[COUNT % 0] == 100
        wait_for(lambda: exporter.samples()["kvtel_totals_damaged_total"] == 1, "the damage is seen")
        wait_for(lambda: (stores / NAME).exists() and (stores / NAME).read_bytes() == content, "the totals are whole")
        assert len(set_aside(stores)) == 1
        retire(stores, tmp_path, 11)
        wait_for(lambda: store_files(stores) == [], "no store file left")
        exporter.end(signal.SIGKILL)
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 111


def test_removed_or_replaced_while_an_exporter_runs(stores, tmp_path):
    retire(stores, tmp_path, 100)
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
        content = (stores / NAME).read_bytes()
        (stores / NAME).unlink()
        wait_for(lambda: (stores / NAME).exists(), "the totals are there again")
        assert (stores / NAME).read_bytes() == content
        retire(stores, tmp_path, 50)
        wait_for(lambda: store_files(stores) == [], "no store file left")
        assert exporter.samples()[COUNT % 0] == 150
        (tmp_path / "backup").write_bytes(content)
        os.replace(tmp_path / "backup", stores / NAME)
        wait_for(lambda: exporter.samples()[COUNT % 0] == 100, "the backup counts")
        exporter.wait_for_log("were replaced")
        assert set_aside(stores) == []


@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
def test_totals_that_are_no_file(stores, tmp_path, kind):
    make = {"directory": os.mkdir, "link": lambda path: os.symlink("/etc/passwd", path), "pipe": os.mkfifo}
    make[kind](stores / NAME)
    retire(stores, tmp_path, 5)
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
        assert exporter.samples()[COUNT % 0] == 5
        assert len(set_aside(stores)) == 1
        exporter.wait_for_log("not a regular file")


@functools.cache
def own_mounts():
    """What is mounted from here on is seen by this process and its children alone, and goes with the last of them, however it ends."""
    private = ["mount", "--make-rprivate", "/"]
    if (
        ctypes.CDLL(None).unshare(0x00020000) != 0 or subprocess.run(private, capture_output=True).returncode != 0
    ):  # CLONE_NEWNS
        return False
    return True


@contextlib.contextmanager
def small_tmpfs(tmp_path, size):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", mount]
    if not own_mounts() or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no file system may be mounted here")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def fill(mount):
    """Takes the last page of it."""
    with open(mount / "rest", "wb", buffering=0) as rest, contextlib.suppress(OSError):
        while rest.write(bytes(4096)):
            pass
    assert os.statvfs(mount).f_bavail == 0


@pytest.mark.parametrize("killed", [False, True])
def test_a_full_tmpfs_gets_free(tmp_path, killed):
    """Ended stores fill it before an exporter starts: there is not a page for the totals."""
    with small_tmpfs(tmp_path, "5m") as mount:
        for _ in range(20):
            retire(mount, tmp_path, 100)
        fill(mount)
        if killed:
            with Exporter(mount) as exporter:
                exporter.end(signal.SIGKILL)
        with Exporter(mount) as exporter:
            assert exporter.samples()[COUNT % 0] == 2000
            wait_for(lambda: store_files(mount) == [], "no store file left")
            assert exporter.samples()[COUNT % 0] == 2000
            assert exporter.samples()["kvtel_totals_damaged_total"] == 0
            assert killed or exporter.wait_for_log("given back")
        assert os.statvfs(mount).f_bavail > 400


def test_a_full_tmpfs_where_nothing_can_be_given_back(tmp_path):
    """Stores count from their files until there is room."""
    with small_tmpfs(tmp_path, "3m") as mount:
        outside = tmp_path / "outside"
        outside.mkdir()
        retire(outside, tmp_path, 100)
        [ended] = outside.glob("*.kvtel")
        subprocess.run(["cp", "--sparse=always", ended, mount / "1-0.kvtel"], check=True)
        fill(mount)
        with Exporter(mount) as exporter:
            exporter.wait_for_log("retrying in 10 s")
            exporter.wait_for_log("No space left on device")
            assert exporter.samples()[COUNT % 0] == 100 and good(exporter)
            assert exporter.samples()["kvtel_totals_writes_failed_total"] >= 1
            (mount / "rest").unlink()
            wait_for(lambda: store_files(mount) == [], "no store file left")
            assert exporter.samples()[COUNT % 0] == 100


def test_room_for_the_next_totals_is_reserved(tmp_path):
    """Whatever takes the last page, an ended store goes into the totals."""
    with small_tmpfs(tmp_path, "8m") as mount, Exporter(mount) as exporter:
        writer = Writer(mount, tmp_path / "book", 100).done()
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 100, "the store")
        fill(mount)
        writer.kill()
        wait_for(lambda: store_files(mount) == [], "no store file left")
        assert exporter.samples()[COUNT % 0] == 100
        assert not exporter.lines("given back")


def test_exporters_killed_in_a_full_tmpfs(tmp_path):
    """Whenever one is killed, each store counts once."""
    draw = random.Random(11)
    with small_tmpfs(tmp_path, "4m") as mount:
        expected, last, exporter = 0, 0, Exporter(mount)
        for round_ in range(12):
            writers = [Writer(mount, tmp_path / f"book{i}", 100 + i).done() for i in range(draw.randint(1, 6))]
            expected += sum(100 + i for i in range(len(writers)))
            fill(mount)
            for writer in writers:
                writer.kill()
            wait_for(lambda: draw.random() < 0.2 or store_files(mount) == [], "a moment")
            exporter.end(signal.SIGKILL)
            if draw.random() < 0.5:
                (mount / "rest").unlink()
            exporter = Exporter(mount)
            wait_for(lambda: exporter.samples().get(COUNT % 0, 0) == expected, f"{expected} in round {round_}")
            assert exporter.samples()[COUNT % 0] >= last
            last = expected
            (mount / "rest").unlink(missing_ok=True)
            wait_for(lambda: store_files(mount) == [], "no store file left")
        exporter.end()
        assert list(mount.glob(".totals-*")) == []


def engines(stores, first, count):
    """Stores of engines that ended, through the receiver: one transfer each."""
    columns = {"transfer_duration": [0.1], "post_duration": [0.01], "bytes_transferred": [1], "num_descriptors": [1]}
    ids = list(range(first, first + count))
    header = {"kvtel": 1, "kv_transfer_config": {"kv_connector": "NixlConnector"}, "model_name": "m", "engines": ids}
    recording = "\n".join(map(json.dumps, [header] + [{"engine": i, "payload": columns} for i in ids])).encode()
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        wait_for(lambda: len(store_files(stores)) == 1, "only its own store")
        exporter.text("/api/v1/stats", recording)
        exporter.end(signal.SIGKILL)


def by_family(found):
    """Sum of the counts of each histogram, and its label sets."""
    families = {}
    for name, value in found.items():
        if name.startswith("vllm:nixl_") and "_count{" in name:
            families.setdefault(name.split("{")[0], []).append(value)
    return families


def test_past_the_limit_label_sets_are_added_up(stores):
    engines(stores, 0, 3)
    retire_all(stores)
    engines(stores, 3, 7)
    with Exporter(stores, "--store.totals-limit=5") as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
        found = exporter.samples()
        assert all(found[COUNT % i] == 1 for i in range(5)) and COUNT % 5 not in found
        assert found['vllm:nixl_xfer_time_seconds_count{engine="other",model_name="other"}'] == 5
        families = by_family(found)
        assert len(families) == 4 and all(len(values) == 6 and sum(values) == 10 for values in families.values())
        assert found["kvtel_totals_label_sets_folded_total"] >= 4 * 5
    engines(stores, 8, 5)
    with Exporter(stores, "--store.totals-limit=5") as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
        families = by_family(exporter.samples())
        assert all(len(values) == 6 and sum(values) == 15 for values in families.values())
    engines(stores, 20, 1)
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
        assert exporter.samples()[COUNT % 20] == 1


def make_odd(content):
    """The store with histograms of another exponential range, under other names."""
    changed = bytearray(content.replace(b"vllm:nixl_", b"odd0:nixl_"))
    families_at, count = int.from_bytes(changed[88:96], "little"), int.from_bytes(changed[848:856], "little")
    for at in range(families_at, families_at + 64 * count, 64):
        if changed[at] == 2:
            first = int.from_bytes(changed[at + 32 : at + 36], "little", signed=True)
            changed[at + 32 : at + 36] = (first + 3).to_bytes(4, "little", signed=True)
    return bytes(changed)


def test_an_odd_store_does_not_hold_up_the_others(stores, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    retire(outside, tmp_path, 100)
    [ended] = outside.glob("*.kvtel")
    content = ended.read_bytes()
    for i in range(3):
        (stores / f"{i}-0.kvtel").write_bytes(content)
    (stores / "1-odd.kvtel").write_bytes(make_odd(content))
    (stores / "2-cut.kvtel").write_bytes(content[:6000])
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == ["1-odd.kvtel", "2-cut.kvtel"], "the others retired")
        found = exporter.samples()
        assert found[COUNT % 0] == 300
        assert found['kvtel_stores{state="refused"}'] == 2
        for name in ["1-odd.kvtel", "2-cut.kvtel"]:
            exporter.wait_for_log("left out", name)


def test_past_the_limit_of_file_sizes(stores, tmp_path):
    """The kernel would end the process by SIGXFSZ."""
    retire(stores, tmp_path, 100)
    with Exporter(stores, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))) as exporter:
        exporter.wait_for_log("File too large")
        assert good(exporter) and exporter.samples()[COUNT % 0] == 100
        assert exporter.samples()["kvtel_totals_writes_failed_total"] > 0
    assert [path.name for path in stores.iterdir() if path.name.endswith(".next")] == []
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
        assert exporter.samples()[COUNT % 0] == 100


def test_totals_do_not_grow_by_being_written_again(stores, tmp_path):
    """Bins of 0 are not kept."""
    sizes = []
    with Exporter(stores) as exporter:
        for round_ in range(1, 9):
            retire(stores, tmp_path, 3)
            wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == round_, "retiring")
            sizes.append(exporter.samples()["kvtel_totals_bytes"])
    assert max(sizes) - min(sizes) <= 8 and max(sizes) < 2500, sizes


def totals(stores, *arguments, code=0):
    done = subprocess.run(
        [KVTEL, "totals", f"--store.dir={stores}", *arguments], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == code, done
    return done.stdout if code == 0 else done.stderr


def test_totals_lists_label_sets(stores, tmp_path):
    assert "has no totals" in totals(stores, code=1)
    for engine in range(3):
        retire(stores, tmp_path, 10 + engine, engine=engine)
    with Exporter(stores):
        wait_for(lambda: store_files(stores) == [], "no store file left")
        lines = totals(stores).splitlines()  # also while an exporter runs
        assert 'vllm:nixl_bytes_transferred{model_name="m",engine="1"} count 11' in "\n".join(lines)
        assert len(lines) % 3 == 0
        only = totals(stores, 'vllm:nixl_xfer_time_seconds_count{engine=~"[01]",model_name!="n"}').splitlines()
        assert [line.split(" sum ")[0] for line in only] == [
            f'vllm:nixl_xfer_time_seconds{{model_name="m",engine="{i}"}} count {10 + i}' for i in range(2)
        ]
        assert len(totals(stores, '{engine="2"}', '{engine!~"[02]"}').splitlines()) == len(lines) * 2 // 3
        assert totals(stores, '{engine="7"}') == totals(stores, "vllm:nothing") == ""


def test_totals_drops_label_sets(stores, tmp_path):
    for engine in range(3):
        retire(stores, tmp_path, 10 + engine, engine=engine)
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
        assert "in use by 'kvtel serve'" in totals(stores, "--drop", '{engine="1"}', code=1)
        assert exporter.samples()[COUNT % 1] == 11
    before = len(totals(stores).splitlines())
    assert totals(stores, "--drop", '{engine="1"}') == f"{before // 3} label sets dropped\n"
    assert totals(stores, "--drop", '{engine="1"}') == "0 label sets dropped\n"
    assert totals(stores, "--drop", "vllm:nixl_bytes_transferred") == "2 label sets dropped\n"
    assert sorted(path.name for path in stores.iterdir() if "totals" in path.name) == [NAME]
    with Exporter(stores) as exporter:
        found = exporter.samples()
        assert found[COUNT % 0] == 10 and found[COUNT % 2] == 12 and COUNT % 1 not in found
        assert not any("nixl_bytes_transferred" in name for name in found)
        retire(stores, tmp_path, 5, engine=1)
        wait_for(lambda: exporter.samples().get(COUNT % 1) == 5, "the engine counts anew")


def test_totals_drop_makes_way_for_another_definition(stores, tmp_path):
    """The family of new writers is left out as long as the totals have another one of its name."""
    writer = Writer(stores, tmp_path / "book", 100).done()
    content = writer.path.read_bytes()
    writer.kill()
    retire_all(stores)
    changed = content.replace(b"vllm:nixl_xfer_time_seconds\0", b"vllm:nixl_bytes_transferred\0")
    (stores / "1-changed.kvtel").write_bytes(changed)
    with Exporter(stores) as exporter:
        exporter.wait_for_log("another definition")
    totals(stores, "--drop", "vllm:nixl_bytes_transferred")
    assert "vllm:nixl_bytes_transferred" not in totals(stores)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--store.dir="], "--store.dir is empty"),
        (["--nonsense"], "kvtel totals: unrecognized option"),
        (["--drop"], "--drop wants a selector"),
        (["--drops"], "Try 'kvtel totals --help'"),
        (["{engine=3}"], "column 9: a value in double quotes is wanted here"),
        (['{engine="3"'], ", or } is wanted here"),
        (['{engine="3'], "the quotes are not closed"),
        (['{engine~"3"}'], "=, !=, =~ or !~ is wanted here"),
        (['{engine=~"("}'], "not a regular expression"),
        (['{3="3"}'], "the name of a label is wanted here"),
        (["{}"], "a selector names a metric or a label"),
        ([""], "a selector names a metric or a label"),
        (["a b"], "nothing may come here"),
    ],
)
def test_totals_used_wrongly(stores, arguments, message):
    assert message in totals(stores, *arguments, code=2)


def test_dump_says_which_command_reads_totals(stores, tmp_path):
    retire(stores, tmp_path, 5)
    retire_all(stores)
    done = subprocess.run([KVTEL, "dump", stores / NAME], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1 and "totals of ended stores: 'kvtel totals'" in done.stderr


def test_totals_of_a_damaged_file(stores, tmp_path):
    retire(stores, tmp_path, 5)
    retire_all(stores)
    (stores / NAME).write_bytes(flip((stores / NAME).read_bytes()))
    assert "its checksum is wrong" in totals(stores, code=1)
    assert "its checksum is wrong" in totals(stores, "--drop", '{engine="0"}', code=1)
    assert (stores / NAME).exists() and set_aside(stores) == []
