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

from dataclasses import dataclass

import numpy as np

from greenai.logic.packing_grid import EPSILON, BoolArray, IntArray
from greenai.model.series import FloatArray

PASSES = 3
PASSES_AT_MOST = 1_000
"""Above this many jobs each is moved once only."""

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


class Arrangement:
    """Who starts where: `start` (n,), -1 for nobody's place yet; `free` is what is left."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.free = crowd.free.copy()
        self.left_g = crowd.budget_g.copy()
        self.end = crowd.end.copy()
        self.start: IntArray = np.full(len(crowd.length), -1, np.int64)
        self._budgeted = bool(np.isfinite(crowd.budget_g).any())
        self.least = np.where(crowd.needs > 0, crowd.needs - EPSILON * (1 + crowd.needs), -np.inf)
        self._edges = np.pad(np.cumsum(crowd.rates, axis=1), ((0, 0), (1, 0)))

    def put(self, job: int, slot: int) -> None:
        """Give a job its place, whether or not there is room."""
        self.start[job] = slot
        self._account(job, 1.0)

    def lift(self, job: int) -> int:
        """Take a job out; where it was."""
        self._account(job, -1.0)
        slot = int(self.start[job])
        self.start[job] = -1
        return slot

    def _account(self, job: int, sign: float) -> None:
        span = self.span(job, int(self.start[job]))
        self.free[:, span] -= sign * self.crowd.needs[job][:, None]
        if self._budgeted:
            grams = self.crowd.rates[self.crowd.zone[job], span] * self.crowd.power_kw[job]
            np.subtract.at(self.left_g, self.crowd.day[span], sign * grams)

    def span(self, job: int, slot: int) -> slice:
        """The slots a job takes from `slot` on."""
        return slice(slot, slot + int(self.crowd.length[job]))

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
        if self._budgeted and fits.any():
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

    def cost_g(self) -> float:
        """Grams of all that are placed."""
        jobs = np.flatnonzero(self.start >= 0)
        start, zone = self.start[jobs], self.crowd.zone[jobs]
        sums = self._edges[zone, start + self.crowd.length[jobs]] - self._edges[zone, start]
        return float(sums @ self.crowd.power_kw[jobs])


def reserve(arrangement: Arrangement, jobs: IntArray) -> list[int]:
    """Give each job, in this order, the earliest room; those that found none."""
    out = []
    for job in jobs.tolist():
        slot = arrangement.earliest(job)
        if slot < 0:
            out.append(job)
        else:
            arrangement.put(job, slot)
    return out


def improve(arrangement: Arrangement, jobs: IntArray) -> None:
    """Let each job, by its turn, move to the cheapest free place, again while that helps."""
    crowd = arrangement.crowd
    order = jobs[np.lexsort((-crowd.power_kw[jobs], crowd.turn[jobs]))].tolist()
    for _ in range(PASSES if len(order) <= PASSES_AT_MOST else 1):
        moves = [_moved(arrangement, job) for job in order]
        if not any(moves):
            return


def _moved(arrangement: Arrangement, job: int) -> bool:
    before = arrangement.lift(job)
    slot = arrangement.cheapest(job)
    # Where the carbon budget forbids every place the job stays where it is: its deadline comes first.
    arrangement.put(job, before if slot < 0 else slot)
    return slot not in {-1, before}


def arrange(crowd: Crowd, *, pinned: IntArray, hasty: IntArray, late: IntArray) -> tuple[Arrangement, IntArray]:
    """Place all jobs; the arrangement, and those that found no room in time though alone they would.

    Args:
        crowd: the jobs.
        pinned: run already, from their first slot on, and stay there.
        hasty: can be in time only if they start at once: before all others, as soon as there is room.
        late: cannot be in time: as soon as there is room, before the others if that makes none of those late.
    """
    others = np.setdiff1d(np.arange(len(crowd.length)), np.concatenate((pinned, hasty, late)))
    arrangement, out = _reserved(crowd, others, pinned=pinned, hasty=hasty, late=late)
    improve(arrangement, np.setdiff1d(others, out))
    after = np.concatenate((late[arrangement.start[late] < 0], out))
    arrangement.end[out] = crowd.rates.shape[1]
    reserve(arrangement, after[np.lexsort((crowd.end[after], -crowd.rank[after]))])
    return arrangement, out


def _reserved(
    crowd: Crowd, others: IntArray, *, pinned: IntArray, hasty: IntArray, late: IntArray
) -> tuple[Arrangement, IntArray]:
    """Everyone in the earliest room, in the order that leaves the fewest out; who is left out."""
    found: list[tuple[tuple[int, ...], Arrangement, IntArray]] = []
    for first in (late, late[:0]) if late.size else (late,):
        for order in _orders(crowd, others):
            arrangement = Arrangement(crowd)
            for job in pinned.tolist():
                arrangement.put(job, int(crowd.first[job]))
            reserve(arrangement, hasty)
            reserve(arrangement, first)
            out = np.array(reserve(arrangement, order), np.int64)
            if not out.size:
                return arrangement, out
            found.append((_badness(crowd, out), arrangement, out))
    _, arrangement, out = min(found, key=lambda one: one[0])
    return arrangement, out


def _orders(crowd: Crowd, jobs: IntArray) -> list[IntArray]:
    """By deadline, by latest start, by slack, the larger first among equals; last by priority, for when not all fit."""
    end, latest = crowd.end[jobs], crowd.end[jobs] - crowd.length[jobs]
    slack, size = latest - crowd.first[jobs], -crowd.needs[jobs].sum(axis=1) * crowd.length[jobs]
    keys = ((size, latest, end), (size, end, latest), (latest, slack), (latest, end, -crowd.rank[jobs]))
    return [jobs[np.lexsort(each)] for each in keys]


def _badness(crowd: Crowd, out: IntArray) -> tuple[int, ...]:
    """How many are left out, those of the highest priority first."""
    return tuple(int((crowd.rank[out] == rank).sum()) for rank in np.unique(crowd.rank)[::-1].tolist())
