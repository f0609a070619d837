"""One plan for all jobs of a queue under what the machine has (`greenai.logic.queueing` says how)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic.crowding import Arrangement, Crowd, arrange, coarse
from greenai.logic.deciding import Policy
from greenai.logic.packing_grid import BoolArray, IntArray
from greenai.logic.queue_ground import Ground, ground_of
from greenai.logic.queue_packed import cleaner, fewer_out
from greenai.logic.queue_room import Capacity, fits_together, power_w
from greenai.logic.queue_times import TOLERANCE, left_at, may_start_at, rest_of, standing_windows
from greenai.logic.sharing import dominant, hours_of
from greenai.model.plan import Window
from greenai.model.queue import Entry, Running
from greenai.model.series import IntensitySeries, Source

CUT_AT_MOST = 60
"""So many of the jobs that may be cut are planned in pieces; each takes a search."""

MANY = 1_000
"""More jobs than this give up some of their slack, so that many are equal and can be placed together."""

WORTH_A_CHANGE = 0.005
"""A new plan for all must save this share: jobs that are equal would else change places at every look."""

ROUNDING = 1e-6
"""Plans that differ by less cost the same."""

BARRED_G_PER_KWH = 1e6
"""The intensity of slots that others hold, to a policy that knows of no others: far above any grid, and no further.

Bounds on sums of much larger numbers prune nothing, and the search takes a hundred times as long.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """The windows of each job by its id, and the jobs that together ask for more than there is before their deadlines."""

    windows: Mapping[str, tuple[Window, ...]]
    conflict: tuple[str, ...] = ()


def joint_plan(
    jobs: Sequence[Entry],
    staying: Sequence[Entry],
    series_by_zone: Mapping[str, IntensitySeries | None],
    *,
    capacity: Capacity,
    now_at: datetime,
    used: Mapping[str, float],
    policy: Callable[[str], Policy],
) -> Joint:
    """A plan in which none is late, if one is found, and clean; `used` are hours of the machine by user or label."""
    ground = ground_of(jobs, staying, series_by_zone, capacity=capacity, now_at=now_at)
    crowd = _crowd(jobs, ground, capacity, now_at, used=used)
    running = np.array([isinstance(entry.status, Running) for entry in jobs], bool)
    hasty, late = _without_slack(jobs, crowd, now_at)
    arrangement, out, conflict = _arranged(crowd, ground, running=running, hasty=hasty, late=late)
    if not out.size and len({entry.submission.share_of for entry in jobs}) == 1:
        # The packer knows of no turns: where there are several users fairness comes before its grams.
        arrangement = cleaner(arrangement, ground, stay=np.union1d(np.union1d(hasty, late), np.flatnonzero(running)))
    windows = {entry.id: _window(entry, ground, int(arrangement.start[j]), now_at) for j, entry in enumerate(jobs)}
    cuttable = [j for j, entry in enumerate(jobs) if entry.submission.job.constraints.interruptible]
    placed = [j for j in sorted(cuttable, key=lambda j: crowd.turn[j]) if arrangement.start[j] >= 0]
    for j in placed[:CUT_AT_MOST]:
        windows[jobs[j].id] = _cut(jobs[j], arrangement, ground, now_at, job=j, policy=policy)
    standing = {entry.id: standing_windows(entry, now_at) for entry in jobs}
    if all(standing.values()) and _still_good(standing, windows, jobs, staying, ground=ground, capacity=capacity, now_at=now_at):
        return Joint(windows=standing)
    return Joint(windows=windows, conflict=tuple(jobs[j].id for j in conflict.tolist()) if out.size else ())


def _arranged(
    crowd: Crowd, ground: Ground, *, running: BoolArray, hasty: IntArray, late: IntArray
) -> tuple[Arrangement, IntArray, IntArray]:
    """All placed, those for which there is no room in time, and those who ask for too much.

    First who runs stays; where that leaves some out, only who runs and may pause can still make room.
    """
    found = []
    for stays in (running, np.zeros_like(running)) if running.any() else (running,):
        pinned, at_once, after = np.flatnonzero(stays), hasty[~stays[hasty]], late[~stays[late]]
        arrangement, out = arrange(crowd, pinned=pinned, hasty=at_once, late=after)
        arrangement, out, named = fewer_out(arrangement, ground, out, stay=np.union1d(pinned, at_once), late=after)
        unnamed = np.setdiff1d(out, named)
        conflict = np.union1d(named, _in_the_way(crowd, unnamed))
        waits = at_once[arrangement.start[at_once] != crowd.first[at_once]]
        found.append((len(out) + len(waits), arrangement, out, conflict))
        if not found[-1][0]:
            break
    return min(found, key=lambda one: one[0])[1:]


def _still_good(
    standing: Mapping[str, tuple[Window, ...]],
    fresh: Mapping[str, tuple[Window, ...]],
    jobs: Sequence[Entry],
    staying: Sequence[Entry],
    *,
    ground: Ground,
    capacity: Capacity,
    now_at: datetime,
) -> bool:
    """Whether the plan that stands, in which none is late, can still be had, and a new one is not worth the change.

    A new one is worth it if it is cleaner, or as clean and over sooner.
    """
    uses = [(capacity.needs(entry), window) for entry in jobs for window in standing[entry.id]]
    uses += [(capacity.needs(entry), Window(start_at=now_at, end_at=now_at + left_at(entry, now_at))) for entry in staying]
    if not fits_together(uses, capacity.caps):
        return False
    if any(fresh[entry.id][-1].end_at > entry.submission.job.constraints.deadline_at for entry in jobs):
        return True
    fresh_g, standing_g = (_grams(windows, jobs, ground, now_at) for windows in (fresh, standing))
    gained = sum((standing[entry.id][-1].end_at - fresh[entry.id][-1].end_at for entry in jobs), timedelta(0))
    sooner = gained > TOLERANCE and fresh_g <= standing_g * (1 + ROUNDING)
    return not sooner and fresh_g >= standing_g * (1 - WORTH_A_CHANGE)


def _grams(windows: Mapping[str, tuple[Window, ...]], jobs: Sequence[Entry], ground: Ground, now_at: datetime) -> float:
    """What all emit from now on, as far as the ground reaches."""
    edges, slots = np.pad(np.cumsum(ground.rates, axis=1), ((0, 0), (1, 0))), np.arange(ground.slots + 1)
    total_g = 0.0
    for place, zone in enumerate(ground.zones):
        here = [entry for entry in jobs if entry.submission.job.zone == zone]
        uses = [(window, power_w(entry) / 1000) for entry in here for window in windows[entry.id]]
        begins = [(max(window.start_at, now_at) - ground.start_at) / ground.step for window, _ in uses]
        ends = [(max(window.end_at, now_at) - ground.start_at) / ground.step for window, _ in uses]
        sums = np.interp(ends, slots, edges[place]) - np.interp(begins, slots, edges[place])
        total_g += float(sums @ np.array([power_kw for _, power_kw in uses]))
    return total_g


def _crowd(jobs: Sequence[Entry], ground: Ground, capacity: Capacity, now_at: datetime, *, used: Mapping[str, float]) -> Crowd:
    """The jobs in slots. Those shorter than a slot share one: each counts as the part of which so many fit one after another."""
    begun, step = now_at - ground.start_at, ground.step
    left = [left_at(entry, now_at) for entry in jobs]
    starts = [may_start_at(entry, now_at) for entry in jobs]
    parts = np.array([1 / max(1, step // span) for span in left])
    needs = [[capacity.needs(entry).get(name, 0.0) for name in ground.resources] for entry in jobs]
    _, rank = np.unique([entry.submission.priority for entry in jobs], return_inverse=True)
    first = np.array([0 if at <= now_at else ground.ceil(at) for at in starts], np.int64)
    end = np.array([ground.floor(entry.submission.job.constraints.deadline_at - begun) for entry in jobs], np.int64)
    length = np.array([-(-span // step) for span in left], np.int64)
    zone_of = {zone: place for place, zone in enumerate(ground.zones)}
    return Crowd(
        rates=ground.rates,
        free=ground.free,
        zone=np.array([zone_of[entry.submission.job.zone] for entry in jobs], np.int64),
        first=first,
        end=coarse(first, end, length) if len(jobs) > MANY else end,
        length=length,
        needs=np.array(needs, dtype=np.float64).reshape(len(jobs), -1) * parts[:, None],
        power_kw=np.array([power_w(entry) / 1000 for entry in jobs]) * parts,
        turn=_turns(jobs, left, capacity, used=used),
        rank=rank.astype(np.int64),
        day=ground.day,
        budget_g=ground.budget_g,
    )


def _turns(jobs: Sequence[Entry], left: Sequence[timedelta], capacity: Capacity, *, used: Mapping[str, float]) -> IntArray:
    """Who chooses first, shape (n,): by priority, then whoever will have had least when this job is done."""
    had = dict(used)
    keys = []
    for entry, span in zip(jobs, left, strict=True):
        whose = entry.submission.share_of
        had[whose] = had.get(whose, 0.0) + dominant(entry, capacity.amounts) * hours_of(span)
        keys.append((-entry.submission.priority, had[whose]))
    turns: IntArray = np.empty(len(jobs), np.int64)
    turns[sorted(range(len(jobs)), key=keys.__getitem__)] = np.arange(len(jobs))
    return turns


def _without_slack(jobs: Sequence[Entry], crowd: Crowd, now_at: datetime) -> tuple[IntArray, IntArray]:
    """The jobs that are in time only if they start at once, and those that are late whatever happens; both may take any slot."""
    tight = np.flatnonzero(crowd.end - crowd.first < crowd.length)
    late = [
        j
        for j in tight.tolist()
        if jobs[j].submission.job.constraints.deadline_at < may_start_at(jobs[j], now_at) + left_at(jobs[j], now_at)
    ]
    crowd.end[tight] = crowd.rates.shape[1]
    return np.setdiff1d(tight, late), np.array(late, np.int64)


def _window(entry: Entry, ground: Ground, slot: int, now_at: datetime) -> tuple[Window, ...]:
    """In one piece from that slot on; a slot that has begun is begun now. What found no slot comes after the last."""
    start_at = max(ground.at(slot) if slot >= 0 else ground.end_at, may_start_at(entry, now_at))
    return (Window(start_at=start_at, end_at=start_at + left_at(entry, now_at)),)


# Who cannot be in time -----------------------------------------------------------------------------------------------


def _in_the_way(crowd: Crowd, out: IntArray) -> IntArray:
    """Jobs that want the same time as those left out, and are due no later: together they ask for more than there is."""
    if not out.size:
        return out
    first, end = crowd.first[out].min(), crowd.end[out].max()
    shares = (crowd.needs > 0)[:, (crowd.needs[out] > 0).any(axis=0)].any(axis=1)
    there: IntArray = np.flatnonzero((crowd.first < end) & (crowd.end > first) & (crowd.end <= end) & shares)
    return there


# In pieces -----------------------------------------------------------------------------------------------------------


def _cut(
    entry: Entry, arrangement: Arrangement, ground: Ground, now_at: datetime, *, job: int, policy: Callable[[str], Policy]
) -> tuple[Window, ...]:
    """The windows of a job that may be cut, by its policy within what the others leave free, if that is cleaner."""
    slot = int(arrangement.lift(np.array([job]))[0])
    whole = _window(entry, ground, slot, now_at)
    windows = _pieces(entry, arrangement, ground, now_at, job=job, policy=policy, whole=whole)
    for window in windows:
        span = slice(ground.floor(window.start_at), ground.ceil(window.end_at))
        arrangement.free[:, span] -= arrangement.crowd.needs[job][:, None]
    return windows


def _pieces(
    entry: Entry,
    arrangement: Arrangement,
    ground: Ground,
    now_at: datetime,
    *,
    job: int,
    policy: Callable[[str], Policy],
    whole: tuple[Window, ...],
) -> tuple[Window, ...]:
    rest = rest_of(entry, now_at)
    limits = rest.constraints
    if limits.deadline_at > entry.submission.job.constraints.deadline_at or limits.deadline_at > ground.end_at:
        return whole
    series = _barred(arrangement, ground, rest.zone, job)
    base_g_per_kw = _cost_g_per_kw(series, whole)
    try:
        plan = policy(rest.policy)(series, limits, now_at)
        goes_on = isinstance(entry.status, Running)
        if goes_on and plan.windows[0].start_at > now_at:
            plan = policy(rest.policy)(series, replace(limits, duration=limits.duration + limits.resume_cost), now_at)
    except (NoFeasibleWindow, InputError):
        return whole
    free = all(series.values[ground.floor(w.start_at) : ground.ceil(w.end_at)].max() < BARRED_G_PER_KWH for w in plan.windows)
    worth = plan.cost_g_per_kw < base_g_per_kw * (1 - (limits.min_saving if goes_on else 0.0) - 1e-9)
    return plan.windows if free and worth else whole


def _barred(arrangement: Arrangement, ground: Ground, zone: str, job: int) -> IntensitySeries:
    """What a zone costs in g/kWh, with the slots barred in which there is no room for this job."""
    hours = hours_of(ground.step)
    full: BoolArray = (arrangement.free < arrangement.least[job][:, None]).any(axis=0)
    values = np.where(full, BARRED_G_PER_KWH, ground.rates[ground.zones.index(zone)] / hours)
    source = Source(provider="queue", url="", fetched_at=ground.start_at, payload_sha256="")
    return IntensitySeries(start_at=ground.start_at, step=ground.step, values=values, zone=zone, kind="forecast", source=source)


def _cost_g_per_kw(series: IntensitySeries, windows: Sequence[Window]) -> float:
    """Of windows within the series; what lies beyond costs nothing here."""
    return sum(
        series.integral_g_per_kw(min(window.start_at, series.end_at), min(window.end_at, series.end_at)) for window in windows
    )
