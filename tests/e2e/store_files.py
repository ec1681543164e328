# SPDX-License-Identifier: Apache-2.0
"""Files of stores, for tests of the directory that holds them."""

import fcntl
import os
import resource
import struct
import subprocess

from exporter import Writer

COUNT = 'vllm:nixl_xfer_time_seconds_count{engine="%d",model_name="m"}'
F_OFD_SETLK = 37


def store_files(directory):
    return sorted(path.name for path in directory.glob("*.kvtel"))


def few_descriptors(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def copies(stores, tmp_path, count, transfers=100):
    """Stores of writers that have ended."""
    writer = Writer(tmp_path, tmp_path / "book", transfers).done()
    sparse = tmp_path / "sparse"
    subprocess.run(["cp", "--sparse=always", writer.path, sparse], check=True)
    writer.end()
    script = f'i=0; while [ $i -lt {count} ]; do cp --sparse=always "$1" "$2/9$i-0.kvtel"; i=$((i+1)); done'
    subprocess.run(["sh", "-c", script, "sh", sparse, stores], check=True)


def lock(path, kind=fcntl.F_WRLCK):
    """An open file description lock, as a writer holds it."""
    fd = os.open(path, os.O_RDWR)
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0))
    return fd
