# SPDX-License-Identifier: Apache-2.0
"""Turns failures of system calls on and off in processes that run with tests/faults/faults.c preloaded."""

import errno
import mmap
import os
import struct
from contextlib import contextmanager

LIBRARY = os.environ["KVTEL_FAULTS_LIBRARY"]

# The order is that of enum call in tests/faults/faults.c. Each with the errors that the call has on Linux; 0: fewer bytes than asked.
CALLS = {
    "pread": (errno.EIO, errno.EINTR, 0),
    "open": (errno.EMFILE, errno.ENFILE, errno.EINTR, errno.EIO, errno.ENOMEM),
    "fstat": (errno.EIO, errno.ENOMEM),
    "rename": (errno.EIO, errno.ENOSPC),
    "fallocate": (errno.EINTR, errno.ENOSPC, errno.EIO),
    "mmap": (errno.ENOMEM, errno.EAGAIN),
    "fcntl": (errno.EINTR, errno.ENOLCK, errno.EAGAIN),
    "ftruncate": (errno.EINTR, errno.EIO, errno.ENOSPC),
    "close": (errno.EIO, errno.EINTR),
    "write": (errno.EINTR, errno.EIO, errno.ENOSPC, 0),
    "pthread_create": (errno.EAGAIN,),
    "inotify": (errno.EMFILE, errno.ENOSPC, errno.ENOMEM),
    "unlink": (errno.EIO, errno.EBUSY),
    "fsync": (errno.EIO, errno.EINTR),
}
NAMES = list(CALLS)
FIELDS = struct.Struct("=IIiI")
COUNTS = struct.Struct(f"={len(NAMES)}Q")


class Faults:
    def __init__(self, path):
        path.write_bytes(bytes(FIELDS.size + 2 * COUNTS.size))
        self.environment = {**os.environ, "LD_PRELOAD": LIBRARY, "KVTEL_FAULTS": str(path)}
        with path.open("r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 0)

    @contextmanager
    def failing(self, call, error, every, once=False):
        """While it is open every `every`-th call fails with `error`. Counts start anew."""
        self.shared[FIELDS.size :] = bytes(2 * COUNTS.size)
        self.shared[: FIELDS.size] = FIELDS.pack(1 << NAMES.index(call), every, error, once)
        try:
            yield
        finally:
            self.shared[: FIELDS.size] = bytes(FIELDS.size)

    def failed(self, call):
        """How many calls have failed since `failing` began."""
        return COUNTS.unpack_from(self.shared, FIELDS.size + COUNTS.size)[NAMES.index(call)]


def rows():
    """Every call with every error, for parametrize."""
    return [(call, error) for call, errors in CALLS.items() for error in errors]


def name(row):
    """A row's name in a test's id."""
    return f"{row[0]}-{errno.errorcode.get(row[1], 'short')}" if isinstance(row, tuple) else None
