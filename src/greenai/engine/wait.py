"""Waiting for the start of a job: read, decide, sleep, look again each half hour.

The loop can lose neither the job nor the truth: the first decision must be
possible, later ones only move the start; a grid service that dies while the job
waits leaves the last plan standing; the latest start is a hard guard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from greenai.engine.doors import Doors
from greenai.engine.foresee import foresee
from greenai.engine.foresight import Foresight
from greenai.engine.progress import Replanned, Waiting
from greenai.errors import GreenaiError, NoFeasibleWindow
from greenai.logic.deciding import Policy, decide
from greenai.model.intensity import Query, Reading
from greenai.model.job import Job
from greenai.model.plan import Decision
from greenai.model.units import floor_to

REPLAN_EVERY = timedelta(minutes=30)
"""Grid services publish each half hour; reading more often returns the same forecast."""

LEAST_SLACK = timedelta(minutes=15)
"""With less than half a slot left there is nothing to choose, and no time to read a history."""

ON_TIME = timedelta(minutes=2)
"""Waking up this late still counts as the planned moment, so that a tie elsewhere does not restart the wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A decision and the reading it rests on."""

    decision: Decision
    reading: Reading


def forecast_query(job: Job, now_at: datetime) -> Query:
    """What the grid is expected to do from now to the job's deadline."""
    return Query(zone=job.zone, start_at=now_at, end_at=job.constraints.deadline_at, now_at=now_at, purpose="forecast")


def choose(
    job: Job, policy: Policy, doors: Doors, *, now_at: datetime, require_live: bool = False, waits: bool = False
) -> Choice:
    """Read the grid and decide; raises NoFeasibleWindow when the deadline can no longer be met.

    Once a job `waits`, a forecast of our own decides without hysteresis: its short
    leads are calibrated, and a margin would only make it start too early
    (docs/explanation/forecasting.md). Whether to wait at all stays `min_saving`'s word.
    """
    sources = doors.sources if _worth_a_forecast(job, now_at) else replace(doors.sources, foresight=Foresight())
    reading = foresee(forecast_query(job, now_at), sources=sources, require_live=require_live)
    if waits and reading.own is not None:
        job = replace(job, constraints=replace(job.constraints, min_saving=0.0))
    decision = decide(job, reading.series, policy, now_at)
    if decision.action == "miss":
        raise NoFeasibleWindow(decision.reason, hint="allow a later finish (--finish-by) or a shorter run (--duration)")
    return Choice(decision=decision, reading=reading)


def _worth_a_forecast(job: Job, now_at: datetime) -> bool:
    """Whether there is slack enough for a forecast of our own, which may have to read a history first."""
    return job.constraints.latest_start_at - now_at >= LEAST_SLACK


def wait_for_start(job: Job, policy: Policy, doors: Doors, *, require_live: bool, keep: Callable[[Choice], None]) -> Choice:
    """Return when the job should start, with the decision that says so.

    `keep` is called with the first choice and with each one that moved the start.
    """
    # Decided as of the submission: a job without slack must not be late by the time it took to read the grid.
    choice = choose(job, policy, doors, now_at=job.submitted_at, require_live=require_live)
    keep(choice)
    now_at = doors.clock.now()
    while choice.decision.start_at > now_at:
        until_at = min(choice.decision.start_at, job.constraints.latest_start_at, floor_to(now_at, REPLAN_EVERY) + REPLAN_EVERY)
        doors.tell(Waiting(decision=choice.decision, reading=choice.reading, until_at=until_at))
        doors.clock.wait_until(until_at)
        now_at = doors.clock.now()
        renewed = _look_again(job, policy, doors, choice=choice, now_at=now_at)
        if renewed.decision.start_at != choice.decision.start_at:
            keep(renewed)
            doors.tell(Replanned(decision=renewed.decision, reading=renewed.reading))
        choice = renewed
    return choice


def _look_again(job: Job, policy: Policy, doors: Doors, *, choice: Choice, now_at: datetime) -> Choice:
    """The choice at `now_at`: the same one unless a new half hour brought a new forecast."""
    if now_at >= job.constraints.latest_start_at or _same_slot(choice.reading.query.now_at, now_at):
        return choice
    if choice.reading.own is not None and not _worth_a_forecast(job, now_at):
        # Reading a past takes time that is no longer there: the plan made on it stands.
        return choice
    late = now_at - choice.decision.start_at
    moment = choice.decision.start_at if timedelta(0) <= late <= ON_TIME else now_at
    try:
        renewed = choose(job, policy, doors, now_at=moment, waits=True)
    except GreenaiError:
        # The window that fitted before still stands; trouble with a service or a file never costs the job.
        return choice
    # A forecast that does not reach the planned window cannot say that another is better.
    series, planned = renewed.reading.series, choice.decision.windows[-1]
    return renewed if series is not None and series.covers(moment, planned.end_at) else choice


def _same_slot(earlier: datetime, later: datetime) -> bool:
    return floor_to(earlier, REPLAN_EVERY) == floor_to(later, REPLAN_EVERY)
