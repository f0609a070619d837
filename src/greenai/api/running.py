"""The verbs that run a command: run (when the grid is clean) and measure (now)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Unpack, cast, get_args

from greenai.api.asking import Describing, Running, job_of, new_run_id, refuse_unknown, span_of
from greenai.config import Settings
from greenai.engine.doors import Doors, tell_nobody
from greenai.engine.progress import Progress
from greenai.engine.run import RunOutcome, RunRequest, run_job
from greenai.errors import InputError
from greenai.model.job import Job
from greenai.model.queue import PauseWay
from greenai.ports import Clock
from greenai.wiring import (
    check_command,
    check_outputs,
    detect_meters,
    export,
    facts_of,
    open_doors,
    pausable_executor,
    policy_named,
    run_environment,
    settings_with,
    system_clock,
)

GRACE = timedelta(seconds=60)
"""For a program that saves when it is asked to pause, as for queued jobs."""


def run(
    command: Sequence[str],
    *,
    series: str | Path | None = None,
    zone: str | None = None,
    require_live: bool = False,
    clock: Clock | None = None,
    tell: Callable[[Progress], None] = tell_nobody,
    settings: Settings | None = None,
    **ask: Unpack[Running],
) -> RunOutcome:
    """Run a command when the grid is clean, meter it and write its evidence.

    `ask` holds the job's length and limits (see `Asking`), and what its records
    say (see `Describing`). Without `finish_by`, `deadline` and `max_wait` the
    command starts at once. Where it may wait and no length is given, past runs
    tell it. Its output and exit code pass through untouched.

    Raises:
        NoFeasibleWindow, ProviderError (only with `require_live`), StoreError,
            InputError: before anything is started.
        KeyboardInterrupt: when the wait is broken off; the ledger says so.
    """
    refuse_unknown("run", ask, Running)
    known = settings_with(settings, zone=zone, series=series, meter=ask.get("meter"))
    clock = clock or system_clock()
    job = _job(command, _with_length(command, ask, known), known, clock.now())
    if job.policy == "elastic":
        raise InputError(
            "greenai run cannot change how many workers a running command has",
            hint="greenai plan --policy elastic shows how many to run when",
        )
    if job.policy == "interruptible":
        raise InputError(
            "greenai run stays with one command from start to end and cannot plan its pauses",
            hint="greenai submit --interruptible hands it over; greenai plan --interruptible shows what pausing would save",
        )
    doors = open_doors(known, clock=clock, tell=tell, adopts=True)
    return _go(job, known, ask, doors, waits=True, require_live=require_live)


def measure(
    command: Sequence[str],
    *,
    zone: str | None = None,
    tell: Callable[[Progress], None] = tell_nobody,
    settings: Settings | None = None,
    **ask: Unpack[Describing],
) -> RunOutcome:
    """Run a command now and meter it: no plan, no waiting.

    Raises:
        StoreError, InputError: before anything is started.
    """
    refuse_unknown("measure", ask, Describing)
    known = settings_with(settings, zone=zone, meter=ask.get("meter"))
    clock = system_clock()
    described: Running = {"labels": {"phase": "measure", **ask.get("labels", {})}, "policy": "asap"}
    job = _job(command, described, known, clock.now())
    return _go(job, known, {**ask, **described}, open_doors(known, clock=clock, tell=tell, adopts=True), waits=False)


def _job(command: Sequence[str], ask: Running, settings: Settings, now_at: datetime) -> Job:
    return job_of(command, ask, settings, now_at=now_at, job_id=new_run_id(now_at), slack=timedelta(0))


def _with_length(command: Sequence[str], ask: Running, settings: Settings) -> Running:
    from greenai.api.learning import with_length

    return cast("Running", with_length(command, ask, settings)[0])


def _pausable(job: Job, settings: Settings, ask: Running, doors: Doors) -> tuple[Doors, dict[str, str], Callable[[], str]]:
    """The doors for a command that may be asked to pause, what it is told, what was done to it; as before where it may not."""
    way, grace = ask.get("pausable"), ask.get("grace")
    if way is None:
        if grace is not None:
            raise InputError("--grace is how long a pause may take, and nothing is paused here", hint="add --pausable")
        return doors, {}, str
    if way not in get_args(PauseWay):
        raise InputError(f"a command pauses by {', '.join(get_args(PauseWay))}, not {way!r}")
    executor, told, note = pausable_executor(settings, job.id, way=way, grace=GRACE if grace is None else span_of(grace))
    return replace(doors, executor=executor), told, note


def _go(job: Job, settings: Settings, ask: Running, doors: Doors, *, waits: bool, require_live: bool = False) -> RunOutcome:
    """Check everything that can be checked, then run."""
    csv, decision_log = _path(ask.get("out")), _path(ask.get("log_decision"))
    check_command(job.command)
    detect_meters(settings)
    check_outputs(csv, decision_log)
    doors, told, note = _pausable(job, settings, ask, doors)
    unit = (ask.get("per", "run"), ask.get("count", 1.0))
    labels = {"phase": "run", **ask.get("labels", {})}
    request = RunRequest(
        facts=facts_of(job, settings, unit=unit, labels=labels, deferrable=waits, csv=csv),
        job=job,
        policy=policy_named(job.policy),
        waits=waits,
        require_live=require_live,
        environment={**run_environment(job), **told},
    )
    outcome = run_job(request, doors)
    trouble = export(outcome, csv=csv, decision_log=decision_log)
    done = [f"the command {note()}"] if note() else []
    return replace(outcome, warnings=(*outcome.warnings, *done, *trouble))


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)
