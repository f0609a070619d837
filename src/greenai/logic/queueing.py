"""When the jobs of a queue run, planned together: each as clean as can be, none late if that can be avoided.

A few jobs are first planned each alone, by their own policy and exactly, cuts
and their cost included. Where these plans together ask for more than there is,
or there are many jobs, all are packed jointly (`packing.pack`). What finds no
place in time runs as soon as there is room, and its reason says so: a job that
is late is still wanted.

Two things the packing's whole slots do not know: a job may start in the slot
that has begun, so deadlines are moved up by the part of it that has passed; and
jobs shorter than a slot share one, each taking the part of it that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic.deciding import Policy, decide
from greenai.logic.packing import pack
from greenai.model.fleet import FleetJob, Held, Packing
from greenai.model.job import Job
from greenai.model.plan import Window
from greenai.model.queue import Entry, Paused, Pausing, Running
from greenai.model.series import IntensitySeries
from greenai.model.units import floor_to

ALONE_AT_MOST = 200
"""More jobs than this are packed at once: they would not all fit alone."""

FINE_STEP = timedelta(minutes=5)
MOST_CELLS = 40_000
"""Jobs times slots up to which the packing works in fine steps."""

NOMINAL_W = 300.0
"""The load of a job that never said its own: only the ratio to other jobs matters, for who gets the cleanest slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """When a job runs from now on, and why; `late`: not done by its deadline."""

    windows: tuple[Window, ...]
    reason: str
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is: amounts by resource, and the caps on power and carbon, None for none."""

    amounts: Mapping[str, float]
    power_cap_w: float | None = None
    carbon_budget_g_per_day: float | None = None


def left_at(entry: Entry, now_at: datetime) -> timedelta:
    """How long a job still runs, the leg it is in counted; at least a second, as long as it is not over."""
    status = entry.status
    ran = now_at - status.started_at if isinstance(status, Running | Pausing) else timedelta(0)
    left = entry.left if entry.progress_share is not None else entry.left - max(timedelta(0), ran)
    return max(timedelta(seconds=1), left)


def job_from_now(entry: Entry, now_at: datetime, earliest_at: datetime) -> Job:
    """What is left of a job, as a job of its own that may start from `earliest_at` on."""
    limits = entry.submission.job.constraints
    resumes = isinstance(entry.status, Paused) and not entry.status.run_id
    duration = left_at(entry, now_at) + (limits.resume_cost if resumes else timedelta(0))
    earliest_at = max(now_at, limits.earliest_at, earliest_at)
    deadline_at = max(limits.deadline_at, earliest_at + duration)
    return replace(
        entry.submission.job,
        constraints=replace(limits, earliest_at=earliest_at, deadline_at=deadline_at, duration=duration),
    )


def place(
    entries: Sequence[tuple[Entry, datetime]],
    held: Sequence[Entry],
    series_by_zone: Mapping[str, IntensitySeries | None],
    machine: Machine,
    now_at: datetime,
    *,
    policy: Callable[[str], Policy],
) -> Mapping[str, Placement]:
    """When each job runs, by its id.

    Args:
        entries: the jobs to place, each with the first moment at which it may start.
        held: the jobs that run and stay.
        series_by_zone: the intensities to expect; None where nothing is known.
        machine: what all jobs share.
        now_at: nothing starts before.
        policy: finds a policy by its name.
    """
    if len(entries) <= ALONE_AT_MOST:
        alone = {entry.id: _alone(entry, at, series_by_zone, now_at, policy) for entry, at in entries}
        if _fits(entries, alone, held, machine, now_at):
            return alone
    return _together(entries, held, series_by_zone, machine, now_at)


# Each alone ----------------------------------------------------------------------------------------------------------


def _alone(
    entry: Entry,
    earliest_at: datetime,
    series_by_zone: Mapping[str, IntensitySeries | None],
    now_at: datetime,
    policy: Callable[[str], Policy],
) -> Placement:
    """By the job's own policy."""
    job = job_from_now(entry, now_at, earliest_at)
    late = job.constraints.deadline_at > entry.submission.job.constraints.deadline_at
    if late:
        return _as_soon_as_possible(job, "it cannot be done by its deadline any more")
    try:
        decision = decide(job, series_by_zone.get(job.zone), policy(job.policy), now_at)
    except (NoFeasibleWindow, InputError) as error:
        return _as_soon_as_possible(job, str(error))
    return Placement(windows=decision.windows, reason=decision.reason)


def _as_soon_as_possible(job: Job, why: str) -> Placement:
    start_at = job.constraints.earliest_at
    window = Window(start_at=start_at, end_at=start_at + job.constraints.duration)
    return Placement(windows=(window,), reason=f"as soon as there is room: {why}", late=True)


def _fits(
    entries: Sequence[tuple[Entry, datetime]],
    placements: Mapping[str, Placement],
    held: Sequence[Entry],
    machine: Machine,
    now_at: datetime,
) -> bool:
    """Whether the plans together stay within what there is at every moment; budgets are kept by packing alone."""
    if machine.carbon_budget_g_per_day is not None:
        return False
    uses = [(entry, window) for entry, _ in entries for window in placements[entry.id].windows]
    uses += [(entry, _held_window(entry, now_at)) for entry in held]
    edges = sorted({window.start_at for _, window in uses})
    caps = {**machine.amounts, **({} if machine.power_cap_w is None else {"power": machine.power_cap_w})}
    for name, most in caps.items():
        for edge in edges:
            taken = sum(_takes(entry, name) for entry, window in uses if window.start_at <= edge < window.end_at)
            if taken > most + 1e-9:
                return False
    return True


def _takes(entry: Entry, name: str) -> float:
    return power_w(entry) if name == "power" else entry.submission.demands.get(name, 0.0)


def power_w(entry: Entry) -> float:
    """What a job is taken to draw."""
    return entry.submission.job.power_w or NOMINAL_W


def _held_window(entry: Entry, now_at: datetime) -> Window:
    return Window(start_at=now_at, end_at=now_at + left_at(entry, now_at))


# All together --------------------------------------------------------------------------------------------------------


def _together(
    entries: Sequence[tuple[Entry, datetime]],
    held: Sequence[Entry],
    series_by_zone: Mapping[str, IntensitySeries | None],
    machine: Machine,
    now_at: datetime,
) -> Mapping[str, Placement]:
    """Packed; each zone by itself, for a machine stands in one place."""
    jobs = {entry.id: job_from_now(entry, now_at, at) for entry, at in entries}
    found: dict[str, Placement] = {}
    for zone, series in series_by_zone.items():
        here = [(entry, jobs[entry.id]) for entry, _ in entries if jobs[entry.id].zone == zone]
        if here and series is None:
            why = f"nothing is known of the grid of {zone}"
            found |= {entry.id: replace(_as_soon_as_possible(job, why), late=False) for entry, job in here}
        elif here and series is not None:
            found |= _packed(here, held, series, machine, now_at)
    return found


def _packed(
    here: Sequence[tuple[Entry, Job]], held: Sequence[Entry], series: IntensitySeries, machine: Machine, now_at: datetime
) -> dict[str, Placement]:
    """The jobs of one zone under the whole machine."""
    until_at = max(job.constraints.deadline_at for _, job in here)
    grid = _grid(series, now_at, until_at, len(here))
    begun = now_at - grid.start_at
    fleet = [_fleet_job(entry, job, grid, begun) for entry, job in here]
    kept = [_kept(entry, grid, now_at) for entry in held]
    packing = pack(
        fleet,
        {grid.zone: grid},
        {grid.zone: dict(machine.amounts)},
        held=[job for job in kept if job.end_at > job.start_at],
        power_caps_w=None if machine.power_cap_w is None else {grid.zone: machine.power_cap_w},
        carbon_budget_g_per_day=machine.carbon_budget_g_per_day,
    )
    windows = {allotment.job_id: allotment.windows for allotment in packing.allotments}
    return {entry.id: _placement(entry, job, windows.get(entry.id), packing, now_at) for entry, job in here}


def _grid(series: IntensitySeries, now_at: datetime, until_at: datetime, jobs: int) -> IntensitySeries:
    """The series on slots that begin with the one that has begun, as far as it reaches and is needed.

    In fine steps where that is cheap, else in its own.
    """
    until_at = min(until_at, series.end_at)
    span = max(until_at - now_at, timedelta(0))
    fine = series.step > FINE_STEP and jobs * (span / FINE_STEP) <= MOST_CELLS
    step = FINE_STEP if fine and series.step % FINE_STEP == timedelta(0) else series.step
    start_at = max(series.start_at, floor_to(now_at - series.start_at + _EPOCH, step) - _EPOCH + series.start_at)
    slots = max(1, -((start_at - until_at) // step))
    slots = min(slots, (series.end_at - start_at) // step)
    positions = ((start_at - series.start_at) + np.arange(slots) * step) // series.step
    return replace(series, start_at=start_at, step=step, values=series.values[positions.astype(np.int64)])


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _fleet_job(entry: Entry, job: Job, grid: IntensitySeries, begun: timedelta) -> FleetJob:
    limits, step = job.constraints, grid.step
    short = min(1.0, limits.duration / step)
    return FleetJob(
        id=entry.id,
        duration=limits.duration,
        earliest_at=limits.earliest_at - begun,
        deadline_at=max(limits.deadline_at - begun, limits.earliest_at),
        power_w=power_w(entry) * short,
        demands={name: amount * short for name, amount in entry.submission.demands.items()},
        priority=entry.submission.priority,
    )


def _kept(entry: Entry, grid: IntensitySeries, now_at: datetime) -> Held:
    end_at = min(now_at + left_at(entry, now_at), grid.end_at)
    return Held(
        job_id=entry.id,
        place=grid.zone,
        start_at=grid.start_at,
        end_at=end_at,
        power_w=power_w(entry),
        demands=entry.submission.demands,
    )


def _placement(entry: Entry, job: Job, windows: tuple[Window, ...] | None, packing: Packing, now_at: datetime) -> Placement:
    """The packing's answer in words; a slot that has begun is begun now."""
    if windows is None:
        others = [job_id for job_id in packing.conflict if job_id != entry.id]
        with_whom = f", together with job {', '.join(others[:5])}{' and others' if len(others) > 5 else ''}" if others else ""
        return _as_soon_as_possible(job, f"it does not fit before its deadline{with_whom}")
    start_at = max(windows[0].start_at, job.constraints.earliest_at, now_at)
    window = Window(start_at=start_at, end_at=start_at + job.constraints.duration)
    return Placement(windows=(window,), reason="planned together with the other jobs")
