# SPDX-License-Identifier: Apache-2.0
"""python -m tests.engine.classes: kvtel's Python classes against vLLM's own, in one process.

For every connector that the installed vLLM has stats for, random payloads of tests.model.generate, several workers' aggregated, of
several engines, over several intervals of the log, go through both sides:

KVConnectorStats        aggregate, to_dict, is_empty, reduce, reset    kvtel.Stats
KVConnectorLogging      log lines, to the letter                       kvtel.Logging
KVConnectorProm         the page of prometheus_client                  kvtel.Prom in a StoreCollector, kvtel.PromMetrics

Configurations are vLLM's own objects. What a newer vLLM has, and kvtel with it, is not compared, but listed: families and fields of
payloads; and so are log lines in which an older one says nothing. Exits with 1 when anything else differs."""

import argparse
import copy
import functools
import logging
import re
import sys

import kvtel
import kvtel.prometheus
import msgspec
import numpy
from prometheus_client import CollectorRegistry, generate_latest
from vllm.config import KVTransferConfig, ObservabilityConfig, VllmConfig
from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory
from vllm.distributed.kv_transfer.kv_connector.v1.metrics import KVConnectorLogging

from tests.engine import own
from tests.model import compare, generate
from tests.model.connectors import class_name
from tests.model.recording import with_tuples

LABELNAMES = ["model_name", "engine"]
FAMILY = re.compile(r"# TYPE (\S+)")
SHOWN = 3  # differences of a connector


class Unknown(Exception):
    """Something that this vLLM does not have."""


def vllm_class(name):
    try:
        return KVConnectorFactory.get_connector_class_by_name(name)
    except (ValueError, ImportError) as error:
        raise Unknown(str(error)) from None


def has_stats(name):
    return vllm_class(name).build_kv_connector_stats() is not None


def is_known(name):
    try:
        return vllm_class(name) is not None
    except Unknown:
        return False


@functools.cache
def vllm_config(kv_cache_metrics):
    return VllmConfig(observability_config=ObservabilityConfig(kv_cache_metrics=kv_cache_metrics))


class Case:
    """A recording of tests.model.generate as the installed vLLM could have written it."""

    def __init__(self, seed, connector, tally):
        header, *self.items = generate.recording(seed, connector)
        self.draw, self.tally = generate.Draw(seed), tally
        self.items = [item for item in self.items if "log" not in item]
        for item in self.items:
            item["payloads"] = with_tuples(item.get("workers") or [item["payload"]])
        self.interval_ends = {self.draw.randrange(len(self.items) + 1) for _ in range(3)} | {len(self.items)}
        self.engines, model_name = header["engines"], header["model_name"]
        config = header["kv_transfer_config"]
        if connector == "MultiConnector":
            self.fit_children(config)
        if config.get("kv_connector_extra_config", {}).pop("older", False):
            raise Unknown("payloads of an older vLLM")
        for item in self.items:
            item["payloads"] = [self.without_news(connector, payload) for payload in item["payloads"]]
        self.name = connector
        self.labels = {engine: [model_name, str(engine)] for engine in self.engines}
        self.transfer_config = KVTransferConfig(**config)
        self.vllm_config = copy.copy(vllm_config(header.get("kv_cache_metrics", False)))
        self.vllm_config.kv_transfer_config = (
            self.transfer_config
        )  # as MultiConnector does it: HiSparse would ask for CUDA

    def fit_children(self, config):
        """Children that vLLM has, some of them inside a second MultiConnector, and one whose class is no configured child's."""
        extra = config["kv_connector_extra_config"]
        children = [child for child in extra["connectors"] if is_known(child["kv_connector"])]
        known = {class_name(child["kv_connector"]) for child in children}
        stray = "HF3FSKVConnector" not in known and self.draw.chance(0.3)
        older = {
            "OffloadingConnector"
            for child in children
            if child.get("kv_connector_extra_config", {}).pop("older", False)
        }
        inner = children[1:] if len(children) > 1 and self.draw.chance(0.3) else []
        inner_names = {class_name(child["kv_connector"]) for child in inner}
        if inner:
            nested = {
                "kv_connector": "MultiConnector",
                "kv_role": "kv_both",
                "kv_connector_extra_config": {"connectors": inner},
            }
            children = [children[0], nested]
        extra["connectors"] = children
        for item in self.items:
            for i, payload in enumerate(item["payloads"]):
                # An older vLLM has each child's payload below the key "data".
                payload = {name: child["data"] if list(child) == ["data"] else child for name, child in payload.items()}
                outer = {name: child for name, child in payload.items() if name in known - older - inner_names}
                if inner and self.draw.chance(0.8):
                    outer["MultiConnector"] = {
                        name: child for name, child in payload.items() if name in inner_names - older
                    }
                if stray:
                    outer["HF3FSKVConnector"] = generate.hf3fs(self.draw, {})
                item["payloads"][i] = outer

    def without_news(self, name, payload):
        """The payload without fields that this vLLM's does not have."""
        if name == "MultiConnector":
            return {child: self.without_news(child, data) for child, data in payload.items()}
        blank = vllm_class(name).build_kv_connector_stats().data
        news = payload.keys() - blank.keys() if blank else set()
        self.tally.fields |= {f"{name}: {field}" for field in news}
        return {field: value for field, value in payload.items() if field not in news}

    def through_wire(self, payload):
        """As a frontend gets it: through MessagePack."""
        return msgspec.msgpack.decode(msgspec.msgpack.encode(payload))

    def spoken(self, payload):
        """The payload in one of the forms that kvtel takes."""
        return msgspec.msgpack.encode(payload) if self.draw.chance(0.3) else self.through_wire(payload)

    def run(self):
        """Differences as text; counts what was equal."""
        config, pages, differences = self.transfer_config, Pages(self), []
        logs = {engine: (KVConnectorLogging(config), kvtel.Logging(config)) for engine in ("all", *self.engines)}
        for at in range(len(self.items) + 1):
            if at in self.interval_ends:
                for pair in logs.values():
                    differences += self.log_differences(pair)
            if at == len(self.items):
                break
            engine = self.items[at]["engine"]
            theirs, ours, found = self.aggregated(self.items[at]["payloads"])
            differences += found
            pages.observe(theirs, ours, engine)
            for key in ("all", engine):
                logs[key][0].observe(self.through_wire(theirs))
                logs[key][1].observe(self.spoken(ours), engine)
        return differences + pages.differences()

    def aggregated(self, payloads):
        """The workers' payloads in one, by both sides, and where these differ."""
        build, differences = vllm_class(self.name).build_kv_connector_stats, []
        theirs, ours = build(copy.deepcopy(payloads[0])), kvtel.Stats(self.name, self.same_process(payloads[0]))
        differences += self.stats_differences(theirs, ours)
        for payload in payloads[1:]:
            theirs = theirs.aggregate(build(copy.deepcopy(payload)))
            ours = ours.aggregate(kvtel.Stats(self.name, self.spoken(payload)))
            differences += self.stats_differences(theirs, ours)
        self.tally.payloads += len(payloads)
        as_vllm, as_kvtel = copy.deepcopy(theirs.to_dict()), ours.to_dict()
        theirs.reset()
        ours.reset()
        return as_vllm, as_kvtel, differences + self.stats_differences(theirs, ours)

    def same_process(self, payload):
        """Within a process a MultiConnector's children are objects."""
        if self.name != "MultiConnector" or self.draw.chance(0.5):
            return self.spoken(payload)
        return dict(vllm_class(self.name).build_kv_connector_stats(copy.deepcopy(payload)).data)

    def stats_differences(self, theirs, ours):
        if ours.refused:
            return [f"refused: {ours.refused}"]
        if theirs.is_empty() != ours.is_empty():
            return [f"is_empty() {ours.is_empty()}, not {theirs.is_empty()}"]
        found = compare.first_difference("to_dict()", theirs.to_dict(), self.without_news(self.name, ours.to_dict()))
        if repr(ours.reduce()) != repr(as_python(theirs.reduce())):
            found.append(f"reduce() {ours.reduce()}, not {theirs.reduce()}")
        return found

    def log_differences(self, pair):
        theirs, ours = [], []
        for log, lines in zip(pair, (theirs, ours)):
            log.log(lambda text, *arguments: lines.append(text % arguments))
        empty = [line for line in theirs if line == "KV Transfer metrics: "]
        self.tally.empty_lines += len(empty)
        theirs = [line for line in theirs if line not in empty]
        if theirs == ours:
            self.tally.lines += len(ours)
            return []
        return [f"log line {b!r}, not {a!r}" for a, b in zip(theirs + [None], ours + [None]) if a != b]


def as_python(reduced):
    """numpy's numbers inside have another repr() than Python's."""
    reduced = {key: as_python(value) if isinstance(value, dict) else value for key, value in reduced.items()}
    return {key: value.item() if isinstance(value, numpy.generic) else value for key, value in reduced.items()}


class Pages:
    """One case's metrics in three registries: vLLM's, kvtel's store, kvtel's feeding prometheus_client's."""

    def __init__(self, case):
        self.case = case
        self.registries = {name: CollectorRegistry() for name in ("vLLM", "Prom", "PromMetrics")}
        self.vllm = own.prom_in(self.registries["vLLM"])(case.vllm_config, LABELNAMES, case.labels)
        self.prom = kvtel.Prom(case.vllm_config, LABELNAMES, case.labels)
        self.registries["Prom"].register(kvtel.prometheus.StoreCollector(self.prom.store))
        self.metrics = kvtel.PromMetrics(
            case.vllm_config, own.types_in(self.registries["PromMetrics"]), LABELNAMES, case.labels
        )

    def observe(self, theirs, ours, engine):
        self.vllm.observe(observable(self.vllm.prom_metrics, self.case.through_wire(theirs)), engine)
        self.prom.observe(self.case.spoken(ours), engine)
        self.metrics.observe(self.case.spoken(ours), engine)

    def differences(self):
        texts = {name: generate_latest(registry).decode() for name, registry in self.registries.items()}
        families = {name: FAMILY.findall(text) for name, text in texts.items()}
        both = set(families["vLLM"]) & set(families["Prom"])
        self.case.tally.only_kvtel |= set(families["Prom"]) - both
        wanted = kept(texts["vLLM"], both)
        found = [f"no family {name}" for name in families["vLLM"] if name not in both]
        for name in ("Prom", "PromMetrics"):
            got = kept(texts[name], both)
            differences = [f"{name}: {difference}" for difference in compare.exposition_differences(wanted, got)]
            self.case.tally.samples += 0 if differences else len(compare.samples(got))
            found += differences
        if families["Prom"] != families["PromMetrics"]:
            found.append("Prom and PromMetrics have other families")
        return found


def observable(metrics, payload):
    """What vLLM's own metrics can take: they raise AssertionError of a child without metrics, and of a name that is new."""
    if hasattr(metrics, "_prom_metrics"):
        children = metrics._prom_metrics
        return {name: observable(children[name], child) for name, child in payload.items() if name in children}
    if hasattr(metrics, "_offloading_metric_defs"):
        known = metrics._offloading_metric_defs
        return payload | {"data": {name: series for name, series in payload["data"].items() if name in known}}
    return payload


def kept(text, families):
    """The page's lines of these families."""
    lines, family = [], None
    for line in text.splitlines(keepends=True):
        family = line.split(" ")[2] if line.startswith("#") else family
        if family in families:
            lines.append(line)
    return "".join(lines)


class Tally:
    def __init__(self):
        self.cases = self.payloads = self.samples = self.lines = self.empty_lines = 0
        self.only_kvtel, self.fields, self.differences = set(), set(), []


def compare_connector(connector, first_seed, cases):
    tally, seed = Tally(), first_seed
    while tally.cases < cases:
        try:
            case = Case(seed, connector, tally)
        except Unknown:
            seed += 1
            continue
        try:
            differences = case.run()
        except Exception as error:  # by either side
            differences = [f"raised {type(error).__name__}: {error}"]
        tally.differences += [f"seed {seed}: {difference}" for difference in differences]
        tally.cases, seed = tally.cases + 1, seed + 1
    return tally


def listed(what, sets):
    for name in sorted(set().union(*sets)):
        print(f"  {what}, only kvtel: {name}")


def report(tallies, left_out):
    columns = ("connector", "cases", "payloads", "samples equal", "log lines equal", "differences")
    rows = [(name, t.cases, t.payloads, t.samples, t.lines, len(t.differences)) for name, t in tallies.items()]
    widths = [max(len(str(row[i])) for row in (columns, *rows)) for i in range(len(columns))]
    for row in (columns, *rows):
        name, *counts = (str(cell) for cell in row)
        print(name.ljust(widths[0]), *(count.rjust(width) for count, width in zip(counts, widths[1:])), sep="  ")
    print()
    for name, reason in left_out.items():
        print(f"  not compared: {name}: {reason}")
    listed("families", (tally.only_kvtel for tally in tallies.values()))
    listed("fields of payloads", (tally.fields for tally in tallies.values()))
    for name, tally in tallies.items():
        for difference in tally.differences[:SHOWN]:
            print(f"  DIFFERENT: {name}: {difference}")
    print(f"  log lines in which nothing is said, only vLLM: {sum(tally.empty_lines for tally in tallies.values())}")


def main(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.engine.classes", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--cases", type=int, default=50, help="recordings of each connector")
    parser.add_argument("--connector", action="append", help="only this one")
    options = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    numpy.seterr(divide="ignore", invalid="ignore")  # vLLM divides by a time of 0
    tallies, left_out = {}, {}
    for connector in options.connector or sorted({*KVConnectorFactory._registry, *kvtel.connectors()}):
        try:
            if has_stats(connector):
                tallies[connector] = compare_connector(connector, options.seed, options.cases)
            else:
                left_out[connector] = "this vLLM has no stats for it"
        except Unknown as error:
            left_out[connector] = str(error)
    report(tallies, left_out)
    return 1 if any(tally.differences for tally in tallies.values()) or not tallies else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
