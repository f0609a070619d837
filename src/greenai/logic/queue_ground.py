"""The time ahead cut into slots: what each costs in each zone, and what the machine has free in it.

A slot may have begun: a job placed in it starts now, and holds it and the next
ones as if it had started with it. Deadlines are moved up by the part that has
passed, so that nobody behind such a job is late for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import numpy as np

from greenai.logic.packing_grid import BoolArray, IntArray
from greenai.logic.queue_room import Capacity, power_w
from greenai.logic.queue_times import left_at
from greenai.logic.sharing import dominant
from greenai.model.queue import Entry
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import SECONDS_PER_HOUR, floor_to

COARSE_STEP = timedelta(minutes=30)
FINE_STEP = timedelta(minutes=5)
MOST_CELLS = 40_000
"""Jobs times slots up to which time is cut finely."""

LONGEST_VIEW = timedelta(days=14)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """T slots from `start_at`; `rates` (Z, T) grams per kW of load in a slot; `free` (R, T) of each of `resources`."""

    start_at: datetime
    step: timedelta
    zones: tuple[str, ...]
    resources: tuple[str, ...]
    rates: FloatArray
    free: FloatArray
    day: IntArray
    budget_g: FloatArray

    @property
    def slots(self) -> int:
        """T."""
        return int(self.rates.shape[1])

    @property
    def end_at(self) -> datetime:
        """The end of the last slot."""
        return self.at(self.slots)

    def at(self, slot: int) -> datetime:
        """When a slot starts."""
        return self.start_at + slot * self.step

    def floor(self, moment: datetime) -> int:
        """The slot that holds a moment, within the ground."""
        return min(max(0, (moment - self.start_at) // self.step), self.slots)

    def ceil(self, moment: datetime) -> int:
        """The first slot that starts at a moment or later."""
        return min(max(0, -((self.start_at - moment) // self.step)), self.slots)


def ground_of(
    jobs: Sequence[Entry],
    staying: Sequence[Entry],
    series_by_zone: Mapping[str, IntensitySeries | None],
    *,
    capacity: Capacity,
    now_at: datetime,
) -> Ground:
    """The slots in which these jobs can be placed around those that stay."""
    known = [series for series in series_by_zone.values() if series is not None]
    until_at = _until(jobs, staying, capacity, now_at)
    step, start_at = _step(jobs, staying, known, now_at=now_at, until_at=until_at)
    slots = max(1, -((start_at - until_at) // step))
    zones, resources = tuple(series_by_zone), tuple(capacity.caps)
    free = np.repeat(np.array(list(capacity.caps.values()), dtype=np.float64).reshape(-1, 1), slots, axis=1)
    day = np.array([(start_at + slot * step).date().toordinal() for slot in range(slots)])
    ground = Ground(
        start_at=start_at,
        step=step,
        zones=zones,
        resources=resources,
        rates=np.stack([_rates(series, start_at, step, slots) for series in series_by_zone.values()]),
        free=free,
        day=day - day[0],
        budget_g=np.full(int(day[-1] - day[0]) + 1, capacity.carbon_budget_g_per_day or np.inf),
    )
    for entry in staying:
        _keep(ground, entry, capacity, now_at)
    return ground


def _keep(ground: Ground, entry: Entry, capacity: Capacity, now_at: datetime) -> None:
    """What a job that runs takes until its end, and of the carbon budget; of the slot it ends in only the part it runs in."""
    end_at = now_at + left_at(entry, now_at)
    span = slice(0, ground.ceil(end_at))
    needs = capacity.needs(entry)
    shares = np.ones(span.stop)
    shares[-1] = min(1.0, (end_at - max(now_at, ground.at(span.stop - 1))) / ground.step)
    ground.free[:, span] -= np.array([needs.get(name, 0.0) for name in ground.resources]).reshape(-1, 1) * shares
    grams = ground.rates[ground.zones.index(entry.submission.job.zone), span] * power_w(entry) / 1000 * shares
    np.subtract.at(ground.budget_g, ground.day[span], grams)


def _until(jobs: Sequence[Entry], staying: Sequence[Entry], capacity: Capacity, now_at: datetime) -> datetime:
    """The latest deadline, as far as can be looked ahead; late jobs need the time to run one after another."""
    until_at = max(entry.submission.job.constraints.deadline_at for entry in jobs)
    until_at = min(until_at, now_at + LONGEST_VIEW)
    longest = max((left_at(entry, now_at) for entry in (*jobs, *staying)), default=timedelta(0))
    # One after another, packed half as well as could be: those that are late find a place too.
    work = sum((2 * dominant(entry, capacity.amounts) * left_at(entry, now_at) for entry in jobs), timedelta(0))
    return max(until_at, now_at + min(2 * longest + work, LONGEST_VIEW)) + COARSE_STEP


def _step(
    jobs: Sequence[Entry], staying: Sequence[Entry], known: Sequence[IntensitySeries], *, now_at: datetime, until_at: datetime
) -> tuple[timedelta, datetime]:
    """The length of a slot, and where the first begins: those of the series, finer where that helps and is cheap."""
    coarse = min((series.step for series in known), default=COARSE_STEP)
    anchor_at = known[0].start_at if known else floor_to(now_at, coarse)
    fine = (
        coarse > FINE_STEP and coarse % FINE_STEP == timedelta(0) and len(jobs) * ((until_at - now_at) / FINE_STEP) <= MOST_CELLS
    )
    if fine and not _are_aligned(jobs, staying, coarse, anchor_at=anchor_at, now_at=now_at):
        coarse = FINE_STEP
    return coarse, anchor_at + (now_at - anchor_at) // coarse * coarse


def _are_aligned(
    jobs: Sequence[Entry], staying: Sequence[Entry], step: timedelta, *, anchor_at: datetime, now_at: datetime
) -> bool:
    """Whether everything begins and ends at the edges of slots already."""
    edges = [now_at, *(now_at + left_at(entry, now_at) for entry in staying)]
    spans = [left_at(entry, now_at) for entry in jobs]
    return all((edge - anchor_at) % step == timedelta(0) for edge in edges) and all(span % step == timedelta(0) for span in spans)


def _rates(series: IntensitySeries | None, start_at: datetime, step: timedelta, slots: int) -> FloatArray:
    """Grams per kW in each slot, shape (slots,). Beyond the series the day before it goes on; nothing known: all the same."""
    if series is None:
        return np.zeros(slots)
    edges_s = series.offset_s(start_at) + np.arange(slots + 1) * step.total_seconds()
    inside_s = np.clip(edges_s, 0.0, len(series) * series.step_s)
    rates: FloatArray = np.diff(series.cumulative_g_per_kw(inside_s))
    whole: BoolArray = np.diff(inside_s) >= step.total_seconds() * (1 - 1e-9)
    mean = float(series.values.mean()) * step.total_seconds() / SECONDS_PER_HOUR
    return _continued(rates, whole, mean, per_day=ceil(DAY / step))


def _continued(rates: FloatArray, whole: BoolArray, mean: float, *, per_day: int) -> FloatArray:
    """Slots that are not `whole` filled from the day before, where that is known, or with the mean."""
    for slot in np.flatnonzero(~whole).tolist():
        rates[slot] = rates[slot - per_day] if slot >= per_day else mean
    return rates
