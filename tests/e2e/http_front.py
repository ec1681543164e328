# SPDX-License-Identifier: Apache-2.0
"""The exporter's HTTP front as a process of its own (tests/http_server.c), raw requests to it, and certificates for it."""

import os
import re
import socket
import subprocess
from pathlib import Path

from exporter import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("KVTEL_HTTP_SERVER", ROOT / "build" / "tests" / "http_server")


class Front:
    """A running server. `addresses` as it printed them; `log` what it said, once it was closed."""

    def __init__(self, *arguments, listen=("127.0.0.1:0",), **popen):
        command = [BINARY, *(f"listen={address}" for address in listen), *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            **popen,
        )
        lines = [self.process.stdout.readline().strip() for _ in range(max(len(listen), 1))]
        if not all(lines):
            self.close(expected=1)
            raise RuntimeError(self.log)
        self.addresses = [(host.strip("[]"), int(port)) for host, _, port in (line.rpartition(":") for line in lines)]
        self.host, self.port = self.addresses[0]
        self.log = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.returncode is None:
            self.close(expected=0 if kind is None else None)

    def close(self, expected=0):
        """Ends it."""
        _, self.log = self.process.communicate(timeout=PATIENCE)
        assert expected is None or self.process.returncode == expected, self.log

    def counts(self):
        """Open connections, and handlers of /slow and /hold that run."""
        return tuple(int(number) for number in re.findall(r"\d+", self.command("counts")))

    def command(self, word):
        """Gives it a command; returns its answer."""
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def look(self):
        """Has it look at its configuration now; "good" or "bad"."""
        return self.command("look")

    def release(self):
        """Ends the handlers of /hold."""
        self.command("release")

    def connections(self):
        return self.counts()[0]

    def connect(self, timeout=PATIENCE):
        return socket.create_connection((self.host, self.port), timeout=timeout)

    def raw(self, request, timeout=PATIENCE):
        """What comes back until the connection ends, or for `timeout` seconds; and whether it ended."""
        with self.connect(timeout) as client:
            return exchange(client, request)

    def url(self, path="/metrics", scheme="http"):
        return f"{scheme}://localhost:{self.port}{path}"

    def get(self, path="/metrics", headers="", method="GET"):
        """One request on a connection of its own: status, headers in lower case, body."""
        answer, ended = self.raw(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n".encode()
        )
        assert ended
        return parse(answer)


def ask(client, request, count=1):
    """Sends requests on a connection that stays open; so many answers, with a Content-Length each, or what came until it ended."""
    client.sendall(request)
    answers, rest = b"", b""
    while count > 0:
        head, blank, body = rest.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\nContent-Length: (\d+)", head)
        if blank and length and len(body) >= int(length[1]):
            whole = len(head) + 4 + int(length[1])
            answers, rest, count = answers + rest[:whole], rest[whole:], count - 1
        elif piece := client.recv(65536):
            rest += piece
        else:
            break
    return answers + rest


def exchange(client, request):
    answer = b""
    try:
        client.sendall(request)
    except OSError:
        pass  # refused before it was all sent: the answer may be there
    try:
        while piece := client.recv(65536):
            answer += piece
    except TimeoutError:
        return answer, False
    except OSError:
        pass
    return answer, True


def parse(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = headers[name.lower()] + ", " + value if name.lower() in headers else value
    return int(status.split()[1]), headers, body


def statuses(answer):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, timeout=PATIENCE, **options)


class Certificates:
    """A CA with a server's and clients' certificates, made by openssl in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.authority("ca")
        self.authority("other")
        self.leaf("server", "ca", "DNS:localhost,IP:127.0.0.1", "serverAuth")
        self.leaf(
            "client",
            "ca",
            "DNS:scraper.example.org,IP:192.0.2.1,email:ops@example.org,URI:spiffe://example/scraper",
            "clientAuth",
        )
        self.leaf("stranger", "other", "DNS:scraper.example.org", "clientAuth")

    def authority(self, name):
        self.make_key(name)
        self.openssl("req", "-x509", "-key", f"{name}.key", "-out", f"{name}.pem", "-days", 2, "-subj", f"/CN={name}")

    def leaf(self, name, authority, names, usage, algorithm="ec"):
        self.make_key(name, algorithm)
        self.openssl("req", "-new", "-key", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                     "-CAcreateserial", "-out", f"{name}.pem", "-days", 2, "-extfile", f"{name}.ext")  # fmt: skip

    def make_key(self, name, algorithm="ec"):
        how = (
            ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
            if algorithm == "ec"
            else ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
        )
        self.openssl("genpkey", "-algorithm", *how, "-out", f"{name}.key")

    def openssl(self, *arguments):
        done = run("openssl", *arguments, cwd=self.folder)
        assert done.returncode == 0, done.stderr.decode()

    def serial(self, name):
        return run("openssl", "x509", "-in", self.folder / f"{name}.pem", "-noout", "-serial").stdout.decode().strip()
