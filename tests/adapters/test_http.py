"""The network door against a real server on loopback that misbehaves in every way the services do."""

from __future__ import annotations

import gzip
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from tests.adapters.making import NOW, PAYLOADS

from greenai.adapters import http
from greenai.adapters.http import MAX_BYTES, USER_AGENT, NetworkDoor, retry_after_s
from greenai.errors import InputError, ProviderBadData, ProviderRefused, ProviderUnavailable
from greenai.model.intensity import Request

Answer = Callable[[socket.socket], None]
BOUND_S = 20.0
"""More than any answer needs on a loaded machine."""
SHORT_S = 1.0
"""For what would never end."""
SLACK_S = 5.0


def reply(status: int = 200, body: bytes = b'{"data":[]}', **headers: str) -> Answer:
    """A whole, correct answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return lambda conn: conn.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def raw(*parts: bytes, pause_s: float = 0.0) -> Answer:
    """Bytes as they are, with a pause before each but the first."""

    def send(conn: socket.socket) -> None:
        for number, part in enumerate(parts):
            if number and pause_s:
                time.sleep(pause_s)
            conn.sendall(part)

    return send


def hang(conn: socket.socket) -> None:
    """Say nothing until the other side gives up."""
    with suppress(OSError):
        while conn.recv(4096):
            pass


def reset(conn: socket.socket) -> None:
    """Tear the connection down (RST)."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


class Server:
    """Gives each connection the next answer, the last one for ever; keeps what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                conn, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(conn,), daemon=True).start()

    def _answer(self, conn: socket.socket) -> None:
        with conn, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (more := conn.recv(4096)):
                head += more
            self.asked.append(head)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            answer(conn)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    server = Server(*answers)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def fetch(url: str, *, bound_s: float = BOUND_S, **headers: str):
    return NetworkDoor(now=lambda: NOW, bound_s=bound_s).fetch(Request(url=url, headers=headers))


def fails_with(kind, url: str, *, bound_s: float = BOUND_S, **headers: str):
    """The error, raised within the bound."""
    begun_s = time.monotonic()
    with pytest.raises(kind) as caught:
        fetch(url, bound_s=bound_s, **headers)
    assert time.monotonic() - begun_s < bound_s + SLACK_S
    assert "\n" not in str(caught.value)
    return caught.value


# Good answers.


def test_an_answer_comes_with_its_hash_and_time():
    with serving(reply(body=b"hello")) as server:
        got = fetch(f"{server.url}/intensity")
    assert (got.url, got.body, got.fetched_at) == (f"{server.url}/intensity", b"hello", NOW)
    assert got.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_it_says_who_asks():
    with serving(reply()) as server:
        fetch(f"{server.url}/intensity/2026-11-24T10:31Z/fw48h", **{"auth-token": "abc"})
    (asked,) = server.asked
    assert asked.startswith(b"GET /intensity/2026-11-24T10:31Z/fw48h HTTP/1.1\r\n")
    assert f"User-Agent: {USER_AGENT}\r\n".encode() in asked
    assert USER_AGENT.startswith("greenai/")
    assert b"auth-token: abc\r\n" in asked


def test_a_compressed_answer_is_read():
    with serving(reply(body=gzip.compress(b"hello" * 1000), Content_Encoding="gzip")) as server:
        assert fetch(server.url).body == b"hello" * 1000


@pytest.mark.parametrize("name", ["page.html", "empty_object.json", "empty.json"])
def test_200_is_an_answer_whatever_it_holds(name):
    """Whether it can be used is the provider's to say."""
    body = (PAYLOADS / "uk" / name).read_bytes()
    with serving(reply(body=body)) as server:
        assert fetch(server.url).body == body


# Refusals: asked once, in the service's own words.


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "error_400_datetime.json"),
        (401, "error_400_postcode.json"),
        (403, "error_400_path.json"),
        (404, "error_400_period.json"),
        (422, "error_400_postcode.json"),
        (405, "error_400_path.json"),
        (410, "error_400_path.json"),
    ],
)
def test_what_is_refused_is_not_asked_again(status, name):
    body = (PAYLOADS / "uk" / name).read_bytes()
    with serving(reply(status, body)) as server:
        error = fails_with(ProviderRefused, server.url)
        assert len(server.asked) == 1
    assert f"answered {status}: " in str(error)
    assert "valid" in str(error) or "No postcode match can be found." in str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":"Invalid auth-token"}', "answered 401: Invalid auth-token"),
        (b'{"error":"zoneKey=PT","message":"You do not have access"}', "answered 401: You do not have access"),
        (b"Access denied", "answered 401: Access denied"),
        (b"<html>no</html>", "answered 401"),
        (b'{"error":{"code":7}}', "answered 401"),
        (b"[1,2]", "answered 401"),
        (b"", "answered 401"),
        (b"\x1b[31mred\x07\xff", "answered 401: [31mred \ufffd"),
        (b"x" * 5000, "answered 401: " + "x" * 200),
        (b"x" * 100_000, "answered 401"),
        (b"[" * 50_000, "answered 401: " + "[" * 200),
    ],
)
def test_the_services_words_are_short_and_printable(body, words):
    with serving(reply(401, body)) as server:
        error = fails_with(ProviderRefused, server.url)
    assert str(error) == f"{server.url.removeprefix('http://')} {words}"
    assert "key" in error.hint


# What another try can mend.


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(status):
    outage = (PAYLOADS / "uk" / "error_500_outage.json").read_bytes()
    with serving(reply(status, outage), reply(body=b"back")) as server:
        assert fetch(server.url).body == b"back"
        assert len(server.asked) == 2


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"


@pytest.mark.parametrize("fault", [reset, lambda conn: None, raw(HALF), raw(b"nonsense\r\n\r\n")])
def test_a_broken_connection_is_tried_again(fault):
    with serving(fault, reply(body=b"back")) as server:
        assert fetch(server.url).body == b"back"


def test_an_outage_that_lasts_is_named_with_the_services_words():
    outage = (PAYLOADS / "uk" / "error_500_outage.json").read_bytes()
    with serving(reply(500, outage)) as server:
        error = fails_with(ProviderUnavailable, server.url)
        assert len(server.asked) > 1
    assert "500: Requested resource not found." in str(error)


@pytest.mark.parametrize("status", [501, 505, 520, 530])
def test_other_server_errors_are_not_tried_again(status):
    with serving(reply(status)) as server:
        fails_with(ProviderUnavailable, server.url)
        assert len(server.asked) == 1


def test_nobody_listens():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        error = fails_with(ProviderUnavailable, f"http://127.0.0.1:{deaf.getsockname()[1]}")
    assert "refused" in str(error)


# Retry-After.


def test_retry_after_in_seconds_is_kept():
    with serving(reply(429, b"", Retry_After="1"), reply(body=b"back")) as server:
        begun_s = time.monotonic()
        assert fetch(server.url).body == b"back"
    assert time.monotonic() - begun_s >= 1.0


def test_retry_after_as_a_date_is_kept():
    soon = format_datetime(NOW + timedelta(seconds=1), usegmt=True)
    with serving(reply(503, b"", Retry_After=soon), reply(body=b"back")) as server:
        begun_s = time.monotonic()
        assert fetch(server.url).body == b"back"
    assert time.monotonic() - begun_s >= 1.0


def test_a_wait_beyond_the_bound_is_told_at_once():
    with serving(reply(429, b'{"error":"slow down"}', Retry_After="3600")) as server:
        error = fails_with(ProviderUnavailable, server.url)
        assert len(server.asked) == 1
    assert error.retry_after_s == 3600
    assert str(error).endswith("answered 429: slow down and asks to wait 3600 s"), "not: gave up"


def test_retry_after_nothing_does_not_spin():
    with serving(reply(429, b"", Retry_After="0")) as server:
        fails_with(ProviderUnavailable, server.url)
        assert len(server.asked) == http.MAX_ATTEMPTS


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 24 Nov 2026 10:38:00 GMT", 60.0),
        ("Tue, 24 Nov 2026 10:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Tue, 99 Nov 2026 10:38:00 GMT", None),
        ("Tue, 24 Nov 2026 10:38:00 -0000", None),
    ],
)
def test_retry_after_is_read_or_ignored(header, seconds):
    assert retry_after_s(header, NOW) == seconds


# Bounded, whatever happens.


def test_a_server_that_says_nothing():
    with serving(hang) as server:
        error = fails_with(ProviderUnavailable, server.url, bound_s=SHORT_S)
    assert "after 1 s" in str(error)


def test_a_head_without_a_body():
    with serving(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", pause_s=0), hang) as server:
        server.answers[0] = lambda conn: (conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), hang(conn))
        fails_with(ProviderUnavailable, server.url, bound_s=SHORT_S)


def test_a_body_that_drips():
    drops = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 60]
    with serving(raw(*drops, pause_s=0.1)) as server:
        error = fails_with(ProviderUnavailable, server.url, bound_s=SHORT_S)
    assert "no whole answer after 1 s" in str(error)


def test_a_head_that_drips():
    with serving(raw(*[b"H"] * 60, pause_s=0.1)) as server:
        fails_with(ProviderUnavailable, server.url, bound_s=SHORT_S)


def endless(conn: socket.socket) -> None:
    conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        conn.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def test_a_body_that_never_ends():
    with serving(endless) as server:
        error = fails_with(ProviderBadData, server.url)
    assert "larger than 32 MB" in str(error)


def test_a_small_answer_that_unpacks_to_a_huge_one():
    bomb = gzip.compress(b"\0" * (MAX_BYTES + 1))
    assert len(bomb) < 100_000
    with serving(reply(body=bomb, Content_Encoding="gzip")) as server:
        assert "larger than 32 MB" in str(fails_with(ProviderBadData, server.url))


def test_an_answer_that_does_not_unpack():
    with serving(reply(body=b"not gzip", Content_Encoding="gzip")) as server:
        assert "decompressed" in str(fails_with(ProviderBadData, server.url))


def test_a_name_server_that_hangs(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: release.wait(20) or [])
    try:
        error = fails_with(ProviderUnavailable, "http://grid.example/", bound_s=SHORT_S)
    finally:
        release.set()
    assert "grid.example gave no whole answer after 1 s" in str(error)


def test_a_name_that_does_not_exist(monkeypatch):
    def unknown(*_args, **_named):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "Name or service not known" in str(fails_with(ProviderUnavailable, "http://grid.example/"))


def test_dropped_packets(monkeypatch):
    """A full listen queue drops the SYN: the connection never comes about."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            error = fails_with(ProviderUnavailable, f"http://127.0.0.1:{port}", bound_s=SHORT_S)
        finally:
            for filler in fillers:
                filler.close()
    assert "after 1 s" in str(error)


def test_ctrl_c_is_not_swallowed(monkeypatch):
    def interrupted(_exchange):
        raise KeyboardInterrupt

    monkeypatch.setattr(http._Exchange, "body", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch("http://127.0.0.1:9")


# Redirects.


def test_a_redirect_within_the_service_is_followed():
    with serving(reply(301, b"", Location="/v2/intensity"), reply(body=b"there")) as server:
        assert fetch(f"{server.url}/intensity", **{"auth-token": "abc"}).body == b"there"
        assert server.asked[1].startswith(b"GET /v2/intensity ")
        assert b"auth-token: abc" in server.asked[1]


def test_a_redirect_elsewhere_is_refused_and_keys_stay_here():
    with serving(reply()) as other, serving(reply(302, b"", Location=f"{other.url}/login")) as server:
        error = fails_with(ProviderRefused, server.url, **{"auth-token": "abc"})
        assert other.asked == []
    assert "redirects to 127.0.0.1" in str(error)
    assert "log-in page" in error.hint


def test_redirects_without_end_are_refused():
    with serving(reply(302, b"", Location="/again")) as server:
        assert "without end" in str(fails_with(ProviderRefused, server.url))


# Secrets.


def test_no_secret_shows_in_url_message_or_log(caplog):
    url_of = "{}/data?api_key=s3cr3t-value&frequency=hourly&facets[respondent][]=CISO"
    echo = b'{"error":"Invalid key s3cr3t-token for you"}'
    with caplog.at_level(logging.DEBUG), serving(reply(), reply(403, echo)) as server:
        good = fetch(url_of.format(server.url))
        error = fails_with(ProviderRefused, url_of.format(server.url), **{"auth-token": "s3cr3t-token"})
        assert all(b"GET /data?api_key=s3cr3t-value&frequency=hourly&facets" in asked for asked in server.asked)
    assert good.url == f"{server.url}/data?api_key=***&frequency=hourly&facets[respondent][]=CISO"
    assert "Invalid key *** for you" in str(error)
    assert "s3cr3t" not in caplog.text
    assert "s3cr3t" not in repr(error)


def test_a_user_name_in_the_address_does_not_show():
    with serving(reply(404)) as server:
        error = fails_with(ProviderRefused, server.url.replace("//", "//me:passw0rd@"))
    assert "passw0rd" not in str(error)


def test_retries_are_not_printed(capfd):
    with serving(reply(503), reply()) as server:
        fetch(server.url)
    assert capfd.readouterr() == ("", "")


# What the environment says.


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    with serving(reply(body=b"by proxy")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert fetch("http://grid.example/intensity").body == b"by proxy"
        assert proxy.asked[0].startswith(b"GET http://grid.example/intensity ")


@pytest.mark.parametrize(("name", "value"), [("ALL_PROXY", "gopher://127.0.0.1:1"), ("SSL_CERT_FILE", "missing.pem")])
def test_an_environment_that_cannot_work_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    error = fails_with(ProviderUnavailable, "http://127.0.0.1:9/")
    assert "network cannot be set up" in str(error)
    assert name in error.hint


@pytest.mark.parametrize("url", ["http://[broken", "http://exa mple:port/", "http://"])
def test_what_is_no_address_is_refused(url):
    assert "not a web address" in str(fails_with(InputError, url))


def unsigned_certificate(place: Path) -> ssl.SSLContext:
    """A server's side of TLS with a certificate nobody vouches for."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate can be made")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "cert.pem", place / "key.pem")
    return context


def test_a_server_that_cannot_prove_who_it_is(tmp_path):
    context = unsigned_certificate(tmp_path)
    tries = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    conn, _ = listener.accept()
                    tries.append(conn)
                    with conn, suppress(OSError):
                        context.wrap_socket(conn, server_side=True)

        threading.Thread(target=serve, daemon=True).start()
        error = fails_with(ProviderUnavailable, f"https://127.0.0.1:{listener.getsockname()[1]}")
        listener.shutdown(socket.SHUT_RDWR)
    assert "does not prove who it is" in str(error)
    assert "clock" in error.hint
    assert len(tries) == 1


def test_time_is_an_argument():
    with serving(reply()) as server:
        local = datetime(2026, 7, 1, 12, tzinfo=UTC)
        assert NetworkDoor(now=lambda: local).fetch(Request(url=server.url)).fetched_at == local
