"""When the jobs of a queue run, planned together: each as clean as can be, none late if that can be avoided.

A few jobs are first planned each alone, by their own policy and exactly, cuts
and their cost included. Where these plans together ask for more than there is,
or there are many jobs, all are placed jointly by `crowding`, which is quick; where
that leaves some of a few jobs out, `packing.pack` looks harder. The plan that
stands is kept if it has more jobs in time, or a new one saves next to nothing.
Then those that may be cut are planned by their policy once more, within what the
others leave free. What finds no place in time runs as soon as there is room, and
its reason names what stood in the way: a job that is late is still wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic.deciding import Policy, decide
from greenai.logic.queue_joint import ROUNDING, Joint, joint_plan
from greenai.logic.queue_room import Capacity, fits_together
from greenai.logic.queue_times import latest_start_at, left_at, may_start_at, rest_of, standing_windows
from greenai.logic.wording import g_per_kwh, percent, when
from greenai.model.job import Job
from greenai.model.plan import Window
from greenai.model.queue import Entry, Running, Waiting
from greenai.model.series import IntensitySeries

MODELLED = " (modelled, not a forecast)"
"""What a plan says that rests on typical days or a yearly mean."""

ALONE_AT_MOST = 100
"""More jobs than this are placed jointly at once: they would not all fit alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """When a job runs from now on, and why; `late`: not done by its deadline."""

    windows: tuple[Window, ...]
    reason: str
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What is to be planned.

    `movable` are the jobs whose time may be chosen, running ones that can pause
    among them; `staying` run and stay. `series_by_zone` holds the intensities to
    expect, None where nothing is known; in `own_zones` they are greenai's own
    forecast. `used` says how many hours of the machine each user or label had lately.
    """

    movable: Sequence[Entry]
    staying: Sequence[Entry] = ()
    series_by_zone: Mapping[str, IntensitySeries | None]
    own_zones: frozenset[str] = frozenset()
    capacity: Capacity
    used: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


def place(queue: Queue, now_at: datetime, *, policy: Callable[[str], Policy]) -> Mapping[str, Placement]:
    """When each movable job runs, by its id; `policy` finds a policy by its name."""
    if not queue.movable:
        return {}
    placements = _placed(queue, now_at, policy)
    modelled = {zone for zone, series in queue.series_by_zone.items() if series is not None and series.kind == "modelled"}
    for entry in queue.movable if modelled else ():
        if entry.submission.job.zone in modelled:
            placed = placements[entry.id]
            placements[entry.id] = replace(placed, reason=f"{placed.reason}{MODELLED}")
    return placements


def _placed(queue: Queue, now_at: datetime, policy: Callable[[str], Policy]) -> dict[str, Placement]:
    if len(queue.movable) <= ALONE_AT_MOST and queue.capacity.carbon_budget_g_per_day is None:
        alone = {entry.id: _alone(entry, queue, now_at, policy=policy) for entry in queue.movable}
        if _fits(queue, alone, now_at):
            return alone
    return _together(queue, now_at, policy)


# Each alone ----------------------------------------------------------------------------------------------------------


def _alone(entry: Entry, queue: Queue, now_at: datetime, *, policy: Callable[[str], Policy]) -> Placement:
    """By the job's own policy, as if it had the machine to itself."""
    job = rest_of(entry, now_at)
    if job.constraints.deadline_at > entry.submission.job.constraints.deadline_at:
        return _as_soon_as_possible(job, "it cannot be done by its deadline any more")
    if isinstance(entry.status, Waiting) and job.zone in queue.own_zones:
        # Once a job waits a forecast of our own decides without hysteresis (engine/wait.py says why).
        job = replace(job, constraints=replace(job.constraints, min_saving=0.0))
    series = queue.series_by_zone.get(job.zone)
    try:
        if isinstance(entry.status, Running):
            fresh = _going_on(entry, entry.status, job, series=series, now_at=now_at, policy=policy(job.policy))
        else:
            decision = decide(job, series, policy(job.policy), now_at)
            fresh = Placement(windows=decision.windows, reason=decision.reason)
    except (NoFeasibleWindow, InputError) as error:
        return _as_soon_as_possible(job, str(error))
    return _steady(entry, fresh, series, now_at)


def _as_soon_as_possible(job: Job, why: str) -> Placement:
    start_at = job.constraints.earliest_at
    window = Window(start_at=start_at, end_at=start_at + job.constraints.duration)
    return Placement(windows=(window,), reason=f"as soon as there is room: {why}", late=True)


def _going_on(
    entry: Entry, status: Running, job: Job, *, series: IntensitySeries | None, now_at: datetime, policy: Policy
) -> Placement:
    """A job that runs and may pause: it goes on, unless stopping here and paying for the resume saves enough."""
    limits = job.constraints
    end_at = now_at + limits.duration
    on = Placement(windows=_on(status, now_at, limits.duration), reason="goes on")
    if series is None or not series.covers(now_at, end_at):
        return on
    plan = policy(series, limits, now_at)
    if plan.windows[0].start_at <= now_at:
        first = _on(status, now_at, plan.windows[0].end_at - now_at)
        return Placement(windows=(*first, *plan.windows[1:]), reason="goes on")
    longer = replace(limits, duration=limits.duration + limits.resume_cost)
    if longer.latest_start_at < now_at:
        return on
    later = policy(series, longer, now_at)
    at_once_g_per_kw = series.integral_g_per_kw(now_at, end_at)
    start_at = later.windows[0].start_at
    if start_at <= now_at or later.cost_g_per_kw >= at_once_g_per_kw * (1 - limits.min_saving):
        return on
    saving = percent(1 - later.cost_g_per_kw / at_once_g_per_kw)
    return Placement(windows=later.windows, reason=f"pauses until {when(start_at)}: that saves {saving} of what is left")


def _on(status: Running, now_at: datetime, left: timedelta) -> tuple[Window, ...]:
    """The window of a job that goes on. It began with the leg: the plan of such a job does not change with every look at it."""
    return (Window(start_at=min(status.started_at, now_at), end_at=now_at + left),)


def _steady(entry: Entry, fresh: Placement, series: IntensitySeries | None, now_at: datetime) -> Placement:
    """The plan that stands rather than a new one, unless that is worth a change, or as clean and over sooner."""
    standing = standing_windows(entry, now_at)
    if series is None or fresh.late or not standing or not series.covers(now_at, standing[-1].end_at):
        return fresh
    fresh_g, standing_g = (_cost_g_per_kw(series, windows, now_at) for windows in (fresh.windows, standing))
    margin = entry.submission.job.constraints.min_saving if isinstance(entry.status, Running) else ROUNDING
    sooner = fresh.windows[-1].end_at < standing[-1].end_at and fresh_g <= standing_g * (1 + ROUNDING)
    if sooner or fresh_g < standing_g * (1 - margin):
        return fresh
    return replace(fresh, windows=standing)


def _cost_g_per_kw(series: IntensitySeries, windows: Sequence[Window], now_at: datetime) -> float:
    """Of what lies ahead of now."""
    ahead = [(max(window.start_at, now_at), window.end_at) for window in windows if window.end_at > now_at]
    return sum(series.integral_g_per_kw(start_at, end_at) for start_at, end_at in ahead)


def _fits(queue: Queue, placements: Mapping[str, Placement], now_at: datetime) -> bool:
    """Whether plans made each alone can be had together."""
    uses = [(queue.capacity.needs(entry), window) for entry in queue.movable for window in placements[entry.id].windows]
    uses += [
        (queue.capacity.needs(entry), Window(start_at=now_at, end_at=now_at + left_at(entry, now_at))) for entry in queue.staying
    ]
    return fits_together(uses, queue.capacity.caps)


# All together --------------------------------------------------------------------------------------------------------


def _together(queue: Queue, now_at: datetime, policy: Callable[[str], Policy]) -> dict[str, Placement]:
    """One plan for all, in words."""
    joint = joint_plan(
        queue.movable,
        queue.staying,
        queue.series_by_zone,
        capacity=queue.capacity,
        now_at=now_at,
        used=queue.used,
        policy=policy,
    )
    series_of = queue.series_by_zone.get
    return {entry.id: _joint_placement(entry, joint, series_of(entry.submission.job.zone), now_at) for entry in queue.movable}


def _joint_placement(entry: Entry, joint: Joint, series: IntensitySeries | None, now_at: datetime) -> Placement:
    windows = joint.windows[entry.id]
    if isinstance(entry.status, Running) and windows[0].start_at <= now_at:
        windows = (*_on(entry.status, now_at, windows[0].end_at - now_at), *windows[1:])
        return Placement(windows=windows, reason="goes on")
    late = windows[-1].end_at > entry.submission.job.constraints.deadline_at
    if not late:
        return Placement(windows=windows, reason=_together_reason(entry, windows, series, now_at))
    if latest_start_at(entry, now_at) < may_start_at(entry, now_at):
        why = "it cannot be done by its deadline any more"
    else:
        others = [job_id for job_id in joint.conflict if job_id != entry.id]
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        why = "it does not fit before its deadline" + (f" beside {', '.join(others[:5])}{more}" if others else "")
    return Placement(windows=windows, reason=f"as soon as there is room: {why}", late=True)


def _together_reason(entry: Entry, windows: Sequence[Window], series: IntensitySeries | None, now_at: datetime) -> str:
    at_once = Window(start_at=now_at, end_at=now_at + left_at(entry, now_at))
    return _together_words(tuple(windows), series, at_once)


@lru_cache(maxsize=4096)
def _together_words(windows: tuple[Window, ...], series: IntensitySeries | None, at_once: Window) -> str:
    """With the intensities planned and of a run that started now, where the forecast reaches as far.

    Of ten thousand jobs many share their windows, and so their words.
    """
    words = "planned together with the other jobs"
    if series is None or not series.covers(at_once.start_at, max(at_once.end_at, windows[-1].end_at)):
        return words
    now, then = (_mean_g_per_kwh(series, each) for each in ((at_once,), windows))
    if windows[0].start_at <= at_once.start_at and len(windows) == 1:
        return f"{words}: {g_per_kwh(then)} now"
    return f"{words}: {g_per_kwh(then)} then, {g_per_kwh(now, unit=False)} now"


def _mean_g_per_kwh(series: IntensitySeries, windows: Sequence[Window]) -> float:
    """Over windows ahead, weighted by time."""
    grams_per_kw = sum(series.integral_g_per_kw(window.start_at, window.end_at) for window in windows)
    return grams_per_kw / (sum((window.duration for window in windows), timedelta(0)) / timedelta(hours=1))
