"""A grid service on this machine, for tests and for trying things out.

It speaks the documented routes of the GB Carbon Intensity API and, each under its
provider's name, of Electricity Maps, Energy-Charts, WattTime, EIA, Energi Data
Service, Open Electricity and a Carbon Aware SDK, and of Open-Meteo for the weather.
It replays a series file as if
it were now, and fails on demand in the ways such services fail::

    with FakeGrid(series="2020.csv", now=datetime(2020, 6, 1, 10, 37, tzinfo=UTC)) as grid:
        grid.fail("outage_500", times=2)
        fetch(f"{grid.url}/intensity/2020-06-01T10:31Z/fw48h")
        assert len(grid.requests) == 1

Loopback only. `GET /_faults` lists what is switched on, `POST /_faults` with
{"fault": "nulls", "times": 2} switches on, `DELETE /_faults` off again.
"""

from __future__ import annotations

import difflib
import json
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from greenai.errors import InputError
from greenai.model.units import as_utc, floor_to
from greenai.testing import (
    _carbonawaresdk,
    _eia,
    _electricitymaps,
    _energidataservice,
    _energycharts,
    _openelectricity,
    _openmeteo,
    _uk,
    _watttime,
)
from greenai.testing._faults import FAULTS, Fault, spoiled
from greenai.testing._world import HALF_HOUR, Asked, Recorded, Reply, World, rows_from_csv, synthetic_rows

HOST = "127.0.0.1"
FAULT_NAMES = tuple(FAULTS)

Rows = Iterable[tuple[datetime, float]]
Service = Callable[[Asked, World], Reply]


def _uk_answer(asked: Asked, world: World) -> Reply:
    return _uk.answer(asked.path, world)


SERVICES: Mapping[str, Service] = MappingProxyType(
    {
        "uk": _uk_answer,
        "electricitymaps": _electricitymaps.answer,
        "energycharts": _energycharts.answer,
        "watttime": _watttime.answer,
        "eia": _eia.answer,
        "energidataservice": _energidataservice.answer,
        "openelectricity": _openelectricity.answer,
        "carbonawaresdk": _carbonawaresdk.answer,
        "openmeteo": _openmeteo.answer,
    }
)
"""The services behind one server: each at /<name>; the UK service at / too."""

_LONGEST_REQUEST_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request the grid was asked, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class FakeGrid:
    """A grid service in a thread.

    Args:
        series: a CSV file start_utc,g_per_kwh (any step), or (start, g/kWh) rows; None for a made-up day.
        now: what the service takes for the present: a moment, or a function such as a clock's `now`; None for the real one.
        port: 0 for any free one.
        at: the recorded moment that plays as now (to the half hour). Without it the record keeps its dates.
        repeat: play the record over and over before and after its own time.
        noise_share: how far the forecast misses a day ahead, as a share of the value.
        actual_after: how long after a half hour its measured value is published; negative publishes the future.

    Raises:
        InputError: the series cannot be read.
    """

    def __init__(
        self,
        series: Rows | str | Path | None = None,
        *,
        now: datetime | Callable[[], datetime] | None = None,
        port: int = 0,
        at: datetime | None = None,
        repeat: bool = True,
        noise_share: float = 0.0,
        actual_after: timedelta = HALF_HOUR,
    ) -> None:
        self._clock = _clock_of(now)
        self._port = port
        self._lock = threading.Lock()
        self._requests: list[Received] = []
        self._faults: list[Fault] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        now_at = self._clock()
        self._world = World(
            now_at=now_at,
            recorded=Recorded(_rows_of(series), repeat=repeat),
            shift=timedelta(0) if at is None else floor_to(now_at, HALF_HOUR) - floor_to(as_utc(at, name="at"), HALF_HOUR),
            actual_after=actual_after,
            noise_share=noise_share,
        )

    @property
    def url(self) -> str:
        """Base URL of the UK service."""
        return self.url_of("uk").removesuffix("/uk")

    def url_of(self, service: str) -> str:
        """Base URL of one of the services."""
        if self._server is None:
            raise InputError("the grid is not running", hint="use it in a with block, or call start()")
        return f"http://{HOST}:{self._server.server_address[1]}/{service}"

    @property
    def requests(self) -> tuple[Received, ...]:
        """The requests so far, those to the control routes aside."""
        with self._lock:
            return tuple(self._requests)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults switched on, in the order they take effect."""
        with self._lock:
            return tuple(self._faults)

    def fail(
        self, name: str, *, times: int | None = None, path: str = "/", retry_after_s: float = 1.0, drip_s: float = 0.2
    ) -> None:
        """Switch a fault on, for the next `times` requests whose path starts with `path`; faults take effect in order.

        Raises:
            InputError: no such fault, or `times` below 1.
        """
        if name not in FAULTS:
            close = difflib.get_close_matches(name, FAULTS, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise InputError(f"there is no fault {name!r}", hint=f"{hint}known: {', '.join(FAULTS)}")
        if times is not None and times < 1:
            raise InputError(f"a fault hits at least one request, not {times}")
        fault = Fault(name=name, times=times, path=str(path), retry_after_s=float(retry_after_s), drip_s=float(drip_s))
        with self._lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults.clear()

    def set_now(self, now: datetime | Callable[[], datetime]) -> None:
        """Give the service another present."""
        self._clock = _clock_of(now)

    def start(self) -> Self:
        """Listen.

        Raises:
            InputError: the port is taken.
        """
        try:
            self._server = _Server(self._port, self)
        except OSError as error:
            raise InputError(f"port {self._port} cannot be used: {error.strerror}", hint="choose another port, or 0") from None
        self._thread = threading.Thread(
            target=partial(self._server.serve_forever, poll_interval=0.02), name="fake-grid", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening, and end answers that hang."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.stopping.set()
        server.shutdown()
        self._thread.join()
        server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def answer(self, received: Received) -> tuple[Reply, Fault | None]:
        """The answer to a request and the fault that spoiled it."""
        with self._lock:
            self._requests.append(received)
            fault = self._next_fault(received.path)
        name, _, rest = received.path.lstrip("/").partition("/")
        service, path = (SERVICES[name], f"/{rest}") if name in SERVICES else (SERVICES["uk"], received.path)
        path, _, arguments = path.partition("?")
        asked = Asked(path=path, query=parse_qs(arguments, keep_blank_values=True), headers=received.headers)
        reply = service(asked, replace(self._world, now_at=self._clock()))
        return (spoiled(reply, fault) if fault else reply), fault

    def _next_fault(self, path: str) -> Fault | None:
        """The first fault that hits this path, counted down."""
        for place, fault in enumerate(self._faults):
            if path.startswith(fault.path):
                if fault.times is not None:
                    left = fault.times - 1
                    self._faults[place : place + 1] = [replace(fault, times=left)] if left else []
                return fault
        return None


def serve(
    *,
    series: str | Path | None = None,
    port: int = 0,
    faults: Iterable[str] = (),
    at: datetime | None = None,
    noise_share: float = 0.0,
    tell: Callable[[str], object] | None = None,
) -> None:
    """Serve until interrupted; `tell` is given each line to show (default: standard output).

    A fault is a name, or "name:3" for the first three requests.

    Raises:
        InputError: a series, port or fault that cannot be used.
    """
    tell = tell or _say
    with FakeGrid(series, port=port, at=at, noise_share=noise_share) as grid:
        for fault in faults:
            name, _, times = fault.partition(":")
            grid.fail(name, times=_count(fault, times) if times else None)
        try:
            tell(f"grid service at {grid.url} (UK carbon intensity API; Ctrl-C ends it)")
            tell(f"use it:   export GREENAI_UK_URL={grid.url}")
            tell(f'spoil it: curl -d \'{{"fault": "outage_500", "times": 3}}\' {grid.url}/_faults')
            threading.Event().wait()
        except KeyboardInterrupt:
            tell("stopped")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _count(fault: str, text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise InputError(f"the fault {fault!r} says no number of requests", hint="write it like outage_500:3")
    return int(text)


def _clock_of(now: datetime | Callable[[], datetime] | None) -> Callable[[], datetime]:
    if now is None:
        return lambda: datetime.now(UTC)
    if callable(now):
        return now
    moment = as_utc(now, name="now")
    return lambda: moment


def _rows_of(series: Rows | str | Path | None) -> Rows:
    if series is None:
        return synthetic_rows()
    return rows_from_csv(Path(series)) if isinstance(series, str | Path) else series


class _Server(ThreadingHTTPServer):
    """Threads are joined when the server closes, so that no test leaves one behind."""

    daemon_threads = False

    def __init__(self, port: int, grid: FakeGrid) -> None:
        self.grid = grid
        self.stopping = threading.Event()
        super().__init__((HOST, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is no error of the server's."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    server: _Server

    def do_GET(self) -> None:
        """Answer as the service, or list the faults."""
        if self.path == "/_faults":
            self._send(Reply(document=[asdict(fault) for fault in self.server.grid.faults]))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply, fault = self.server.grid.answer(Received(method=self.command, path=self.path, headers=headers))
        deliver = {"slow": self._drip, "hang": self._hang, "reset": self._reset}.get(reply.delivery)
        if deliver and fault:
            deliver(reply, fault)
        else:
            self._send(reply)

    def do_POST(self) -> None:
        """Switch a fault on."""
        try:
            if self.path != "/_faults":
                raise InputError(f"POST {self.path} is not known", hint="faults are switched on at /_faults")
            length = min(int(self.headers.get("Content-Length") or 0), _LONGEST_REQUEST_BYTES)
            wanted = json.loads(self.rfile.read(length))
            if not isinstance(wanted, dict) or "fault" not in wanted:
                raise InputError("the body names no fault", hint='send {"fault": "nulls", "times": 2}')
            self.server.grid.fail(wanted.pop("fault"), **wanted)
        except (ValueError, TypeError) as error:
            self._send(Reply(status=400, document={"error": str(error), "hint": getattr(error, "hint", None)}))
        else:
            self._send(Reply(document=[asdict(fault) for fault in self.server.grid.faults]))

    def do_DELETE(self) -> None:
        """Switch all faults off."""
        self.server.grid.heal()
        self._send(Reply(document=[]))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
        """Say nothing: `FakeGrid.requests` has it all."""

    def _head(self, reply: Reply, length: int) -> None:
        self.close_connection = True
        self.send_response(reply.status)
        fields = {"Content-Type": reply.content_type, "Content-Length": str(length), "Connection": "close", **reply.headers}
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, reply: Reply) -> None:
        body = reply.encoded()
        self._head(reply, len(body))
        self.wfile.write(body)

    def _drip(self, reply: Reply, fault: Fault) -> None:
        body = reply.encoded()
        self._head(reply, len(body))
        for start in range(0, len(body), 16):
            self.wfile.write(body[start : start + 16])
            if self.server.stopping.wait(fault.drip_s):
                return

    def _hang(self, _reply: Reply, _fault: Fault) -> None:
        """Say nothing until the client gives up or the grid stops."""
        self.close_connection = True
        while not self.server.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def _reset(self, _reply: Reply, _fault: Fault) -> None:
        """Close with a reset instead of an end: with a linger time of zero the kernel sends RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
