# SPDX-License-Identifier: Apache-2.0
"""The HTTP front against curl and raw sockets: routes, bodies, framing, web pages, sockets."""

import gzip
import os
import resource
import socket
import subprocess
import threading

import pytest
import zstandard
from exporter import PATIENCE, wait_for
from http_front import BINARY, Front, ask, exchange, parse, run, statuses

HOST = b"Host: localhost\r\n"
JSONL = ("-H", "Content-Type: application/jsonl")
GET = b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST


@pytest.fixture(scope="module")
def front():
    with Front() as running:
        yield running


# -- Routes --


def test_get_and_head(front):
    status, headers, body = front.get("/metrics?size=2000")
    assert status == 200 and body.startswith(b"up 1\n") and len(body) >= 2000
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["vary"] == "Accept-Encoding"
    status, head, body = front.get("/metrics?size=2000", method="HEAD")
    assert status == 200 and body == b""
    assert {**head, "date": 0} == {**headers, "date": 0}


def test_kept_open_and_pipelined(front):
    with front.connect() as client:
        assert statuses(ask(client, GET * 3, 3)) == [200] * 3
        assert statuses(ask(client, GET)) == [200]  # it is still open


@pytest.mark.parametrize(
    "target",
    ["//metrics", "/metrics/", "/./metrics", "/x/../metrics", "/..", "/metrics%2f", "/%2e/metrics", "/metrics%00",
     "/metrics;x", "/metrics\\", "\\metrics", "/METRICS", "/metrics#x", "http:///metrics", "http://u@x/metrics", "ftp://x/metrics",
     "http://x", "http:/metrics", "metrics", "*", "?", "/metrics /metrics", "/met\trics", "/\xff", "/", "/%6", "/%6xetrics", "/%"],
)  # fmt: skip
def test_only_exact_paths(front, target):
    answer, _ = front.raw(b"GET " + target.encode("latin-1") + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert parse(answer)[0] in (400, 404)


@pytest.mark.parametrize(
    "target",
    [
        "/%6detrics",
        "/%6Detric%73",
        "/met%72ics?size=1",
        "http://x/metrics",
        "HTTP://x:1/metrics?size=1",
        "https://[::1]:9/%6detrics",
    ],
)
def test_targets_that_mean_the_same(front, target):
    """RFC 9112, 3.2.2: an absolute address is taken. RFC 3986, 6.2.2.2: an encoded letter is the letter."""
    status, _, body = front.get(target)
    assert status == 200 and body.startswith(b"up 1\n")


@pytest.mark.parametrize("path,method,allowed", [("/metrics", "POST", "GET, HEAD"), ("/metrics", "TRACE", "GET, HEAD"),
                                                 ("/metrics", "get", "GET, HEAD"), ("/echo", "PUT", "GET, HEAD, POST"),
                                                 ("/echo", "DELETE", "GET, HEAD, POST")])  # fmt: skip
def test_wrong_method(front, path, method, allowed):
    status, headers, _ = front.get(path, method=method)
    assert (status, headers["allow"]) == (405, allowed + ", OPTIONS")


def test_options_and_head(front):
    for target, allowed in (
        ("/metrics", "GET, HEAD, OPTIONS"),
        ("/echo", "GET, HEAD, POST, OPTIONS"),
        ("*", "GET, HEAD, POST, OPTIONS"),
    ):
        status, headers, body = front.get(target, "Origin: http://evil.example\r\n", method="OPTIONS")
        assert (status, headers["allow"], body) == (204, allowed, b"")
        assert not any(name.startswith("access-control") for name in headers)  # no page of another origin may
    assert front.get("/nothing", method="OPTIONS")[0] == 404
    status, headers, body = front.get("/nothing", method="HEAD")
    assert (status, body) == (404, b"") and int(headers["content-length"]) > 0


def test_errors_are_plain_text(front):
    status, headers, body = front.get("/nothing")
    assert (status, body) == (404, b"404 page not found\n")
    assert headers["content-type"] == "text/plain; charset=utf-8" and headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("accepts,packed", [("gzip", True), ("gzip;q=0", False), ("identity", False), ("*", True), ("", False),
                                            ("gzip;q=0.5, identity;q=1", False), ("br, gzip;q=0.1", True)])  # fmt: skip
def test_gzip_when_asked_for(front, accepts, packed):
    plain = front.get("/metrics?size=5000")[2]
    status, headers, body = front.get("/metrics?size=5000", f"Accept-Encoding: {accepts}\r\n")
    assert status == 200 and headers["vary"] == "Accept-Encoding"
    assert headers.get("content-encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(body) if packed else body) == plain
    assert int(headers["content-length"]) == len(body)


@pytest.mark.parametrize("accepts", ["zstd,gzip", "gzip;q=0.5, zstd;q=0.6", "gzip;q=0, zstd"])
def test_zstd_when_asked_for(front, accepts):
    for size in (5000, 500000):
        plain = front.get(f"/metrics?size={size}")[2]
        status, headers, body = front.get(f"/metrics?size={size}", f"Accept-Encoding: {accepts}\r\n")
        assert status == 200 and headers["vary"] == "Accept-Encoding" and headers["content-encoding"] == "zstd"
        assert zstandard.decompress(body) == plain and int(headers["content-length"]) == len(body)


def test_curl_unpacks(front):
    done = run("curl", "-sf", "--compressed", front.url("/metrics?size=100000"))
    assert done.returncode == 0 and len(done.stdout) >= 100000


# -- Bodies --


def test_bodies(front):
    body = os.urandom(60000)
    assert run("curl", "-sf", *JSONL, "--data-binary", "@-", front.url("/echo"), input=body).stdout == body
    assert (
        run(
            "curl",
            "-sf",
            *JSONL,
            "-H",
            "Transfer-Encoding: chunked",
            "--data-binary",
            "@-",
            front.url("/echo"),
            input=body,
        ).stdout
        == body
    )
    packed = gzip.compress(bytes(60000))
    sent = run(
        "curl", "-sf", *JSONL, "-H", "Content-Encoding: gzip", "--data-binary", "@-", front.url("/echo"), input=packed
    )
    assert sent.stdout == bytes(60000)
    assert front.raw(POST + b"Connection: close\r\n\r\n")[0].startswith(b"HTTP/1.1 200")
    bomb = gzip.compress(bytes(10_000_000))
    code = run("curl", "-s", "-o", os.devnull, "-w", "%{http_code}", *JSONL, "-H", "Content-Encoding: gzip", "--data-binary", "@-",
               front.url("/echo"), input=bomb)  # fmt: skip
    assert code.stdout == b"413"


@pytest.mark.parametrize("size", [64 * 1024 + 1, 900_000, 5_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_body_too_large(front, size, chunked):
    """Says 413 and takes no more of it. A client that sends on and on is cut off, at the latest after a megabyte."""
    command = ["curl", "-s", *JSONL, "-o", os.devnull, "-w", "%{http_code}", "--data-binary", "@-", front.url("/echo")]
    code = run(*command, *(["-H", "Transfer-Encoding: chunked"] if chunked else []), input=bytes(size)).stdout
    assert code == b"413" if size < 1_000_000 or not chunked else code in (b"000", b"100")


def test_body_that_waits_is_refused_before_it_is_sent(front):
    request = POST + b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
    answer, ended = front.raw(request)
    assert statuses(answer) == [413] and ended
    answer, _ = front.raw(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nhello")
    assert statuses(answer) == [100, 200]


def test_refused_body_does_not_become_a_request(front):
    """404 and 405 take the body along; what is in it is never answered."""
    for line in (b"POST /nothing", b"POST /metrics", b"GET /metrics"):
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        answer, ended = front.raw(
            line + b" HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(GET) + GET + last
        )
        assert ended and statuses(answer)[0] in (400, 404, 405) and statuses(answer)[1:] in ([], [200])


# -- Framing --

MALFORMED = {
    "length and encoding": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "encoding and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "the same length twice": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "list of lengths": b"Content-Length: 0, 0\r\n\r\n",
    "plus": b"Content-Length: +5\r\n\r\nhello",
    "minus": b"Content-Length: -1\r\n\r\n",
    "hexadecimal": b"Content-Length: 0x5\r\n\r\nhello",
    "no length": b"Content-Length: \r\n\r\n",
    "space before colon": b"Content-Length : 5\r\n\r\nhello",
    "encoding, space before colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "unknown encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two encodings": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "encoding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "control character": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "continued encoding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "continued length": b"Content-Length: 5\r\n 0\r\n\r\nhello",
    "length in a continued line": b"X: a\r\n Content-Length: 5\r\n\r\nhello",
    "carriage return alone": b"X: b\rContent-Length: 5\r\n\r\nhello",
    "two hosts": b"Host: y\r\n\r\n",
    "two users": b"Authorization: Basic YTpi\r\nAuthorization: Basic YTpj\r\n\r\n",
    "two origins": b"Origin: http://localhost\r\norigin: http://evil.example\r\n\r\n",
    "two sites": b"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n\r\n",
    "two types": b"Content-Type: application/jsonl\r\nContent-Type: text/plain\r\n\r\n",
    "two content encodings": b"Content-Encoding: gzip\r\nContent-Encoding: identity\r\n\r\n",
    "no colon": b"Foo\r\n\r\n",
    "chunk size": b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    "hexadecimal chunk": b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "chunk without an end": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n",
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED.keys())
def test_ambiguous_framing(front, headers):
    """Answered 400 once, the connection closed, and nothing behind it taken for a request."""
    answer, ended = front.raw(POST + headers + GET)
    assert ended and statuses(answer) == [400]
    status, told, body = parse(answer)
    assert int(told["content-length"]) == len(body) > 0
    assert told["x-content-type-options"] == "nosniff" and told["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("request_,status", [
    (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
    (b"GET /metrics\r\n\r\n", 400),
    (b"GET /metrics HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"GET /metrics HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
    (b"GET http://a/metrics HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    (b"GET /metrics HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (b"GET /metrics HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 70000 + b"\r\n\r\n", 431),
    (b"GET /metrics HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 20000 + b"\r\n", 431),
    (POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 413),
    (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 413),
    (POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
])  # fmt: skip
def test_refused_requests(front, request_, status):
    answer, ended = front.raw(request_)
    assert ended and statuses(answer) == [status]


def test_noise(front):
    for _ in range(50):
        front.raw(os.urandom(2000), timeout=0.05)
    assert front.get()[0] == 200


# -- Web pages --


def post(front, headers, target="/echo"):
    answer, _ = front.raw(
        f"POST {target} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: 2\r\n\r\nhi".encode()
    )
    return statuses(answer)[0]


def test_posts_of_web_pages():
    """tests/test_target.c has every rule; here: they hold for a post, on loopback with its host, and not for a GET."""
    with Front("allow=proxy.example.org") as front:
        rows = {
            "Host: localhost\r\n": 200,
            "Host: localhost\r\nOrigin: http://evil.example\r\n": 403,
            "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n": 403,
            "Host: localhost\r\nContent-Type: text/plain\r\n": 415,
            "Host: evil.example\r\n": 403,
            "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n": 403,
            "Host: proxy.example.org\r\n": 200,
        }
        assert [post(front, headers) for headers in rows] == list(rows.values())
        # Of an absolute target it is its own host that counts.
        assert post(front, "Host: localhost\r\n", "http://evil.example/echo") == 403
        assert post(front, "Host: evil.example\r\n", "http://localhost/echo") == 200
        for headers in ("Host: evil.example\r\n", "Host: localhost\r\nOrigin: http://evil.example\r\n"):
            answer, _ = front.raw(f"GET /metrics HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode())
            assert statuses(answer) == [200]
    with Front(listen=["0.0.0.0:0"]) as front:
        assert post(front, "Host: anything.example\r\n") == 200
        assert post(front, "Host: anything.example\r\nOrigin: http://evil.example\r\n") == 403
    with Front("allow=proxy.example.org", listen=["0.0.0.0:0"]) as front:
        assert post(front, "Host: anything.example\r\n") == 403


# -- Life --


def test_ends_with_idle_clients_and_a_running_handler():
    with Front() as front:
        idle = [front.connect() for _ in range(20)]
        for client in idle[:10]:
            client.sendall(GET)
        late = threading.Thread(target=front.raw, args=(b"GET /slow?ms=300 HTTP/1.1\r\n" + HOST + b"\r\n",))
        late.start()
        wait_for(lambda: front.connections() == 21, "the late client's connection")
        front.close()
        late.join()


def test_several_addresses():
    listen = ["127.0.0.1:0", "127.0.0.2:0"]
    if has_ipv6():
        listen.append("[::1]:0")
    with Front(listen=listen) as front:
        for address in front.addresses:
            with socket.create_connection(address) as client:
                assert statuses(exchange(client, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0]) == [
                    200
                ]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_all_addresses_are_both_families():
    with Front(listen=[":0"]) as front:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, front.port)) as client:
                assert statuses(exchange(client, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0]) == [
                    200
                ]


def test_address_in_use(front):
    done = run(BINARY, f"listen=127.0.0.1:{front.port}", input=b"")
    assert done.returncode == 1 and b"another program listens there" in done.stderr


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_all_addresses_as_two():
    port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]
    for listen in ([f"0.0.0.0:{port}", f"[::]:{port}"], [f"[::]:{port}", f"0.0.0.0:{port}"]):
        with Front(listen=listen):
            for host in ("127.0.0.1", "::1"):
                with socket.create_connection((host, port)) as client:
                    assert statuses(
                        exchange(client, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0]
                    ) == [200]


def test_everybody_is_warned_of_once():
    with Front(listen=["127.0.0.1:0", "0.0.0.0:0", "0.0.0.0:0"]) as front:
        pass
    assert front.log.count("without TLS or users") == 1 and "warn: listening on 0.0.0.0:" in front.log
    with Front() as front:
        pass
    assert "warn" not in front.log


def test_no_descriptors_at_start():
    """Whatever finds none left names that, and what to do."""
    for most in range(4, 16):
        done = subprocess.run([BINARY, "listen=127.0.0.1:0"], input=b"", capture_output=True, timeout=PATIENCE,
                              preexec_fn=lambda most=most: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))  # fmt: skip
        if done.returncode == 0:
            break
        assert done.returncode == 1 and b"Too many open files; allow this process more" in done.stderr, done.stderr
    assert done.returncode == 0 and most > 6


def test_socket_activation():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        shell = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" systemd'
        process = subprocess.Popen(["sh", "-c", shell, BINARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   pass_fds=[3], preexec_fn=lambda: os.dup2(listener.fileno(), 3))  # fmt: skip
        address = process.stdout.readline().strip()
        assert address == "127.0.0.1:%d" % listener.getsockname()[1]
        assert run("curl", "-sf", f"http://{address}/metrics").stdout == b"up 1\n"
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    done = run(BINARY, "systemd", input=b"")
    assert done.returncode == 1 and b"systemd handed over no sockets" in done.stderr
