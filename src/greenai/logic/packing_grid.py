"""Jobs, capacities and intensities on one grid of slots: what the packers of `greenai.logic.packing` work on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import ArrayLike, NDArray

from greenai.errors import InputError
from greenai.model.fleet import UNITS, FleetJob, Held
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import SECONDS_PER_HOUR, as_utc

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Capacity = ArrayLike | Mapping[str, ArrayLike]
"""Of one place: amounts by resource; a number alone counts units. An amount is one number, or one for each slot."""

POWER = "power (W)"
EPSILON = 1e-9
"""Amounts that differ by less are the same: fractions of a GPU add up with rounding."""

PRIORITY_FACTOR = 64.0
MOST_RANKS = 6
"""A gram of a job of the next higher priority counts this many times; ranks beyond the highest six count alike."""

MIDNIGHT = time(0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds the jobs: amounts by place, watts by place, grams by day (UTC), and the jobs that run already."""

    capacities: Mapping[str, Capacity]
    power_caps_w: Mapping[str, ArrayLike] = field(default_factory=dict)
    carbon_budget_g_per_day: float | None = None
    held: Sequence[Held] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """n jobs, P places, T slots, R resources; a cell is one slot of one place, p * T + t.

    `rates` (P, T): grams per kW of load in a cell. `capacity` (R, P, T): amounts
    that are free there. Job j may use slots [first[j], end[j]) of the places
    allowed[:, j], needs `length[j]` whole slots, holds `demands[j]` (R,) in each
    and draws `power_kw[j]`. `weight` (n,) is that power times what the job's
    priority makes of a gram. `day` (T,) numbers the days from `first_day` on,
    `budget_g` (days,) is what may still be emitted on each, inf without a budget.
    """

    start_at: datetime
    step: timedelta
    places: tuple[str, ...]
    rates: FloatArray
    capacity: FloatArray
    first: IntArray
    end: IntArray
    length: IntArray
    power_kw: FloatArray
    weight: FloatArray
    demands: FloatArray
    rank: IntArray
    allowed: BoolArray
    cuttable: BoolArray
    first_day: date
    day: IntArray
    budget_g: FloatArray

    @property
    def slots(self) -> int:
        """T."""
        return int(self.rates.shape[1])

    @property
    def budgeted(self) -> bool:
        """Whether there is a carbon budget."""
        return bool(np.isfinite(self.budget_g).any())

    @property
    def uniform(self) -> bool:
        """Whether every job takes one unit of one resource, so that the exact packing of cut jobs applies."""
        return self.demands.shape[1] == 1 and bool((self.demands == 1).all())

    def open_cells(self) -> BoolArray:
        """Which job may be in which cell, shape (P * T, n)."""
        slots = np.arange(self.slots)[:, None]
        within = (slots >= self.first) & (slots < self.end)
        cells = self.allowed[:, None, :] & within[None]
        return cells.reshape(self.rates.size, len(self.length))


def grid_of(
    jobs: Sequence[FleetJob], series_by_place: Mapping[str, IntensitySeries], limits: Limits, now_at: datetime | None = None
) -> Grid:
    """The grid of a packing problem; raises InputError where series, capacities or jobs do not fit together."""
    _refuse_twins(jobs)
    series = _aligned(series_by_place)
    places, lead = tuple(series_by_place), series[0]
    step, slots = lead.step, len(lead)
    rates = np.stack([each.values for each in series]) * (lead.step_s / SECONDS_PER_HOUR)
    earliest_at = lead.start_at if now_at is None else max(lead.start_at, as_utc(now_at, name="now_at"))
    firsts = [-((lead.start_at - max(job.earliest_at, earliest_at)) // step) for job in jobs]
    ends = [(job.deadline_at - lead.start_at) // step for job in jobs]
    power_kw = np.array([job.power_w / 1000 for job in jobs])
    names, capacity = _amounts(places, limits, slots)
    for job in limits.held:
        row, span = _kept(job, places, names), slice(*(max(0, edge) for edge in _touched(job, lead)))
        capacity[:, places.index(job.place), span] -= row[:, None]
    rank = _ranks(jobs)
    day = np.array([(lead.start_at + t * step).date().toordinal() for t in range(slots)])
    grid = Grid(
        start_at=lead.start_at,
        step=step,
        places=places,
        rates=rates,
        capacity=np.maximum(capacity, 0.0),
        first=np.clip(firsts, 0, slots).astype(np.int64),
        end=np.clip(np.maximum(firsts, ends), 0, slots).astype(np.int64),
        length=np.array([-(-job.duration // step) for job in jobs], np.int64),
        power_kw=power_kw,
        weight=power_kw * PRIORITY_FACTOR**rank,
        demands=_demands(jobs, names),
        rank=rank,
        allowed=np.array([[_may_use(job, place, places) for job in jobs] for place in places], bool).reshape(len(places), -1),
        cuttable=np.array([job.interruptible for job in jobs], bool),
        first_day=lead.start_at.date(),
        day=day - day[0],
        budget_g=_budget(limits, series_by_place, day),
    )
    return _reduced(grid)


def _reduced(grid: Grid) -> Grid:
    """The same problem counted in units of one resource, where all jobs need the same."""
    if not len(grid.length) or (grid.demands != grid.demands[0]).any():
        return grid
    need = grid.demands[0]
    used = need > 0
    if not used.any():
        return grid
    units = np.floor((grid.capacity[used] + EPSILON) / need[used][:, None, None]).min(axis=0)
    return replace(grid, capacity=units[None], demands=np.ones((len(grid.length), 1)))


def _refuse_twins(jobs: Sequence[FleetJob]) -> None:
    twins = sorted(name for name, count in Counter(job.id for job in jobs).items() if count > 1)
    if twins:
        raise InputError(f"two jobs have the same name: {', '.join(twins)}", hint="give each job an id of its own")


def _aligned(series_by_place: Mapping[str, IntensitySeries]) -> list[IntensitySeries]:
    series = list(series_by_place.values())
    if not series:
        raise InputError("packing needs the intensity of at least one place")
    shapes = {(each.start_at, each.step, len(each), each.basis) for each in series}
    if len(shapes) > 1:
        raise InputError("the places' series must have the same start, step, length and basis", hint="cut them to one span")
    return series


def _amounts(places: Sequence[str], limits: Limits, slots: int) -> tuple[list[str], FloatArray]:
    """Names of the resources and how much of each there is, (R, P, T); what a place does not name it has none of."""
    by_place: list[dict[str, ArrayLike]] = []
    for place in places:
        if place not in limits.capacities:
            raise InputError(f"no capacity is given for {place}")
        given = limits.capacities[place]
        by_place.append(dict(given) if isinstance(given, Mapping) else {UNITS: given})
    names = list(dict.fromkeys(name for amounts in by_place for name in amounts))
    rows = [[_amount(place, name, by_place[p].get(name, 0.0), slots) for p, place in enumerate(places)] for name in names]
    if limits.power_caps_w:
        names.append(POWER)
        rows.append([_amount(place, POWER, limits.power_caps_w.get(place, np.inf), slots) for place in places])
    return names, np.array(rows)


def _amount(place: str, name: str, value: ArrayLike, slots: int) -> FloatArray:
    given = np.asarray(value, float)
    # One unit cannot be shared, so half of one is a mistake; of other things there may be halves.
    broken = name == UNITS and not np.array_equal(given, np.floor(given))
    if given.shape not in {(), (slots,)} or not (given >= 0).all() or broken:
        what = "a whole number of units" if name == UNITS else f"a number of {name} from 0 on"
        raise InputError(f"the capacity of {place} must be {what}, or {slots} of them: one for each slot")
    return np.broadcast_to(given, slots).astype(float)


def _kept(job: Held, places: Sequence[str], names: Sequence[str]) -> FloatArray:
    """What a running job keeps of each resource, (R,)."""
    if job.place not in places:
        raise InputError(f"job {job.job_id} runs in a place that is not offered: {job.place}")
    return np.array([job.power_w if name == POWER else job.demands.get(name, 0.0) for name in names])


def _touched(job: Held, lead: IntensitySeries) -> tuple[int, int]:
    """The slots a running job touches, as a half-open span."""
    return (job.start_at - lead.start_at) // lead.step, -((lead.start_at - job.end_at) // lead.step)


def _demands(jobs: Sequence[FleetJob], names: Sequence[str]) -> FloatArray:
    known = set(names)
    for job in jobs:
        unknown = sorted(set(job.demands) - known)
        if unknown:
            hint = f"resources that have a capacity: {', '.join(name for name in names if name != POWER)}"
            raise InputError(f"job {job.id} needs {', '.join(unknown)}, of which no place states how much it has", hint=hint)
    rows = [[job.power_w if name == POWER else job.demands.get(name, 0.0) for name in names] for job in jobs]
    return np.array(rows, float).reshape(len(jobs), len(names))


def _ranks(jobs: Sequence[FleetJob]) -> IntArray:
    """Priorities as 0, 1, 2, ... from the lowest; the highest counts as the last rank."""
    levels = {level: rank for rank, level in enumerate(sorted({job.priority for job in jobs}))}
    cut = max(0, len(levels) - 1 - MOST_RANKS)
    return np.array([max(0, levels[job.priority] - cut) for job in jobs], np.int64)


def _budget(limits: Limits, series_by_place: Mapping[str, IntensitySeries], day: IntArray) -> FloatArray:
    """Grams left for each day of the grid, after the jobs that run already."""
    days = int(day[-1] - day[0]) + 1
    if limits.carbon_budget_g_per_day is None:
        return np.full(days, np.inf)
    if not 0 < limits.carbon_budget_g_per_day < np.inf:
        raise InputError(f"a carbon budget is a number of grams above 0, not {limits.carbon_budget_g_per_day}")
    budget = np.full(days, float(limits.carbon_budget_g_per_day))
    for job in limits.held:
        series = series_by_place[job.place]
        for k in range(days):
            midnight_at = datetime.combine(date.fromordinal(int(day[0]) + k), MIDNIGHT)
            begin_at = max(job.start_at, midnight_at, series.start_at)
            end_at = min(job.end_at, midnight_at + timedelta(days=1), series.end_at)
            if begin_at < end_at:
                budget[k] -= series.integral_g_per_kw(begin_at, end_at) * job.power_w / 1000
    left: FloatArray = np.maximum(budget, 0.0)
    return left


def _may_use(job: FleetJob, place: str, places: Sequence[str]) -> bool:
    if not job.places:
        return True
    unknown = set(job.places) - set(places)
    if unknown:
        raise InputError(f"job {job.id} names a place that is not offered: {', '.join(sorted(unknown))}")
    return place in job.places
