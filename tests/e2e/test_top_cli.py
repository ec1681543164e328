# SPDX-License-Identifier: Apache-2.0
"""kvtel top without a terminal: the table and the summary printed once, this machine's stores and rings, an exporter with users and TLS,
and what it says where it cannot read."""

import json
import os
import subprocess

import pytest

from exporter import KVTEL, PATIENCE, Exporter, Writer, wait_for
from fake_summary import FakeSummary, entry, flow, summary
from http_front import Certificates
from nixl_agent import Agent
from test_exemplars import Writer as ExemplarWriter
from test_open_transfers import OpenWriter

MIB = 1 << 20
USERS = "basic_auth_users:\n  alice: $2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n"  # open sesame
TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
CLIENT_TLS = TLS + "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"


def top(*arguments, **how):
    return subprocess.run([KVTEL, "top", *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, **how)


def once(*arguments, **how):
    done = top("--once", *arguments, **how)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def summary_of(*arguments):
    return json.loads(once("--json", *arguments))


def a_summary():
    return summary(
        1000.0,
        [
            entry("NixlConnector", "0", [flow("transfer", 350, MIB, {0.001: 290, 0.01: 55, 0.5: 5})], {"expired": 2}),
            entry("OffloadingConnector", "0", [flow("load", 12345, 4 * MIB, {0.004: 12345})]),
        ],
    )


TABLE = """\
CONNECTOR                 MODEL                    ENG      FLOW              XFERS   BYTES    P50    P90    P99 OPEN  FAIL FAILED BY CLASS
NixlConnector             m                        0        transfer            350  350MiB 1.00ms 10.0ms  500ms    -     2 expired 2
OffloadingConnector       m                        0        load              12.3k 48.2GiB 4.00ms 4.00ms 4.00ms    -     0
"""


def test_once_prints_the_table():
    with FakeSummary(a_summary()) as fake:
        assert once(f"--url={fake.url}") == TABLE
        lines = TABLE.splitlines(keepends=True)
        assert once(f"--url={fake.url}", "--sort=bytes") == lines[0] + lines[2] + lines[1]
        assert once(f"--url={fake.url}/", "--filter=OFFL") == lines[0] + lines[2]
        assert once(f"--url={fake.url.removeprefix('http://')}/api/v1/summary", "--filter=nothing") == lines[0]


def test_once_json_is_the_summary():
    with FakeSummary(a_summary()) as fake:
        assert summary_of(f"--url={fake.url}") == fake.now


def test_a_pipe_that_is_closed_is_no_error():
    with FakeSummary(a_summary()) as fake:
        for flags in ([], ["--json"]):
            reader, writer = os.pipe()
            os.close(reader)
            done = subprocess.run(
                [KVTEL, "top", "--once", f"--url={fake.url}", *flags], stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE
            )
            os.close(writer)
            assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_one():
    with FakeSummary(a_summary()) as fake, open("/dev/full", "w") as full:
        done = subprocess.run(
            [KVTEL, "top", "--once", f"--url={fake.url}"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE
        )
        assert (done.returncode, done.stderr) == (1, "kvtel: standard output: writing failed: No space left on device\n")


def test_no_terminal():
    with FakeSummary(a_summary()) as fake:
        done = top(f"--url={fake.url}", stdin=subprocess.DEVNULL)
        assert done.returncode == 1
        assert done.stderr == "kvtel: top: standard output is not a terminal; --once prints a table without one\n"


@pytest.mark.parametrize(
    "answer, said",
    [
        ({**summary(1.0, []), "version": "9.8.1"}, "the summary is of kvtel 9.8.1 and this is kvtel 0.1.0: use the same version of both"),
        (b"<html>", "the answer is not a summary of kvtel serve: byte 0: "),
        (b"[]", "the answer is not a summary of kvtel serve"),
        (b'{"version": "0.1.0", "time": 5}', "the answer is not a summary of kvtel serve"),
        (b"", "the answer is not a summary of kvtel serve: byte 0: "),
        ((401, b""), "it wants a user and a password (401): --url.user, --url.password-file"),
        ((403, b""), "it refuses this user (403)"),
        ((404, b""), "it has no summary (404): this is the address of something else than kvtel serve"),
        ((429, b""), "it answers 429, too many requests: a longer --interval here, or a larger burst there"),
        ((302, b""), "it answered 302, and a redirection is not followed"),
        ((500, b"\x1b]0;evil\x07"), "it answered 500"),
    ],
)
def test_answers_that_are_no_summary(answer, said):
    with FakeSummary(answer) as fake:
        done = top("--once", f"--url={fake.url}")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"kvtel: {fake.url}: {said}") and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize(
    "url, said",
    [("127.0.0.1:1", "http://127.0.0.1:1: no answer: "), ("https://127.0.0.1:1/", "https://127.0.0.1:1: no answer: ")],
)
def test_no_answer(url, said):
    done = top("--once", f"--url={url}")
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith(f"kvtel: {said}"), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--url=ftp://x"], '--url is http://HOST:PORT or https://HOST:PORT, not "ftp://x"'),
        (["--url="], "--url is http"),
        (["--url=http://a:b@c"], "give the user by --url.user and --url.password-file, not in the URL"),
        (["--url=x", "--store.dir=/tmp"], "--url excludes --store.dir"),
        (["--url=x", "--url.user=u"], "--url.user and --url.password-file go together"),
        (["--url=x", "--url.key-file=u"], "--url.cert-file and --url.key-file go together"),
        (["--url.user=u"], "go with --url"),
        (["--json"], "--json goes with --once"),
        (["--sort=size"], "--sort is connector, transfers, bytes, p50, p90, p99, open or failed"),
        (["--interval=0"], "--interval is a time like 1s, from 100ms to 24h"),
        (["--store.dir="], "--store.dir is empty"),
        (["extra"], 'it takes no argument "extra"'),
        (["--onec"], "unrecognized option '--onec'; did you mean --once?"),
        (["--url.passwort-file=x"], "did you mean --url.password-file?"),
        (["--telemetry-dir=x"], "did you mean --nixl.telemetry-dir?"),
    ],
)
def test_wrong_usage(arguments, said):
    done = top(*arguments)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert done.stderr.endswith("Try 'kvtel top --help'.\n")


@pytest.mark.parametrize(
    "command, flag, meant",
    [
        ("serve", "--listen-address=x", "--web.listen-address"),
        ("serve", "--stroe.dir=x", "--store.dir"),
        ("dump", "--jsn", "--json"),
        ("totals", "--drops", "--drop"),
        ("replay", "--keep-gong", "--keep-going"),
        ("check", "--conector.file=x", "--connector.file"),
        ("connectors", "--hlep", "--help"),
        ("nixl", "--sitepackages=x", "--site-packages"),
    ],
)
def test_every_command_says_which_flag_was_probably_meant(command, flag, meant):
    done = subprocess.run([KVTEL, command, flag], capture_output=True, text=True, timeout=PATIENCE)
    name = flag.split("=")[0]
    expected = f"kvtel {command}: unrecognized option '{name}'; did you mean {meant}?\nTry 'kvtel {command} --help'.\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_a_command_that_was_probably_meant():
    done = subprocess.run([KVTEL, "serv"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and done.stderr.startswith('kvtel: unknown command "serv"; did you mean serve?\n')
    done = subprocess.run([KVTEL, "xyzzy"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and done.stderr.startswith('kvtel: unknown command "xyzzy"\n')


@pytest.mark.parametrize("content, said", [(None, "No such file"), ("", "its first line is empty"), ("x" * 5000, "is too long")])
def test_a_password_file_that_is_none(tmp_path, content, said):
    if content is not None:
        (tmp_path / "password").write_text(content)
    done = top("--once", "--url=x", "--url.user=u", f"--url.password-file={tmp_path / 'password'}")
    assert done.returncode == 1 and said in done.stderr


def test_users_and_tls_of_an_exporter(stores, tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    Certificates(folder)
    (folder / "web.yml").write_text(CLIENT_TLS + USERS)
    (folder / "right").write_text("open sesame\n")
    (folder / "wrong").write_text("open says me\n")
    client = [f"--url.cert-file={folder / 'client.pem'}", f"--url.key-file={folder / 'client.key'}"]
    trust, alice = f"--url.ca-file={folder / 'ca.pem'}", ["--url.user=alice", f"--url.password-file={folder / 'right'}"]
    with Exporter(stores, f"--web.config.file={folder / 'web.yml'}") as exporter:
        url = f"--url=https://127.0.0.1:{exporter.port}"
        assert summary_of(url, trust, *client, *alice)["connectors"] == []
        wrong = [*alice[:1], f"--url.password-file={folder / 'wrong'}"]
        done = top("--once", url, trust, *client, *wrong)
        assert done.returncode == 1 and "it does not take this user and password (401)" in done.stderr
        assert "says me" not in done.stderr
        assert "it wants a user and a password (401)" in top("--once", url, trust, *client).stderr
        for arguments in ([url, *client, *alice], [url, trust, *alice]):  # a stranger's certificate, and none
            done = top("--once", *arguments)
            assert done.returncode == 1 and ": no answer: " in done.stderr and done.stderr.count("\n") == 1


# -- This machine --


def test_stores_without_an_exporter_are_what_an_exporter_says(stores, tmp_path):
    writers = [Writer(stores, tmp_path / f"book{i}", 1000, engine=i).done() for i in range(2)]
    local = summary_of(f"--store.dir={stores}")
    assert sorted(path.name for path in stores.iterdir()) == sorted(writer.path.name for writer in writers)  # nothing was written
    with Exporter(stores) as exporter:
        served = json.loads(exporter.text("/api/v1/summary"))
    assert local["connectors"] == served["connectors"] and local["connectors"][0]["flows"][0]["transfers"] == 1000
    assert local["recording"] == served["recording"] == 2
    assert local.keys() == served.keys()
    by_name = {source["name"]: source for source in served["sources"]}
    for source in local["sources"]:
        assert {**source, "age_seconds": 0} == {**by_name[source["name"]], "age_seconds": 0}
    for writer in writers:
        writer.end()


def test_totals_count_once(stores, tmp_path):
    def transfers():
        return [entry["flows"][0]["transfers"] for entry in summary_of(f"--store.dir={stores}")["connectors"]]

    writer, other = (Writer(stores, tmp_path / f"book{i}", 1000).done() for i in range(2))
    writer.end()
    assert transfers() == [2000]  # it has ended, and no exporter took it
    with Exporter(stores):
        wait_for(lambda: not writer.path.exists(), "it is in the totals")
        assert transfers() == [2000]
    other.end()
    assert transfers() == [2000]


def test_no_directory_and_what_is_no_store(tmp_path):
    assert summary_of(f"--store.dir={tmp_path / 'none'}")["connectors"] == []
    (tmp_path / "bad.kvtel").write_bytes(b"nonsense" * 1000)
    (tmp_path / "pipe.kvtel").symlink_to("/dev/zero")
    told = summary_of(f"--store.dir={tmp_path}")
    assert told["sources_total"] == 2
    assert [source["state"] for source in told["sources"]] == ["refused", "refused"] and all(source["reason"] for source in told["sources"])
    done = top("--once", f"--store.dir={tmp_path / 'bad.kvtel'}")
    assert (done.returncode, done.stderr) == (1, f"kvtel: {tmp_path / 'bad.kvtel'}: Not a directory\n")


def test_open_transfers_and_exemplars(stores):
    opener = OpenWriter(stores)
    opener.do(f"begin {MIB} 10.0.0.7:5600 {40 * 10**9}")
    opener.do(f"begin {MIB} 10.0.0.8:5600 0")
    with ExemplarWriter(stores) as slow:
        slow.record(700, 0, request="r-17")
        told = summary_of(f"--store.dir={stores}")
        (row,) = told["open"]
        assert (row["connector"], row["operation"], row["open"], row["stalled"], row["bytes"]) == ("NixlConnector", "transfer", 2, 1, 2.0 * MIB)
        assert [open["peer"] for open in told["oldest_open"]] == ["10.0.0.7:5600", "10.0.0.8:5600"]
        assert told["oldest_open"][0]["age_seconds"] > 40
        (entry,) = told["connectors"]
        assert entry["flows"][0]["slowest"][0]["labels"] == {"request_id": "r-17"}
        assert once(f"--store.dir={stores}").splitlines()[1].split()[-2:] == ["2", "0"]  # open, failed
    opener.end()


def test_rings(stores, tmp_path):
    rings = tmp_path / "nixl"
    rings.mkdir()
    agent = Agent(rings / "agent-0")
    for _ in range(10):
        agent.transfer(True, 1000, MIB)
    told = summary_of(f"--store.dir={stores}", f"--nixl.telemetry-dir={rings}")
    (entry,) = told["connectors"]
    assert entry["connector"] == "NIXL telemetry" and told["recording"] == 1
    assert {flow["name"]: flow["bytes"] for flow in entry["flows"] if "bytes" in flow}["rx"] == 10.0 * MIB
    agent.close()


def test_rings_that_an_exporter_reads_are_not_counted_twice(stores, tmp_path):
    rings = tmp_path / "nixl"
    rings.mkdir()
    agent = Agent(rings / "agent-0")
    with Exporter(stores, f"--nixl.telemetry-dir={rings}") as exporter:
        for _ in range(10):
            agent.transfer(True, 1000, MIB)
        agent.wait_until_read()
        wait_for(lambda: any("rx" in key and value == 10 * MIB for key, value in exporter.samples().items()), "the exporter has counted")
        (entry,) = summary_of(f"--store.dir={stores}", f"--nixl.telemetry-dir={rings}")["connectors"]
        assert {flow["name"]: flow["bytes"] for flow in entry["flows"] if "bytes" in flow}["rx"] == 10.0 * MIB
    agent.close()
