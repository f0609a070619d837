"""In-memory doors that record what is asked of them, for tests of anything that talks to ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from greenai.errors import MeterUnavailable, ProviderUnavailable
from greenai.logic.spool import header_line, interval_line
from greenai.model.energy import EnergyInterval, EnergySample, EnergyTrace, MeterInfo
from greenai.model.evidence import Head, Record, RecordType, next_record, record_line, sha256_of
from greenai.model.intensity import Payload, Query, Request
from greenai.model.plan import Window
from greenai.ports import Clock

Answer = bytes | str | Exception
FAKE_METER = MeterInfo(name="fake", component="node", quality="measured:counter", low_ratio=1.0, high_ratio=1.0)


class FakeDoor:
    """Answers each request by how its URL starts; an exception is raised instead.

    `answers` maps the start of a URL to one answer, or to a list of them given
    in turn, the last for ever. The longest start that fits wins. What was asked
    is in `requests`.
    """

    def __init__(self, clock: Clock, answers: Mapping[str, Answer | Sequence[Answer]] | None = None) -> None:
        self._clock = clock
        self.answers: dict[str, list[Answer]] = {}
        for start, given in (answers or {}).items():
            self.give(start, *(given if isinstance(given, list | tuple) else [given]))
        self.requests: list[Request] = []

    def give(self, url_start: str, *answers: Any) -> None:
        """Answer requests whose URL starts so with these, in turn."""
        self.answers[url_start] = list(answers)

    def fetch(self, request: Request) -> Payload:
        """The prepared answer; ProviderUnavailable where none is."""
        self.requests.append(request)
        start = max((start for start in self.answers if request.url.startswith(start)), key=len, default=None)
        if start is None:
            raise ProviderUnavailable(f"the fake door has no answer for {request.url}")
        turns = self.answers[start]
        answer = turns.pop(0) if len(turns) > 1 else turns[0]
        if isinstance(answer, Exception):
            raise answer
        body = answer.encode() if isinstance(answer, str) else answer
        return Payload(url=request.url, body=body, sha256=sha256_of(body), fetched_at=self._clock.now())


class FakeArchive:
    """Implements `greenai.ports.Archive` in memory; `failure` is raised by `keep` while it is set."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Query, tuple[Payload, ...]]] = []
        self.failure: Exception | None = None

    def keep(self, provider: str, query: Query, payloads: Sequence[Payload]) -> None:
        """Remember one answer."""
        if self.failure:
            raise self.failure
        self.kept.append((provider, query, tuple(payloads)))

    def answers(self, provider: str, zone: str, purpose: str, not_after: datetime) -> Iterator[tuple[Query, tuple[Payload, ...]]]:
        """Remembered answers fetched up to `not_after`, newest first."""
        wanted = (provider, zone, purpose)
        found = [
            (_fetched_at(payloads), place, query, payloads)
            for place, (name, query, payloads) in enumerate(self.kept)
            if (name, query.zone, query.purpose) == wanted and _fetched_at(payloads) <= not_after
        ]
        for _, _, query, payloads in sorted(found, key=lambda answer: answer[:2], reverse=True):
            yield query, payloads

    def payload(self, sha256: str) -> Payload | None:
        """One remembered body by its hash."""
        bodies = (payload for _, _, payloads in self.kept for payload in payloads)
        return next((payload for payload in bodies if payload.sha256 == sha256), None)


class FakeLedger:
    """Implements `greenai.ports.Ledger` in memory; `failure` is raised by `append` while it is set (a full disk)."""

    def __init__(self) -> None:
        self.written: list[Record] = []
        self.failure: Exception | None = None

    def append(self, type: RecordType, payload: Mapping[str, Any], at: datetime) -> Record:  # noqa: A002 - the port's name
        """Chain and remember one record."""
        if self.failure:
            raise self.failure
        record = next_record(self.written[-1] if self.written else None, at=at, type=type, payload=payload)
        self.written.append(record)
        return record

    def records(self) -> Iterator[Record]:
        """All records in order."""
        return iter(tuple(self.written))

    def lines(self) -> Iterator[bytes]:
        """The lines a file would hold."""
        return iter([record_line(record).rstrip(b"\n") for record in self.written])

    def head(self) -> Head | None:
        """The last record's number and hash."""
        return Head(seq=self.written[-1].seq, sha256=self.written[-1].sha256) if self.written else None

    def types(self) -> list[str]:
        """The records' types in order: the story of a run at a glance."""
        return [record.type for record in self.written]


class FakeRunSpool:
    """Implements `greenai.ports.RunSpool`; `failure` of its store is raised by `write` while it is set."""

    def __init__(self, store: FakeRunStore, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def write(self, line: bytes) -> None:
        """Append one line."""
        if self._store.failure:
            raise self._store.failure
        self._store.bodies[self._run_id] += line

    def close(self) -> None:
        """Give up the claim."""
        self._store.claimed.discard(self._run_id)


class FakeRunStore:
    """Implements `greenai.ports.RunStore` in memory. `claimed` are the runs of live processes; put one in to be its holder."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.claimed: set[str] = set()
        self.failure: Exception | None = None

    def claim(self, run_id: str) -> FakeRunSpool | None:
        """Take a run, None while it is held."""
        if run_id in self.claimed:
            return None
        self.claimed.add(run_id)
        self.bodies.setdefault(run_id, b"")
        return FakeRunSpool(self, run_id)

    def body(self, run_id: str) -> bytes:
        """The samples so far."""
        return self.bodies.get(run_id, b"")

    def run_ids(self) -> tuple[str, ...]:
        """Every run ever claimed."""
        return tuple(sorted(self.bodies))


class FakeMeter:
    """Implements `greenai.ports.Meter`: a constant power on a clock's time; `failure` is raised while it is set."""

    def __init__(
        self, seconds: Callable[[], float], clock: Clock, *, power_w: float = 100.0, info: MeterInfo = FAKE_METER
    ) -> None:
        self.info = info
        self.power_w = power_w
        self.failure: MeterUnavailable | None = None
        self._seconds = seconds
        self._clock = clock

    def read(self) -> Sequence[EnergySample]:
        """Joules since the seconds were zero."""
        if self.failure:
            raise self.failure
        passed_s = self._seconds()
        sample = EnergySample(
            taken_at=self._clock.now(),
            monotonic_s=passed_s,
            meter=self.info.name,
            component=self.info.component,
            energy_j=self.power_w * passed_s,
        )
        return [sample]


class FakeMetering:
    """Implements `greenai.ports.Metering`: a constant power all of which is the job's, in intervals of `interval`.

    Spools through `write` as the real one does, but all at the end: virtual time
    does not stop for it. To see a run die halfway, raise in the executor.
    """

    def __init__(
        self,
        clock: Clock,
        write: Callable[[bytes], None] = lambda _line: None,
        *,
        power_w: float = 100.0,
        interval: timedelta = timedelta(minutes=5),
    ) -> None:
        self._clock = clock
        self._write = write
        self._power_w = power_w
        self._interval = interval
        self._started_at: datetime | None = None
        self._trace: EnergyTrace | None = None
        self.watched: list[int] = []

    def start(self) -> None:
        """From here the power is drawn."""
        self._started_at = self._clock.now()
        self._write(header_line(EnergyTrace(meters=(FAKE_METER,))))

    def watch(self, pid: int) -> None:
        """Remember the process."""
        self.watched.append(pid)

    def stop(self) -> EnergyTrace:
        """The trace from start to now. Idempotent."""
        if self._trace is None:
            intervals = tuple(self._intervals())
            for interval in intervals:
                self._write(interval_line(interval))
            self._trace = EnergyTrace(meters=(FAKE_METER,), intervals=intervals)
        return self._trace

    def _intervals(self) -> Iterator[EnergyInterval]:
        start_at, stop_at = self._started_at or self._clock.now(), self._clock.now()
        while start_at < stop_at:
            end_at = min(start_at + self._interval, stop_at)
            duration_s = (end_at - start_at).total_seconds()
            yield EnergyInterval(
                start_at=start_at,
                end_at=end_at,
                duration_s=duration_s,
                machine_j={FAKE_METER.name: self._power_w * duration_s},
                job_cpu_s=duration_s,
                busy_cpu_s=duration_s,
            )
            start_at = end_at


class FakeExecutor:
    """Implements `greenai.ports.Executor`: a command that takes `duration` of the clock's time and ends with `exit_code`.

    `launched` lists (command, run_id, env). `during` is called while the command
    runs, after half its time; what it raises comes out of `wait`. `failure` is
    raised by `launch`. `standing` are the spans in which the command is said to
    have been frozen, `done_to_it` what is said to have been done to it in the end.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        duration: timedelta = timedelta(hours=1),
        exit_code: int = 0,
        during: Callable[[], object] | None = None,
    ) -> None:
        self._clock = clock
        self.duration = duration
        self.exit_code = exit_code
        self.during = during
        self.failure: Exception | None = None
        self.standing: tuple[Window, ...] = ()
        self.done_to_it = ""
        self.launched: list[tuple[tuple[str, ...], str, dict[str, str]]] = []
        self._handles: dict[str, str] = {}

    def launch(self, command: Sequence[str], run_id: str, env: Mapping[str, str]) -> str:
        """Remember the command, once per run_id."""
        if self.failure:
            raise self.failure
        if run_id not in self._handles:
            self.launched.append((tuple(command), run_id, dict(env)))
            self._handles[run_id] = f"{1000 + len(self.launched)}:{len(self.launched)}"
        return self._handles[run_id]

    def pid(self, handle: str) -> int:
        """The made-up process of a handle."""
        return int(handle.partition(":")[0])

    def wait(self, handle: str) -> int:
        """Let the command's time pass."""
        if handle not in self._handles.values():
            raise AssertionError(f"nothing was launched as {handle}")
        end_at = self._clock.now() + self.duration
        self._clock.wait_until(end_at - self.duration / 2)
        if self.during:
            self.during()
        self._clock.wait_until(end_at)
        return self.exit_code

    def frozen(self, handle: str) -> tuple[Window, ...]:
        """What the test says."""
        return self.standing

    def end_note(self, handle: str) -> str:
        """What the test says."""
        return self.done_to_it


class FakeListener:
    """Implements `greenai.ports.Listener`: remembers the records, or raises `failure` while it is set."""

    def __init__(self) -> None:
        self.heard: list[Record] = []
        self.failure: Exception | None = None

    def __call__(self, record: Record) -> None:
        """Remember one record."""
        if self.failure:
            raise self.failure
        self.heard.append(record)


def _fetched_at(payloads: Sequence[Payload]) -> datetime:
    """When the last part of an answer came."""
    return max(payload.fetched_at for payload in payloads)
