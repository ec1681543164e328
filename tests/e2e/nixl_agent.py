# SPDX-License-Identifier: Apache-2.0
"""A NIXL agent's side of a telemetry ring, for tests."""

import mmap
import os
import struct
import time

TX_BYTES, RX_BYTES, TX_REQUESTS, RX_REQUESTS, REGISTERED, DEREGISTERED, XFER_TIME, POST_TIME = range(8)
HEADER = struct.Struct("=QQiiQQ")


class Agent:
    """The writing side of a ring. Opening it does to an existing file what a starting agent does."""

    def __init__(self, path, capacity=4096):
        self.mask = capacity - 1
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(fd, HEADER.size + 16 * capacity)
        self.map = mmap.mmap(fd, HEADER.size + 16 * capacity)
        os.close(fd)
        HEADER.pack_into(self.map, 0, 0, 0, 0, 4, capacity, capacity - 1)
        HEADER.pack_into(self.map, 0, 0, 0, 4, 4, capacity, capacity - 1)
        self.positions = memoryview(self.map)[:16].cast("Q")  # one move each, as an agent's atomics
        self.dropped = 0

    def close(self):
        self.positions.release()
        self.map.close()

    def write(self, kind, value, wait=True):
        """With `wait` nothing is ever dropped."""
        at = self.positions[0]
        while (at + 1) & self.mask == self.positions[1]:
            if not wait:
                self.dropped += 1
                return
            time.sleep(0.0005)
        struct.pack_into("=IIQ", self.map, HEADER.size + 16 * at, kind, 0xFFFFFFFF, value)
        self.positions[0] = (at + 1) & self.mask

    def transfer(self, reads, microseconds, size, wait=True):
        self.write(POST_TIME, microseconds // 2, wait)
        self.write(XFER_TIME, microseconds, wait)
        self.write(RX_BYTES if reads else TX_BYTES, size, wait)
        self.write(RX_REQUESTS if reads else TX_REQUESTS, 1, wait)

    def wait_until_read(self, seconds=60):
        end = time.monotonic() + seconds
        while self.positions[0] != self.positions[1]:
            assert time.monotonic() < end, "nobody reads the ring"
            time.sleep(0.005)
