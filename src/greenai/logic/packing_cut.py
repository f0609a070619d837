"""Pack jobs that may be cut at any slot edge: exact for jobs of equal power.

Where every job draws the same power, the cost of a schedule depends only on how
many units of each cell it uses. The sets of units that some schedule can use
are the independent sets of a matroid (a gammoid: what flow from the jobs can
reach), so taking cells from the cheapest on, as many units as still leave a
schedule, is optimal (Rado-Edmonds), and it places all jobs if and only if that
is possible. Whether one more unit can be used is a search for an augmenting
path: a job enters the cell and leaves another to the next job. A search
that fails has walked a closed set of cells which no later search can use.

With unequal power heavy jobs are offered cheap cells first and then pairs of
jobs are exchanged while that saves: still feasible whenever possible, close to
the optimum but not proved so (the LP stands beside it in the tests).
"""

from __future__ import annotations

import numpy as np

from greenai.logic.packing_grid import BoolArray, Grid, IntArray
from greenai.model.series import FloatArray


class Filling:
    """Jobs `members` being spread over `free` (P, T) units; `runs` (P * T, members) says who is where."""

    def __init__(self, grid: Grid, members: IntArray, free: FloatArray) -> None:
        # Heavy jobs first, then the most urgent: the order in which a cheap cell is offered.
        self.members = members[np.lexsort((grid.end[members], -grid.weight[members]))]
        self.weight, self.rates = grid.weight[self.members], grid.rates.ravel()
        self.slots = grid.slots
        self.open: BoolArray = np.ascontiguousarray(grid.open_cells()[:, self.members])
        # More units than jobs are as good as none; a cap that is no cap is infinite.
        self.free = np.minimum(free.ravel(), len(members)).astype(np.int64)
        self.need = grid.length[self.members].copy()
        self.runs = np.zeros_like(self.open)
        self.cells_of: BoolArray = np.zeros(self.open.shape[::-1], bool)
        self.busy = np.zeros((grid.slots, len(self.members)), bool)
        self.dead = np.zeros(len(self.free), bool)

    def fill(self) -> None:
        """Use cells from the cheapest on until no job needs more or no cell can give more."""
        for cell in np.argsort(self.rates, kind="stable").tolist():
            if not self.need.any():
                break
            self._offer(cell)
            while self.free[cell] and not self.dead[cell] and self._augment(cell):
                self.free[cell] -= 1
        # Each exchange lowers the cost, so this ends.
        moved = not self.need.any() and len(set(self.weight.tolist())) > 1
        while moved:
            moved = self._exchange()

    def _offer(self, cell: int) -> None:
        """Give the cell's units to jobs that still need time and are idle then."""
        slot = cell % self.slots
        hungry = self.open[cell] & ~self.busy[slot] & (self.need > 0)
        taken = np.flatnonzero(hungry)[: self.free[cell]]
        self.runs[cell, taken] = self.cells_of[taken, cell] = self.busy[slot, taken] = True
        self.need[taken] -= 1
        self.free[cell] -= len(taken)

    def _augment(self, target: int) -> bool:
        """Use one more unit of `target` by moving jobs; False (and the cells seen are dead) if nothing can.

        Breadth first, a level at a time: `via[j]` is the cell job j would enter,
        `leaver[c]` the job that would leave cell c, and `onward[c]` where it goes.
        """
        seen, reached = np.zeros(len(self.need), bool), self.dead.copy()
        via = np.full(len(self.need), target)
        leaver, onward = np.full(len(self.free), -1), np.full(len(self.free), -1)
        frontier = np.array([target])
        reached[target] = True
        while frontier.size:
            entering = self.open[frontier] & ~self.busy[frontier % self.slots]
            new = np.flatnonzero(entering.any(axis=0) & ~seen)
            seen[new] = True
            via[new] = frontier[entering[:, new].argmax(axis=0)]
            hungry = new[self.need[new] > 0]
            if hungry.size:
                self._move(int(hungry[0]), int(via[hungry[0]]), (leaver, onward))
                return True
            using = self.cells_of[new]
            left = np.flatnonzero(using.any(axis=0) & ~reached)
            if left.size:
                leaver[left] = new[using[:, left].argmax(axis=0)]
                onward[left] = via[leaver[left]]
                reached[left] = True
            swapped = self._swapped_by(frontier, reached, (leaver, onward))
            frontier = np.concatenate((left, swapped))
        self.dead = reached
        return False

    def _swapped_by(self, frontier: IntArray, reached: BoolArray, links: tuple[IntArray, IntArray]) -> IntArray:
        """Cells of the same slots elsewhere, one of whose jobs could change to the frontier's cell."""
        leaver, onward = links
        found: list[int] = []
        for cell in frontier.tolist() if len(self.free) > self.slots else []:
            for other in range(cell % self.slots, len(self.free), self.slots):
                movers = self.runs[other] & self.open[cell]
                if not reached[other] and movers.any():
                    leaver[other], onward[other], reached[other] = movers.argmax(), cell, True
                    found.append(other)
        return np.array(found, np.int64)

    def _set(self, cell: int, job: int, running: bool) -> None:
        self.runs[cell, job] = self.cells_of[job, cell] = self.busy[cell % self.slots, job] = running

    def _move(self, job: int, cell: int, links: tuple[IntArray, IntArray]) -> None:
        """`job` enters `cell`, whose leaver enters the next, back to where the search began."""
        leaver, onward = links
        self.need[job] -= 1
        while True:
            before = int(leaver[cell])
            if before >= 0:
                self._set(cell, before, running=False)
            self._set(cell, job, running=True)
            if before < 0:
                return
            job, cell = before, int(onward[cell])

    def _exchange(self) -> bool:
        """Let each heavier job swap its dearest cell for a cheaper one of a lighter job; whether anything moved."""
        moved = False
        for job in range(len(self.need)):
            mine = np.flatnonzero(self.runs[:, job])
            dear = int(mine[self.rates[mine].argmax()])
            partner = self._partner(job, dear)
            if partner is not None:
                other, cheap = partner
                self._set(dear, job, running=False)
                self._set(cheap, other, running=False)
                self._set(dear, other, running=True)
                self._set(cheap, job, running=True)
                moved = True
        return moved

    def _partner(self, job: int, dear: int) -> tuple[int, int] | None:
        """The lighter job and its cheapest cell to swap for `dear`; both must be idle and allowed at the other's time."""
        takers = np.flatnonzero((self.weight < self.weight[job]) & self.open[dear] & ~self.busy[dear % self.slots])
        idle = np.tile(~self.busy[:, job], len(self.free) // self.slots)
        cells = np.flatnonzero(self.open[:, job] & idle & (self.rates < self.rates[dear] * (1 - 1e-12)))
        held = self.runs[np.ix_(cells, takers)]
        hits = np.flatnonzero(held.any(axis=1))
        if not hits.size:
            return None
        best = int(hits[self.rates[cells[hits]].argmin()])
        return int(takers[held[best].argmax()]), int(cells[best])

    def conflict(self) -> IntArray:
        """Jobs that share every cell the unmet ones could use, themselves included: together they need more than there is."""
        reached = self.need > 0
        cells = np.zeros(len(self.free), bool)
        while True:
            idle = np.tile(~self.busy, (len(self.free) // self.slots, 1))
            cells |= (self.open & (idle & reached)).any(axis=1)
            cells |= self._same_slot(cells)
            more = reached | self.runs[cells].any(axis=0)
            if np.array_equal(more, reached):
                return np.sort(self.members[reached])
            reached = more

    def _same_slot(self, cells: BoolArray) -> BoolArray:
        """Cells that a job running in one of `cells` could change to at the same time."""
        by_slot = (self.runs & cells[:, None]).reshape(-1, self.slots, len(self.need)).any(axis=0)
        everywhere: BoolArray = np.tile(by_slot, (len(self.free) // self.slots, 1)) & self.open
        return np.asarray(everywhere.any(axis=1))
