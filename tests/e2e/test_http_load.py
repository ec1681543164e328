# SPDX-License-Identifier: Apache-2.0
"""The HTTP front when clients are slow, many, or short of everything: deadlines, places, memory, threads, descriptors."""

import os
import re
import resource
import socket
import threading
import time
from pathlib import Path

import pytest
from exporter import PATIENCE, wait_for
from http_front import BINARY, Front, exchange, parse, statuses

HOST = b"Host: localhost\r\n"
SANITIZED = any(name in Path(BINARY).read_bytes() for name in (b"__asan_init", b"__tsan_init"))
GET = b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST


@pytest.fixture(scope="module")
def front():
    with Front() as running:
        yield running


# -- Slow clients --


def is_cut_off(client, piece, every=0.05):
    """Sends (or, without a piece, reads a byte) again and again, until the other side ends it."""
    deadline = time.monotonic() + PATIENCE
    client.settimeout(every)
    while time.monotonic() < deadline:
        try:
            if piece:
                client.sendall(piece)
            if client.recv(1) == b"":
                return True
            time.sleep(every)
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_slow_clients_are_cut_off():
    with Front("header_ms=1500", "body_ms=1500", "response_ms=1500", "idle_ms=1500") as front:

        def cut(opening, piece):
            with front.connect() as client:
                client.sendall(opening)
                cut_off.append(is_cut_off(client, piece))

        cut_off = []
        ways = [(b"", None), (b"G", b"E"), (b"GET /metrics HTTP/1.1\r\n", b"X: y\r\n"), (b"GET /metrics HTTP/1.1\r\n" + HOST + b"X", b"x"),
                (POST + b"Content-Length: 60000\r\n\r\n", b"x"), (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
                (GET, b"\r\n")]  # fmt: skip
        threads = [threading.Thread(target=cut, args=way) for way in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert cut_off == [True] * len(ways)
        wait_for(lambda: front.connections() == 0, "the end of all connections")


def test_slow_readers_are_cut_off():
    with Front("response_ms=1500") as front, front.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        began = time.monotonic()
        client.sendall(b"GET /metrics?size=50000000 HTTP/1.1\r\n" + HOST + b"\r\n")
        client.recv(1)
        while front.connections() > 0:
            client.recv(1)
            time.sleep(0.1)
        assert 1.4 < time.monotonic() - began < PATIENCE
        with pytest.raises(ConnectionResetError):  # nothing is left in the kernel either
            while client.recv(1 << 20):
                pass


def test_scrapes_do_not_wait_for_slow_clients():
    """150 clients that send or read next to nothing, for ever, and 100 scrapes at once beside them."""
    with Front("header_ms=3600000", "body_ms=3600000", "response_ms=3600000") as front:
        scrape_beside_slow_clients(front)


def scrape_beside_slow_clients(front):
    slow = []
    for i in range(50):
        slow += [front.connect(), front.connect(), front.connect()]
        slow[-1].sendall(b"GET /metrics HTTP/1.1\r\nX")
        slow[-2].sendall(POST + b"Content-Length: 100\r\n\r\nx")
        slow[-3].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow[-3].sendall(b"GET /metrics?size=1000000 HTTP/1.1\r\n" + HOST + b"\r\n")
    answers = []

    def scrape():
        status, _, body = front.get("/metrics?size=20000")
        answers.append((status, len(body) >= 20000))

    threads = [threading.Thread(target=scrape) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in slow:
        client.close()
    assert answers == [(200, True)] * 100
    wait_for(lambda: front.connections() == 0, "the end of all connections")


def test_200_clients_at_once(front):
    barrier = threading.Barrier(200)
    results = []

    def client():
        with front.connect() as connection:
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
    wait_for(lambda: front.connections() == 0, "the end of all connections")  # those of the test before
    late = threading.Thread(target=front.get, args=("/hold",))
    late.start()
    wait_for(lambda: front.counts()[1] == 1, "the handler")
    assert front.get()[0] == 200
    front.release()
    late.join()


# -- Limits --


def test_concurrent_requests():
    with Front("max_requests=2") as front:
        busy = [threading.Thread(target=front.get, args=("/hold",)) for _ in range(2)]
        for thread in busy:
            thread.start()
        wait_for(lambda: front.counts()[1] == 2, "both handlers")
        status, _, body = front.get("/hold")
        assert (status, body) == (503, b"Limit of concurrent requests reached (2), try again later.\n")
        assert front.get("/metrics")[0] == 200  # each route counts its own
        front.release()
        for thread in busy:
            thread.join()
        wait_for(lambda: front.get("/slow?ms=0")[0] == 200, "a free place")


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
        # Those that have waited longest went first. Which of two is older is the server's view, and it is their order at some distance.
        wait_for(lambda: any(has_ended(client) for client in idle[:5]), "the end of one")
        assert not any(has_ended(client) for client in idle[5:])
        idle[9].sendall(GET)
        assert statuses(idle[9].recv(65536)) == [200]


def has_ended(client):
    """Whether the other side has ended an idle connection."""
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    finally:
        client.settimeout(PATIENCE)


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
    wait_for(lambda: len(opened) > 300)
    answers = [front.raw(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[0] for _ in range(40)]
    stop.set()
    for flooder in flooders:
        flooder.join()
    for client in opened:
        client.close()
    assert [statuses(answer) for answer in answers] == [[200]] * 40
    wait_for(lambda: front.connections() == 0, "the end of all connections")


def ask(front, size, headers=b""):
    """A client that has asked for an answer of so many bytes and reads none of it."""
    client = socket.socket()
    client.settimeout(PATIENCE)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((front.host, front.port))
    client.sendall(b"GET /metrics?size=%d HTTP/1.1\r\n" % size + HOST + headers + b"\r\n")
    return client


def unread(front, size, count, headers=b""):
    """Clients that ask one after another, each when the answer before is made, and read none of it."""
    clients = []
    for _ in range(count):
        clients.append(ask(front, size, headers))
        assert peek(clients[-1]) == b"HTTP/1.1 200"
    return clients


def peek(client):
    """The answer's first bytes, which stay unread."""
    return client.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL)


def test_unread_answers_hold_no_place():
    """Far more clients that do not read than there may be requests at one time."""
    with Front("max_requests=4") as front:
        clients = unread(front, 5_000_000, 20)
        assert [front.get()[0] for _ in range(5)] == [200] * 5
        for client in clients:
            client.close()


@pytest.mark.parametrize("headers", [b"", b"Accept-Encoding: gzip\r\n"], ids=["plain", "gzip"])
def test_an_answer_that_has_begun_holds_no_place(headers):
    """One place: it is free when the first byte of the answer before has come, packed or not."""
    with Front("max_requests=1") as front:
        for client in unread(front, 1_000_000, 10, headers):
            client.close()


def test_the_first_to_ask_gives_way():
    """Memory for two answers: the third cuts off the client that asked first, though its answer was made last."""
    with Front("held_bytes=18000000") as front:  # an answer of 5,000,000 bytes is in a buffer of 8 MiB
        first = front.connect()
        first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        first.sendall(b"GET /metrics?size=5000000 HTTP/1.1\r\n")
        (second,) = unread(front, 5_000_000, 1)
        first.sendall(HOST + b"\r\n")
        assert peek(first) == b"HTTP/1.1 200"
        (third,) = unread(front, 5_000_000, 1)
        with pytest.raises(ConnectionResetError):
            while first.recv(1 << 20):
                pass
        for client in (second, third):
            got = 0
            while got < 5_000_000 and (piece := client.recv(1 << 20)):
                got += len(piece)
            assert got >= 5_000_000
        for client in (first, second, third):
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
        wait_for(lambda: codes.append(statuses(front.raw(request)[0])) or codes[-1] == [200], lambda: f"200 in {codes}")
        assert all(code in ([503], [200]) for code in codes)
        for client in slow:
            client.close()


def test_an_answer_that_is_read_is_not_cut_off():
    """Not even when every place of the address is taken and another wants one; one that is not read gives way after two seconds."""
    with Front("connections_per_address=2", "response_ms=60000") as front:
        reader, sleeper = unread(front, 30_000_000, 2)
        closing = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        another = threading.Thread(
            target=wait_for, args=(lambda: statuses(front.raw(closing)[0]) == [200], "another's answer")
        )
        another.start()
        got = 0
        while another.is_alive():
            got += len(reader.recv(100_000))
            time.sleep(0.02)  # some megabytes a second
        assert got < 30_000_000
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
        wait_for(lambda: statuses(front.raw(request)[0]) == [200])
        for client in clients:
            client.close()


def test_connections_of_one_address():
    with Front("connections_per_address=3") as front:
        busy = [front.connect() for _ in range(3)]
        for client in busy:
            client.sendall(b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n")
        # A request that is not yet in its handler would give way to the newcomer.
        wait_for(lambda: front.counts() == (3, 3), "their handlers")
        with front.connect() as one_more:
            assert exchange(one_more, GET) == (b"", True)
        front.release()
        for client in busy:
            assert statuses(client.recv(65536)) == [200]
        assert front.get()[0] == 200
