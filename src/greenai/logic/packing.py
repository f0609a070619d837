"""When and where many jobs run that share machines: first all in time, then as clean as can be.

Time is cut into the slots of the series. A job takes one unit of a place for
whole slots: it may use those that lie entirely between its earliest start and
its deadline, and its duration is rounded up to whole slots, which are reserved
and charged. Use a finer series where that is too coarse.

Jobs that may be cut are packed exactly (`packing_cut`), jobs in one piece by
prices, repair and bounded search (`packing_whole`), before those that may be
cut. Whether all fit at all is asked of the relaxation in which every job may be
cut: if that has no schedule nothing has, and the jobs that share the bottleneck
are named. If it has one and no schedule in one piece was found, `proved` is False.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from greenai.logic.packing_cut import Filling
from greenai.logic.packing_grid import BoolArray, Grid, IntArray, grid_of
from greenai.logic.packing_whole import NOWHERE, Placing
from greenai.model.fleet import Allotment, FleetJob, Packing
from greenai.model.plan import Window
from greenai.model.series import FloatArray, IntensitySeries

__all__ = ["pack"]


def pack(
    jobs: Sequence[FleetJob], series_by_place: Mapping[str, IntensitySeries], capacities: Mapping[str, ArrayLike]
) -> Packing:
    """A schedule for all jobs in which none is late, if one is found, and clean.

    Args:
        jobs: what is to run; ids must differ.
        series_by_place: intensities in g/kWh on one common span of T slots; multiply a PUE into them beforehand.
        capacities: for each place, how many jobs may run at once: a number, or one for each of the T slots.

    Raises:
        InputError: series, capacities and jobs do not fit together. Jobs that do not fit in time are no error:
            see `Packing.unplaced`.
    """
    grid = grid_of(jobs, series_by_place, capacities)
    hopeless = _hopeless(grid)
    members = np.flatnonzero(~hopeless)
    runs = _schedule(grid, members)
    out = np.flatnonzero(runs.sum(axis=0) < grid.length)
    runs[:, out] = False
    conflict = _conflict(grid, members) if out.size else np.array([], np.int64)
    named = np.union1d(conflict, np.flatnonzero(hopeless))
    costs = _costs(grid, runs)
    return Packing(
        allotments=tuple(_allotment(grid, runs, j, jobs[j]) for j in np.setdiff1d(np.arange(len(jobs)), out).tolist()),
        expected_g=float(costs.sum()),
        at_once_g=None if out.size else _at_once(grid),
        unplaced=tuple(jobs[j].id for j in out.tolist()),
        conflict=tuple(jobs[j].id for j in (named if named.size else out).tolist()),
        proved=bool(named.size or not out.size),
    )


def _hopeless(grid: Grid) -> BoolArray:
    """Jobs that do not fit even alone, shape (n,)."""
    usable = grid.open_cells().reshape(*grid.rates.shape, len(grid.length)) & (grid.capacity > 0)[..., None]
    hopeless: BoolArray = usable.any(axis=0).sum(axis=0) < grid.length
    if (grid.capacity <= 0).any():
        alone = Placing(grid, np.flatnonzero(~hopeless & ~grid.cuttable), grid.capacity)
        for job in alone.members.tolist():
            hopeless[job] = not alone.free_starts(job)
    return hopeless


def _schedule(grid: Grid, members: IntArray) -> BoolArray:
    """Who is in which cell, shape (P * T, n): jobs in one piece first, the others around them, or all in one piece."""
    cuttable = grid.cuttable[members]
    runs = _packed(grid, members[~cuttable], members[cuttable])
    if cuttable.any() and (~cuttable).any() and (runs.sum(axis=0) < grid.length)[members].any():
        whole = _packed(grid, members, members[:0])
        if whole.sum() > runs.sum():
            return whole
    return runs


def _packed(grid: Grid, whole: IntArray, cut: IntArray) -> BoolArray:
    runs = np.zeros((grid.rates.size, len(grid.length)), bool)
    free = grid.capacity
    if whole.size:
        placing = Placing(grid, whole, free)
        placing.run()
        free = placing.free
        for job in whole[placing.starts[whole] != NOWHERE].tolist():
            runs[placing.starts[job] : placing.starts[job] + grid.length[job], job] = True
    if cut.size:
        filling = Filling(grid, cut, free)
        filling.fill()
        runs[:, filling.members] = filling.runs
    return runs


def _conflict(grid: Grid, members: IntArray) -> IntArray:
    """The jobs that cannot all run even if each may be cut; empty if they could."""
    filling = Filling(grid, members, grid.capacity)
    filling.fill()
    return filling.conflict() if filling.need.any() else np.array([], np.int64)


def _costs(grid: Grid, runs: BoolArray) -> FloatArray:
    """Grams of each job, shape (n,)."""
    costs: FloatArray = grid.rates.ravel() @ runs * grid.power_kw
    return costs


def _at_once(grid: Grid) -> float | None:
    """Grams if each job starts as soon as a unit is free, by arrival; None where the series end before they do."""
    free, total_g = grid.capacity.copy(), 0.0
    for job in np.argsort(grid.first, kind="stable").tolist():
        length, first = int(grid.length[job]), int(grid.first[job])
        fits = _free_runs(free, first, length) & grid.allowed[:, job, None]
        if not fits.any():
            return None
        slot = int(fits.any(axis=0).argmax())
        place = int(fits[:, slot].argmax())
        span = slice(first + slot, first + slot + length)
        free[place, span] -= 1
        total_g += float(grid.rates[place, span].sum() * grid.power_kw[job])
    return total_g


def _free_runs(free: IntArray, first: int, length: int) -> BoolArray:
    """Whether a run of `length` slots fits at each slot from `first` on, shape (P, starts)."""
    full = np.zeros((len(free), free.shape[1] - first + 1), np.int64)
    np.cumsum(free[:, first:] <= 0, axis=1, out=full[:, 1:])
    fits: BoolArray = full[:, length:] == full[:, :-length]
    return fits


def _allotment(grid: Grid, runs: BoolArray, j: int, job: FleetJob) -> Allotment:
    cells = np.flatnonzero(runs[:, j])
    order = np.argsort(cells % grid.slots)
    cells = cells[order]
    breaks = [0, *(np.flatnonzero(np.diff(cells) != 1) + 1).tolist(), len(cells)]
    parts = [(int(cells[a]), b - a) for a, b in pairwise(breaks)]
    starts = [grid.start_at + cell % grid.slots * grid.step for cell, _ in parts]
    return Allotment(
        job_id=job.id,
        windows=tuple(Window(start_at=at, end_at=at + n * grid.step) for at, (_, n) in zip(starts, parts, strict=True)),
        places=tuple(grid.places[cell // grid.slots] for cell, _ in parts),
        emissions_g=float(grid.rates.ravel()[cells].sum() * grid.power_kw[j]),
    )
