# SPDX-License-Identifier: Apache-2.0
"""Turns failures of system calls and allocations on and off in processes that run with tests/faults/faults.c preloaded."""

import errno
import mmap
import os
import struct
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("KVTEL_FAULTS_LIBRARY", ROOT / "build" / "tests" / "libkvtel_faults.so")

# The order is that of enum call in tests/faults/faults.c. Each with errors that the call has on Linux; 0: fewer bytes than asked.
CALLS = {
    "pread": (errno.EIO, errno.EINTR, 0),
    "read": (errno.EIO, errno.EINTR, 0),
    "open": (errno.EMFILE, errno.ENFILE, errno.EINTR, errno.EIO, errno.ENOMEM),
    "stat": (errno.EIO, errno.ENOMEM),
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
    "flock": (errno.EINTR, errno.ENOLCK),
    "getrandom": (errno.EAGAIN, errno.EINTR),
    "statfs": (errno.EINTR, errno.ENOSYS),
    "lseek": (errno.EINVAL,),
    "chmod": (errno.EPERM, errno.EROFS),
    "accept": (errno.EMFILE, errno.ECONNABORTED, errno.EINTR),
    "recv": (errno.EINTR, errno.ECONNRESET, 0),
    "send": (errno.EINTR, errno.EPIPE, 0),
    "epoll": (errno.EINTR, errno.ENOMEM, errno.ENOSPC),
    "malloc": (errno.ENOMEM,),
}
NAMES = list(CALLS)
FIELDS = struct.Struct("=QIiIi256s")
COUNTS = struct.Struct(f"={len(NAMES)}Q")
AGREED = f"faults: {' '.join(NAMES)}; {FIELDS.size + 2 * COUNTS.size} bytes"


class Faults:
    """`environment` is what to start a program with whose calls are to fail. `path` is a file that is made."""

    def __init__(self, path):
        if AGREED.encode() not in Path(LIBRARY).read_bytes():
            raise RuntimeError(f"{LIBRARY} was built from another tests/faults/faults.c: build again")
        path = Path(path)
        path.write_bytes(bytes(FIELDS.size + 2 * COUNTS.size))
        options = os.environ.get("ASAN_OPTIONS")
        sanitizer = {"ASAN_OPTIONS": f"{options}:verify_asan_link_order=0" if options else "verify_asan_link_order=0"}
        self.environment = os.environ | sanitizer | {"LD_PRELOAD": str(LIBRARY), "KVTEL_FAULTS": str(path)}
        with path.open("r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 0)

    def on(self, call, error, every=1, once=False, text="", process=0):
        """From now on every `every`-th call fails with `error`: of one process, and where `text` is a part of the path, if
        they are given. Counts start anew."""
        self.off()
        self.shared[FIELDS.size :] = bytes(2 * COUNTS.size)
        self.shared[: FIELDS.size] = FIELDS.pack(1 << NAMES.index(call), every, error, once, process, text.encode())

    def off(self):
        self.shared[: FIELDS.size] = bytes(FIELDS.size)

    @contextmanager
    def failing(self, *arguments, **options):
        """`on` and `off`."""
        self.on(*arguments, **options)
        try:
            yield
        finally:
            self.off()

    def failed(self, call):
        """How many calls have failed since the faults were turned on."""
        return COUNTS.unpack_from(self.shared, FIELDS.size + COUNTS.size)[NAMES.index(call)]

    def seen(self, call):
        """How many calls were made that could have failed, since the faults were turned on."""
        return COUNTS.unpack_from(self.shared, FIELDS.size)[NAMES.index(call)]


def rows(*without):
    """Every call, but those `without`, with every error, for parametrize."""
    return [(call, error) for call, errors in CALLS.items() if call not in without for error in errors]


def name(row):
    """A row's name in a test's id."""
    return f"{row[0]}-{errno.errorcode.get(row[1], 'short')}" if isinstance(row, tuple) else None
