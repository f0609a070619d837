"""Handing jobs over to the queue: everything that can be refused is refused here, before anything is stored."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Unpack, cast, get_args

import numpy as np

from greenai._values import pairs_of
from greenai.api.asking import DEFAULT_SLACK, Asking, Span, job_of, refuse_unknown, span_of
from greenai.api.learning import filled_in
from greenai.config import Settings
from greenai.engine.read import read_intensity
from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic.queue_times import over_by
from greenai.logic.wording import describe_span
from greenai.model.intensity import Query
from greenai.model.job import Job
from greenai.model.queue import Entry, PauseWay, Submission
from greenai.model.series import IntensitySeries, Source
from greenai.wiring import check_command, policy_named, sources_of
from greenai.wiring_queue import capacity_of, executors_of, open_queue, queue_settings, share_of, system_clock

LONGEST_ARRAY = 10_000
SLOT = timedelta(minutes=30)
_KNOWN_ZONES: set[tuple[Path, str]] = set()
INDEX = "{index}"
"""Stands in a command's words for the number of a job of an array, which is also in GREENAI_ARRAY_INDEX."""

RESOURCES = MappingProxyType({"cpus": "CPU cores", "gpus": "GPUs", "memory_gb": "GB of memory"})
GB_PER = MappingProxyType({"": 1.0, "G": 1.0, "GB": 1.0, "GIB": 1.073741824, "M": 1e-3, "MB": 1e-3, "T": 1e3, "TB": 1e3})


class Submitting(Asking, total=False):
    """What `submit` may be asked, beside when the job may run."""

    cpus: float
    """CPU cores it takes while it runs."""
    gpus: float
    """GPUs it takes."""
    memory: str | float | None
    """Memory it takes: "16GB", or a number of GB."""
    power_w: float | None
    """The load it is expected to draw, W: counts against the power cap and the carbon budget."""
    priority: int
    """Higher goes first where not all fit."""
    retries: int
    """How often it is tried again after it failed or was lost."""
    name: str
    """What people call it."""
    labels: Mapping[str, str]
    """Kept in the evidence."""
    after: Sequence[str]
    """Jobs, or numbers of arrays, that must have completed first."""
    array: str | None
    """Numbers of the jobs of a sweep: "1-20", "1-9:2", "1,4,7"."""
    env: Mapping[str, str]
    """Added to the environment of whoever launches it. Stored in the queue's files, which only you can read."""
    cwd: str | Path | None
    """Where it runs; by default here."""
    executor: str
    """What runs it: local, or an engine that is set up."""
    places: Sequence[str]
    """Grid zones in which that engine has nodes: the one with the cleanest plan at this moment is taken."""
    pause_way: PauseWay
    """How it gives way: checkpoint, freeze, or auto."""
    grace: Span
    """How long it may take to save its state when asked to pause."""


def submit(
    command: Sequence[str], *, zone: str | None = None, settings: Settings | None = None, **ask: Unpack[Submitting]
) -> tuple[Entry, ...]:
    """Hand a command over to the queue: `submit(["python", "train.py"], duration="2h", finish_by="fri 18:00")`.

    Durable when this returns: one job, or one for each number of an array. A
    daemon (`greenai daemon`) plans and runs it. Without a limit it has 24 hours of
    slack: from now on, or, if it comes after others, from when these are due.

    Raises:
        NoFeasibleWindow: it cannot be done before its deadline.
        InputError: an argument cannot be used, the machine can never hold the job, a job it comes after is not known.
        StoreError: the queue cannot be written.
    """
    refuse_unknown("submit", ask, Submitting)
    _check_kinds(command, ask)
    known = queue_settings(settings, zone=zone)
    now_at = system_clock().now()
    queue = open_queue(known)
    if ask.get("places"):
        known = queue_settings(known, zone=_cleanest(command, ask, known))
    before = queue.entries([str(other) for other in ask.get("after", ())])
    may_start_at = max((over_by(other, now_at) for other in before), default=now_at)
    submission = _submission(command, ask, known, now_at, slack=may_start_at - now_at + DEFAULT_SLACK)
    _check(submission, known, now_at)
    return queue.enqueue([_numbered(submission, index) for index in _indices(ask.get("array"))], now_at)


def _submission(command: Sequence[str], ask: Submitting, settings: Settings, now_at: datetime, *, slack: timedelta) -> Submission:
    """The job as it is asked for, with what past runs tell where nothing was said."""
    filled, sources = filled_in(command, ask, settings)
    ask = cast("Submitting", filled)
    job = job_of(tuple(command), _with_duration(ask), settings, now_at=now_at, job_id="", slack=slack)
    job = replace(job, labels=MappingProxyType(dict(ask.get("labels", {}))), power_w=ask.get("power_w"))
    demands = {"cpus": ask.get("cpus", 1.0), "gpus": ask.get("gpus", 0.0), "memory_gb": _memory_gb(ask.get("memory"))}
    submission = Submission(
        job=job,
        name=ask.get("name", ""),
        demands=MappingProxyType({name: float(amount) for name, amount in demands.items() if amount}),
        priority=ask.get("priority", 0),
        retries=ask.get("retries", 0),
        after=tuple(str(other) for other in ask.get("after", ())),
        environment=MappingProxyType(dict(ask.get("env", {}))),
        cwd=str(Path(ask.get("cwd") or ".").absolute()),
        executor=ask.get("executor", "local"),
        pause_way=ask.get("pause_way", "auto"),
        grace=span_of(ask.get("grace", timedelta(seconds=60))),
        duration_source=sources.get("duration", "given"),
        pause_cost_source=sources.get("resume_cost", ""),
    )
    return replace(submission, share_of=share_of(settings, submission))


def _with_duration(ask: Submitting) -> Asking:
    """What is said of when the job may run; its length must be known."""
    if ask.get("duration") is None:
        hint = "add --duration, for example --duration 2h; a guess will do, and once it has run here none is needed"
        raise InputError("how long does the job take?", hint=hint)
    return {name: value for name, value in ask.items() if name in Asking.__annotations__}  # type: ignore[return-value]  # a part of the dictionary


def _memory_gb(given: str | float | None) -> float:
    if given is None:
        return 0.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Z]*)", str(given).strip().upper())
    if found is None or found[2] not in GB_PER:
        raise InputError(f"an amount of memory is written 16GB or 512MB, not {given!r}")
    return float(found[1]) * GB_PER[found[2]]


def _indices(array: str | None) -> tuple[int | None, ...]:
    """The numbers of an array's jobs: 1-20, 1-9:2, 1,4,7 and these together."""
    if array is None:
        return (None,)
    numbers: dict[int, None] = {}
    for part in array.split(","):
        found = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?\s*", part)
        if found is None or (found[3] and int(found[3]) == 0) or int(found[2] or found[1]) < int(found[1]):
            hint = "how many run at once is a matter of what they take: --gpus, --cpus, --memory" if "%" in array else None
            raise InputError(f"an array is written 1-20, 1-9:2 or 1,4,7, not {array!r}", hint=hint)
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        if (last - first) // step >= LONGEST_ARRAY:
            raise InputError(f"an array has at most {LONGEST_ARRAY:,} jobs, {part.strip()} are more")
        numbers |= dict.fromkeys(range(first, last + 1, step))
    return tuple(numbers)


def _numbered(submission: Submission, index: int | None) -> Submission:
    """One job of an array."""
    if index is None:
        return submission
    command = tuple(word.replace(INDEX, str(index)) for word in submission.job.command)
    environment = {**submission.environment, "GREENAI_ARRAY_INDEX": str(index)}
    job = replace(submission.job, command=command)
    return replace(submission, job=job, array_index=index, environment=MappingProxyType(environment))


def _cleanest(command: Sequence[str], ask: Submitting, settings: Settings) -> str:
    """The zone whose plan emits least, of those in which the engine has nodes."""
    from greenai.api.planning import plan

    places, executor = tuple(ask["places"]), ask.get("executor", "local")
    zones = [zone for zone, _ in pairs_of(settings.slurm_partitions)] if executor == "slurm" else []
    if not zones:
        raise InputError(
            f"the executor {executor} is in one place, the zone {settings.zone}",
            hint='--places is for --executor slurm with slurm_partitions = "GB=london,FR=paris" in the settings',
        )
    for place in places:
        if place not in zones:
            raise InputError(f"no partition is known to stand in {place}", hint=f"slurm_partitions names {', '.join(zones)}")
    limits = cast("Asking", {name: value for name, value in ask.items() if name in Asking.__annotations__ and value is not None})
    labels = ask.get("labels", {})
    plans = {place: plan(command=command, labels=labels, zone=place, settings=settings, **limits) for place in places}
    known = {place: answer.decision.expected_g_per_kwh for place, answer in plans.items()}
    return min(places, key=lambda place: math.inf if (expected := known[place]) is None else expected)


# Refusing ------------------------------------------------------------------------------------------------------------


def _check(submission: Submission, settings: Settings, now_at: datetime) -> None:
    """Refuse what can never run."""
    job = submission.job
    if job.policy == "elastic":
        raise InputError("the queue cannot change how many workers a job has", hint="leave --policy elastic out")
    _check_policy(job, now_at)
    _check_zone(job.zone, settings, now_at)
    if submission.pause_way not in get_args(PauseWay):
        raise InputError(f"a job gives way by {', '.join(get_args(PauseWay))}, not {submission.pause_way!r}")
    if any("\0" in word for word in job.command):
        raise InputError("a command cannot hold a NUL character")
    _check_environment(submission.environment)
    if not submission.name.isprintable():
        raise InputError(f"a name is one line of printable characters, not {submission.name!r}")
    if submission.executor not in executors_of(settings):
        known = ", ".join(sorted(executors_of(settings)))
        raise InputError(f"there is no executor {submission.executor!r} here", hint=f"known: {known}")
    if submission.executor == "local":
        _check_here(submission, settings)
    _check_time(job, now_at)


def _check_kinds(command: Sequence[str], ask: Submitting) -> None:
    """Refuse what is of another kind than it must be: once stored it would trouble whoever runs the queue."""
    if isinstance(command, str):
        raise InputError("a command is a list of words, not one string", hint="shlex.split makes one of it")
    for what, given in {"labels": ask.get("labels", {}), "env": ask.get("env", {})}.items():
        for name, value in given.items():
            if not (isinstance(name, str) and isinstance(value, str)):
                raise InputError(f"{what} hold text, not {name!r}: {value!r}", hint="write it as str(...)")
    for what in ("priority", "retries"):
        if not isinstance(ask.get(what, 0), int):
            raise InputError(f"{what} is a whole number, not {ask.get(what)!r}")


def _check_policy(job: Job, now_at: datetime) -> None:
    """Hear now, on a made-up grid, whether the policy lacks something: later nobody is there to be told."""
    limits, policy = job.constraints, policy_named(job.policy)
    source = Source(provider="made up", url="", fetched_at=now_at, payload_sha256="")
    span = max(limits.deadline_at, limits.earliest_at + limits.duration) - limits.earliest_at
    flat = IntensitySeries(start_at=limits.earliest_at, step=span, values=np.array([100.0]), zone=job.zone, source=source)
    with suppress(NoFeasibleWindow):
        policy(flat, limits, limits.earliest_at)


def _check_zone(zone: str, settings: Settings, now_at: datetime) -> None:
    """Refuse a grid nobody knows; what was found to be known is not looked up again."""
    if (settings.home, zone) not in _KNOWN_ZONES:
        sources = replace(sources_of(settings, network=False), archive=None)
        read_intensity(
            Query(zone=zone, start_at=now_at, end_at=now_at + SLOT, now_at=now_at, purpose="forecast"), sources=sources
        )
        _KNOWN_ZONES.add((settings.home, zone))


def _check_environment(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise InputError(f"a variable is written NAME=VALUE, {name!r} cannot be one")
        if name == "GREENAI_HOME":
            raise InputError("a job cannot have another GREENAI_HOME than its queue")


def _check_here(submission: Submission, settings: Settings) -> None:
    """What this machine cannot run."""
    environ = {**os.environ, **submission.environment}
    command = submission.job.command
    if not Path(submission.cwd).is_dir():
        raise InputError(f"the directory {submission.cwd} is not there", hint="make it, or give another --cwd")
    if command and "/" in command[0]:
        command = (str(Path(submission.cwd, command[0])), *command[1:])
    check_command(command, environ)
    amounts = capacity_of(settings).amounts
    for name, amount in submission.demands.items():
        if amount > amounts[name] + 1e-9:
            raise InputError(
                f"the job takes {amount:g} {RESOURCES[name]} and jobs here may take {amounts[name]:.4g}",
                hint=f"ask for less, or set capacity_{name} (greenai config show)",
            )
    power_w, cap_w = submission.job.power_w, settings.power_cap_w
    if power_w is not None and cap_w is not None and power_w > cap_w:
        raise InputError(f"the job draws {power_w:g} W and jobs here may draw {cap_w:g} W", hint="raise power_cap_w")


def _check_time(job: Job, now_at: datetime) -> None:
    limits = job.constraints
    if limits.deadline_at <= now_at:
        raise InputError("the job should be done by a time that has passed", hint="give a later --finish-by")
    if limits.latest_start_at < now_at:
        left = describe_span((limits.deadline_at - now_at) // timedelta(minutes=1) * timedelta(minutes=1))
        raise NoFeasibleWindow(
            f"the job takes {describe_span(limits.duration)} and only {left} are left until it should be done",
            hint="give a later --finish-by, or a shorter --duration",
        )
