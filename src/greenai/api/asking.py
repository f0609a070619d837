"""From what people write ("2h", "fri 18:00", "3%") to a Job: the one place where arguments become nouns."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict, get_type_hints

from greenai.api.scaling import scaling_of
from greenai.config import Settings
from greenai.errors import InputError
from greenai.logic.elastic import fitted
from greenai.model.job import Constraints, Job
from greenai.model.queue import PauseWay
from greenai.model.scaling import ScalingCurve
from greenai.moments import parse_moment, parse_share, parse_span
from greenai.zones import local_timezone

Span = str | timedelta
Moment = str | datetime

ASSUMED_DURATION = timedelta(minutes=30)
"""Taken for a run of unknown length: one slot of most grids."""

THRESHOLD_LOOK = timedelta(minutes=1)
"""A threshold without a duration asks for the intensity at the start, as the prototype did."""

DEFAULT_PERCENTILE = 30.0
"""The percentile policy's, as in most published comparisons (GAIA, ASPLOS 2024; Ecovisor, ASPLOS 2023)."""

DEFAULT_SLACK = timedelta(hours=24)
"""The slack of a plan when none is given (the delay most carbon-aware tools allow)."""


class Asking(TypedDict, total=False):
    """When a job may run, as written by a user; what is left out is not said.

    Spans are text ("2h") or timedelta, moments text ("fri 18:00", "24h") or aware datetime.
    """

    duration: Span | None
    """How long the job takes."""
    finish_by: Moment | None
    """Done-by."""
    deadline: Moment | None
    """The latest start."""
    max_wait: Span | None
    """The longest wait until the start."""
    policy: str | None
    """How the start is chosen; `greenai plugins` lists the policies."""
    min_saving: str | float | None
    """Share of the emissions ("3%", 0.03) below which waiting is not worth it."""
    threshold: float | None
    """Start below this intensity, g/kWh."""
    percentile: float | None
    """Start below this percentile of the forecast, 0 to 100."""
    interruptible: bool
    """Whether the job may be cut into pieces."""
    min_chunk: Span | None
    """The shortest useful piece."""
    resume_cost: Span | None
    """Work lost at each resume."""
    max_segments: int | None
    """The most pieces."""
    scaling: str | Path | ScalingCurve | None
    """How the job's speed grows with its workers: "1=1,2=1.9,4=3.4", or the file of `greenai profile-scaling`."""
    worker_w: float | None
    """Power of one worker, W."""
    shared_w: float | None
    """Power all workers share, drawn while any runs, W."""
    hull: bool
    """Take the concave hull of a scaling curve whose gains grow."""


class Describing(TypedDict, total=False):
    """What is said of a run in its records."""

    per: str
    """R of the SCI score: run, epoch, ..."""
    count: float
    """How many of R the run does."""
    labels: Mapping[str, str]
    """Words of the user's; phase, task, dataset and notes become columns of evidence.csv."""
    meter: str | None
    """Take this meter only."""
    out: str | Path | None
    """An evidence.csv to append to."""


class Running(Asking, Describing, total=False):
    """What `run` may be asked."""

    log_decision: str | Path | None
    """A JSON list to append the decision to (carbon_aware_decision.json)."""
    pausable: PauseWay | None
    """Let TERM, USR1 and USR2 pause the command: checkpoint, freeze, or auto for whichever it can."""
    grace: Span | None
    """How long it may take to save when it is asked to; 60 s if not said."""


def refuse_unknown(verb: str, given: Mapping[str, object], known: type) -> None:
    """Raise TypeError for a keyword that the verb does not have, as Python does for named arguments."""
    for name in given:
        if name not in get_type_hints(known):
            raise TypeError(f"{verb}() got an unexpected keyword argument {name!r}")


def span_of(value: Span) -> timedelta:
    """A span as a timedelta."""
    return value if isinstance(value, timedelta) else parse_span(value)


def moment_of(value: Moment, now_at: datetime) -> datetime:
    """A moment as an aware datetime; text is read in the user's time zone."""
    return value if isinstance(value, datetime) else parse_moment(value, now_at, local_timezone(os.environ))


def new_run_id(now_at: datetime) -> str:
    """A run id that sorts by time and never collides: 20261124T090000Z-1a2b3c4d."""
    return f"{now_at:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def job_of(command: Sequence[str], ask: Asking, settings: Settings, *, now_at: datetime, job_id: str, slack: timedelta) -> Job:
    """The job that `ask` describes at `now_at`; raises InputError for what cannot be meant.

    `slack` is the longest wait when no limit is given.
    """
    policy = policy_name(ask, settings)
    duration = _duration(ask, policy)
    percentile = ask.get("percentile")
    min_saving = ask.get("min_saving")
    limits = Constraints(
        earliest_at=now_at,
        deadline_at=_finish(ask, duration, now_at, slack),
        duration=duration,
        interruptible=ask.get("interruptible", False),
        min_chunk=_span_or_none(ask.get("min_chunk")),
        resume_cost=_span_or_none(ask.get("resume_cost")),
        max_segments=ask.get("max_segments"),
        max_g_per_kwh=ask.get("threshold"),
        percentile=DEFAULT_PERCENTILE if percentile is None else percentile,
        min_saving=settings.min_saving if min_saving is None else _share(min_saving),
        scaling=_scaling(ask, policy),
    )
    return Job(
        id=job_id,
        command=tuple(command),
        policy=policy,
        zone=settings.zone,
        submitted_at=now_at,
        constraints=fitted(limits) if limits.scaling else limits,
    )


def policy_name(ask: Asking, settings: Settings) -> str:
    """The policy asked for, else the one the other arguments imply, else the setting."""
    asked = ask.get("policy")
    if asked is not None:
        return asked
    if ask.get("scaling") is not None:
        return "elastic"
    if ask.get("threshold") is not None:
        return "threshold"
    if ask.get("percentile") is not None:
        return "percentile"
    return "interruptible" if ask.get("interruptible") else settings.policy


def _scaling(ask: Asking, policy: str) -> ScalingCurve | None:
    """The curve of an elastic job; what describes one is refused where it would not be heard."""
    given = ask.get("scaling")
    power = {"--worker-w": ask.get("worker_w"), "--shared-w": ask.get("shared_w"), "--hull": ask.get("hull") or None}
    unheard = next((option for option, value in power.items() if value is not None), None)
    if given is None and unheard:
        raise InputError(f"{unheard} describes a scaling curve, and there is none", hint="add --scaling 1=1,2=1.9,4=3.4")
    if given is None:
        return None
    if policy != "elastic":
        raise InputError(
            f"the policy {policy} runs one number of workers and uses no scaling curve",
            hint="leave --scaling out, or take --policy elastic",
        )
    return scaling_of(given, worker_w=ask.get("worker_w"), shared_w=ask.get("shared_w"), hull=ask.get("hull", False))


def _share(value: str | float) -> float:
    return parse_share(value) if isinstance(value, str) else float(value)


def _span_or_none(value: Span | None) -> timedelta:
    return timedelta(0) if value is None else span_of(value)


def _duration(ask: Asking, policy: str) -> timedelta:
    duration = ask.get("duration")
    if duration is not None:
        return span_of(duration)
    if ask.get("finish_by") is not None:
        hint = "add --duration, for example --duration 2h; once it has run here none is needed"
        raise InputError("--finish-by needs to know how long the job takes", hint=hint)
    return THRESHOLD_LOOK if policy == "threshold" else ASSUMED_DURATION


def _finish(ask: Asking, duration: timedelta, now_at: datetime, slack: timedelta) -> datetime:
    """Done-by: the earliest of the limits given; without any, the slack."""
    finish_by, deadline, max_wait = ask.get("finish_by"), ask.get("deadline"), ask.get("max_wait")
    limits = []
    if finish_by is not None:
        limits.append(moment_of(finish_by, now_at))
    if deadline is not None:
        limits.append(moment_of(deadline, now_at) + duration)
    if max_wait is not None:
        limits.append(now_at + span_of(max_wait) + duration)
    return min(limits) if limits else now_at + slack + duration
