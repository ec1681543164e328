# SPDX-License-Identifier: Apache-2.0
"""POST /api/v1/stats: what is counted once, what is refused and told, and that nothing else waits for a post."""

import gzip
import json
import signal
import struct
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from exporter import Exporter

COUNT = 'vllm:nixl_xfer_time_seconds_count{engine="0",model_name="m"}'
RECEIVER = "--web.enable-stats-receiver"


@pytest.fixture
def stores(tmp_path):
    directory = tmp_path / "stores"
    directory.mkdir(mode=0o700)
    return directory


def header(**more):
    return {
        "kvtel": 1,
        "kv_transfer_config": {"kv_connector": "NixlConnector"},
        "model_name": "m",
        "engines": [0],
        **more,
    }


def payload(seq=None, engine=0, **columns):
    body = {"engine": engine, "payload": columns or {"transfer_duration": [0.1]}}
    return body | ({"seq": seq} if seq is not None else {})


def lines(*objects):
    return "\n".join(json.dumps(o) if isinstance(o, dict) else o for o in objects).encode()


def post(exporter, *objects, headers=None):
    body = objects[0] if isinstance(objects[0], bytes) else lines(*objects)
    try:
        return 200, json.loads(exporter.text("/api/v1/stats", body, headers))
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def accepted(answer):
    code, body = answer
    assert code == 200, body
    return body["accepted"]


def test_posts_that_are_refused_make_no_source_forgotten(stores):
    bad = lines(*(header(source=f"new {i}") for i in range(5000)), "{")
    with Exporter(stores, RECEIVER) as exporter:
        assert accepted(post(exporter, header(source="a"), payload(1))) == 1
        assert post(exporter, bad)[0] == 400
        assert accepted(post(exporter, header(source="a"), payload(1))) == 0
        assert exporter.samples()[COUNT] == 1


def test_connectors_without_a_table(stores, tmp_path):
    """What describes itself is counted; what does not is refused, and nothing of its post is counted."""
    table = tmp_path / "table.json"
    table.write_text(
        json.dumps(
            {
                "kvtel_connector": 1,
                "names": ["FileConnector"],
                "payload": "columns",
                "fields": [{"key": "n", "kind": "events"}],
                "metrics": [{"name": "vllm:file", "type": "counter", "help": "N.", "fields": ["n"]}],
            }
        )
    )
    typed = {"types": {"vllm:typed": "counter"}, "data": {"vllm:typed": {"[]": 2}}}
    entry = {"name": "vllm:lake", "type": "counter", "documentation": "N.", "samples_path": "n", "sample_kind": "inc_by_u64"}
    descriptor = {"descriptor_version": 1, "connector_id": "c", "metrics": [entry]}
    lake = header(kv_transfer_config={"kv_connector": "LakeConnector"})
    with Exporter(stores, RECEIVER, f"--connector.file={table}") as exporter:
        code, answer = post(exporter, lake, payload(n=3))
        assert code == 400 and "does not describe itself" in json.dumps(answer)
        unknown = header(kv_transfer_config={"kv_connector": "TypedConnector"})
        code, answer = post(exporter, unknown, {"engine": 0, "payload": typed}, payload(n=3))
        assert code == 400
        assert accepted(post(exporter, unknown, {"engine": 0, "payload": typed})) == 1
        assert accepted(post(exporter, lake, payload(n=3, _metrics_descriptor=descriptor), payload(n=4))) == 2
        assert accepted(post(exporter, lake, payload(n=5))) == 1
        file = header(kv_transfer_config={"kv_connector": "FileConnector"})
        assert accepted(post(exporter, file, payload(n=[1, 1]))) == 1
        none = header(kv_transfer_config={"kv_connector": "ExampleConnector"})
        code, answer = post(exporter, none, payload(n=3))
        assert code == 400 and "this connector has no stats" in json.dumps(answer)
        found = exporter.samples()
        wanted = {"vllm:typed_total": 2, "vllm:lake_total": 12, "vllm:file_total": 2}
        assert {name: found[f'{name}{{engine="0",model_name="m"}}'] for name in wanted} == wanted


def test_names_of_connectors_take_no_place(stores):
    """128 connectors without a table can be learned. A name without a payload that teaches a metric is none of them,
    whether it stands in a header, among the children of a MultiConnector or beside a descriptor that says nothing."""
    typed = {"types": {"vllm:typed": "counter"}, "data": {"vllm:typed": {"[]": 2}}}
    empty = {"types": {}, "data": {}}
    broken = {"_metrics_descriptor": {"descriptor_version": 1}}

    def connector(name):
        return header(kv_transfer_config={"kv_connector": name})

    def multi(names):
        children = [{"kv_connector": name, "kv_role": "kv_both"} for name in names]
        return header(
            kv_transfer_config={"kv_connector": "MultiConnector", "kv_connector_extra_config": {"connectors": children}}
        )

    with Exporter(stores, RECEIVER) as exporter:
        assert post(exporter, *(connector(f"Header{i}") for i in range(150)))[0] == 200
        names = [f"Child{i}" for i in range(150)]
        assert post(exporter, multi(names), {"engine": 0, "payload": dict.fromkeys(names, empty)})[0] == 200
        for name, body, counted in (("Empty", empty, 150), ("Broken", broken, 0)):
            objects = [(connector(f"{name}{i}"), {"engine": 0, "payload": body}) for i in range(150)]
            assert accepted(post(exporter, *(o for pair in objects for o in pair))) == counted
        assert accepted(post(exporter, connector("TypedConnector"), {"engine": 0, "payload": typed})) == 1
        child = {"ChildConnector": {"types": {"vllm:child": "counter"}, "data": {"vllm:child": {"[]": 3}}}}
        assert accepted(post(exporter, multi(["ChildConnector"]), {"engine": 0, "payload": child})) == 1
        found = exporter.samples()
        assert found['vllm:typed_total{engine="0",model_name="m"}'] == 2
        assert found['vllm:child_total{engine="0",model_name="m"}'] == 3


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_counted_is_known_after_a_restart(stores, end):
    """Twice: the numbers also pass from totals to totals. None of it is shown."""
    for start in range(3):
        with Exporter(stores, RECEIVER) as exporter:
            assert accepted(post(exporter, header(source="a"), payload(1), payload(2 + start))) == 1 + (start == 0)
            assert accepted(post(exporter, header(source="clock"), payload(1_700_000_000_123_456_789 + start))) == 1
            assert accepted(post(exporter, header(source="clock"), payload(1_700_000_000_123_456_789 + start))) == 0
            assert exporter.samples()[COUNT] == 3 + 2 * start
            assert "kvtel_receiver" not in exporter.text()
            exporter.end(end)


def test_the_longest_name_of_a_source_is_compared_whole(stores):
    with Exporter(stores, RECEIVER) as exporter:
        for last in "ab":
            assert accepted(post(exporter, header(source="s" * 1023 + last), payload(1))) == 1
        code, answer = post(exporter, header(source="s" * 1025), payload(1))
        assert (code, answer["error"]["reason"]) == (400, '"source" is longer than 1,024 bytes')
        assert answer["error"]["line"] == 1 and answer["error"]["column"] > 1


def test_a_sender_that_began_anew_is_told(stores):
    with Exporter(stores, RECEIVER) as exporter:
        first = [payload(i) for i in range(10)]
        assert accepted(post(exporter, header(source="a"), *first)) == 10
        assert (
            "warning" not in post(exporter, header(source="a"), *first)[1]
        )  # sent twice, which is what numbers are for
        for _ in range(2):
            answer = post(exporter, header(source="a"), payload(0), payload(1))[1]
            assert answer["accepted"] == 0 and answer["repeated"] == 2
            assert '"started"' in answer["warning"] and "up to 9 " in answer["warning"]
        exporter.wait_for_log("that began anew")
        again = header(source="a", started=100.5)
        assert post(exporter, again, payload(0), payload(1))[1] == {
            "status": "success",
            "accepted": 2,
            "repeated": 0,
            "refused": {},
        }
        assert accepted(post(exporter, again, payload(0), payload(1))) == 0
        for seq in (0, 1):  # a start that is earlier begins nothing anew, whatever the numbers are
            answer = post(exporter, header(source="a", started=99), payload(seq))[1]
            assert answer["accepted"] == 0 and "100.5 before and is 99 here" in answer["warning"]
        milliseconds = post(exporter, header(source="a", started=1_790_000_000_000), payload(0))
        assert milliseconds[0] == 400 and "up to 1e11" in json.dumps(milliseconds[1])
        exporter.end()
        assert len(exporter.lines("that began anew", "started")) == 1
        assert len(exporter.lines("its clock was ahead")) == 1
    with Exporter(stores, RECEIVER) as exporter:
        assert accepted(post(exporter, again, payload(0), payload(1), payload(2))) == 1


@pytest.mark.parametrize("unit", [1e3, 1e9])
def test_a_start_in_milliseconds_of_an_older_exporter_does_not_silence_a_source(stores, unit):
    """It is in the exporter's own store, which an older exporter left behind."""
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        assert accepted(post(exporter, header(source="a", started=1_790_000_000.5), payload(7))) == 1
        exporter.end(signal.SIGKILL)
    store = next(stores.glob("*.kvtel"))
    content = store.read_bytes()
    seconds, in_unit = struct.pack("<d", 1_790_000_000.5), struct.pack("<d", 1_790_000_000.5 * unit)
    assert content.count(seconds) == 1
    store.write_bytes(content.replace(seconds, in_unit))
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        assert accepted(post(exporter, header(source="a", started=1_790_000_000.5), payload(8))) == 1
        assert accepted(post(exporter, header(source="a", started=1_790_000_100), payload(0))) == 1


def test_no_sequence_number_silences_a_source(stores):
    with Exporter(stores, RECEIVER) as exporter:
        code, answer = post(exporter, header(source="a"), payload(2**63 - 1))
        assert code == 400 and "9,000,000,000,000,000,000" in answer["error"]["reason"]
        assert accepted(post(exporter, header(source="a"), payload(9 * 10**18))) == 1
        assert "warning" in post(exporter, header(source="a"), payload(1))[1]
        assert accepted(post(exporter, header(source="a", started=1), payload(1))) == 1


@pytest.mark.parametrize(
    ("objects", "wanted"),
    [
        ([header(), payload(engine=7)], {"unknown_engine": 1}),
        ([header(), payload(no_such_field=[1])], {"unknown_key": 1}),
        ([header(), {"engine": 0, "payload": [1]}], {"wrong_type": 1}),
        (
            [header(), {"engine": 0, "workers": [{"x": 1}, {"num_failed_transfers": "1"}]}],
            {"unknown_key": 1, "wrong_type": 1},
        ),
    ],
)
def test_payloads_of_no_use_are_not_accepted(stores, objects, wanted):
    with Exporter(stores, RECEIVER) as exporter:
        assert post(exporter, *objects) == (200, {"status": "success", "accepted": 0, "repeated": 0, "refused": wanted})
        found = exporter.samples()
        assert {reason: found[f'kvtel_refused_total{{reason="{reason}"}}'] for reason in wanted} == wanted
        assert post(exporter, header(), payload(), payload(engine=1))[1]["accepted"] == 1


def test_an_engine_has_all_of_its_series_or_none(stores):
    """The store of what is posted is full long before 4,000 engines: what it has no room for is counted, and told."""
    engines = range(4000)
    with Exporter(stores, RECEIVER) as exporter:
        code, answer = post(
            exporter, header(engines=list(engines)), *(payload(engine=i, num_failed_transfers=[1]) for i in engines)
        )
        assert code == 200 and answer["accepted"] == 4000
        found = exporter.samples()
        families = {}
        for name in found:
            if name.startswith("vllm:") and "_bucket" not in name:
                families.setdefault(name.split("{")[0], []).append(name.split('engine="')[1].split('"')[0])
        kept = families.pop("vllm:nixl_xfer_time_seconds_count")
        assert 600 < len(kept) < 1000 and all(sorted(each) == sorted(kept) for each in families.values())
        sets = len([name for name in families if not name.endswith("_sum") and not name.endswith("_count")]) + 4
        lost = 4000 - len(kept)
        assert answer["refused"] == {"series_limit": lost * sets + lost}
        assert found['kvtel_refused_total{reason="series_limit"}'] == lost * sets + lost
        assert found["kvtel_store_series_dropped"] == lost * sets
        exporter.end()
        assert len(exporter.lines("no room for the label sets")) == 1


LONG = "x" * 1025
LOADS = "vllm:kv_offload_load_bytes"


@pytest.mark.parametrize(
    ("connector", "body"),
    [
        (
            "MooncakeStoreConnector",
            {LONG: [{"duration_seconds": 1, "num_keys": 1, "num_bytes": 1, "status": "ok", "num_failed_keys": 0}]},
        ),
        (
            "MooncakeStoreConnector",
            {"get": [{"duration_seconds": 1, "num_keys": 1, "num_bytes": 1, "status": LONG, "num_failed_keys": 0}]},
        ),
        ("UMBPStoreConnector", {LONG: {"submitted": 1}}),
        ("OffloadingConnector", {"types": {LOADS: "counter"}, "data": {LOADS: {json.dumps([LONG]): 1}}}),
        ("OffloadingConnector", {"types": {LOADS: "counter"}, "data": {LOADS: {json.dumps(["x" * 200_000]): 1}}}),
        ("OffloadingConnector", {"types": {}, "data": {}, "info": [{"a": LONG}]}),
    ],
)
def test_long_texts_are_refused(stores, connector, body):
    with Exporter(stores, RECEIVER) as exporter:
        code, answer = post(
            exporter, header(kv_transfer_config={"kv_connector": connector}), {"engine": 0, "payload": body}
        )
        assert code == 200 and answer["refused"] == {"long_text": 1}
        assert LONG not in exporter.text()


GZIP = {"Content-Type": "application/jsonl", "Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"\xef\xbb\xbf" + lines(header()), None, "byte order mark"),
        (lines(header()).decode().encode("utf-16"), None, "UTF-16"),
        (lines(header()).decode().encode("utf-16-be"), None, "UTF-16"),
        (gzip.compress(lines(header())), None, "Content-Encoding: gzip"),
        (lines(header()), GZIP, "though Content-Encoding says gzip"),
        (json.dumps(header(), indent=1).encode(), None, "jq -c"),
        (lines(header(), payload()).replace(b"\n", b""), None, "--data-binary"),
        (lines(header(kvtel=1.0)), None, "whole number 1"),
        (lines(header(model_name="a\0b")), None, "NUL"),
        (lines(header(kv_transfer_config={"kv_connector": "Nixl\0"})), None, "NUL"),
        (lines(header(model_name="m" * 1025)), None, "1,024 bytes"),
    ],
)
def test_what_is_no_recording_is_told_what_it_is(stores, body, headers, reason):
    with Exporter(stores, RECEIVER) as exporter:
        code, answer = post(exporter, body, headers=headers)
        assert code == 400 and reason in answer["error"]["reason"], answer


def test_x_gzip_is_gzip(stores):
    with Exporter(stores, RECEIVER) as exporter:
        assert (
            accepted(post(exporter, gzip.compress(lines(header(), payload())), headers={"Content-Encoding": "x-gzip"}))
            == 1
        )


def peak_mb(exporter):
    status = Path(f"/proc/{exporter.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


BOMBS = {
    "maps": b"[" + b"{}," * 10_000_000 + b"{}]",
    "lists": b"[" + b"[]," * 10_000_000 + b"[]]",
    "numbers": b"[" + b"1," * 15_000_000 + b"1]",
    "members": b"{" + b",".join(b'"%d":1' % i for i in range(2_000_000)) + b"}",
    "a line": b'"' + b"a" * (127 << 20) + b'"',
    "spaces": b" " * (127 << 20),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("packing", ["gzip", "plain"])
def test_a_small_post_takes_little_memory(stores, name, packing):
    body = lines(header()) + b'\n{"engine": 0, "payload": ' + BOMBS[name] + b"}"
    if packing == "plain":
        body = body[: 15 << 20] + body[-1:]
    with Exporter(stores, RECEIVER) as exporter:
        before = peak_mb(exporter)
        code, answer = post(
            exporter, gzip.compress(body, 1) if packing == "gzip" else body, headers=GZIP if packing == "gzip" else None
        )
        assert code in (400, 413) and answer["error"]["reason"], answer
        assert peak_mb(exporter) - before < 160
        assert accepted(post(exporter, header(), payload())) == 1


def test_messagepack_is_bounded_too(stores):
    """A list that promises as many items as there are bytes."""
    name = b"\xa5kvtel"
    body = b"\x81" + name + b"\xdd" + (14 << 20).to_bytes(4, "big") + b"\x01" * (14 << 20)
    with Exporter(stores, RECEIVER) as exporter:
        before = peak_mb(exporter)
        code, answer = post(exporter, body)
        assert code == 413 and "1048576 values" in answer["error"]["reason"], answer
        assert peak_mb(exporter) - before < 160


def large(megabytes):
    """A recording that unpacks to so much, of payloads of 1,000 transfers."""
    numbers = {
        "transfer_duration": [0.00123456] * 1000,
        "bytes_transferred": [1048576] * 1000,
        "num_descriptors": [16] * 1000,
    }
    line = json.dumps({"engine": 0, "payload": numbers}).encode() + b"\n"
    return gzip.compress(lines(header()) + b"\n" + line * (megabytes * 10**6 // len(line)), 1)


def test_no_scrape_waits_for_posts(stores):
    body = large(12)
    done = []

    def send():
        request = urllib.request.Request(exporter.url("/api/v1/stats"), data=body, headers=GZIP)
        with urllib.request.urlopen(request, timeout=200) as answer:
            done.append(json.loads(answer.read())["accepted"])

    with Exporter(stores, RECEIVER, "--log.interval=1") as exporter:
        posts = [threading.Thread(target=send) for _ in range(4)]
        for thread in posts:
            thread.start()
        scrapes = 0
        while any(thread.is_alive() for thread in posts):
            for path in ("/metrics", "/api/v1/summary"):
                exporter.text(path)
                scrapes += 1
        for thread in posts:
            thread.join()
        assert len(done) == 4 and scrapes > 10  # one that waits for posts would come about once for each post
        assert exporter.samples()[COUNT] == sum(done) * 1000
