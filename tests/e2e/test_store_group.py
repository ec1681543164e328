# SPDX-License-Identifier: Apache-2.0
"""Engines of other users: the directory as the package's tmpfiles make it, with the exporter as its owner and the engines in its group."""

import contextlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from exporter import KVTEL, ROOT, WRITER, Exporter, Writer, wait_for
from store_files import COUNT, store_files

KVTEL_USER, ENGINE, OTHER_ENGINE, STRANGER = 61001, 61002, 61003, 61004  # nobody's: no name is needed
GROUP = KVTEL_USER


@contextlib.contextmanager
def as_user(user, program, *groups):
    """Arguments of Popen: as that user, whose way to the program may be closed."""
    with open(program, "rb") as file:
        yield {
            "executable": f"/proc/self/fd/{file.fileno()}",
            "pass_fds": [file.fileno()],
            "user": user,
            "group": user,
            "extra_groups": groups,
            "env": {**os.environ, "KVTEL_STORE_MODE": "0640"},
        }


@pytest.fixture
def shared():
    """A directory of stores as deploy/package/kvtel.tmpfiles says, and one for the books of writers."""
    if os.geteuid() != 0:
        pytest.skip("only root can be several users")
    line = (ROOT / "deploy/package/kvtel.tmpfiles").read_text().splitlines()[-1]
    mode = re.fullmatch(r"d /run/kvtel ([0-7]{4}) kvtel kvtel -", line)[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        stores, books = Path(folder, "stores"), Path(folder, "books")
        for path in (stores, books):
            path.mkdir()
        os.chown(stores, KVTEL_USER, GROUP)
        stores.chmod(int(mode, 8))
        books.chmod(0o777)
        yield stores, books


def removes(user, path, *groups):
    done = subprocess.run(
        ["rm", "-f", path], check=False, user=user, group=user, extra_groups=groups, capture_output=True
    )
    return done.returncode == 0


def test_engines_of_two_users_and_an_exporter_of_a_third(shared):
    stores, books = shared
    with (
        as_user(KVTEL_USER, KVTEL) as exporters,
        as_user(ENGINE, WRITER, GROUP) as one,
        as_user(OTHER_ENGINE, WRITER, GROUP) as other,
        Exporter(stores, **exporters) as exporter,
    ):
        writers = [Writer(stores, books / str(i), 100 + i, i, **who).done() for i, who in enumerate((one, other))]
        wait_for(lambda: [exporter.samples().get(COUNT % i) for i in range(2)] == [100, 101], "both engines")
        assert exporter.lines("level=warn") == []
        for writer in writers:
            status = writer.path.stat()
            assert (status.st_mode & 0o777, status.st_gid) == (0o640, GROUP)
        assert not removes(OTHER_ENGINE, writers[0].path, GROUP) and not removes(STRANGER, writers[0].path)
        assert writers[0].path.exists()
        for writer in writers:
            writer.end()
        wait_for(lambda: store_files(stores) == [], "no store of theirs is left")
        assert [exporter.samples()[COUNT % i] for i in range(2)] == [100, 101]


def test_a_user_outside_of_the_group_makes_no_store_there(shared):
    stores, books = shared
    with as_user(STRANGER, WRITER) as stranger, pytest.raises(AssertionError):  # its store is in its own memory
        Writer(stores, books / "stranger", 1, **stranger)
    assert store_files(stores) == []
