# SPDX-License-Identifier: Apache-2.0
"""What histogram_quantile() says of transfer times, from native and from explicit buckets, beside the exact quantiles.

Usage: quantiles.py PROMETHEUS FILE.svg. One panel for the recording of a vLLM on two GPUs, one for times with two modes. Prometheus
is one that build.sh builds; kvtel is $KVTEL."""

import json
import math
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from exporter import Exporter, wait_for  # noqa: E402
from prometheus_server import Prometheus  # noqa: E402
from test_protobuf import recording  # noqa: E402

TRANSFER = "vllm:nixl_xfer_time_seconds"
SCRAPE = "    scrape_native_histograms: true\n    always_scrape_classic_histograms: true"
QUANTILES = [i / 100 for i in range(50, 100)]
WIDTH, PANEL, LEFT, TOP, GAP = 760, 220, 70, 40, 60
CURVES = {"exact": "#111827", "native": "#2563eb", "explicit": "#dc2626"}


def measured():
    """(the posted text, its transfer times) of the recording."""
    text = (ROOT / "tests/data/engines/gpu-nixl-pd/decode.jsonl").read_text()
    objects = [json.loads(line) for line in text.splitlines()]
    return text.encode(), [t for o in objects[1:] for t in o.get("payload", {}).get("transfer_duration", [])]


def two_modes(count=2000):
    """Transfers of some 6 ms, and one in fifty, from another node, of some 120 ms."""
    source = random.Random(7)
    times = [source.lognormvariate(math.log(0.12 if i % 50 == 0 else 0.006), 0.15) for i in range(count)]
    return recording(times, [0.001] * count, [4096] * count, [1] * count), times


def ask(program, posted):
    """Quantiles by kind of buckets."""
    with tempfile.TemporaryDirectory() as folder:
        with Exporter(Path(folder) / "stores", "--web.enable-stats-receiver") as exporter:
            exporter.text("/api/v1/stats", posted)
            with Prometheus(Path(folder), f"127.0.0.1:{exporter.port}", scrape=SCRAPE, program=program) as prometheus:
                wait_for(lambda: prometheus.results(f'{{__name__="{TRANSFER}"}}'), "a scrape")

                def curve(name):
                    found = []
                    for q in QUANTILES:
                        (value,) = prometheus.query(f'histogram_quantile({q}, {{__name__="{name}"}})').values()
                        found.append(value)
                    return found

                return {"native": curve(TRANSFER), "explicit": curve(f"{TRANSFER}_bucket")}


def exact(times):
    ordered = sorted(times)
    return [ordered[math.ceil(q * len(ordered)) - 1] for q in QUANTILES]


def label(x, y, text, anchor="start", colour="#374151"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def panel(curves, heading, top):
    most = max(max(curve) for curve in curves.values()) * 1.05
    plot = WIDTH - LEFT - 20

    def place(q, value):
        return LEFT + plot * (q - 0.5) / 0.5, top + PANEL * (1 - value / most)

    parts = [label(LEFT, top - 10, heading)]
    for part in (0, 0.25, 0.5, 0.75, 1):
        y = top + PANEL * (1 - part)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e7eb"/>')
        parts.append(label(LEFT - 8, y + 4, f"{1000 * most * part:.0f} ms", "end"))
    for q in (0.5, 0.6, 0.7, 0.8, 0.9, 0.99):
        parts.append(label(place(q, 0)[0], top + PANEL + 18, f"P{100 * q:.0f}", "middle"))
    for name, curve in curves.items():
        points = " ".join("{:.1f},{:.1f}".format(*place(q, v)) for q, v in zip(QUANTILES, curve, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{CURVES[name]}" stroke-width="1.6"/>')
    return parts


def main(program, path):
    height = TOP + 2 * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    texts = {"exact": "exact", "native": "native histogram", "explicit": "vLLM's explicit buckets"}
    for i, (name, text) in enumerate(texts.items()):
        parts.append(label(LEFT + 420 + 90 * i - 90, 16, text, "start", CURVES[name]))
    for i, (heading, (posted, times)) in enumerate(
        {"129 transfers of a vLLM on two GPUs": measured(), "2,000 transfers, one in fifty from another node": two_modes()}.items()
    ):
        curves = {"exact": exact(times), **ask(program, posted)}
        parts += panel(curves, heading, TOP + i * (PANEL + GAP))
        for q in (0.5, 0.9, 0.99):
            found = {name: f"{1000 * curve[QUANTILES.index(q)]:.2f} ms" for name, curve in curves.items()}
            print(f"{len(times)} transfers, P{100 * q:.0f}: {found}")
    Path(path).write_text("\n".join([*parts, "</svg>\n"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
