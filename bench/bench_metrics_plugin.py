# SPDX-License-Identifier: Apache-2.0
"""What a call of kvtel.Histogram, Counter and Gauge costs, beside prometheus_client's (peer_metrics.py). The bar is a tenth of the latter
for an observation. Needs the Python package kvtel: pip install ./python."""

import os
import tempfile

from peer_metrics import calls_of, report

TIMES_BETTER = 10


def main():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        os.environ["KVTEL_STORE_DIR"] = directory
        import kvtel

        observe, *others = calls_of(kvtel)
        report([observe], against={"peer": "Python", "times": TIMES_BETTER})
        report(others)


if __name__ == "__main__":
    main()
