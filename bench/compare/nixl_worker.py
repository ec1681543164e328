# SPDX-License-Identifier: Apache-2.0
"""Two agents of a real NIXL, this process and a child: nixl_worker.py BOOK. It moves some blocks, then leaves transfers open, then moves
blocks without end and books them, until it is killed. It waits for a line before each step."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT / "tests/nixl")]

import agents  # noqa: E402
import known  # noqa: E402

BYTES = 65536


def main():
    book = known.Book(sys.argv[1])
    if os.environ.get("KVTEL_NIXL"):
        assert agents.told().watch(agents.api)
    made = agents.Initiator()
    peer = agents.Peer(made.agent)
    for _ in range(known.FIRST):
        made.move(peer, False, BYTES)
    print("moved", flush=True)
    sys.stdin.readline()
    opened = [made.request(peer, False, agents.SIZE, slice) for slice in range(known.OPEN)]
    for handle in opened:
        made.post(handle, False, agents.SIZE)
    print("opened", flush=True)
    sys.stdin.readline()
    for handle in opened:
        made.end(handle, False, agents.SIZE, "PROC")
    while True:
        made.move(peer, False, BYTES)
        book.add()


if __name__ == "__main__":
    main()
