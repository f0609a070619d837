"""Pack jobs that run in one piece: placed against prices, ejected where one does not fit, then moved while that saves.

Deciding whether such jobs fit is NP-complete, choosing the cleanest schedule
NP-hard. So: a price per cell from a subgradient ascent on the Lagrangian dual
(capacity relaxed) tells each job what a crowded cell costs others; jobs take
their cheapest free start by rate plus price, the least movable first; a job
without a free start ejects the fewest others, which are placed again; if some
stay out, an earliest-deadline-first schedule and, at last, a bounded search
with backtracking are tried. Then jobs move one at a time to cheaper free
starts. A start is the cell of its first slot, p * T + t.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from greenai.logic.packing_grid import BoolArray, Grid, IntArray
from greenai.model.series import FloatArray

NOWHERE = -1
PRICE_ROUNDS = 25
MOVE_ROUNDS = 4
EJECTIONS_PER_JOB = 20
EJECTIONS = 1_000
SEARCH_JOBS = 60
SEARCH_NODES = 20_000
TIE = 1e-12
FEW = 100
SHARES = (1.0, 0.6, 0.3, 0.0)
"""Shares of the prices tried, the best kept, where the jobs are few."""


class Placing:
    """Jobs `members` being placed into `free` (P, T) units; `starts` (n,) holds their cells or NOWHERE."""

    def __init__(self, grid: Grid, members: IntArray, free: IntArray) -> None:
        self.grid, self.members, self.free = grid, members, free.copy()
        self.closed = np.less_equal(free, 0).astype(np.int64)
        self.starts = np.full(len(grid.length), NOWHERE)
        self.rates = grid.rates
        self.groups = self._groups()
        self.slack = grid.end - grid.first - grid.length

    def run(self) -> None:
        """Place all if it can be found how, cleanly; what stays out keeps NOWHERE."""
        everything = self.free.copy()
        prices = self._prices()
        order = sorted(self.members.tolist(), key=lambda job: (self.slack[job], -self.grid.length[job] * self.grid.power_kw[job]))
        shares = SHARES if len(self.members) <= FEW else SHARES[:1]
        tries = [self._attempt(order, share * prices, everything) for share in shares]
        self._reset(everything, min(tries, key=lambda one: one[:2])[2])
        if self.out:
            best = self.starts.copy()
            for attempt in (self._earliest_deadline_first, self._search):
                self._reset(everything)
                attempt()
                if not self.out:
                    break
            else:
                self._reset(everything, best)
            self._improve()

    def _attempt(self, order: list[int], prices: FloatArray, everything: IntArray) -> tuple[int, float, IntArray]:
        """How many stay out, grams, and the starts, when the jobs are placed against these prices."""
        self._reset(everything)
        self._repair(self._take(order, prices), prices)
        self._improve()
        return len(self.out), self._grams(), self.starts.copy()

    def _grams(self) -> float:
        placed = [job for job in self.members.tolist() if self.starts[job] != NOWHERE]
        spans = ((job, *self._span(job, int(self.starts[job]))) for job in placed)
        return float(sum(self.rates[place, span].sum() * self.grid.power_kw[job] for job, place, span in spans))

    @property
    def out(self) -> list[int]:
        """Members that have no start."""
        return [job for job in self.members.tolist() if self.starts[job] == NOWHERE]

    def _reset(self, free: IntArray, starts: IntArray | None = None) -> None:
        self.free[:] = free
        self.starts[:] = NOWHERE
        for job in self.members.tolist() if starts is not None else []:
            if starts is not None and starts[job] != NOWHERE:
                self._put(job, int(starts[job]))

    # --- one job

    def _span(self, job: int, start: int) -> tuple[int, slice]:
        place, slot = divmod(start, self.grid.slots)
        return place, slice(slot, slot + int(self.grid.length[job]))

    def _put(self, job: int, start: int) -> None:
        place, span = self._span(job, start)
        self.free[place, span] -= 1
        self.starts[job] = start

    def _lift(self, job: int) -> int:
        """Take the job out; returns the start it had."""
        start = int(self.starts[job])
        place, span = self._span(job, start)
        self.free[place, span] += 1
        self.starts[job] = NOWHERE
        return start

    def _sums(self, cells: FloatArray | IntArray | BoolArray, job: int) -> FloatArray:
        """Sum of (P, T) cells over the job's run from each start of its window, shape (P, starts); inf where not allowed."""
        grid = self.grid
        first, end, length = int(grid.first[job]), int(grid.end[job]), int(grid.length[job])
        edges = np.zeros((len(cells), end - first + 1))
        np.cumsum(cells[:, first:end], axis=1, out=edges[:, 1:])
        sums = edges[:, length:] - edges[:, :-length]
        if len(cells) > 1:
            sums[~grid.allowed[:, job]] = np.inf
        return sums

    def _best(self, job: int, rates: FloatArray) -> int:
        """The free start of least rate, ties to the first place and earliest; NOWHERE if none is free."""
        full = self._sums(np.less_equal(self.free, 0), job)
        return self._cell(job, np.where(full > 0, np.inf, self._sums(rates, job)))

    def _cell(self, job: int, sums: FloatArray) -> int:
        least = float(sums.min())
        place, slot = divmod(int((sums <= least * (1 + TIE)).argmax()), sums.shape[1])
        return place * self.grid.slots + int(self.grid.first[job]) + slot if least < np.inf else NOWHERE

    # --- prices

    def _prices(self) -> FloatArray:
        """Grams that a unit of each cell is worth to others, shape (P, T)."""
        grid, prices = self.grid, np.zeros_like(self.rates)
        mean_kw = float(grid.power_kw[self.members].mean()) if len(self.members) else 1.0
        stride = float(np.ptp(self.rates)) * mean_kw
        for turn in range(PRICE_ROUNDS):
            excess = self._demand(prices) - self.free
            if (excess <= 0).all() and turn == 0:
                break
            pull = excess / max(float(np.abs(excess).max()), 1.0)
            prices = np.maximum(prices + stride / (turn + 3) * pull, 0.0)
        return prices

    def _groups(self) -> list[tuple[int, IntArray, FloatArray]]:
        """(length, jobs, cost of each start (jobs, P, starts), inf where not admissible), a group for each length."""
        grid, groups = self.grid, []
        for length in np.unique(grid.length[self.members]).tolist():
            jobs = self.members[grid.length[self.members] == length]
            starts = np.arange(grid.slots - length + 1)
            edges = np.pad(np.cumsum(self.rates, axis=1), ((0, 0), (1, 0)))
            costs = grid.power_kw[jobs][:, None, None] * (edges[:, length:] - edges[:, :-length])[None]
            inside = (starts >= grid.first[jobs][:, None]) & (starts <= (grid.end - length)[jobs][:, None])
            costs[~(grid.allowed.T[jobs][:, :, None] & inside[:, None, :])] = np.inf
            groups.append((length, jobs, costs))
        return groups

    def _demand(self, prices: FloatArray) -> FloatArray:
        """How many jobs would be in each cell if each took its cheapest start, shape (P, T)."""
        change = np.zeros((len(prices), self.grid.slots + 1))
        for length, jobs, costs in self.groups:
            edges = np.pad(np.cumsum(prices, axis=1), ((0, 0), (1, 0)))
            priced = (costs + (edges[:, length:] - edges[:, :-length])).reshape(len(jobs), -1)
            place, slot = np.divmod(priced.argmin(axis=1), costs.shape[2])
            np.add.at(change, (place, slot), 1)
            np.add.at(change, (place, slot + length), -1)
        demand: FloatArray = np.cumsum(change, axis=1)[:, :-1]
        return demand

    # --- many jobs

    def _take(self, order: Iterable[int], prices: FloatArray) -> list[int]:
        """Give each job in turn its cheapest free start; returns those that found none."""
        out = []
        for job in order:
            start = self._best(job, self.rates + prices / self.grid.power_kw[job])
            if start == NOWHERE:
                out.append(job)
            else:
                self._put(job, start)
        return out

    def _repair(self, out: list[int], prices: FloatArray) -> None:
        """Place what is out by ejecting others, while that goes on; a cell fought over grows dearer to enter."""
        fought = np.ones_like(self.rates)
        for _ in range(min(EJECTIONS_PER_JOB * len(out), EJECTIONS)):
            if not out:
                return
            job = out.pop(0)
            contest = self._sums(np.less_equal(self.free, 0) * fought, job)
            contest[self._sums(self.closed, job) > 0] = np.inf
            start = self._cell(job, contest)
            if start == NOWHERE:
                continue
            place, span = self._span(job, start)
            fought[place, span] += 1
            self._put(job, start)
            out += self._take(self._eject(job), prices)

    def _eject(self, comer: int) -> list[int]:
        """Lift jobs from where `comer` overfills, those with most slack first."""
        place, span = self._span(comer, int(self.starts[comer]))
        at = self.starts[self.members]
        slot = at % self.grid.slots
        near = (at // self.grid.slots == place) & (slot < span.stop) & (slot + self.grid.length[self.members] > span.start)
        ejected = []
        for job in sorted(self.members[near & (self.members != comer)].tolist(), key=lambda job: -self.slack[job]):
            other = self._span(job, int(self.starts[job]))[1]
            if (self.free[place, max(span.start, other.start) : min(span.stop, other.stop)] < 0).any():
                self._lift(job)
                ejected.append(job)
        return ejected

    def _earliest_deadline_first(self) -> None:
        """Each job at the first moment free, the most urgent first."""
        when = np.tile(np.arange(self.grid.slots, dtype=float), (len(self.rates), 1))
        self._take(sorted(self.members.tolist(), key=lambda job: (self.grid.end[job], self.slack[job])), when)

    def _search(self) -> None:
        """Try all starts of all jobs, the least movable first, up to SEARCH_NODES tries."""
        if len(self.members) > SEARCH_JOBS:
            return
        order = sorted(self.members.tolist(), key=lambda job: self.slack[job])
        tried = [iter(self.free_starts(order[0]))]
        for _ in range(SEARCH_NODES):
            if not tried:
                return
            job = order[len(tried) - 1]
            if self.starts[job] != NOWHERE:
                self._lift(job)
            start = next(tried[-1], NOWHERE)
            if start == NOWHERE:
                tried.pop()
                continue
            self._put(job, start)
            if len(tried) == len(order):
                return
            tried.append(iter(self.free_starts(order[len(tried)])))

    def free_starts(self, job: int) -> list[int]:
        """Where the job could start now."""
        sums = self._sums(np.less_equal(self.free, 0).astype(np.int64), job)
        place, slot = np.nonzero(sums == 0)
        starts: list[int] = (place * self.grid.slots + self.grid.first[job] + slot).tolist()
        return starts

    def _improve(self) -> None:
        """Move one job at a time to a cheaper free start, until none has one or the rounds are over."""
        for _ in range(MOVE_ROUNDS):
            movable = self._movable()
            for job in movable:
                self._lift(job)
                self._put(job, self._best(job, self.rates))
            if not movable:
                return

    def _movable(self) -> list[int]:
        """Placed jobs for which some free start is cheaper than theirs."""
        found: list[int] = []
        full = np.zeros((len(self.free), self.grid.slots + 1), np.int64)
        np.cumsum(self.free <= 0, axis=1, out=full[:, 1:])
        for length, jobs, costs in self.groups:
            blocked = full[:, length:] > full[:, :-length]
            least = np.where(blocked.ravel(), np.inf, costs.reshape(len(jobs), -1)).min(axis=1)
            placed = np.flatnonzero(self.starts[jobs] != NOWHERE)
            place, slot = np.divmod(self.starts[jobs[placed]], self.grid.slots)
            found += jobs[placed[least[placed] < costs[placed, place, slot] * (1 - TIE)]].tolist()
        return found
