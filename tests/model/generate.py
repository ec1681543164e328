# SPDX-License-Identifier: Apache-2.0
"""Random recordings as real engines write them, with what vLLM makes of them.

python -m tests.model.generate --seed 7 --connector NixlConnector --out DIR [--spoil]

writes NAME.jsonl, NAME.mp, NAME.aggregated.jsonl, NAME.log and NAME.prom. The same seed gives the same recording."""

import argparse
import json
import math
import random
from pathlib import Path

from . import prom, spoil
from .connectors import CLASSES, HF3FS, HiSparse, Mooncake, MoRIIO, Nixl, SimpleCPUOffload, class_name
from .recording import Outcome, write
from .payloads import LONGEST_SECONDS, is_time

ENGINES = ([0], [0], [0, 1], [0, 1, 2, 3], [3, 11])
MODELS = ("m", "meta-llama/Llama-3-70B", 'quo"te\\back\nline', "é😀")
SECONDS_EDGES = (*prom.POST_SECONDS, *prom.SYNC_SECONDS, *prom.STORE_SECONDS, 0.0, 1e-6, 1e-9, 9.0, 3600.0)
COUNT_EDGES = (0, 1, *map(int, prom.XFER_BYTES), *prom.DESCRIPTORS, *map(int, prom.OFFLOAD_BYTES), 2**32 - 1)
OPERATIONS = ("save_exists", "save_put", "load_get", "lookup_exists", "save_put", "load_get", 'odd "name"', "opé")
OUTCOMES = ("stored", "dropped_cpu_full", "skipped_in_flight", "it's", 'a "b"', "both ' and \"", "back\\slash", "é")


class Draw(random.Random):
    """Numbers as they occur: log-normal, and now and then on a bucket's edge or just beside one."""

    def chance(self, share):
        return self.random() < share

    def seconds(self, typical=0.01):
        if self.chance(0.1):
            edge = self.choice(SECONDS_EDGES)
            return self.choice((edge, edge, math.nextafter(edge, math.inf), math.nextafter(edge, 0.0))) if edge else 0.0
        value = typical * self.lognormvariate(0.0, 1.2)
        return round(value, 6) if self.chance(0.5) else value

    def count(self, typical, limit=2**53):
        if self.chance(0.1):
            return min(limit, max(0, self.choice((*COUNT_EDGES, limit)) + self.choice((-1, 0, 0, 1))))
        return min(limit, int(typical * self.lognormvariate(0.0, 1.5)))

    def length(self):
        """Of a payload's lists: mostly short; now and then past the blocks in which numpy adds."""
        return self.choice((0, 1, 1, 2, 3, 5, 8, 20)) if self.chance(0.95) else self.choice((127, 128, 129, 300, 1100))

    def listed(self, draw, *arguments, length=None):
        return [draw(*arguments) for _ in range(self.length() if length is None else length)]

    def events(self):
        """A failure list: empty as a rule; older versions of vLLM write 1.0."""
        return [self.choice((1, 1.0))] * self.choice((0, 0, 0, 1, 2, 6))

    def some(self, items):
        """A random few, in random order."""
        return self.sample(items, self.randint(0, len(items)))


def nixl(draw, extra):
    return transfers(draw, Nixl)


def moriio(draw, extra):
    return transfers(draw, MoRIIO)


def mooncake(draw, extra):
    return transfers(draw, Mooncake)


def transfers(draw, cls):
    columns = {
        "transfer_duration": (draw.seconds, 0.02),
        "post_duration": (draw.seconds, 0.0003),
        "bytes_transferred": (draw.count, 8e6),
        "num_descriptors": (draw.count, 250, 2**32 - 1),
    }
    length = draw.length()
    payload = {key: draw.listed(*columns[key], length=length) for key in cls.transfer}
    return payload | {key: draw.events() for key in cls.lists}


def mooncake_store(draw, extra):
    return {operation: draw.listed(store_row, draw) for operation in draw.some(list(dict.fromkeys(OPERATIONS)))}


def store_row(draw):
    status = draw.choice(("ok", "ok", "ok", "error", "partial_failure"))
    keys = draw.count(100, 2**31)
    return {
        "duration_seconds": draw.seconds(),
        "num_keys": keys,
        "num_bytes": draw.count(1e7),
        "status": status,
        "num_failed_keys": 0 if status == "ok" else draw.randint(0, keys),
    }


def series(draw, name, kind):
    limit = int(LONGEST_SECONDS) if is_time(name) else 2**53
    if kind == "histogram":
        return draw.listed(draw.choice((draw.seconds, lambda: draw.count(3e7, limit))))
    return draw.choice((draw.count(1e7, limit), draw.count(10, limit), draw.seconds(1.0), draw.random()))


def typed(draw, metrics, labels_of):
    """A payload of these {name: (type, how many labels)}; `labels_of`(name) gives the label values' tuples."""
    payload = {"types": {}, "data": {}}
    for name in draw.some(list(metrics)):
        kind, _ = metrics[name]
        payload["types"][name] = kind
        payload["data"][name] = {json.dumps(list(labels)): series(draw, name, kind) for labels in labels_of(name)}
    return payload


def offloading(draw, extra):
    if extra.get("older"):
        return {
            transfer_type: [{"op_size": draw.count(3e7), "op_time": draw.seconds()} for _ in range(draw.randint(1, 9))]
            for transfer_type in draw.sample(["CPU_to_GPU", "GPU_to_CPU"], draw.randint(1, 2))
        }
    metrics = dict(CLASSES["OffloadingConnector"].metrics)
    if extra.get("store_threshold", 0) < 2:
        del metrics["vllm:kv_offload_stores_skipped"]
    if extra.get("spec_name") != "TieringOffloadingSpec":
        metrics = {name: metric for name, metric in metrics.items() if "tiering" not in name}

    def labels_of(name):
        tiers = draw.sample(["0:primary", "1:example", "2:fs"], draw.randint(1, 3))
        if metrics[name][1] == 2:
            return [(tier, result) for tier in tiers for result in draw.some(["success", "failure"])] or [
                ("1:example", "success")
            ]
        return [(tier,) for tier in tiers] if metrics[name][1] else [()]

    return typed(draw, metrics, labels_of) | {"info": draw.choice((None, None, None, [cpu_info(draw)]))}


def cpu_info(draw):
    known = {
        "cpu_num_chunks": 512,
        "cpu_blocks_per_chunk": 4,
        "cpu_kv_cache_size_bytes": 2**30,
        "cpu_kv_cache_size_tokens": 131072,
    }
    info = {key: known[key] for key in draw.some(list(known))}
    return info | {"not_declared": "x"} if draw.chance(0.3) else info


def simple_cpu_offload(draw, extra):
    def labels_of(name):
        if name.endswith("_info"):
            return [("cpu", "true", "false", "4096")]
        return [(outcome,) for outcome in draw.some(OUTCOMES)] if name.endswith("outcomes_total") else [()]

    payload = typed(draw, SimpleCPUOffload.metrics, labels_of)
    if "vllm:simple_kv_offload_info" in payload["data"]:
        payload["data"]["vllm:simple_kv_offload_info"] = {'["cpu", "true", "false", "4096"]': 1}
    return payload


def hisparse(draw, extra):
    few = draw.choice((0, 1, 3))
    payload = {
        "cache_hits": draw.listed(draw.count, 5e5, length=few),
        "cache_misses": draw.listed(draw.count, 2e4, length=few),
        "host_to_device_bytes": draw.listed(draw.count, 5e9, length=few),
        "host_cache_usage_perc": draw.listed(draw.random, length=few),
        "pending_page_transfers": draw.listed(draw.count, 50, 2**31, length=few),
    }
    return payload | {key: draw.listed(draw.seconds, 10.0) for key in HiSparse.lists if key.startswith("host_block")}


def hf3fs(draw, extra):
    payload = {key: draw.listed(draw.seconds) for key in HF3FS.lists}
    payload |= {"num_failed_save": draw.choice((0, 0, 2)), "num_failed_load": draw.choice((0, 0, 1))}
    tasks = (
        len(payload["save_duration"])
        + len(payload["load_duration"])
        + payload["num_failed_save"]
        + payload["num_failed_load"]
    )
    return payload | {"num_transfer_task": tasks}


def umbp_store(draw, extra):
    payload = {}
    for operation in draw.some(["save", "load", "lookup"]):
        submitted, failed = draw.randint(0, 99), draw.randint(0, 3)
        payload[operation] = {
            "submitted": submitted + failed,
            "completed": submitted,
            "failed": failed,
            "num_bytes": draw.count(1e11),
        }
    return payload


def lmcache_mp(draw, extra):
    return {"lookup_duration_seconds": draw.listed(draw.seconds, 0.005)}


def multi(draw, extra):
    payload = {}
    for config in draw.some(extra["connectors"]):
        name = class_name(config["kv_connector"])
        if name in PAYLOADS:
            payload[name] = PAYLOADS[name](draw, config.get("kv_connector_extra_config", {}))
    if draw.chance(0.1):  # a known class that is no configured child's: logged, not exported
        payload.setdefault("LMCacheMPConnector", lmcache_mp(draw, {}))
    return {name: {"data": child} for name, child in payload.items()} if draw.chance(0.2) else payload


PAYLOADS = {
    "NixlPullConnector": nixl,
    "NixlPushConnector": nixl,
    "MooncakeConnector": mooncake,
    "MooncakeStoreConnector": mooncake_store,
    "OffloadingConnector": offloading,
    "SimpleCPUOffloadConnector": simple_cpu_offload,
    "HiSparseConnector": hisparse,
    "HF3FSKVConnector": hf3fs,
    "UMBPStoreConnector": umbp_store,
    "LMCacheMPConnector": lmcache_mp,
    "MoRIIOConnector": moriio,
}
CONNECTORS = ("NixlConnector", *PAYLOADS, "MultiConnector", "DecodeBenchConnector")

OFFLOADING_EXTRAS = (
    {},
    {"cpu_bytes_to_use": 1073741824, "store_threshold": 1},
    {"cpu_bytes_to_use": 1073741824, "store_threshold": 2},
    {"spec_name": "TieringOffloadingSpec", "secondary_tiers": [{"type": "example"}]},
    {"older": True},
)


def config_of(draw, connector):
    config = {"kv_connector": connector, "kv_role": "kv_both"}
    if connector == "OffloadingConnector":
        config["kv_connector_extra_config"] = draw.choice(OFFLOADING_EXTRAS)
    if connector == "MultiConnector":
        names = draw.sample(["NixlConnector", *PAYLOADS, "ExampleConnector"], draw.randint(1, 4))
        if "NixlConnector" in names and "NixlPullConnector" in names:
            names.remove("NixlPullConnector")
        if "NixlPushConnector" in names:  # its families are NIXL's: vLLM registers them once
            names = [name for name in names if name not in ("NixlConnector", "NixlPullConnector")]
        config["kv_connector_extra_config"] = {"connectors": [config_of(draw, name) for name in names]}
    return config


def recording(seed, connector, spoiled=False):
    """The objects of a random recording."""
    draw = Draw(f"{connector} {seed} {spoiled}")
    config = config_of(draw, connector)
    extra = config.get("kv_connector_extra_config", {})
    engines = draw.choice(ENGINES)
    header = {"kvtel": 1, "kv_transfer_config": config, "model_name": draw.choice(MODELS), "engines": engines}
    if draw.chance(0.5):
        header["kv_cache_metrics"] = draw.chance(0.5)
    payload_of = {"MultiConnector": multi, "DecodeBenchConnector": lmcache_mp}.get(connector) or PAYLOADS[
        class_name(connector)
    ]
    objects, seconds = [header], 1.7e9
    for _ in range(draw.randint(1, 5)):
        for _ in range(draw.choice((0, 1, 1, 2, 3, 6))):
            payloads = [payload_of(draw, extra) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
            if spoiled:
                payloads = [spoil.payload(draw, class_name(connector), payload) for payload in payloads]
            item = {"engine": draw.choice(engines)}
            item |= {"payload": payloads[0]} if len(payloads) == 1 and draw.chance(0.8) else {"workers": payloads}
            if spoiled:
                spoil.item(draw, item)
            if draw.chance(0.5):
                seconds += draw.random()
                item["ts"] = seconds
            objects.append(item)
        objects.append({"log": True})
    return objects


def write_case(objects, stem):
    """Writes both forms and what the model makes of them, as a golden case. Returns the recordings' paths and the outcome."""
    paths, outcome = write(objects, stem), Outcome(objects)
    stem.with_suffix(".aggregated.jsonl").write_text("".join(json.dumps(line) + "\n" for line in outcome.aggregated))
    stem.with_suffix(".log").write_text("".join(line + "\n" for line in outcome.lines))
    stem.with_suffix(".prom").write_text(outcome.text)
    return paths, outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--connector", choices=CONNECTORS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--spoil", action="store_true", help="payloads with fields and rows that must be refused")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    name = f"{options.connector}_{options.seed}" + "_spoiled" * options.spoil
    for path in write_case(recording(options.seed, options.connector, options.spoil), options.out / name)[0]:
        print(path)


if __name__ == "__main__":
    main()
