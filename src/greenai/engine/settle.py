"""Completing the ledger: runs that died get their evidence, provisional evidence its measured intensities.

Both only append. Whoever completes a run holds its claim, so two processes never
write the same evidence, and what already stands in the ledger is looked at after
the claim is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from greenai.engine.doors import Doors
from greenai.engine.price import observed_over
from greenai.engine.run import Journal, as_read, complete, shown
from greenai.logic.evidencing import evidence_document, facts_from_document
from greenai.logic.facts_documents import frozen_from_document
from greenai.logic.spool import trace_of
from greenai.model.energy import EnergyTrace
from greenai.model.evidence import Record, RunFacts, canonical, record_from_line
from greenai.model.units import parse_iso_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleReport:
    """What was settled (evidence documents), recovered (run ids), and what still waits (run id, why)."""

    settled: tuple[dict[str, Any], ...] = ()
    recovered: tuple[str, ...] = ()
    waiting: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHistory:
    """The newest record of each type that one run has left."""

    run_id: str
    by_type: Mapping[str, Record]

    def has(self, *types: str) -> bool:
        """Whether any record of these types stands."""
        return any(kind in self.by_type for kind in types)

    @property
    def evidence(self) -> Record | None:
        """The record that counts: the newest settlement, else the evidence."""
        return self.by_type.get("settlement") or self.by_type.get("evidence")

    @property
    def unfinished(self) -> bool:
        """Whether the run was cut off before its last record."""
        interrupted = self.by_type.get("interrupted")
        never_ran = interrupted is not None and interrupted.payload["phase"] != "running"
        return self.has("run_started", "decision") and not (self.has("evidence") or never_ran)


def histories(records: Iterable[Record]) -> dict[str, RunHistory]:
    """Records grouped by run, in the order of the runs' first records."""
    grouped: dict[str, dict[str, Record]] = {}
    for record in records:
        run_id = record.payload.get("run_id")
        if run_id:
            grouped.setdefault(run_id, {})[record.type] = record
    return {run_id: RunHistory(run_id=run_id, by_type=by_type) for run_id, by_type in grouped.items()}


def settle_all(doors: Doors) -> SettleReport:
    """Recover every dead run, then settle every provisional evidence whose intensities are published by now."""
    report = SettleReport()
    for run_id in [run.run_id for run in histories(doors.ledger.records()).values() if run.unfinished]:
        report = _claimed(run_id, doors, report, _recover)
    for run_id in [run.run_id for run in histories(doors.ledger.records()).values() if _provisional(run)]:
        report = _claimed(run_id, doors, report, _settle)
    return report


def _provisional(run: RunHistory) -> bool:
    return run.evidence is not None and bool(run.evidence.payload["provisional"])


Completion = Callable[[RunHistory, Doors, Journal, SettleReport], SettleReport]


def _claimed(run_id: str, doors: Doors, report: SettleReport, complete_run: Completion) -> SettleReport:
    """Apply `complete_run` to one run under its claim; a run held by a live process is left to it."""
    spool = doors.runs.claim(run_id)
    if spool is None:
        return replace(report, waiting=(*report.waiting, (run_id, "it is still running")))
    journal = Journal(doors, run_id)
    try:
        report = complete_run(_history(run_id, doors), doors, journal, report)
    finally:
        spool.close()
    return replace(report, warnings=(*report.warnings, *journal.warnings))


def _history(run_id: str, doors: Doors) -> RunHistory:
    """What stands of one run now; only the lines that name it are parsed, for this is asked for every run."""
    named = canonical(run_id)
    records = (record_from_line(line) for line in doors.ledger.lines() if named in line)
    return histories(record for record in records if record.payload.get("run_id") == run_id)[run_id]


def _recover(run: RunHistory, doors: Doors, journal: Journal, report: SettleReport) -> SettleReport:
    if not run.unfinished:
        return report
    started = run.by_type.get("run_started")
    if started is None:
        journal.write("interrupted", {"phase": "waiting", "reason": "greenai ended without a word before the start"})
        return replace(report, recovered=(*report.recovered, run.run_id))
    facts = facts_from_document(started.payload)
    trace = trace_of(doors.runs.body(run.run_id))
    ended = run.has("run_ended")
    if not ended and not run.has("interrupted"):
        reason = "greenai ended without a word while the command ran; energy after the last sample is not known"
        journal.write("interrupted", {"phase": "running", "reason": reason})
    complete(_ended(facts, run, trace), doors, journal, trace=trace, end_recorded=ended)
    return replace(report, recovered=(*report.recovered, run.run_id))


def _ended(facts: RunFacts, run: RunHistory, trace: EnergyTrace) -> RunFacts:
    """The facts with the end that is known: as recorded, else the last sample's, the exit code then unknown."""
    ended = run.by_type.get("run_ended")
    if ended is not None:
        said = ended.payload
        labels = said.get("labels", facts.labels)
        return replace(
            facts,
            ended_at=parse_iso_utc(said["ended_at"]),
            exit_code=said["exit_code"],
            labels=labels,
            frozen=frozen_from_document(said),
            end_note=str(said.get("end_note", "")),
        )
    last_at = trace.intervals[-1].end_at if trace.intervals else facts.started_at
    return replace(facts, ended_at=last_at, exit_code=None)


def _settle(run: RunHistory, doors: Doors, journal: Journal, report: SettleReport) -> SettleReport:
    provisional = run.evidence
    if provisional is None or not _provisional(run):
        return report
    facts = facts_from_document(provisional.payload)
    reading = observed_over(facts, doors)
    if isinstance(reading, str):
        return replace(report, waiting=(*report.waiting, (run.run_id, reading)))
    trace = trace_of(doors.runs.body(run.run_id))
    document = evidence_document(facts, trace, reading, settles=provisional.sha256)
    record = journal.write("settlement", document)
    return replace(report, settled=(*report.settled, shown(as_read(record))))
