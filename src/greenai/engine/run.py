"""A job's life in the foreground: wait, launch, meter, settle the evidence.

Order of the ledger's records: decision(s), run_started, run_ended, evidence.
`run_started` is written before the launch and holds all that evidence needs, so
that a run killed at any line is completed later from its spool (engine/recover.py).
Once the command runs, nothing that happens to the ledger or the meters can end it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from greenai.engine.doors import Doors
from greenai.engine.price import price
from greenai.engine.progress import Ended, Started
from greenai.errors import GreenaiError, StoreError
from greenai.logic.evidencing import evidence_document, facts_document
from greenai.logic.facts_documents import course_document
from greenai.logic.masking import masked
from greenai.logic.plan_document import decision_document
from greenai.logic.spool import trace_of
from greenai.model.energy import EnergyTrace
from greenai.model.evidence import Record, RecordType, RunFacts, record_from_line, record_line, sha256_of
from greenai.model.intensity import Reading
from greenai.model.job import Job
from greenai.model.plan import Window
from greenai.model.units import iso_utc
from greenai.ports import Metering, RunSpool

if TYPE_CHECKING:
    from greenai.engine.wait import Choice
    from greenai.logic.deciding import Policy

LEDGER_REMEDY = "the run goes on; free space or mend the permissions, then: greenai evidence settle"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One run. `facts` is what evidence will rest on, its times and exit code still empty.

    `waits` False: the command starts at once, no decision is made (measure), and no policy is asked.
    """

    facts: RunFacts
    job: Job
    policy: Policy | None = None
    waits: bool = True
    require_live: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What came of a run. `evidence` is the document as stored, with the record's hashes; None if it could not be."""

    run_id: str
    exit_code: int
    decision: dict[str, Any] | None
    evidence: dict[str, Any] | None
    warnings: tuple[str, ...] = ()


class Journal:
    """Appends the records of one run; after the launch a failing ledger becomes a warning, never an end."""

    def __init__(self, doors: Doors, run_id: str) -> None:
        self._doors = doors
        self._run_id = run_id
        self.warnings: list[str] = []

    def write(self, kind: RecordType, payload: Mapping[str, Any]) -> Record:
        """Append now; raises StoreError."""
        return self._doors.ledger.append(kind, {"run_id": self._run_id, **payload}, self._doors.clock.now())

    def try_write(self, kind: RecordType, payload: Mapping[str, Any]) -> Record | None:
        """Append if possible; otherwise warn."""
        try:
            return self.write(kind, payload)
        except StoreError as error:
            self.warnings.append(f"{error}; {LEDGER_REMEDY}")
            return None


def run_job(request: RunRequest, doors: Doors) -> RunOutcome:
    """Wait for the start, run the command, write its evidence.

    Raises NoFeasibleWindow, ProviderError (only with require_live) or StoreError
    before anything is started, and KeyboardInterrupt when the wait is broken off;
    afterwards every trouble is a warning in the outcome.
    """
    run_id = request.facts.run_id
    journal = Journal(doors, run_id)
    with _claimed(doors, run_id) as spool:
        choice = wait_recorded(request, doors, journal) if request.waits else None
        decision = decision_document(choice.decision, choice.reading) if choice else None
        facts = replace(request.facts, decision=decision, simulated=choice is not None and is_simulated(choice.reading))
        ended, trace = _execute(facts, request, doors, journal=journal, spool=spool)
        evidence = complete(ended, doors, journal, trace=trace, planned=choice.reading if choice else None)
    return RunOutcome(
        run_id=run_id,
        exit_code=ended.exit_code if ended.exit_code is not None else 1,
        decision=decision,
        evidence=evidence,
        warnings=tuple(journal.warnings),
    )


@contextmanager
def _claimed(doors: Doors, run_id: str) -> Iterator[RunSpool]:
    spool = doors.runs.claim(run_id)
    if spool is None:
        raise StoreError(f"run {run_id} belongs to another process", hint="start again: each run gets a new id")
    try:
        yield spool
    finally:
        spool.close()


def wait_recorded(request: RunRequest, doors: Doors, journal: Journal) -> Choice:
    """The choice to start by; a broken-off wait is recorded before it is passed on."""
    # What plans and forecasts is loaded by those that wait: a command that starts at once does not pay for it.
    from greenai.engine.wait import wait_for_start
    from greenai.logic.placing import asap

    written: list[Record | None] = []

    def keep(choice: Choice) -> None:
        payload = {**decision_document(choice.decision, choice.reading), "command": list(masked(request.facts.command))}
        # Only the first may stop the job: a disk that fills up during the wait must not.
        written.append(journal.try_write("decision", payload) if written else journal.write("decision", payload))

    try:
        return wait_for_start(request.job, request.policy or asap, doors, require_live=request.require_live, keep=keep)
    except KeyboardInterrupt:
        journal.try_write("interrupted", {"phase": "waiting", "reason": "stopped by the user before the start"})
        raise


def is_simulated(reading: Reading) -> bool:
    """Whether the user's own source is a model, such as an hour-of-day table: not the intensities of this day."""
    return reading.step == "live" and reading.series is not None and reading.series.kind == "modelled"


def started(facts: RunFacts) -> Started:
    """What is told at the start; with the decision's reason where the job could have waited."""
    could_wait = facts.latest_start_at is not None and facts.latest_start_at > facts.runnable_at
    return Started(
        run_id=facts.run_id,
        command=facts.command,
        started_at=facts.started_at or facts.runnable_at,
        reason=str(facts.decision["reason"]) if facts.decision and could_wait else "",
    )


def _execute(
    facts: RunFacts, request: RunRequest, doors: Doors, *, journal: Journal, spool: RunSpool
) -> tuple[RunFacts, EnergyTrace]:
    """Launch, meter and wait; the facts with the end filled in, and the trace as metered."""
    metering = doors.metering(spool.write)
    facts = replace(facts, started_at=doors.clock.now())
    write = journal.try_write if request.waits else journal.write
    write("run_started", facts_document(facts))
    doors.tell(started(facts))
    metering.start()
    try:
        seen = _launch_and_wait(facts, request, doors, metering)
    except GreenaiError as error:
        journal.try_write("interrupted", {"phase": "launching", "reason": str(error)})
        raise
    finally:
        trace = metering.stop()
    ended_at = doors.clock.now()
    doors.tell(Ended(run_id=facts.run_id, exit_code=seen.exit_code, ended_at=ended_at))
    return replace(facts, ended_at=ended_at, exit_code=seen.exit_code, frozen=seen.frozen, end_note=seen.end_note), trace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """How a command ended, when it stood still, and what was done to it in the end."""

    exit_code: int
    frozen: tuple[Window, ...]
    end_note: str


def _launch_and_wait(facts: RunFacts, request: RunRequest, doors: Doors, metering: Metering) -> _Seen:
    """Launch the command and see it to its end."""
    handle = doors.executor.launch(facts.command, facts.run_id, request.environment)
    metering.watch(doors.executor.pid(handle))
    exit_code = doors.executor.wait(handle)
    return _Seen(exit_code=exit_code, frozen=doors.executor.frozen(handle), end_note=doors.executor.end_note(handle))


def complete(
    facts: RunFacts,
    doors: Doors,
    journal: Journal,
    *,
    trace: EnergyTrace,
    planned: Reading | None = None,
    end_recorded: bool = False,
) -> dict[str, Any] | None:
    """Write run_ended and the evidence of an ended run; the caller holds its claim.

    The evidence rests on the spool as it is on disk, so that anyone can recompute
    it; the trace in memory serves only when the disk took nothing.
    """
    body = _spooled(facts.run_id, doors, journal)
    spooled = trace_of(body) if body else trace
    ended = replace(facts, samples_sha256=sha256_of(body))
    if not end_recorded:
        journal.try_write("run_ended", run_ended_document(ended, spooled))
    reading = price(ended, doors, planned=planned)
    record = journal.try_write("evidence", evidence_document(ended, spooled, reading))
    return shown(as_read(record)) if record else None


def _spooled(run_id: str, doors: Doors, journal: Journal) -> bytes:
    """The samples on the disk; none, with a warning, when the disk does not give them."""
    try:
        return doors.runs.body(run_id)
    except StoreError as error:
        journal.warnings.append(str(error))
        return b""


def as_read(record: Record) -> Record:
    """The record as the ledger gives it back, 1.0 having become 1: two readers then see the same document."""
    return record_from_line(record_line(record).rstrip(b"\n"))


def shown(record: Record) -> dict[str, Any]:
    """A record's document with the hashes that chain it."""
    return {**record.payload, "previous_sha256": record.prev_sha256, "sha256": record.sha256}


def run_ended_document(facts: RunFacts, trace: EnergyTrace) -> dict[str, Any]:
    """The payload of run_ended: how the command ended, its samples, labels known only now, and when it stood still."""
    return {
        "ended_at": iso_utc(facts.ended_at) if facts.ended_at else None,
        "exit_code": facts.exit_code,
        "samples_sha256": facts.samples_sha256,
        "intervals": len(trace.intervals),
        "labels": facts_document(facts)["labels"],
        **course_document(facts),
    }
