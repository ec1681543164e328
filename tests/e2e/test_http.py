# SPDX-License-Identifier: Apache-2.0
"""The HTTP front against curl and raw sockets: routes, bodies, framing, slow clients, limits, sockets."""

import gzip
import os
import re
import resource
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from http_front import BINARY, Front, exchange, parse, run, statuses

HOST = b"Host: localhost\r\n"
JSONL = ("-H", "Content-Type: application/jsonl")
SANITIZED = any(name in Path(BINARY).read_bytes() for name in (b"__asan_init", b"__tsan_init"))
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
    with front.connect(1) as client:
        answer, ended = exchange(client, GET * 3)
        assert statuses(answer) == [200] * 3 and not ended
        answer, ended = exchange(client, GET)
        assert statuses(answer) == [200] and not ended


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
    ["/%6detrics", "/%6Detric%73", "/met%72ics?size=1", "http://x/metrics", "HTTP://x:1/metrics?size=1", "https://[::1]:9/%6detrics"],
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
    for target, allowed in (("/metrics", "GET, HEAD, OPTIONS"), ("/echo", "GET, HEAD, POST, OPTIONS"), ("*", "GET, HEAD, POST, OPTIONS")):
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


def test_curl_unpacks(front):
    done = run("curl", "-sf", "--compressed", front.url("/metrics?size=100000"))
    assert done.returncode == 0 and len(done.stdout) >= 100000


# -- Bodies --


def test_bodies(front):
    body = os.urandom(60000)
    assert run("curl", "-sf", *JSONL, "--data-binary", "@-", front.url("/echo"), input=body).stdout == body
    assert run("curl", "-sf", *JSONL, "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", front.url("/echo"), input=body).stdout == body
    packed = gzip.compress(bytes(60000))
    sent = run("curl", "-sf", *JSONL, "-H", "Content-Encoding: gzip", "--data-binary", "@-", front.url("/echo"), input=packed)
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
        answer, _ = front.raw(line + b" HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(GET) + GET, timeout=0.5)
        assert len(statuses(answer)) == 1 and statuses(answer)[0] in (400, 404, 405)


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


# -- Slow clients --


def cut_off_after(client, piece, every=0.05, most=8):
    """Sends (or, without a piece, reads a byte) again and again; when the other side ended it."""
    began = time.monotonic()
    client.settimeout(every)
    while time.monotonic() - began < most:
        try:
            if piece:
                client.sendall(piece)
            if client.recv(1) == b"":
                break
            time.sleep(every)
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


def test_slow_clients_are_cut_off():
    with Front("header_ms=1500", "body_ms=1500", "response_ms=1500", "idle_ms=1500") as front:
        def cut(opening, piece):
            with front.connect() as client:
                client.sendall(opening)
                spans.append(cut_off_after(client, piece))

        spans = []
        ways = [(b"", None), (b"G", b"E"), (b"GET /metrics HTTP/1.1\r\n", b"X: y\r\n"), (b"GET /metrics HTTP/1.1\r\n" + HOST + b"X", b"x"),
                (POST + b"Content-Length: 60000\r\n\r\n", b"x"), (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
                (GET, b"\r\n")]  # fmt: skip
        threads = [threading.Thread(target=cut, args=way) for way in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(spans) == len(ways) and max(spans) < 6, spans
        assert wait_until(lambda: front.connections() == 0)


def test_slow_readers_are_cut_off():
    with Front("response_ms=1500") as front, front.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /metrics?size=50000000 HTTP/1.1\r\n" + HOST + b"\r\n")
        began = time.monotonic()
        client.recv(1)
        while front.connections() > 0 and time.monotonic() - began < 8:
            client.recv(1)
            time.sleep(0.1)
        assert 1.4 < time.monotonic() - began < 6
        with pytest.raises(ConnectionResetError):  # nothing is left in the kernel either
            while client.recv(1 << 20):
                pass


def wait_until(condition, most=5):
    end = time.monotonic() + most
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_scrapes_do_not_wait_for_slow_clients(front):
    """150 clients that send or read next to nothing, and 100 scrapes at once beside them."""
    slow = []
    for i in range(50):
        slow += [front.connect(), front.connect(), front.connect()]
        slow[-1].sendall(b"GET /metrics HTTP/1.1\r\nX")
        slow[-2].sendall(POST + b"Content-Length: 100\r\n\r\nx")
        slow[-3].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow[-3].sendall(b"GET /metrics?size=1000000 HTTP/1.1\r\n" + HOST + b"\r\n")
    spans, failures = [], []

    def scrape():
        began = time.monotonic()
        status, _, body = front.get("/metrics?size=20000")
        spans.append(time.monotonic() - began)
        if status != 200 or len(body) < 20000:
            failures.append(status)

    threads = [threading.Thread(target=scrape) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in slow:
        client.close()
    assert not failures and len(spans) == 100
    assert sorted(spans)[50] < 4 and max(spans) < 9
    assert wait_until(lambda: front.connections() == 0)


def test_200_clients_at_once(front):
    barrier = threading.Barrier(200)
    results = []

    def client():
        with front.connect(30) as connection:
            barrier.wait()
            for _ in range(5):
                connection.sendall(GET)
                answer = b""
                while not answer.endswith(b"up 1\n"):
                    answer += connection.recv(65536)
                results.append(parse(answer)[0])

    threads = [threading.Thread(target=client) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 1000


def test_slow_handler_holds_nobody_up(front):
    late = threading.Thread(target=front.get, args=("/slow?ms=3000",))
    late.start()
    time.sleep(0.1)
    began = time.monotonic()
    assert front.get()[0] == 200
    assert time.monotonic() - began < 2
    late.join()


# -- Limits --


def test_concurrent_requests():
    with Front("max_requests=2") as front:
        busy = [threading.Thread(target=front.get, args=("/slow?ms=1500",)) for _ in range(2)]
        for thread in busy:
            thread.start()
        time.sleep(0.5)
        status, _, body = front.get("/slow")
        assert (status, body) == (503, b"Limit of concurrent requests reached (2), try again later.\n")
        assert front.get("/metrics")[0] == 200  # each route counts its own
        for thread in busy:
            thread.join()
        assert front.get("/slow")[0] == 200


def test_idle_connections_give_way():
    with Front("connections=10", "connections_per_address=10") as front:
        idle = [front.connect() for _ in range(10)]
        for client in idle:
            client.sendall(GET)
            client.recv(65536)
            time.sleep(0.1)  # it is idle from when the server has ended the exchange, which is after the answer came
        for _ in range(5):
            assert front.get()[0] == 200
        assert front.connections() <= 10
        # The one that has waited longest went first.
        assert idle[0].recv(10) == b""
        idle[9].sendall(GET)
        assert statuses(idle[9].recv(65536)) == [200]


@pytest.mark.parametrize("half", [b"", b"GET /metrics HTTP/1.1\r\nX", POST + b"Content-Length: 100\r\n\r\nx"])
def test_half_requests_give_way(half):
    """A full house of clients that never finish a request, however young they are: the oldest goes."""
    with Front("connections=10") as front:
        loris = [front.connect() for _ in range(10)]
        for client in loris:
            client.sendall(half)
        for _ in range(5):
            assert front.get()[0] == 200


def test_new_connections_without_end(front):
    """A stream of them from the scraper's own address, none of which asks for anything: every scrape comes through."""
    stop, opened = threading.Event(), []

    def flood():
        while not stop.wait(0.004):
            opened.append(front.connect())
            opened[-1].sendall(b"GET /metrics HTTP/1.1\r\nX")

    flooders = [threading.Thread(target=flood) for _ in range(2)]
    for flooder in flooders:
        flooder.start()
    assert wait_until(lambda: len(opened) > 300)
    answers = [front.raw(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0] for _ in range(40)]
    stop.set()
    for flooder in flooders:
        flooder.join()
    for client in opened:
        client.close()
    assert [statuses(answer) for answer in answers] == [[200]] * 40
    assert wait_until(lambda: front.connections() == 0)


def unread(front, size, count):
    """Clients that ask for an answer of so many bytes and read none of it."""
    clients = []
    for _ in range(count):
        clients.append(socket.socket())
        clients[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        clients[-1].connect((front.host, front.port))
        clients[-1].sendall(b"GET /metrics?size=%d HTTP/1.1\r\n" % size + HOST + b"\r\n")
    for client in clients:
        client.settimeout(10)
        assert client.recv(1, socket.MSG_PEEK) == b"H"  # the answer is made
    return clients


def test_unread_answers_hold_no_place():
    """Far more clients that do not read than there may be requests at one time."""
    with Front("max_requests=4") as front:
        clients = unread(front, 5_000_000, 20)
        assert [front.get()[0] for _ in range(5)] == [200] * 5
        for client in clients:
            client.close()


def test_unread_answers_have_bounded_memory():
    """All of them together have so much; past it the oldest goes, and a new client is answered."""
    with Front("max_requests=4", "held_bytes=20000000") as front:
        clients = unread(front, 5_000_000, 20)
        resident = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{front.process.pid}/status").read())[1])
        assert resident < 60_000 or SANITIZED
        assert front.get("/metrics?size=5000000")[0] == 200
        with pytest.raises(ConnectionResetError):  # the first
            while clients[0].recv(1 << 20):
                pass
        for client in clients:
            client.close()


def test_bodies_have_bounded_memory():
    """Whoever sends a body slowly gives way to the others' bodies, once there is no more memory for them."""
    with Front("held_bytes=100000", "body_ms=60000") as front:
        slow = [front.connect() for _ in range(3)]
        for client in slow:
            client.sendall(POST + b"Content-Length: 60000\r\n\r\n" + bytes(30000))
        request = POST + b"Connection: close\r\nContent-Length: 60000\r\n\r\n" + bytes(60000)
        codes = []
        assert wait_until(lambda: codes.append(statuses(front.raw(request)[0])) or codes[-1] == [200], 15), codes
        assert all(code in ([503], [200]) for code in codes)
        for client in slow:
            client.close()


def test_an_answer_that_is_read_is_not_cut_off():
    """Not even when every place of the address is taken and another wants one; one that is not read gives way after two seconds."""
    with Front("connections_per_address=2", "response_ms=60000") as front:
        reader, sleeper = unread(front, 30_000_000, 2)
        got = 0
        began = time.monotonic()
        while time.monotonic() - began < 4:
            got += len(reader.recv(100_000))
            time.sleep(0.02)  # some megabytes a second
            if time.monotonic() - began > 3:
                with front.connect(1) as another:
                    exchange(another, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        while got < 30_000_000 and (piece := reader.recv(1 << 20)):
            got += len(piece)
        assert got >= 30_000_000
        with pytest.raises(ConnectionResetError):
            while sleeper.recv(1 << 20):
                pass
        reader.close()
        sleeper.close()


def test_connections_leave_descriptors():
    """However many connect: half of the descriptors are for everything else, and each new client is answered."""
    with Front(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))) as front:
        clients = [front.connect() for _ in range(60)]
        for _ in range(5):
            assert front.get()[0] == 200
        assert len(os.listdir(f"/proc/{front.process.pid}/fd")) < 50
        for client in clients:
            client.close()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer takes the address space for itself")
def test_without_threads_the_oldest_gives_way():
    """Address space for some hundred threads: half requests take them all, and a scrape comes through soon."""
    most = 120 << 20
    with Front(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most))) as front:
        clients = [front.connect() for _ in range(240)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\nX")
        request = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert wait_until(lambda: statuses(front.raw(request)[0]) == [200])
        for client in clients:
            client.close()


def test_connections_of_one_address():
    with Front("connections_per_address=3") as front:
        busy = [front.connect() for _ in range(3)]
        for client in busy:
            client.sendall(b"GET /slow?ms=2000 HTTP/1.1\r\n" + HOST + b"\r\n")
        time.sleep(0.5)
        with front.connect() as one_more:
            assert exchange(one_more, GET) == (b"", True)
        for client in busy:
            assert statuses(client.recv(65536)) == [200]
        assert front.get()[0] == 200


# -- Web pages --


def post(front, headers, target="/echo"):
    answer, _ = front.raw(f"POST {target} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: 2\r\n\r\nhi".encode())
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


def test_ends_at_once():
    with Front() as front:
        idle = [front.connect() for _ in range(20)]
        for client in idle[:10]:
            client.sendall(GET)
        late = threading.Thread(target=front.raw, args=(b"GET /slow?ms=300 HTTP/1.1\r\n" + HOST + b"\r\n",))
        late.start()
        time.sleep(0.1)
        assert front.close() < 2
        late.join()


def test_several_addresses():
    listen = ["127.0.0.1:0", "127.0.0.2:0"]
    if has_ipv6():
        listen.append("[::1]:0")
    with Front(listen=listen) as front:
        for address in front.addresses:
            with socket.create_connection(address) as client:
                assert statuses(exchange(client, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0]) == [200]


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
                assert statuses(exchange(client, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0]) == [200]


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
                    assert statuses(exchange(client, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0]) == [200]


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
        done = subprocess.run([BINARY, "listen=127.0.0.1:0"], input=b"", capture_output=True, timeout=20,
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
        process.communicate(timeout=10)
        assert process.returncode == 0
    done = run(BINARY, "systemd", input=b"")
    assert done.returncode == 1 and b"systemd handed over no sockets" in done.stderr
