"""Measured calls that leave evidence: a training in this process goes through the same books as a command.

A `Recorder` is a `Measure`. Each call it measures becomes a run of its own, with
a claim, a row for its start and samples on disk; when the caller knows how well
it went, `finish` adds that and writes the evidence. Warm-ups are in the ledger
too, but in no evidence.csv.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from greenai import wiring
from greenai.api.asking import Asking, job_of, new_run_id
from greenai.api.measuring import EnergyUse, cpu_s_so_far, energy_use
from greenai.config import Settings
from greenai.engine.doors import Doors
from greenai.engine.progress import Ended
from greenai.engine.run import Journal, RunOutcome, RunRequest, complete, is_simulated, started, wait_recorded
from greenai.engine.wait import Choice
from greenai.errors import StoreError
from greenai.logic.deciding import decision_document
from greenai.logic.evidencing import facts_document
from greenai.model.energy import EnergyTrace
from greenai.model.evidence import RunFacts
from greenai.model.intensity import Reading
from greenai.model.job import Job
from greenai.ports import RunSpool

T = TypeVar("T")

WARM_UP = "warm-up"
FAILED, INTERRUPTED = 1, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Where the evidence goes beside the ledger, and what every row says: the command, and labels known at the start."""

    command: tuple[str, ...]
    labels: Mapping[str, str]
    csv: Path | None = None
    decision_log: Path | None = None


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run: claimed, then measured, then finished."""

    request: RunRequest
    journal: Journal
    spool: RunSpool
    choice: Choice | None = None
    facts: RunFacts | None = None
    trace: EnergyTrace | None = None
    ended_at: datetime | None = None


class Recorder:
    """Measures calls of functions in this process and writes the evidence of each.

    `planned` prices runs that did not wait; the first `warm_ups` calls are labelled
    so; `outcomes` are the finished runs in order, `last` what the last call used.
    """

    def __init__(
        self, settings: Settings, doors: Doors, books: Books, *, planned: Reading | None = None, warm_ups: int = 0
    ) -> None:
        self.settings = settings
        self.doors = doors
        self.books = books
        self.planned = planned
        self._warm_ups = warm_ups
        self.outcomes: list[RunOutcome] = []
        self.last: EnergyUse | None = None
        self._run: _Run | None = None

    def wait(self, job: Job, *, require_live: bool = False) -> Choice:
        """Wait until the job should start; the next measured call is that job.

        Raises:
            NoFeasibleWindow, ProviderError, StoreError: nothing was started.
            KeyboardInterrupt: the wait was broken off, and the ledger says so.
        """
        run = self._claimed(job, waits=True, require_live=require_live)
        try:
            run.choice = wait_recorded(run.request, self.doors, run.journal)
        except BaseException:
            run.spool.close()
            raise
        self._run, self.planned = run, run.choice.reading
        return run.choice

    def __call__(self, function: Callable[[], T], /) -> tuple[T, EnergyUse]:
        """Call the function once, metered; what it raises passes through, and its evidence says that it failed."""
        self._finish_unnamed()
        run = self._run = self._run or self._claimed(self._job_at_once(), waits=False)
        run.facts = self._started(run)
        metering = self.doors.metering(run.spool.write)
        metering.start()
        metering.watch(os.getpid())
        before_s = cpu_s_so_far()
        try:
            result = function()
        except BaseException as error:
            run.trace, run.ended_at = metering.stop(), self.doors.clock.now()
            self.fail(error)
            raise
        used_s = cpu_s_so_far() - before_s
        run.trace, run.ended_at = metering.stop(), self.doors.clock.now()
        self.last = energy_use(run.trace, used_s)
        return result, self.last

    def finish(self, labels: Mapping[str, str], *, exit_code: int = 0) -> RunOutcome:
        """Write the evidence of the call measured last, with what is known of it by now."""
        run, self._run = self._run, None
        if run is None or run.facts is None or run.trace is None or run.ended_at is None:
            raise StoreError("nothing was measured that could be finished")
        facts = replace(run.facts, ended_at=run.ended_at, exit_code=exit_code, labels={**run.facts.labels, **labels})
        self.doors.tell(Ended(run_id=facts.run_id, exit_code=exit_code, ended_at=run.ended_at))
        try:
            evidence = complete(facts, self.doors, run.journal, trace=run.trace, planned=self.planned)
        finally:
            run.spool.close()
        decision = None if facts.decision is None else dict(facts.decision)
        outcome = RunOutcome(run_id=facts.run_id, exit_code=exit_code, decision=decision, evidence=evidence)
        csv = self.books.csv if facts.csv_path else None
        trouble = wiring.export(outcome, csv=csv, decision_log=self.books.decision_log if run.choice else None)
        self.outcomes.append(replace(outcome, warnings=(*run.journal.warnings, *trouble)))
        return self.outcomes[-1]

    def fail(self, error: BaseException) -> RunOutcome | None:
        """Write the evidence of a call that failed, unless it stands already; None if nothing was measured."""
        if self._run is not None and self._run.trace is not None:
            code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
            self.finish({"notes": f"{type(error).__name__}: {error}"}, exit_code=code)
        return self.outcomes[-1] if self.outcomes else None

    def close(self) -> None:
        """Finish what was measured and not yet finished, give up a claim that was never used."""
        self._finish_unnamed()
        if self._run is not None:
            self._run.journal.try_write("interrupted", {"phase": "launching", "reason": "the training was not started"})
            self._run.spool.close()
            self._run = None

    def _finish_unnamed(self) -> None:
        if self._run is not None and self._run.trace is not None:
            self.finish({})

    def _claimed(self, job: Job, *, waits: bool, require_live: bool = False) -> _Run:
        spool = self.doors.runs.claim(job.id)
        if spool is None:
            raise StoreError(f"run {job.id} belongs to another process", hint="start again: each run gets a new id")
        is_warm_up, self._warm_ups = self._warm_ups > 0, max(0, self._warm_ups - 1)
        labels = {**self.books.labels, "phase": WARM_UP} if is_warm_up else self.books.labels
        csv = None if is_warm_up else self.books.csv
        facts = wiring.facts_of(job, self.settings, unit=("training", 1.0), labels=labels, deferrable=waits, csv=csv)
        policy = wiring.policy_named(job.policy)
        request = RunRequest(facts=facts, job=job, policy=policy, waits=waits, require_live=require_live)
        return _Run(request=request, journal=Journal(self.doors, job.id), spool=spool)

    def _started(self, run: _Run) -> RunFacts:
        choice = run.choice
        facts = replace(
            run.request.facts,
            started_at=self.doors.clock.now(),
            decision=decision_document(choice.decision, choice.reading) if choice else None,
            simulated=self.planned is not None and is_simulated(self.planned),
        )
        run.journal.try_write("run_started", facts_document(facts))
        self.doors.tell(started(facts))
        return facts

    def _job_at_once(self) -> Job:
        now_at = self.doors.clock.now()
        asap: Asking = {"policy": "asap"}
        return job_of(self.books.command, asap, self.settings, now_at=now_at, job_id=new_run_id(now_at), slack=timedelta(0))
