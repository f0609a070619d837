"""The verbs that look and decide: forecast, plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Unpack

from greenai.api.asking import DEFAULT_SLACK, Asking, Moment, job_of, moment_of, refuse_unknown
from greenai.config import Settings
from greenai.engine.foresee import foresee
from greenai.engine.foresight import Tell, tell_nobody
from greenai.engine.read import Sources, telling
from greenai.errors import InputError
from greenai.logic.deciding import decide, decision_document
from greenai.model.intensity import Query, Reading
from greenai.model.job import Job
from greenai.model.plan import Decision
from greenai.model.units import as_utc, floor_to
from greenai.wiring import policy_named, settings_with, sources_of, system_clock

SLOT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAnswer:
    """A decision with the job it is about and the reading it rests on."""

    job: Job
    decision: Decision
    reading: Reading

    def document(self) -> dict[str, Any]:
        """The plan as JSON types; its schema is greenai/schemas/plan.schema.json."""
        return decision_document(self.decision, self.reading)


def forecast(
    zone: str | None = None,
    *,
    hours: float | None = None,
    require_live: bool = False,
    series: str | Path | None = None,
    tell: Tell = tell_nobody,
    settings: Settings | None = None,
) -> Reading:
    """The intensity of a zone from the current slot on; `tell` hears of long reads.

    Raises:
        ProviderError: with `require_live`, when the service gives no usable answer.
        InputError: an unknown zone or an unusable series file.
    """
    known = settings_with(settings, zone=zone, series=series)
    now_at = system_clock().now()
    start_at = floor_to(now_at, SLOT)
    span = timedelta(hours=known.forecast_hours if hours is None else hours)
    query = Query(zone=known.zone, start_at=start_at, end_at=start_at + span, now_at=now_at, purpose="forecast")
    return foresee(query, sources=telling(sources_of(known), tell), require_live=require_live)


def plan(
    *,
    at: Moment | None = None,
    series: str | Path | None = None,
    zone: str | None = None,
    require_live: bool = False,
    command: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    tell: Tell = tell_nobody,
    settings: Settings | None = None,
    **ask: Unpack[Asking],
) -> PlanAnswer:
    """When a job should run: `plan(duration="2h", finish_by="24h")`.

    `ask` holds the job's length and limits (see `Asking`); without a limit the
    job may wait 24 h. Without a length past runs of `command` and `labels` tell
    it, and a note of the decision says how many. `at` replays a moment: from the series file, else from what
    the archive held then. `tell` hears of long reads.

    Raises:
        NoFeasibleWindow: the job fits nowhere; the hint says what would fit.
        ProviderError: with `require_live`, when the service gives no usable answer.
        InputError: an argument, setting or file cannot be used.
    """
    refuse_unknown("plan", ask, Asking)
    if ask.get("duration") is None and ask.get("threshold") is None and not command:
        raise InputError("a plan needs to know how long the job takes", hint="add --duration, for example --duration 2h")
    known = settings_with(settings, zone=zone, series=series)
    notes: tuple[str, ...] = ()
    if ask.get("duration") is None and command:
        from greenai.api.learning import length_for

        past = length_for(command, labels, settings=known)
        ask["duration"], notes = past.duration, (f"its length: {past.source}",)
    wall_at = system_clock().now()
    now_at = wall_at if at is None else as_utc(moment_of(at, wall_at), name="at")
    job = job_of((), ask, known, now_at=now_at, job_id="plan", slack=DEFAULT_SLACK)
    sources = telling(sources_of(known, network=at is None or known.series is not None), tell)
    found = answer(job, sources, now_at=now_at, require_live=require_live)
    return replace(found, decision=replace(found.decision, notes=(*found.decision.notes, *notes)))


def answer(job: Job, sources: Sources, *, now_at: datetime, require_live: bool) -> PlanAnswer:
    """Read the grid and decide about a job, without recording anything."""
    limits = job.constraints
    query = Query(zone=job.zone, start_at=now_at, end_at=limits.deadline_at, now_at=now_at, purpose="forecast")
    reading = foresee(query, sources=sources, require_live=require_live)
    decision = decide(job, reading.series, policy_named(job.policy), now_at)
    return PlanAnswer(job=job, decision=decision, reading=reading)
