# SPDX-License-Identifier: Apache-2.0
"""The web configuration file in use: TLS against curl and openssl, client certificates, users, changes while it runs."""

import base64
import select
import shutil
import threading

import pytest
from exporter import wait_for
from http_front import BINARY, Certificates, Front, ask, parse, run, statuses

# "open sesame" at cost 4, and at cost 10 as htpasswd makes it.
QUICK = "$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy"
ANOTHER = "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq"  # the empty password
SECRETS = (QUICK, ANOTHER, "open sesame", "PRIVATE KEY")
TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
USERS = f"basic_auth_users:\n  alice: {QUICK}\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def folder(certificates, tmp_path):
    """Certificates of its own, to be changed at will."""
    for file in certificates.folder.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.fixture
def start(folder):
    """Starts a server with this configuration; in the end none of them has said a secret."""
    running = []

    def begin(text, *arguments):
        (folder / "web.yml").write_text(text)
        running.append(Front(f"config={folder / 'web.yml'}", *arguments))
        return running[-1]

    yield begin
    for front in running:
        if front.log is None:
            front.close()
        assert not any(secret in front.log for secret in SECRETS)


def curl(front, folder, *arguments, path="/metrics", scheme="https"):
    """Status (0: no answer), headers and body."""
    trust = ["--cacert", folder / "ca.pem"] if scheme == "https" else []
    done = run("curl", "-si", *trust, *arguments, front.url(path, scheme), cwd=folder)
    return parse(done.stdout) if done.returncode == 0 else (0, {}, done.stderr)


def status(front, folder, *arguments, **how):
    return curl(front, folder, *arguments, **how)[0]


def change(front, folder, text, name="web.yml"):
    new = folder / "new"
    new.write_text(text)
    new.rename(folder / name)
    front.look()


GOOD = [
    "", "{}\n", "# nothing\n", TLS, USERS, TLS + USERS,
    TLS + "  min_version: TLS13\n  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n",
    TLS + "  cipher_suites:\n  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\n  curve_preferences: [CurveP256]\n",
    "tls_server_config: {min_version: TLS12}\n",
    "http_server_config:\n  http2: false\n  headers: {X-Frame-Options: deny, X-XSS-Protection: null}\n",
]  # fmt: skip
BAD = [
    "tls: {}\n", "[]\n", "http_server_config: {http2: maybe}\n", "http_server_config: {headers: {x-frame-options: deny}}\n",
    "http_server_config: {headers: {X-Frame-Options: DENY}}\n", "tls_server_config: {cert_file: server.pem}\n",
    TLS + "  min_version: TLS1.2\n", TLS + "  client_auth_type: Any\n", TLS + "  client_ca_file: ca.pem\n",
    TLS + "  cert_file: x\n", TLS + "  curve_preferences: [P256]\n", "basic_auth_users: {alice: secret}\n",
    TLS.replace("server.key", "ca.key"), TLS.replace("server.pem", "absent.pem"), "a: [\n",
]  # fmt: skip


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
@pytest.mark.parametrize("text", GOOD + BAD)
def test_promtool_agrees(folder, start, text):
    (folder / "web.yml").write_text(text)
    assert (run("promtool", "check", "web-config", folder / "web.yml").returncode == 0) == (text in GOOD)
    if text in GOOD:
        start(text)
        return
    done = run(BINARY, "listen=127.0.0.1:0", f"config={folder / 'web.yml'}", input=b"")
    assert done.returncode == 1 and str(folder).encode() in done.stderr or b"certificate and key" in done.stderr


def test_place_of_an_error(folder):
    (folder / "web.yml").write_text("http_server_config:\n  headers:\n    X-Frame-Options: none\n")
    done = run(BINARY, "listen=127.0.0.1:0", f"config={folder / 'web.yml'}", input=b"")
    assert f"{folder / 'web.yml'}:3:22: X-Frame-Options: deny or sameorigin is expected" in done.stderr.decode()
    done = run(BINARY, "listen=127.0.0.1:0", f"config={folder / 'absent.yml'}", input=b"")
    assert done.returncode == 1 and f"{folder / 'absent.yml'}: No such file" in done.stderr.decode()


# -- TLS --


def s_client(front, folder, *arguments):
    done = run("openssl", "s_client", "-connect", f"localhost:{front.port}", "-CAfile", folder / "ca.pem", "-verify_return_error", "-ign_eof",
               *arguments, input=b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", cwd=folder)  # fmt: skip
    return done.stdout.decode(errors="replace")


def test_https(folder, start):
    front = start(TLS)
    assert curl(front, folder)[::2] == (200, b"up 1\n")
    assert status(front, folder, "--tlsv1.2", "--tls-max", "1.2") == 200
    assert status(front, folder, "--tlsv1.3") == 200
    assert status(front, folder, "--ciphers", "DEFAULT@SECLEVEL=0", "--tlsv1.0", "--tls-max", "1.1") == 0
    assert status(front, folder, "--http2") == 200
    answer, ended = front.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert ended and statuses(answer) == [400] and b"HTTP request to an HTTPS server" in answer
    assert front.raw(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")[1]  # a hello without contents


def test_inline_certificates(folder, start):
    def indented(name):
        return (folder / name).read_text().replace("\n", "\n    ")

    front = start(
        f"tls_server_config:\n  cert: |\n    {indented('server.pem')}\n  key: |\n    {indented('server.key')}\n"
    )
    assert status(front, folder) == 200


@pytest.mark.parametrize("algorithm", ["ec", "rsa"])
def test_versions_and_ciphers(certificates, folder, start, algorithm):
    certificates.leaf("rsa", "ca", "DNS:localhost", "serverAuth", "rsa")
    for name in ("rsa.pem", "rsa.key"):
        shutil.copy(certificates.folder / name, folder)
    kind, tls = ("ECDSA", TLS) if algorithm == "ec" else ("RSA", TLS.replace("server.", "rsa."))
    front = start(tls + f"  cipher_suites: [TLS_ECDHE_{kind}_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n"
                  "  curve_preferences: [CurveP384]\n")  # fmt: skip
    only = s_client(front, folder, "-tls1_2")
    assert f"ECDHE-{kind}-AES256-GCM-SHA384" in only and "Server Temp Key: ECDH, secp384r1, 384 bits" in only
    assert "200 OK" not in s_client(front, folder, "-tls1_2", "-cipher", f"ECDHE-{kind}-AES128-GCM-SHA256")
    assert ("200 OK" in s_client(front, folder, "-tls1_2", "-cipher", f"ECDHE-{kind}-CHACHA20-POLY1305")) == (
        kind == "ECDSA"
    )
    assert "200 OK" not in s_client(front, folder, "-tls1_3", "-groups", "X25519")
    # The names say nothing about TLS 1.3.
    for suite in ("TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"):
        assert suite in (answer := s_client(front, folder, "-tls1_3", "-ciphersuites", suite)) and "200 OK" in answer
    front = start(tls + "  min_version: TLS10\n  max_version: TLS11\n")
    assert "200 OK" in s_client(front, folder, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    assert "200 OK" not in s_client(front, folder, "-tls1_2")
    front = start(tls + "  min_version: TLS13\n")
    assert "200 OK" not in s_client(front, folder, "-tls1_2")
    assert "200 OK" in s_client(front, folder, "-tls1_3")


NOBODY, CLIENT, STRANGER = (
    [],
    ["--cert", "client.pem", "--key", "client.key"],
    ["--cert", "stranger.pem", "--key", "stranger.key"],
)
SERVER = ["--cert", "server.pem", "--key", "server.key"]  # of the right CA, but no client's
CA = "  client_ca_file: ca.pem\n"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("lines,admitted", [
    ("", (True, True, True, True)),
    ("  client_auth_type: RequestClientCert\n", (True, True, True, True)),
    ("  client_auth_type: RequireAnyClientCert\n", (False, True, True, True)),
    ("  client_auth_type: VerifyClientCertIfGiven\n" + CA, (True, True, False, False)),
    ("  client_auth_type: RequireAndVerifyClientCert\n" + CA, (False, True, False, False)),
    ("  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [scraper.example.org]\n", (False, True, True, False)),
    ("  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [SCRAPER.example.org, example.org]\n" + CA, (False,) * 4),
    *[("  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [x, '%s']\n" % san + CA, (False, True, False, False))
      for san in ("192.0.2.1", "ops@example.org", "spiffe://example/scraper")],
])  # fmt: skip
def test_client_certificates(folder, start, lines, admitted, version):
    front = start(TLS + lines)
    got = [
        status(front, folder, f"--tlsv{version}", "--tls-max", version, *who) == 200
        for who in (NOBODY, CLIENT, STRANGER, SERVER)
    ]
    assert tuple(got) == admitted


# -- Users --

ALICE = ["-u", "alice:open sesame"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_users(folder, start, scheme):
    front = start((TLS if scheme == "https" else "") + USERS)
    code, headers, body = curl(front, folder, scheme=scheme)
    assert (code, body, headers["www-authenticate"]) == (401, b"Unauthorized\n", "Basic")
    assert headers["x-content-type-options"] == "nosniff" and headers["content-type"].startswith("text/plain")
    for path in ("/nothing", "/echo", "//", "/metrics?size=1"):
        assert status(front, folder, path=path, scheme=scheme) == 401
    assert status(front, folder, "-d", "x" * 10000, path="/echo", scheme=scheme) == 401
    assert status(front, folder, "-u", "alice:wrong", scheme=scheme) == 401
    assert status(front, folder, "-u", "bob:open sesame", scheme=scheme) == 401
    assert status(front, folder, *ALICE, scheme=scheme) == 200
    assert status(front, folder, *ALICE, path="/nothing", scheme=scheme) == 404


def test_a_guesser_holds_no_scraper_up(folder, start):
    """Passwords at cost 12 are guessed by many at once; one whose password is known is served as if nobody did."""
    front = start(USERS + "  bob: $2b$12$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n")
    assert status(front, folder, *ALICE, scheme="http") == 200
    stop = threading.Event()

    answered = [0] * 8

    def guess(number):
        while not stop.is_set():
            run("curl", "-s", "-u", f"bob:{number}-{answered[number]}", front.url())
            answered[number] += 1

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(8)]
    for guesser in guessers:
        guesser.start()
    wait_for(lambda: sum(answered) >= 3, "guesses")
    before = sum(answered)
    for _ in range(10):
        answer, _ = front.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                              b"Authorization: Basic YWxpY2U6b3BlbiBzZXNhbWU=\r\n\r\n")  # fmt: skip
        assert statuses(answer) == [200]
    meanwhile = sum(answered) - before
    stop.set()
    for guesser in guessers:
        guesser.join()
    assert meanwhile < 10  # had each scrape waited for one guess at least, so many would have been answered


def test_headers_and_rate(folder, start):
    front = start(
        USERS
        + "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=31536000\n    X-Frame-Options: deny\n"
    )
    for code, who in ((401, []), (200, ALICE)):
        got, headers, _ = curl(front, folder, *who, scheme="http")
        assert (got, headers["strict-transport-security"], headers["x-frame-options"]) == (
            code,
            "max-age=31536000",
            "deny",
        )
    front = start("rate_limit: {interval: 1h, burst: 3}\n")
    assert [status(front, folder, scheme="http") for _ in range(5)] == [200, 200, 200, 429, 429]
    assert status(start("rate_limit: {interval: 1h, burst: 0}\n"), folder, scheme="http") == 429


def test_rate_without_a_burst(folder, start):
    """It lets its rate through."""
    front = start("rate_limit: {interval: 1h}\n")
    assert [status(front, folder, scheme="http") for _ in range(3)] == [200, 429, 429]


HEADERS = "http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1}}\n"


def told(answer):
    code, headers, _ = parse(answer)
    assert (headers.get("x-frame-options"), headers.get("strict-transport-security")) == ("deny", "max-age=1"), answer
    assert headers["x-content-type-options"] == "nosniff"
    return code


def test_headers_on_every_refusal(folder, start):
    """The 400 of framing, what the HTTP library refuses, the 500 of a bad file, and HTTP on a port of TLS."""
    front = start(HEADERS)
    requests = {
        b"GET /metrics HTTP/1.1\r\n\r\n": 400,
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n": 400,
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n": 400,
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70000 + b"\r\n\r\n": 431,
        b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": 404,
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nConnection: close\r\n\r\n": 403,
    }
    assert [told(front.raw(request)[0]) for request in requests] == list(requests.values())
    change(front, folder, HEADERS + "nonsense: 1\n")
    assert told(front.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[0]) == 500
    front = start(TLS + HEADERS)
    answer, ended = front.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert ended and told(answer) == 400
    bad = run("openssl", "s_client", "-quiet", "-connect", f"localhost:{front.port}", "-CAfile", folder / "ca.pem",
              input=b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n").stdout  # fmt: skip
    assert statuses(bad) == [400] and told(bad) == 400


def test_names_of_certificates_that_nobody_asks_for(folder, start):
    """client_allowed_sans holds for a certificate that is shown; it does not ask for one."""
    front = start(TLS + "  client_auth_type: RequestClientCert\n  client_allowed_sans: [another.example.org]\n")
    assert status(front, folder) == 200
    assert status(front, folder, *CLIENT) == 0


def test_good_users_do_not_wait_for_strangers(folder, start):
    """200 wrong logins at one time, at cost 10; a user who is not remembered yet comes through."""
    front = start(
        "basic_auth_users:\n"
        + f"  alice: {QUICK}\n"
        + "  bob: $2b$10$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n"
    )
    crowd = [front.connect() for _ in range(200)]
    for number, client in enumerate(crowd):
        login = base64.b64encode(f"nobody{number}:{number}".encode()).decode()
        client.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n\r\n".encode())
    assert status(front, folder, *ALICE, scheme="http") == 200
    assert len(select.select(crowd, [], [], 0)[0]) < 100  # the strangers that had their answer before
    for client in crowd:
        client.close()


# -- Changes --


def test_changed_users_and_headers(folder, start):
    front = start(USERS)
    with front.connect() as kept:
        request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6b3BlbiBzZXNhbWU=\r\n\r\n"
        assert statuses(ask(kept, request)) == [200]
        change(
            front,
            folder,
            f"basic_auth_users: {{alice: {ANOTHER}, bob: {QUICK}}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n",
        )
        assert statuses(ask(kept, request)) == [401]  # also on a connection that was there
    assert status(front, folder, "-u", "alice:", scheme="http") == 200
    code, headers, _ = curl(front, folder, "-u", "bob:open sesame", scheme="http")
    assert (code, headers["x-frame-options"]) == (200, "deny")
    front.close()
    assert front.log.count("was changed and is taken up") == 1


def test_changed_certificates(certificates, folder, start):
    front = start(TLS)
    before = certificates.serial("server")
    assert before in run("openssl", "x509", "-noout", "-serial", input=s_client(front, folder).encode()).stdout.decode()
    own = Certificates(folder)  # a new CA and all
    front.look()
    assert status(front, folder) == 200
    assert (
        own.serial("server")
        in run("openssl", "x509", "-noout", "-serial", input=s_client(front, folder).encode()).stdout.decode()
    )


@pytest.mark.parametrize("bad", [
    "", "{}\n", USERS + "nonsense: 1\n", "basic_auth_users:\n", "basic_auth_users: {alice: secret}\n", TLS + USERS, "a: [", "\0",
])  # fmt: skip
def test_a_bad_change_closes_the_door(folder, start, bad):
    """Neither a broken file nor an emptied one serves anybody, those who were let in before included, until it is mended."""
    front = start(USERS)
    assert status(front, folder, *ALICE, scheme="http") == 200
    change(front, folder, bad)
    for _ in range(3):
        for path in ("/metrics", "/nothing"):
            for who in ([], ALICE):
                assert curl(front, folder, *who, path=path, scheme="http")[::2] == (500, b"Internal Server Error\n")
        front.look()
    change(front, folder, USERS)
    assert status(front, folder, *ALICE, scheme="http") == 200
    assert status(front, folder, scheme="http") == 401
    front.close()
    assert front.log.count("every request is refused") == 1 and front.log.count("taken up") == 1


@pytest.mark.parametrize("name,bad", [
    ("web.yml", USERS), ("web.yml", ""), ("web.yml", TLS), ("server.key", ""), ("server.pem", "-----BEGIN"), ("ca.pem", "x"),
    ("web.yml", TLS + USERS + "nonsense: 1\n"),
])  # fmt: skip
def test_a_bad_change_under_tls(folder, start, name, bad):
    """No handshake succeeds, and a connection that was there gets 500."""
    good = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n" + USERS
    front = start(good)
    who = CLIENT + ALICE
    assert status(front, folder, *who) == 200
    mended = (folder / name).read_text()
    trust = (folder / "ca.pem").read_text()
    (folder / "trust.pem").write_text(trust)
    change(front, folder, bad, name)
    done = run("curl", "-s", "--cacert", folder / "trust.pem", *who, front.url("/metrics", "https"), cwd=folder)
    assert done.returncode == 35 and done.stdout == b""  # an error in the handshake
    change(front, folder, mended, name)
    assert status(front, folder, *who) == 200
    assert status(front, folder, *CLIENT) == 401
    assert status(front, folder, *ALICE) == 0


def test_file_that_goes_away(folder, start):
    front = start(USERS)
    (folder / "web.yml").rename(folder / "aside")
    wait_for(lambda: status(front, folder, *ALICE, scheme="http") == 500, "a closed door")
    (folder / "aside").rename(folder / "web.yml")
    wait_for(lambda: status(front, folder, *ALICE, scheme="http") == 200, "an open door")


def test_changes_under_load(folder, start):
    """Users change ten times while twenty clients ask: nobody is let in who should not be, and nothing breaks."""
    front = start(TLS + USERS)
    stop, wrong, answers = threading.Event(), [], [0] * 6

    def ask_on(number, password, allowed):
        while not stop.is_set():
            got = status(front, folder, "-u", f"alice:{password}")
            answers[number] += 1
            if got not in allowed:
                wrong.append((password, got))

    clients = [threading.Thread(target=ask_on, args=(i, "open sesame", (200, 401))) for i in range(3)]
    clients += [threading.Thread(target=ask_on, args=(i, "wrong", (401,))) for i in range(3, 6)]
    for client in clients:
        client.start()
    for round_ in range(6):
        change(front, folder, TLS + f"basic_auth_users: {{alice: {ANOTHER if round_ % 2 == 0 else QUICK}}}\n")
        asked = sum(answers)
        wait_for(lambda: sum(answers) >= asked + 12, "answers of a round")
    stop.set()
    for client in clients:
        client.join()
    assert not wrong
    assert status(front, folder, *ALICE) == 200
