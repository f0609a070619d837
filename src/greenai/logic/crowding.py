"""Many jobs placed quickly: first all in time, then one after another into cleaner slots.

Seconds that an exact packing would take are not there when a forecast changes and
ten thousand jobs wait. Here each job is placed by a handful of sums over the slots
it may use. First every job gets the earliest room, by deadline: that is the
reserve which keeps all in time. Then each in turn leaves its place for the
cheapest one that is free, which may be its own; nobody else is touched, so what
was in time stays in time. Jobs in one piece; what a job needs it holds for whole
slots.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np

from greenai.logic.packing_grid import EPSILON, BoolArray, IntArray
from greenai.model.series import FloatArray

BLOCKS = 200
"""With more jobs than this some take their turn together: equal ones among them are placed in one go."""

PASSES = 3
PASSES_AT_MOST = 300
"""Above this many jobs nobody moves again."""

MANY = 1_000
MOST_WORK, LEAST_WORK = 30_000, 4_000
"""Places reserved anew, in all, while jobs choose theirs: with few jobs each may push others about, with many the first."""

TIE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crowd:
    """n jobs on Z grids of T slots with R resources.

    `rates` (Z, T): grams per kW of load in a slot. `free` (R, T): what there is.
    Job j lies in grid `zone[j]`, takes `length[j]` slots within [first[j], end[j]),
    holds `needs[j]` (R,) and draws `power_kw[j]`. `turn` (n,): who chooses first
    where all are in time, the least first; `rank` (n,) who is let in first where
    not all fit, the highest first. `day` (T,) numbers the days, `budget_g`
    (days,) is what may be emitted on each, inf for any.
    """

    rates: FloatArray
    free: FloatArray
    zone: IntArray
    first: IntArray
    end: IntArray
    length: IntArray
    needs: FloatArray
    power_kw: FloatArray
    turn: IntArray
    rank: IntArray
    day: IntArray
    budget_g: FloatArray

    def kinds(self) -> IntArray:
        """Jobs of the same number differ in nothing but their turn, shape (n,)."""
        columns = (self.zone, self.first, self.end, self.length, self.rank, self.power_kw, *self.needs.T)
        _, kinds = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
        return kinds.reshape(-1).astype(np.int64)


class Arrangement:
    """Who starts where: `start` (n,), -1 for nobody's place yet; `free` is what is left."""

    def __init__(self, crowd: Crowd, kinds: IntArray) -> None:
        self.crowd = crowd
        self.kinds = kinds
        self.free = crowd.free.copy()
        self.left_g = crowd.budget_g.copy()
        self.end = crowd.end.copy()
        self.start: IntArray = np.full(len(crowd.length), -1, np.int64)
        self.placements = 0
        self.least = np.where(crowd.needs > 0, crowd.needs - EPSILON * (1 + crowd.needs), -np.inf)
        self.budgeted = bool(np.isfinite(crowd.budget_g).any())
        self._edges = np.pad(np.cumsum(crowd.rates, axis=1), ((0, 0), (1, 0)))

    def copy(self) -> Arrangement:
        """The same, to try something out."""
        twin = copy(self)
        twin.free, twin.left_g, twin.start = self.free.copy(), self.left_g.copy(), self.start.copy()
        return twin

    def put(self, jobs: IntArray, starts: IntArray) -> None:
        """Give equal jobs their places, whether or not there is room."""
        self.start[jobs] = starts
        self._account(jobs, starts, 1.0)

    def lift(self, jobs: IntArray) -> IntArray:
        """Take equal jobs out; where they were."""
        starts = self.start[jobs]
        self.start[jobs] = -1
        self._account(jobs, starts, -1.0)
        return starts

    def _account(self, jobs: IntArray, starts: IntArray, sign: float) -> None:
        job = int(jobs[0])
        found = (
            ((int(starts[0]), 1),)
            if len(jobs) == 1
            else zip(*(each.tolist() for each in np.unique(starts, return_counts=True)), strict=True)
        )
        for slot, count in found:
            span = slice(slot, slot + int(self.crowd.length[job]))
            self.free[:, span] -= sign * count * self.crowd.needs[job][:, None]
            if self.budgeted:
                grams = self.crowd.rates[self.crowd.zone[job], span] * self.crowd.power_kw[job]
                np.subtract.at(self.left_g, self.crowd.day[span], sign * count * grams)

    def room_for(self, job: int, slot: int) -> int:
        """How many jobs like this one find room all along from a slot."""
        needs = self.crowd.needs[job]
        used = needs > 0
        if not used.any():
            return len(self.start)
        least = self.free[used, slot : slot + int(self.crowd.length[job])].min(axis=1)
        return int(((least + EPSILON) / needs[used]).min())

    def overfull(self) -> bool:
        """Whether more is taken anywhere than there is."""
        return bool((self.free < -EPSILON).any())

    def blocked(self, job: int) -> BoolArray:
        """The slots of a job's span that lack what it needs."""
        within = self.free[:, self.crowd.first[job] : self.end[job]]
        lacking: BoolArray = (within < self.least[job][:, None]).any(axis=0)
        return lacking

    def fitting(self, job: int) -> BoolArray:
        """From which of its starts a job finds room all along, shape (end - first - length + 1,); empty if it has none."""
        blocked = self.blocked(job)
        length = int(self.crowd.length[job])
        if length == 1 or len(blocked) < length:
            return ~blocked[: max(0, len(blocked) - length + 1)]
        edges = np.zeros(len(blocked) + 1, np.int64)
        np.cumsum(blocked, out=edges[1:])
        fits: BoolArray = edges[length:] == edges[:-length]
        return fits

    def costs(self, job: int) -> FloatArray:
        """Grams per kW of each start."""
        first, length = int(self.crowd.first[job]), int(self.crowd.length[job])
        edges = self._edges[self.crowd.zone[job], first : self.end[job] + 1]
        costs: FloatArray = edges[length:] - edges[:-length]
        return costs

    def earliest(self, job: int) -> int:
        """The first start with room; -1 if there is none."""
        fits = self.fitting(job)
        if not fits.size:
            return -1
        found = int(fits.argmax())
        return int(self.crowd.first[job]) + found if fits[found] else -1

    def cheapest(self, job: int) -> int:
        """The start of least cost with room and within the carbon budget, ties to the earliest; -1 if there is none."""
        fits = self.fitting(job)
        if self.budgeted and fits.any():
            fits = fits & self._within_budget(job)
        if not fits.any():
            return -1
        costs = np.where(fits, self.costs(job), np.inf)
        return int(self.crowd.first[job]) + int((costs <= costs.min() * (1 + TIE)).argmax())

    def _within_budget(self, job: int) -> BoolArray:
        crowd, length = self.crowd, int(self.crowd.length[job])
        span = slice(int(crowd.first[job]), int(self.end[job]))
        grams, day = crowd.rates[crowd.zone[job], span] * crowd.power_kw[job], crowd.day[span]
        within = np.ones(len(grams) - length + 1, bool)
        for each in np.unique(day).tolist():
            spent = np.pad(np.cumsum(np.where(day == each, grams, 0.0)), (1, 0))
            within &= spent[length:] - spent[:-length] <= self.left_g[each] + EPSILON
        return within


def reserve(arrangement: Arrangement, jobs: IntArray) -> IntArray:
    """Give each job, in this order, the earliest room; those that found none."""
    return _each(arrangement, jobs, Arrangement.earliest)


def _each(arrangement: Arrangement, jobs: IntArray, find: Callable[[Arrangement, int], int]) -> IntArray:
    """Give jobs, equal ones together, the place that `find` names for one of them; those for which it names none."""
    out = []
    for run in runs_of(arrangement.kinds, jobs):
        left = run
        while left.size:
            slot = find(arrangement, int(left[0]))
            if slot < 0:
                out.append(left)
                break
            count = 1 if len(left) == 1 else max(1, arrangement.room_for(int(left[0]), slot))
            if arrangement.budgeted:
                count = 1
            arrangement.put(left[:count], np.full(len(left[:count]), slot))
            arrangement.placements += 1
            left = left[count:]
    return np.concatenate(out) if out else jobs[:0]


def runs_of(kinds: IntArray, jobs: IntArray) -> list[IntArray]:
    """Jobs in order, cut where the next is of another kind."""
    return np.split(jobs, np.flatnonzero(np.diff(kinds[jobs])) + 1) if jobs.size else []


def choose(reserved: Arrangement, urgent: IntArray, fixed: IntArray) -> Arrangement:
    """Let each job, by its turn, take the cheapest place that those before it left, as long as all behind it still fit.

    Where it takes room that others hold in reserve these are reserved anew, in the
    order `urgent`; if they then do not all fit, or that has been done often enough,
    it takes the cheapest place that is free. `fixed` are placed and stay.
    """
    crowd = reserved.crowd
    chosen, work = Arrangement(crowd, reserved.kinds), 0
    for job in fixed.tolist():
        chosen.put(np.array([job]), reserved.start[[job]])
    block = crowd.turn[urgent] * BLOCKS // len(crowd.turn)
    for run in runs_of(reserved.kinds, urgent[np.lexsort((reserved.kinds[urgent], -crowd.power_kw[urgent], block))]):
        before = reserved.lift(run)
        if work < (MOST_WORK if len(urgent) <= MANY else LEAST_WORK):
            other = chosen.copy()
            reserved = _pushed(reserved, other, run, urgent)
            work += other.placements
        if reserved.start[run[0]] < 0:
            _settle(reserved, run, before)
        chosen.put(run, reserved.start[run])
    return chosen


def _pushed(reserved: Arrangement, other: Arrangement, run: IntArray, urgent: IntArray) -> Arrangement:
    """The run at the places it likes best, and everyone behind it in reserve; `reserved`, without the run, if that cannot be.

    `other` has those that have chosen; it is worked on.
    """
    other.placements = 0
    if _each(other, run, Arrangement.cheapest).size:
        return reserved
    reserved.put(run, other.start[run])
    if not reserved.overfull():
        return reserved
    reserved.lift(run)
    return reserved if reserve(other, urgent[other.start[urgent] < 0]).size else other


def improve(arrangement: Arrangement, jobs: IntArray) -> None:
    """Let each job move to the cheapest free place, again while that helps."""
    order = jobs[np.lexsort((-arrangement.crowd.power_kw[jobs], arrangement.crowd.turn[jobs]))]
    for _ in range(PASSES if len(order) <= PASSES_AT_MOST else 0):
        before = arrangement.start.copy()
        for job in order.tolist():
            alone = np.array([job])
            _settle(arrangement, alone, arrangement.lift(alone))
        if (before == arrangement.start).all():
            return


def _settle(arrangement: Arrangement, run: IntArray, before: IntArray) -> None:
    """The cheapest free places; where these do not suffice, or the carbon budget forbids all, where they were."""
    if _each(arrangement, run, Arrangement.cheapest).size:
        placed = run[arrangement.start[run] >= 0]
        if placed.size:
            arrangement.lift(placed)
        arrangement.put(run, before)


def coarse(first: IntArray, end: IntArray, length: IntArray) -> IntArray:
    """Ends moved up by an eighth of the slack at most, so that many jobs come to be equal, shape (n,)."""
    slack = end - length - first
    grain = np.maximum(1, 2 ** np.floor(np.log2(np.maximum(slack, 8) / 8)).astype(np.int64))
    coarser: IntArray = np.where(slack > 0, first + length + slack // grain * grain, end)
    return coarser


def arrange(crowd: Crowd, *, pinned: IntArray, hasty: IntArray, late: IntArray) -> tuple[Arrangement, IntArray]:
    """Place all jobs; the arrangement, and those that found no room in time though alone they would.

    Args:
        crowd: the jobs.
        pinned: run already, from their first slot on, and stay there.
        hasty: can be in time only if they start at once: before all others, as soon as there is room.
        late: cannot be in time: as soon as there is room, before the others if that makes none of those late.
    """
    others = np.setdiff1d(np.arange(len(crowd.length)), np.concatenate((pinned, hasty, late)))
    arrangement, order, out = _reserved(crowd, others, pinned=pinned, hasty=hasty, late=late)
    placed = order[arrangement.start[order] >= 0]
    arrangement = choose(arrangement, placed, np.setdiff1d(np.flatnonzero(arrangement.start >= 0), placed))
    improve(arrangement, placed)
    after = np.concatenate((late[arrangement.start[late] < 0], out))
    arrangement.end[out] = crowd.rates.shape[1]
    reserve(arrangement, after[np.lexsort((crowd.end[after], -crowd.rank[after]))])
    return arrangement, out


def _reserved(
    crowd: Crowd, others: IntArray, *, pinned: IntArray, hasty: IntArray, late: IntArray
) -> tuple[Arrangement, IntArray, IntArray]:
    """Everyone in the earliest room, in the order that leaves the fewest out; that order, and who is left out."""
    kinds = crowd.kinds()
    found: list[tuple[tuple[int, ...], Arrangement, IntArray, IntArray]] = []
    for first in (late, late[:0]) if late.size else (late,):
        for order in _orders(crowd, kinds, others):
            arrangement = Arrangement(crowd, kinds)
            for job in pinned.tolist():
                arrangement.put(np.array([job]), crowd.first[[job]])
            # What runs already may be more than there now is.
            arrangement.free = np.maximum(arrangement.free, 0.0)
            reserve(arrangement, hasty)
            reserve(arrangement, first)
            out = reserve(arrangement, order)
            if not out.size:
                return arrangement, order, out
            found.append((_badness(crowd, out), arrangement, order, out))
    return min(found, key=lambda one: one[0])[1:]


def _orders(crowd: Crowd, kinds: IntArray, jobs: IntArray) -> list[IntArray]:
    """By deadline, by latest start, by slack, the larger first among equals; last by priority, for when not all fit."""
    end, latest = crowd.end[jobs], crowd.end[jobs] - crowd.length[jobs]
    slack, size = latest - crowd.first[jobs], -crowd.needs[jobs].sum(axis=1) * crowd.length[jobs]
    kind = kinds[jobs]
    keys = ((size, latest, end), (size, end, latest), (latest, slack), (latest, end, -crowd.rank[jobs]))
    return [jobs[np.lexsort((kind, *each))] for each in keys]


def _badness(crowd: Crowd, out: IntArray) -> tuple[int, ...]:
    """How many are left out, those of the highest priority first."""
    return tuple(int((crowd.rank[out] == rank).sum()) for rank in np.unique(crowd.rank)[::-1].tolist())
