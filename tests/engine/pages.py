# SPDX-License-Identifier: Apache-2.0
"""What is compared: samples and lines of a connector's families on a page."""

from tests.model import compare

THIRD_PARTY = ("vllm:ledger_", "vllm:depot_", "relay_")  # of tests/engine/third_party
FAMILIES = ("vllm:nixl_", "vllm:kv_offload_", *THIRD_PARTY)


def of_connector(page):
    """The lines of the connector's families on a page, without times of creation."""
    named = (line for line in page.splitlines(keepends=True) if line.rstrip() != "# EOF")  # of OpenMetrics
    lines = ((line, line.split(" ")[2 * line.startswith("#")].split("{")[0]) for line in named)
    return "".join(line for line, name in lines if name.startswith(FAMILIES) and not name.endswith("_created"))


def own_samples(page):
    return added([{key_of(*key): value} for key, value in compare.samples(of_connector(page)).items()])


def added(pages):
    """The samples of several pages, those with equal labels added up."""
    total = {}
    for page in pages:
        for key, value in page.items():
            total[key] = total.get(key, 0) + value
    return total


def key_of(name, labels):
    """A sample's key, as a frontend shows it: it adds up what ranks report. A label without a value is none to Prometheus. Bounds
    are numbers: "134217728.0" in Rust is "1.34217728e+08" in Python."""
    pairs = ((label, repr(float(value)) if label == "le" else value) for label, value in labels)
    return name, tuple(sorted((label, value) for label, value in pairs if label != "rank" and value))


def counted(page):
    """Transfers on a page."""
    return sum(value for (name, _), value in page.items() if name == "vllm:nixl_xfer_time_seconds_count")


def differences(wanted, got):
    missing = [f"{name} {dict(labels)}: missing" for name, labels in wanted.keys() - got.keys()]
    return missing + compare.value_differences(wanted, got)


def of_engine(objects, engine):
    """The part of a recording that is about one engine: vLLM logs engine by engine."""
    header, *rest = objects
    return [header | {"engines": [engine]}, *(item for item in rest if item.get("engine", engine) == engine)]


def without_families_of_newer_vllm(page, outcomes):
    """A stand-in's page without the families that the installed vLLM's classes do not have yet."""
    known = tuple(
        line.split(" ")[2] for _, text in outcomes for line in text.splitlines() if line.startswith("# TYPE ")
    )
    lines = [(line, line.split(" ")[2 * line.startswith("#")]) for line in page.splitlines(keepends=True)]
    newer = sorted({name for line, name in lines if line.startswith("# TYPE ") and name not in known})
    if newer:
        print(f"  left out, since this vLLM has no such family: {', '.join(newer)}", flush=True)
    return "".join(line for line, name in lines if not name.startswith(tuple(newer) or "-"))
