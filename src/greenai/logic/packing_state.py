"""A schedule in the making: who is in which cell, what is free, and what a job's cheapest choice is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from greenai.logic.packing_grid import EPSILON, BoolArray, Grid, IntArray
from greenai.model.series import FloatArray

TIE = 1e-12


class State:
    """`users[cell]` says who is where, `free` (R, P * T) what is left, `left_g` (days,) of the carbon budget."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.users: list[set[int]] = [set() for _ in range(grid.rates.size)]
        self.free = grid.capacity.reshape(len(grid.capacity), -1).copy()
        self.whole = self.free.copy()
        self.left_g = grid.budget_g.copy()
        self.budgeted = grid.budgeted
        self.placed: BoolArray = np.zeros(len(grid.length), bool)
        # What a job does not need never stops it.
        self.least = np.where(grid.demands > 0, grid.demands - EPSILON * (1 + grid.demands), -np.inf)
        self.cells: list[IntArray] = [np.array([], np.int64)] * len(grid.length)

    def put(self, job: int, cells: IntArray) -> None:
        """Give the job its cells."""
        self._account(job, cells, 1)
        self.cells[job] = cells
        self.placed[job] = True

    def lift(self, job: int) -> IntArray:
        """Take the job out; returns the cells it had."""
        cells = self.cells[job]
        self._account(job, cells, -1)
        self.placed[job] = False
        return cells

    def _account(self, job: int, cells: IntArray, sign: int) -> None:
        for cell in cells.tolist():
            (self.users[cell].add if sign > 0 else self.users[cell].discard)(job)
        self.free[:, cells] -= sign * self.grid.demands[job][:, None]
        if self.budgeted:
            np.subtract.at(self.left_g, self.grid.day[cells % self.grid.slots], sign * self._grams(job, cells))

    def _grams(self, job: int, cells: IntArray) -> FloatArray:
        grams: FloatArray = self.grid.rates.ravel()[cells] * self.grid.power_kw[job]
        return grams

    def cost(self, job: int) -> float:
        """Weighted grams of the job where it is."""
        return float(self.grid.rates.ravel()[self.cells[job]].sum() * self.grid.weight[job])

    def runs(self) -> BoolArray:
        """Who is where, shape (P * T, n)."""
        runs: BoolArray = np.zeros((self.grid.rates.size, len(self.placed)), bool)
        for job in np.flatnonzero(self.placed).tolist():
            runs[self.cells[job], job] = True
        return runs

    def snapshot(self) -> list[tuple[int, IntArray]]:
        """Who is placed where."""
        return [(job, self.cells[job]) for job in np.flatnonzero(self.placed).tolist()]

    def restore(self, snapshot: Iterable[tuple[int, IntArray]]) -> None:
        """Back to such a state."""
        for job in np.flatnonzero(self.placed).tolist():
            self.lift(job)
        for job, cells in snapshot:
            self.put(job, cells)

    def window(self, job: int) -> slice:
        """The slots the job may use."""
        return slice(int(self.grid.first[job]), int(self.grid.end[job]))

    def blocked(self, job: int, amounts: FloatArray | None = None) -> BoolArray:
        """Cells of its window that lack what the job needs, now or of `amounts` (R, P * T); shape (P, W)."""
        grid, held = self.grid, self.free if amounts is None else amounts
        within = held.reshape(grid.capacity.shape)[:, :, self.window(job)]
        blocked: BoolArray = (within < self.least[job][:, None, None]).any(axis=0)
        if len(blocked) > 1:
            blocked |= ~grid.allowed[:, job, None]
        return blocked

    def priced(self, job: int, prices: FloatArray | None, where: BoolArray | None = None) -> FloatArray:
        """Weighted grams of each cell of the window plus the prices of what is held there, shape (P, W)."""
        span = self.window(job)
        cost: FloatArray = self.grid.rates[:, span] * self.grid.weight[job]
        if prices is None:
            return cost
        extra = sum(need * price[:, span] for need, price in zip(self.grid.demands[job].tolist(), prices, strict=True))
        return np.asarray(cost + (extra if where is None else extra * where))

    def choose(self, job: int, cost: FloatArray, blocked: BoolArray, *, strict: bool = False) -> IntArray | None:
        """The cells of least cost that the job can have, ties to the earliest; None if there are none.

        With a carbon budget those that keep it, if any do; `strict` takes no others.
        """
        if cost.shape[1] < self.grid.length[job]:
            return None
        pick = self._pieces if self.grid.cuttable[job] else self._stretch
        cells = pick(job, cost, blocked, budget=True) if self.budgeted else None
        relaxed = cells is None and not (strict and self.budgeted)
        return pick(job, cost, blocked, budget=False) if relaxed else cells

    def _pieces(self, job: int, cost: FloatArray, blocked: BoolArray, *, budget: bool) -> IntArray | None:
        open_cost = np.where(blocked, np.inf, cost)
        place = open_cost.argmin(axis=0)
        least = open_cost.min(axis=0)
        order = np.argsort(least, kind="stable")
        order = order[np.isfinite(least[order])]
        cells = place[order] * self.grid.slots + self.grid.first[job] + order
        if budget:
            cells = self._affordable(job, cells)
        length = int(self.grid.length[job])
        if len(cells) < length:
            return None
        chosen: IntArray = cells[:length]
        return chosen[np.argsort(chosen % self.grid.slots)]

    def _affordable(self, job: int, cells: IntArray) -> IntArray:
        """Of cells in order of cost those that still keep each day's budget when taken in that order."""
        grams, day = self._grams(job, cells), self.grid.day[cells % self.grid.slots]
        keeps = np.zeros(len(cells), bool)
        for each in np.unique(day).tolist():
            mine = day == each
            keeps[mine] = np.cumsum(grams[mine]) <= self.left_g[each] + EPSILON
        return cells[keeps]

    def _stretch(self, job: int, cost: FloatArray, blocked: BoolArray, *, budget: bool) -> IntArray | None:
        sums = self.sums(job, cost)
        sums[self.sums(job, blocked) > 0] = np.inf
        if budget:
            sums[self._overspent(job)] = np.inf
        least = float(sums.min())
        if not least < np.inf:
            return None
        place, slot = divmod(int((sums <= least * (1 + TIE)).argmax()), sums.shape[1])
        start = place * self.grid.slots + int(self.grid.first[job]) + slot
        return np.arange(start, start + int(self.grid.length[job]))

    def sums(self, job: int, cells: FloatArray | BoolArray) -> FloatArray:
        """Sum of (P, W) cells over the job's run from each start, shape (P, starts)."""
        length = int(self.grid.length[job])
        edges = np.zeros((len(cells), cells.shape[1] + 1))
        np.cumsum(cells, axis=1, out=edges[:, 1:])
        out: FloatArray = edges[:, length:] - edges[:, :-length]
        return out

    def _overspent(self, job: int) -> BoolArray:
        """Starts from which the job would exceed the budget of some day, shape (P, starts)."""
        span = self.window(job)
        grams = self.grid.rates[:, span] * self.grid.power_kw[job]
        day = self.grid.day[span]
        over = np.zeros((len(grams), grams.shape[1] - int(self.grid.length[job]) + 1), bool)
        for each in np.unique(day).tolist():
            spent = self.sums(job, np.where(day == each, grams, 0.0))
            over |= spent > max(float(self.left_g[each]), 0.0) + EPSILON
        return over
