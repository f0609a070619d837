"""Jobs, capacities and intensities on one grid of slots: what the packers of `greenai.logic.packing` work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import ArrayLike, NDArray

from greenai.errors import InputError
from greenai.model.fleet import FleetJob
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import SECONDS_PER_HOUR

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """n jobs, P places, T slots; a cell is one slot of one place, p * T + t.

    `rates` (P, T): grams per kW of load in a cell. `capacity` (P, T): jobs that may
    run there at once. Job j may use slots [first[j], end[j]) of the places
    allowed[:, j], needs `length[j]` whole slots and draws `power_kw[j]`.
    """

    start_at: datetime
    step: timedelta
    places: tuple[str, ...]
    rates: FloatArray
    capacity: IntArray
    first: IntArray
    end: IntArray
    length: IntArray
    power_kw: FloatArray
    allowed: BoolArray
    cuttable: BoolArray

    @property
    def slots(self) -> int:
        """T."""
        return int(self.rates.shape[1])

    def open_cells(self) -> BoolArray:
        """Which job may be in which cell, shape (P * T, n)."""
        slots = np.arange(self.slots)[:, None]
        within = (slots >= self.first) & (slots < self.end)
        cells = self.allowed[:, None, :] & within[None]
        return cells.reshape(self.rates.size, len(self.length))


def grid_of(
    jobs: Sequence[FleetJob], series_by_place: Mapping[str, IntensitySeries], capacities: Mapping[str, ArrayLike]
) -> Grid:
    """The grid of a packing problem; raises InputError where series, capacities or jobs do not fit together."""
    _refuse_twins(jobs)
    series = _aligned(series_by_place)
    places, lead = tuple(series_by_place), series[0]
    step, slots = lead.step, len(lead)
    rates = np.stack([each.values for each in series]) * (lead.step_s / SECONDS_PER_HOUR)
    firsts = [-((lead.start_at - job.earliest_at) // step) for job in jobs]
    ends = [(job.deadline_at - lead.start_at) // step for job in jobs]
    return Grid(
        start_at=lead.start_at,
        step=step,
        places=places,
        rates=rates,
        capacity=np.stack([_capacity(place, capacities, slots) for place in places]),
        first=np.clip(firsts, 0, slots).astype(np.int64),
        end=np.clip(np.maximum(firsts, ends), 0, slots).astype(np.int64),
        length=np.array([-(-job.duration // step) for job in jobs], np.int64),
        power_kw=np.array([job.power_w / 1000 for job in jobs]),
        allowed=np.array([[_may_use(job, place, places) for job in jobs] for place in places], bool).reshape(len(places), -1),
        cuttable=np.array([job.interruptible for job in jobs], bool),
    )


def _refuse_twins(jobs: Sequence[FleetJob]) -> None:
    names = [job.id for job in jobs]
    twins = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
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


def _capacity(place: str, capacities: Mapping[str, ArrayLike], slots: int) -> IntArray:
    if place not in capacities:
        raise InputError(f"no capacity is given for {place}")
    given = np.asarray(capacities[place])
    if given.shape not in {(), (slots,)} or not np.all((given >= 0) & (given == np.floor(given))):
        raise InputError(f"the capacity of {place} must be a whole number of units, or {slots} of them: one for each slot")
    return np.broadcast_to(given, slots).astype(np.int64)


def _may_use(job: FleetJob, place: str, places: Sequence[str]) -> bool:
    unknown = set(job.places) - set(places)
    if unknown:
        raise InputError(f"job {job.id} names a place that is not offered: {', '.join(sorted(unknown))}")
    return not job.places or place in job.places
