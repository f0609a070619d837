"""The one network door: a whole answer within a bounded time, or a named reason why not.

Every attempt runs in a daemon thread that the caller waits for no longer than
the bound: name servers that hang, dropped packets, bodies that drip or never
end cannot hold a job up. Tried again is only what another try can mend: no
connection, 429, 500, 502, 503, 504.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from greenai._version import __version__
from greenai.errors import InputError, ProviderBadData, ProviderRefused, ProviderUnavailable
from greenai.model.intensity import Payload, Request
from greenai.model.units import as_utc

if TYPE_CHECKING:
    from concurrent.futures import Future

    import httpx

# httpx brings a command line of its own and takes longer to import than all of greenai: only who asks the network pays for it,
# and for the parts of Python that belong to it.

DEFAULT_BOUND_S = 10.0
CONNECT_S = 3.0
"""A dropped packet must leave time for a second try."""

MAX_BYTES = 32 * 1024 * 1024
MAX_COMPLAINT_BYTES = 64 * 1024
MAX_REDIRECTS = 5
MAX_ATTEMPTS = 4
TRANSIENT = frozenset({429, 500, 502, 503, 504})
USER_AGENT = f"greenai/{__version__} (+carbon-aware scheduling)"

_SECRET = re.compile(r"key|token|secret|password|signature|auth", re.IGNORECASE)


class _Transient(ProviderUnavailable):
    """Unavailable in a way that another try may mend."""


WaitTurn = Callable[[str, float, float], None]
"""(host, spacing_s, bound_s): returns when a read may go out (adapters/turns.py), or raises ProviderUnavailable."""


def _go_at_once(_host: str, _spacing_s: float, _bound_s: float) -> None:
    """Nobody counts."""


class NetworkDoor:
    """Implements `greenai.ports.Door` for http: and https:. Proxies and certificates are taken from the environment."""

    def __init__(
        self, *, now: Callable[[], datetime], bound_s: float = DEFAULT_BOUND_S, wait_turn: WaitTurn = _go_at_once
    ) -> None:
        self._now = now
        self._bound_s = bound_s
        self._wait_turn = wait_turn

    def fetch(self, request: Request) -> Payload:
        """Read one URL; retries and redirects within `bound_s` seconds altogether.

        Raises:
            ProviderUnavailable: no usable answer in time; `retry_after_s` if the service said when.
            ProviderRefused: the service does not accept the request, with its own words.
            ProviderBadData: an answer that does not decode or never ends.
            InputError: not a web address.
        """
        import httpx  # noqa: F401  before the time runs, not in the thread

        if request.spacing_s:
            self._wait_turn(urlsplit(request.url).netloc, request.spacing_s, self._bound_s)
        exchange = _Exchange(request, now=self._now, bound_s=self._bound_s)
        try:
            body = _in_daemon(exchange.body).result(timeout=self._bound_s)
        except TimeoutError:
            raise exchange.too_late() from None
        return Payload(url=exchange.shown_url, body=body, sha256=hashlib.sha256(body).hexdigest(), fetched_at=as_utc(self._now()))


@cache
def _silence_retries() -> None:
    """Stamina logs each retry as a warning; without a handler Python would print it into the user's terminal."""
    import logging

    logging.getLogger("stamina").addHandler(logging.NullHandler())


def _in_daemon(work: Callable[[], bytes]) -> Future[bytes]:
    """Run in a thread that the interpreter does not wait for at exit."""
    from concurrent.futures import Future

    future: Future[bytes] = Future()

    def carry() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            future.set_exception(error)

    threading.Thread(target=carry, name="greenai-fetch", daemon=True).start()
    return future


def _client(left_s: float) -> httpx.Client:
    """A client as the environment wants it: proxies and certificates."""
    import httpx

    try:
        return httpx.Client(timeout=httpx.Timeout(left_s, connect=min(CONNECT_S, left_s)))
    except (OSError, ValueError, ImportError) as error:
        # A proxy of a kind that is not installed, a certificate file that is not there.
        hint = "check HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
        raise ProviderUnavailable(f"the network cannot be set up: {error}", hint=hint) from None


def _no_address(url: str, error: Exception) -> InputError:
    return InputError(f"{url!r} is not a web address: {error}", hint="check the <provider>_url setting")


class _Exchange:
    """One request until its answer, its refusal or its deadline."""

    def __init__(self, request: Request, *, now: Callable[[], datetime], bound_s: float) -> None:
        self._request = request
        self._now = now
        self._bound_s = bound_s
        self._deadline_s = time.monotonic() + bound_s
        self._last: Exception | None = None
        self.shown_url = _redacted(request.url)
        self._host = urlsplit(self.shown_url).netloc

    def body(self) -> bytes:
        """The body of the first good answer."""
        import stamina

        _silence_retries()
        for attempt in stamina.retry_context(
            on=self._pause, attempts=MAX_ATTEMPTS, timeout=self._bound_s, wait_initial=0.2, wait_max=2.0, wait_jitter=0.5
        ):
            with attempt:
                return self._attempt()
        raise self.too_late()

    def too_late(self) -> ProviderUnavailable:
        """The error when time is up, with the last thing that went wrong."""
        problem = f"{self._last}; gave up" if self._last else f"{self._host} gave no whole answer"
        return ProviderUnavailable(f"{problem} after {self._bound_s:g} s")

    def _left_s(self) -> float:
        return self._deadline_s - time.monotonic()

    def _pause(self, error: Exception) -> bool | float:
        """Whether to try again: False, True (with growing pauses), or the seconds the service asked for."""
        self._last = error
        if not isinstance(error, _Transient):
            return False
        if error.retry_after_s is None:
            return self._left_s() > 0
        return max(error.retry_after_s, 0.05) if error.retry_after_s < self._left_s() else False

    def _attempt(self) -> bytes:
        import httpx

        left_s = self._left_s()
        if left_s <= 0:
            raise self.too_late()
        try:
            with _client(left_s) as client:
                return self._follow(client)
        except httpx.DecodingError:
            raise ProviderBadData(f"the answer of {self._host} cannot be decompressed") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise _no_address(self.shown_url, error) from None
        except httpx.TransportError as error:
            raise self._unreached(error) from None

    def _unreached(self, error: httpx.TransportError) -> ProviderUnavailable:
        """What kept the answer from coming; a certificate that does not verify is not tried again."""
        import ssl

        import httpx

        if isinstance(error, httpx.TimeoutException):
            return _Transient(f"{self._host} does not answer")
        reason = str(error) or type(error).__name__
        if _caused_by(error, ssl.SSLCertVerificationError):
            hint = "check this machine's clock and certificates (SSL_CERT_FILE)"
            return ProviderUnavailable(f"{self._host} does not prove who it is: {reason}", hint=hint)
        return _Transient(f"{self._host} cannot be reached: {reason}")

    def _follow(self, client: httpx.Client) -> bytes:
        """Ask, and follow redirects as long as they stay with the same service: keys go nowhere else."""
        url = self._request.url
        for _ in range(MAX_REDIRECTS):
            with client.stream("GET", _redacted(url), headers=self._headers(), extensions=_target(url)) as response:
                if not response.has_redirect_location:
                    return self._answer(response)
                url = self._redirected(url, response.headers["location"])
        raise ProviderRefused(f"{self._host} redirects without end")

    def _headers(self) -> dict[str, str]:
        return {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip", **self._request.headers}

    def _redirected(self, url: str, location: str) -> str:
        import httpx

        here, there = httpx.URL(url), httpx.URL(url).join(location)
        upgraded = (here.scheme, there.scheme) == ("http", "https") and here.host == there.host
        if not upgraded and (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
            raise ProviderRefused(
                f"{self._host} redirects to {there.host}, which was not asked for",
                hint="a log-in page of this network, or the service has moved: then set its <provider>_url",
            )
        return str(there)

    def _answer(self, response: httpx.Response) -> bytes:
        status = response.status_code
        if response.is_success:
            return self._whole(response, MAX_BYTES)
        complaint = self._complaint(response)
        if status in TRANSIENT:
            wait_s = retry_after_s(response.headers.get("retry-after", ""), self._now())
            asked = f" and asks to wait {wait_s:.0f} s" if wait_s else ""
            raise _Transient(f"{self._host} answered {status}{complaint}{asked}", retry_after_s=wait_s)
        if response.is_server_error:
            raise ProviderUnavailable(f"{self._host} answered {status}{complaint}")
        hint = "check the service's key and what it may read" if status in {401, 403} else None
        raise ProviderRefused(f"{self._host} answered {status}{complaint}", hint=hint, status=status)

    def _whole(self, response: httpx.Response, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_bytes():
            size += len(part)
            if size > limit:
                raise ProviderBadData(f"the answer of {self._host} is larger than {limit / 2**20:g} MB")
            if self._left_s() <= 0:
                raise self.too_late()
            parts.append(part)
        return b"".join(parts)

    def _complaint(self, response: httpx.Response) -> str:
        """The service's own words, short, printable, and without what was sent as a secret."""
        try:
            words = _words_of(self._whole(response, MAX_COMPLAINT_BYTES))
        except ProviderBadData:
            return ""
        for value in self._request.headers.values():
            words = words.replace(value, "***") if len(value) >= 6 else words
        return f": {words}" if words else ""


def retry_after_s(header: str, now_at: datetime) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or an HTTP date (RFC 9110, 10.2.3); None if neither."""
    from email.utils import parsedate_to_datetime

    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (as_utc(moment) - now_at).total_seconds())
    except (ValueError, OverflowError):
        return None


def _words_of(body: bytes) -> str:
    text = body.decode("utf-8", errors="replace").strip()
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = "" if text.startswith("<") else text
    for _ in range(2):
        if isinstance(found, dict):
            found = next((found[key] for key in ("message", "error", "reason", "detail") if key in found), "")
    words = found if isinstance(found, str) else ""
    return " ".join("".join(char if char.isprintable() else " " for char in words).split())[:200]


def _redacted(url: str) -> str:
    """The URL as it may be shown and archived: no user, no password, no secret in its query."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _no_address(url, error) from None
    query = [(name, "***" if _SECRET.search(name) else value) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    clean = urlencode(query, safe="*:,[]") if any(_SECRET.search(name) for name, _ in query) else parts.query
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, clean, parts.fragment))


def _target(url: str) -> dict[str, bytes]:
    """The path and query really asked for, where the shown URL hides some of it: httpx logs the URL it is given."""
    import httpx

    return {} if _redacted(url) == url else {"target": httpx.URL(url).raw_path}


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False
