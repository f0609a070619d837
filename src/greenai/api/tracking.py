"""Metering from inside a program: `with track("fit") as t`, and the decorator that waits first.

A tracked block leaves the same evidence as `greenai measure`. It never touches
the network and never raises for what metering or the disk do: a training is not
broken by being measured. What went wrong stands in `t.warnings`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, Unpack

from greenai.api.asking import Asking, job_of, new_run_id, refuse_unknown
from greenai.config import Settings
from greenai.engine.doors import Doors
from greenai.engine.run import Journal, complete
from greenai.engine.wait import Choice, wait_for_start
from greenai.errors import GreenaiError
from greenai.logic.attributing import job_energy_j
from greenai.logic.deciding import decision_document
from greenai.logic.evidencing import facts_document
from greenai.model.energy import EnergyTrace
from greenai.model.evidence import RunFacts
from greenai.model.intensity import Reading
from greenai.model.job import Job
from greenai.model.units import kwh_from_j
from greenai.ports import Metering, RunSpool
from greenai.wiring import facts_of, open_doors, policy_named, settings_with

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowEnergy:
    """What a named part of a tracked block used: joules of the job, and its length."""

    name: str
    energy_j: float
    duration_s: float

    @property
    def energy_kwh(self) -> float:
        """The same in kWh."""
        return kwh_from_j(self.energy_j)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """A job whose wait is over, and the choice that ended it."""

    job: Job
    choice: Choice


class Track:
    """A metered block of code. Windows may be nested and overlap; each counts all the energy of its time.

    After the block: `evidence` (the document, as `greenai evidence show` prints
    it; None if it could not be written), `energy_kwh`, `emissions_g`, `windows`
    and `warnings`.
    """

    def __init__(
        self,
        name: str,
        *,
        per: str = "run",
        count: float = 1.0,
        labels: Mapping[str, str] | None = None,
        meter: str | None = None,
        settings: Settings | None = None,
        waited: Waited | None = None,
    ) -> None:
        self.name = name
        self.evidence: dict[str, Any] | None = None
        self.windows: tuple[WindowEnergy, ...] = ()
        self.warnings: list[str] = []
        self.unit = (per, count)
        self.labels = dict(labels or {})
        self.meter = meter
        self.settings = settings
        self._waited = waited
        self._marks: list[tuple[str, int, int]] = []
        self._open: _Open | None = None

    @property
    def energy_kwh(self) -> float | None:
        """Energy of this process and its children over the block, kWh."""
        return self.evidence["it_kwh"] if self.evidence else None

    @property
    def emissions_g(self) -> float | None:
        """Operational emissions of the block, gCO2e; None where nothing is known of the grid."""
        return self.evidence["operational_g"] if self.evidence else None

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """A named part of the block, for example one epoch."""
        first = self._mark()
        try:
            yield
        finally:
            last = self._mark()
            if first is not None and last is not None:
                self._marks.append((name, first, last))

    def __enter__(self) -> Track:
        try:
            self._open = _begin(self, self._waited)
        except GreenaiError as error:
            self.warnings.append(f"not metered: {error}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._open is None:
            return
        opened, self._open = self._open, None
        try:
            self._finish(opened, exit_code=0 if kind is None else 1)
        except GreenaiError as trouble:
            self.warnings.append(str(trouble))

    def _mark(self) -> int | None:
        return self._open.metering.mark() if self._open else None

    def _finish(self, opened: _Open, *, exit_code: int) -> None:
        trace = opened.metering.stop()
        try:
            self.windows = tuple(_window(name, trace, first, last) for name, first, last in self._marks)
            facts = replace(opened.facts, ended_at=opened.doors.clock.now(), exit_code=exit_code)
            self.evidence = complete(facts, opened.doors, opened.journal, trace=trace, planned=opened.planned)
            self.warnings += opened.journal.warnings
        finally:
            opened.spool.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A block that is being metered."""

    facts: RunFacts
    doors: Doors
    journal: Journal
    spool: RunSpool
    metering: Metering
    planned: Reading | None = None


def _begin(block: Track, waited: Waited | None) -> _Open:
    settings = settings_with(block.settings, meter=block.meter)
    doors = open_doors(settings, network=False)
    now_at = doors.clock.now()
    job = waited.job if waited else _job_at_once(block.name, settings, now_at)
    labels = {**block.labels, "track": block.name}
    facts = facts_of(job, settings, unit=block.unit, labels=labels, deferrable=waited is not None)
    spool = doors.runs.claim(facts.run_id)
    if spool is None:
        raise GreenaiError(f"run {facts.run_id} belongs to another process")
    journal = Journal(doors, facts.run_id)
    decision = decision_document(waited.choice.decision, waited.choice.reading) if waited else None
    started = replace(facts, started_at=now_at, decision=decision)
    journal.try_write("run_started", facts_document(started))
    metering = doors.metering(spool.write)
    metering.start()
    metering.watch(os.getpid())
    planned = waited.choice.reading if waited else None
    return _Open(facts=started, doors=doors, journal=journal, spool=spool, metering=metering, planned=planned)


def _job_at_once(name: str, settings: Settings, now_at: datetime) -> Job:
    command = (sys.executable, f"track:{name}")
    return job_of(command, {"policy": "asap"}, settings, now_at=now_at, job_id=new_run_id(now_at), slack=timedelta(0))


def _window(name: str, trace: EnergyTrace, first: int, last: int) -> WindowEnergy:
    joules = job_energy_j(trace)[first:last]
    duration_s = sum(interval.duration_s for interval in trace.intervals[first:last])
    return WindowEnergy(name=name, energy_j=float(joules.sum()), duration_s=duration_s)


def track(
    name: str,
    *,
    per: str = "run",
    count: float = 1.0,
    labels: Mapping[str, str] | None = None,
    meter: str | None = None,
    settings: Settings | None = None,
) -> Track:
    """Meter a block of code: `with greenai.track("fit") as t: ...`, with `t.window("epoch 1")` inside."""
    return Track(name, per=per, count=count, labels=labels, meter=meter, settings=settings)


def carbon_aware(
    *, zone: str | None = None, settings: Settings | None = None, **ask: Unpack[Asking]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let each call of a function wait for clean power, then run it metered: `@carbon_aware(duration="2h", finish_by="24h")`.

    The call returns what the function returns; its evidence is in the ledger.

    Raises (when the function is called):
        NoFeasibleWindow, InputError: before anything is waited for.
    """
    refuse_unknown("carbon_aware", ask, Asking)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def waiting(*args: P.args, **kwargs: P.kwargs) -> R:
            known = settings_with(settings, zone=zone)
            block = Track(function.__qualname__, waited=_wait(function.__qualname__, ask, known), settings=known)
            with block:
                return function(*args, **kwargs)

        return waiting

    return decorate


def _wait(name: str, ask: Asking, settings: Settings) -> Waited:
    """Wait for the start that the policy chooses, and record why."""
    doors = open_doors(settings)
    now_at = doors.clock.now()
    command = (sys.executable, f"track:{name}")
    job = job_of(command, ask, settings, now_at=now_at, job_id=new_run_id(now_at), slack=timedelta(0))
    journal = Journal(doors, job.id)

    def keep(choice: Choice) -> None:
        journal.try_write("decision", decision_document(choice.decision, choice.reading))

    choice = wait_for_start(job, policy_named(job.policy), doors, require_live=False, keep=keep)
    return Waited(job=job, choice=choice)
