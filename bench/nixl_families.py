# SPDX-License-Identifier: Apache-2.0
"""NIXL's families as vLLM has them: the buckets of its histograms, and which events its counters add up."""

BUCKETS = {
    "transfer_duration": (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5),
    "post_duration": (0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5),
    "bytes_transferred": tuple(2048 * 4**i for i in range(12)),
    "num_descriptors": (10, 20, 30, 50, 75, 100, 200, 400, 1000, 2000, 4000, 10000, 20000, 50000),
}
COUNTERS = {
    "failed": ("num_failed_transfers", "num_failed_handshakes", "num_failed_notifications"),
    "failed_notifications": ("num_failed_notifications",),
    "expired": ("num_kv_expired_reqs",),
    "after_expiry": ("num_notifications_after_expiry",),
}
