"""When and where many jobs run that share machines: first all in time, then as clean as can be.

Time is cut into the slots of the series. A job holds what it needs of a place
for whole slots: it may use those that lie entirely between its earliest start
and its deadline, and its duration is rounded up to whole slots, which are
reserved and charged. Use a finer series where that is too coarse.

Jobs that may be cut and all need the same are packed exactly (`packing_cut`).
All others are placed by prices, repair, pushes and bounded search
(`packing_placing`); of those the ones that may be cut are then packed anew,
exactly, around the ones in one piece, where all need the same. Whether all fit
at all is asked of a relaxation (`packing_conflict`): if that has no schedule
nothing has, and the jobs that share the bottleneck are named. If no schedule
was found and no proof that there is none, `proved` is False.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from greenai.logic.packing_conflict import conflict_of
from greenai.logic.packing_cut import Filling
from greenai.logic.packing_grid import EPSILON, BoolArray, Capacity, Grid, IntArray, Limits, grid_of
from greenai.logic.packing_placing import Effort, Placing
from greenai.model.fleet import Allotment, FleetJob, Held, Packing
from greenai.model.plan import Window
from greenai.model.series import FloatArray, IntensitySeries

__all__ = ["pack"]


def pack(
    jobs: Sequence[FleetJob],
    series_by_place: Mapping[str, IntensitySeries],
    capacities: Mapping[str, Capacity],
    now_at: datetime | None = None,
    *,
    held: Sequence[Held] = (),
    power_caps_w: Mapping[str, ArrayLike] | None = None,
    carbon_budget_g_per_day: float | None = None,
) -> Packing:
    """A schedule for all jobs in which none is late, if one is found, and clean.

    Args:
        jobs: what is to run; ids must differ.
        series_by_place: intensities in g/kWh on one common span of T slots; multiply a PUE into them beforehand.
        capacities: for each place, how much of each resource it has: `{"gpus": 2, "cpus": 16}`, each a number or one
            for each of the T slots. A number alone counts units, for jobs that take one.
        now_at: nothing starts in a slot that has begun by then; None: the series' start.
        held: what jobs that run already keep; they stay put.
        power_caps_w: for each place (or some), the watts its jobs may draw together, a number or T of them.
        carbon_budget_g_per_day: grams all jobs together should emit at most in a UTC day. It is kept where the
            deadlines allow; where not, see `Packing.over_budget_g`.

    Raises:
        InputError: series, capacities and jobs do not fit together. Jobs that do not fit in time are no error:
            see `Packing.unplaced`.
    """
    limits = Limits(
        capacities=capacities, power_caps_w=power_caps_w or {}, carbon_budget_g_per_day=carbon_budget_g_per_day, held=held
    )
    grid = grid_of(jobs, series_by_place, limits, now_at)
    hopeless = _hopeless(grid)
    members = np.flatnonzero(~hopeless)
    runs = _admitted(grid, members)
    out = np.flatnonzero(runs.sum(axis=0) < grid.length)
    runs[:, out] = False
    conflict = conflict_of(grid, members, np.setdiff1d(out, np.flatnonzero(hopeless))) if out.size else out
    named = np.union1d(conflict, np.flatnonzero(hopeless))
    costs = _costs(grid, runs)
    return Packing(
        allotments=tuple(_allotment(grid, runs, j, jobs[j]) for j in np.setdiff1d(np.arange(len(jobs)), out).tolist()),
        expected_g=float(costs.sum()),
        at_once_g=None if out.size else _at_once(grid),
        unplaced=tuple(jobs[j].id for j in out.tolist()),
        conflict=tuple(jobs[j].id for j in (named if named.size else out).tolist()),
        proved=bool(named.size or not out.size),
        over_budget_g=_over_budget(grid, runs),
    )


def _hopeless(grid: Grid) -> BoolArray:
    """Jobs that do not fit even alone, shape (n,)."""
    tight = (grid.demands.max(axis=0, initial=0.0)[:, None, None] > grid.capacity).any()
    if tight or not grid.allowed.all():
        placing = Placing(grid, np.array([], np.int64), Effort())
        return np.array([not placing.alone(job) for job in range(len(grid.length))], bool)
    hopeless: BoolArray = grid.end - grid.first < grid.length
    return hopeless


def _admitted(grid: Grid, members: IntArray) -> BoolArray:
    """Who is in which cell, shape (P * T, n); where not all fit, those of higher priority are let in first."""
    runs = _packed(grid, members, Effort())
    ranks = np.unique(grid.rank[members])[::-1]
    if len(ranks) < 2 or not _short(grid, runs, members).size:
        return runs
    let_in, effort = members[:0], Effort()
    for rank in ranks.tolist():
        comers = members[grid.rank[members] == rank]
        runs = _packed(grid, np.union1d(let_in, comers), effort)
        while comers.size and (short := _short(grid, runs, np.union1d(let_in, comers))).size:
            # Whoever of higher rank was pushed out comes back in, for as many of this rank.
            comers = np.setdiff1d(comers, short)
            comers = comers[: max(0, len(comers) - len(np.intersect1d(short, let_in)))]
            runs = _packed(grid, np.union1d(let_in, comers), effort)
        let_in = np.union1d(let_in, comers)
    return runs


def _short(grid: Grid, runs: BoolArray, members: IntArray) -> IntArray:
    """Members that did not get all their slots."""
    short: IntArray = members[(runs.sum(axis=0) < grid.length)[members]]
    return short


def _packed(grid: Grid, members: IntArray, effort: Effort) -> BoolArray:
    """The better of: all placed together, or those in one piece first and the others around them."""
    cuttable = grid.cuttable[members]
    exact = grid.uniform and not grid.budgeted
    if exact and cuttable.all():
        return _filled(grid, members, np.zeros((grid.rates.size, len(grid.length)), bool))
    runs = _placed(grid, members, effort, refill=members[cuttable] if exact else None)
    if exact and cuttable.any() and _short(grid, runs, members).size:
        other = _placed(grid, members[~cuttable], effort, refill=members[cuttable])
        return min(runs, other, key=lambda one: len(_short(grid, one, members)))
    return runs


def _placed(grid: Grid, members: IntArray, effort: Effort, *, refill: IntArray | None) -> BoolArray:
    """Jobs placed together; those to `refill` are then taken out again and packed exactly around the others."""
    placing = Placing(grid, members, effort)
    placing.run()
    runs = placing.state.runs()
    if refill is None or not refill.size:
        return runs
    runs[:, refill] = False
    return _filled(grid, refill, runs)


def _filled(grid: Grid, members: IntArray, runs: BoolArray) -> BoolArray:
    if members.size:
        filling = Filling(grid, members, grid.capacity[0] - runs.sum(axis=1).reshape(grid.rates.shape))
        filling.fill()
        runs[:, filling.members] = filling.runs
    return runs


def _costs(grid: Grid, runs: BoolArray) -> FloatArray:
    """Grams of each job, shape (n,)."""
    costs: FloatArray = grid.rates.ravel() @ runs * grid.power_kw
    return costs


def _over_budget(grid: Grid, runs: BoolArray) -> tuple[tuple[date, float], ...]:
    """Days on which more is emitted than the budget leaves, and by how many grams."""
    if not grid.budgeted:
        return ()
    cells = (grid.rates.ravel() * (runs @ grid.power_kw)).reshape(grid.rates.shape).sum(axis=0)
    over = np.bincount(grid.day, cells, minlength=len(grid.budget_g)) - grid.budget_g
    days = np.flatnonzero(over > EPSILON * (1 + grid.budget_g)).tolist()
    return tuple((grid.first_day + timedelta(days=k), float(over[k])) for k in days)


def _at_once(grid: Grid) -> float | None:
    """Grams if each job starts as soon as it finds room, by arrival; None where the series end before they do."""
    free, total_g = grid.capacity.copy(), 0.0
    need = np.where(grid.demands > 0, grid.demands * (1 - EPSILON), -np.inf)
    for job in np.argsort(grid.first, kind="stable").tolist():
        length, first = int(grid.length[job]), int(grid.first[job])
        blocked = (free[:, :, first:] < need[job][:, None, None]).any(axis=0)
        fits = _free_runs(blocked, length) & grid.allowed[:, job, None]
        if not fits.any():
            return None
        slot = int(fits.any(axis=0).argmax())
        place = int(fits[:, slot].argmax())
        span = slice(first + slot, first + slot + length)
        free[:, place, span] -= grid.demands[job][:, None]
        total_g += float(grid.rates[place, span].sum() * grid.power_kw[job])
    return total_g


def _free_runs(blocked: BoolArray, length: int) -> BoolArray:
    """Whether a run of `length` slots fits at each slot, shape (P, starts)."""
    full = np.zeros((len(blocked), blocked.shape[1] + 1), np.int64)
    np.cumsum(blocked, axis=1, out=full[:, 1:])
    fits: BoolArray = full[:, length:] == full[:, :-length]
    return fits


def _allotment(grid: Grid, runs: BoolArray, j: int, job: FleetJob) -> Allotment:
    cells = np.flatnonzero(runs[:, j])
    order = np.argsort(cells % grid.slots)
    cells = cells[order]
    # A run of cells may not pass from the last slot of one place to the first of the next.
    broken = (np.diff(cells) != 1) | (np.diff(cells // grid.slots) != 0)
    breaks = [0, *(np.flatnonzero(broken) + 1).tolist(), len(cells)]
    parts = [(int(cells[a]), b - a) for a, b in pairwise(breaks)]
    starts = [grid.start_at + cell % grid.slots * grid.step for cell, _ in parts]
    return Allotment(
        job_id=job.id,
        windows=tuple(Window(start_at=at, end_at=at + n * grid.step) for at, (_, n) in zip(starts, parts, strict=True)),
        places=tuple(grid.places[cell // grid.slots] for cell, _ in parts),
        emissions_g=float(grid.rates.ravel()[cells].sum() * grid.power_kw[j]),
    )
