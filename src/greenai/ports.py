"""What the engine asks of the world. Every door implements one of these; tests pass fakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from greenai.model.energy import EnergySample, EnergyTrace, MeterInfo
from greenai.model.evidence import Head, Record, RecordType
from greenai.model.intensity import Payload, Query, Request
from greenai.model.plan import Window
from greenai.model.queue import Entry, JobEvent, PauseWay, RunState, Submission, Task


class Clock(Protocol):
    """Time, and waiting for it."""

    def now(self) -> datetime:
        """The present moment, UTC."""
        ...

    def wait_until(self, moment: datetime) -> None:
        """Return at `moment` by the wall clock, also after a clock jump or suspend; KeyboardInterrupt passes through."""
        ...


class Door(Protocol):
    """The way to the outside: network, files, packaged facts."""

    def fetch(self, request: Request) -> Payload:
        """Read once, with time-outs and retries; raises ProviderError or InputError."""
        ...


class Archive(Protocol):
    """Every response ever read, by hash: cache, audit trail, measure of forecast skill."""

    def keep(self, provider: str, query: Query, payloads: Sequence[Payload]) -> None:
        """Store one answer (all its payloads together) durably."""
        ...

    def answers(self, provider: str, zone: str, purpose: str, not_after: datetime) -> Iterator[tuple[Query, tuple[Payload, ...]]]:
        """Stored answers for a zone fetched up to `not_after`, newest first."""
        ...

    def payload(self, sha256: str) -> Payload | None:
        """One stored body by its hash."""
        ...


class Ledger(Protocol):
    """The append-only, hash-chained record."""

    def append(self, type: RecordType, payload: Mapping[str, Any], at: datetime) -> Record:  # noqa: A002
        """Write one record durably and return it; raises StoreError and leaves the ledger whole."""
        ...

    def records(self) -> Iterator[Record]:
        """All records in order; raises EvidenceDamaged at a line that is no record."""
        ...

    def lines(self) -> Iterator[bytes]:
        """The complete lines as they stand, newline excluded, for whoever verifies them."""
        ...

    def head(self) -> Head | None:
        """The last record as written beside the ledger, None when that is absent; raises EvidenceDamaged."""
        ...


class RunSpool(Protocol):
    """The samples of one run, held by one live process."""

    def write(self, line: bytes) -> None:
        """Append one line so that it survives the process; raises StoreError and leaves whole lines."""
        ...

    def close(self) -> None:
        """Make it durable and give up the claim. Idempotent."""
        ...


class RunStore(Protocol):
    """The directory of each run."""

    def claim(self, run_id: str) -> RunSpool | None:
        """Take a run for this process; None while another live process holds it. Raises StoreError."""
        ...

    def body(self, run_id: str) -> bytes:
        """The samples as they stand, empty when there are none."""
        ...

    def run_ids(self) -> tuple[str, ...]:
        """Every run that has a directory, sorted."""
        ...


class Meter(Protocol):
    """One source of energy readings."""

    info: MeterInfo

    def read(self) -> Sequence[EnergySample]:
        """Cumulative joules now, by one sample. Never blocks for long.

        Raises MeterUnavailable when it cannot be read, and once when its counter
        was set back since the last read: the next read then counts on from there.
        """
        ...


class SharedMeter(Meter, Protocol):
    """A meter of a device that several jobs may use at once."""

    def share(self, pids: frozenset[int]) -> float:
        """How much of the device's energy since the last call is that of these processes, 0 to 1."""
        ...


class Metering(Protocol):
    """A running measurement of one job."""

    def start(self) -> None:
        """First read; the sampler runs from here."""
        ...

    def watch(self, pid: int) -> None:
        """Attribute CPU time to this process and its descendants."""
        ...

    def mark(self) -> int:
        """Read now and close an interval; the number of intervals so far: windows of a trace lie between two marks."""
        ...

    def stop(self) -> EnergyTrace:
        """Last read; joins the sampler first. Idempotent."""
        ...


class Executor(Protocol):
    """Where commands run. A handle is a string that survives restarts."""

    def launch(self, command: Sequence[str], run_id: str, env: Mapping[str, str]) -> str:
        """Start once per run_id and return its handle."""
        ...

    def pid(self, handle: str) -> int:
        """The process whose CPU time is the job's."""
        ...

    def wait(self, handle: str) -> int:
        """Block until the command ends; its exit code, 128+n for signal n."""
        ...

    def frozen(self, handle: str) -> tuple[Window, ...]:
        """The spans in which the command was stopped where it stood, asked after its end; none where nobody can freeze it."""
        ...

    def end_note(self, handle: str) -> str:
        """What was done to the command in the end, in words, asked after its end; empty for nothing."""
        ...


class JobQueue(Protocol):
    """The durable queue. What is acknowledged survives kill -9 and power cuts."""

    def enqueue(self, drafts: Sequence[Submission], at: datetime) -> tuple[Entry, ...]:
        """Store new jobs, all or none, and give them their ids: the next number for each.

        Drafts with an `array_index` share one number: 12_1, 12_2, ...; a draft's own `job.id` is not looked at.
        """
        ...

    def append(self, events: Sequence[JobEvent], *, holder: str = "") -> tuple[bool, ...]:
        """Write events durably, in one go; False for each that no longer follows (another process was quicker): not written.

        With a `holder` none is written unless the lease is that holder's at that moment.
        """
        ...

    def unfinished(self) -> tuple[Entry, ...]:
        """Every job that is not over, in the order of submission."""
        ...

    def entries(self, job_ids: Sequence[str]) -> tuple[Entry, ...]:
        """These jobs, or for the number of an array all of its jobs; raises UnknownJob."""
        ...

    def events(self, job_id: str) -> tuple[JobEvent, ...]:
        """The life of one job, first event first; raises UnknownJob."""
        ...

    def mark(self) -> int:
        """A number that changes whenever anything was written, by whomever; cheap enough to ask each second."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many jobs there are of each status, by its name."""
        ...

    def page(self, *, status: str = "", words: str = "", limit: int, offset: int = 0) -> tuple[Entry, ...]:
        """Some jobs: what runs first, then what will, then the ended; `words` stand in name, command, id or labels."""
        ...

    def holder(self, now_at: datetime) -> str | None:
        """Who has the right to run ticks now; None if nobody has."""
        ...

    def lease(self, holder: str, now_at: datetime, until_at: datetime) -> bool:
        """Take or renew the right to run ticks; False while another live holder has it. Never trusts a clock alone."""
        ...

    def release(self, holder: str) -> None:
        """Give the right back. Idempotent."""
        ...


class JobExecutor(Protocol):
    """Where queued jobs run. Every call may be repeated after a crash and is then without effect."""

    name: str

    def launch(self, task: Task) -> str:
        """Start a leg, once per run_id for ever, also from two processes at once; its handle, a string that survives restarts.

        Raises InputError when it can never start (no such command), StoreError or GreenaiError when it may later.
        """
        ...

    def look(self, run_id: str, handle: str) -> RunState:
        """What has become of a run; `handle` is empty if whoever launched it died before it could be saved."""
        ...

    def pause(self, run_id: str, handle: str, way: PauseWay = "auto") -> None:
        """Ask it to give way, in the way its task says, or frozen where this `way` is freeze; returns at once."""
        ...

    def resume(self, run_id: str, handle: str) -> None:
        """Let a frozen run go on, or take a request to pause back."""
        ...

    def stop(self, run_id: str, handle: str) -> None:
        """End it: TERM, then KILL after its grace; returns at once."""
        ...


@runtime_checkable
class HoldingExecutor(JobExecutor, Protocol):
    """An engine that itself starts a leg when its time has come, whether or not a daemon of ours lives then."""

    def schedule(self, task: Task, start_at: datetime) -> str:
        """Hand a leg over to be started at a moment, or move it there; its handle. Raises as `launch`."""
        ...

    def in_line(self) -> frozenset[str]:
        """The runs of this state directory that were handed over and have not begun; raises StoreError."""
        ...


class Listener(Protocol):
    """Told of each record written; its failure is recorded, never fatal."""

    def __call__(self, record: Record) -> None:
        """Handle one record."""
        ...
