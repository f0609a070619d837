"""Pack jobs of any shape: placed against prices, ejected where one does not fit, then moved while that saves.

Deciding whether jobs in one piece (or with different demands) fit is
NP-complete, choosing the cleanest schedule NP-hard. So: prices tell each job
what a crowded cell costs others (`packing_prices`); jobs take their cheapest
free choice by rate plus price, the longest first; a job without one
ejects the fewest others, which are placed again; if some stay out, and it is not
proved that some must, the most urgent first and at last a bounded search with
backtracking are tried. Then jobs move: alone to cheaper free cells, or by pushing others aside where all of them
together come out cheaper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from greenai.logic.packing_conflict import conflict_of
from greenai.logic.packing_grid import EPSILON, Grid, IntArray
from greenai.logic.packing_prices import prices_of
from greenai.logic.packing_state import TIE, State
from greenai.model.series import FloatArray

MOVE_ROUNDS = 4
PUSH_ROUNDS = 2
PUSHES = 200
EJECTIONS_PER_JOB = 20
EJECTIONS = 1_000
SEARCH_JOBS = 60
SEARCH_NODES = 20_000
FEW = 100
SHARES = (1.0, 0.6, 0.3, 0.0)
"""Shares of the prices tried, the best kept, where the jobs are few."""


class Effort:
    """How many tries a search may still make, in all placings that share it."""

    def __init__(self) -> None:
        self.nodes = SEARCH_NODES


class Placing:
    """Jobs `members` being placed; `state.runs` says where, whoever is not `state.placed` is out."""

    def __init__(self, grid: Grid, members: IntArray, effort: Effort) -> None:
        self.grid, self.members, self.effort = grid, members.tolist(), effort
        self.state = State(grid)
        self.slack = grid.end - grid.first - grid.length
        # When something last left each slot, and when each job last looked for room: it need not look twice in vain.
        self.moment = 0
        self.freed = np.zeros(grid.slots, np.int64)
        self.looked = np.full(len(grid.length), -1)

    def run(self) -> None:
        """Place all if it can be found how, cleanly."""
        prices = prices_of(self.grid, np.array(self.members, np.int64))
        # Long runs first: what is left between them suits short ones, not the other way round.
        order = sorted(self.members, key=lambda job: (-self.grid.rank[job], -self.grid.length[job], self.slack[job]))
        tries = [self._attempt(order, SHARES[0] * prices, prices)]
        too_many = self._too_many()
        if len(self.members) <= FEW:
            tries += [self._attempt(order, share * prices, prices) for share in (SHARES[-1:] if too_many else SHARES[1:])]
            self.state.restore(min(tries, key=lambda one: one[:2])[2])
        if self.out and not too_many:
            best = self.state.snapshot()
            for attempt in (self._earliest_deadline_first, self._search):
                self.state.restore(())
                attempt()
                if not self.out:
                    break
            else:
                self.state.restore(best)
            self.looked[:] = -1
            self._improve(prices)

    def _attempt(self, order: list[int], lead: FloatArray, prices: FloatArray) -> tuple[int, float, list[tuple[int, IntArray]]]:
        """How many stay out, weighted grams, and the schedule, when the jobs are placed against `lead`."""
        self.state.restore(())
        self.looked[:] = -1
        self._repair(self._take(order, lead), lead)
        self._improve(prices)
        return len(self.out), sum(map(self.state.cost, self._in)), self.state.snapshot()

    def _too_many(self) -> bool:
        """Whether it is proved that some must stay out: then nobody need look for a schedule of all."""
        members, out = (np.array(jobs, np.int64) for jobs in (self.members, self.out))
        return bool(out.size and conflict_of(self.grid, members, out).size)

    @property
    def out(self) -> list[int]:
        """Members that have no place."""
        return [job for job in self.members if not self.state.placed[job]]

    @property
    def _in(self) -> list[int]:
        return [job for job in self.members if self.state.placed[job]]

    def alone(self, job: int) -> bool:
        """Whether the job would fit if it were the only one."""
        blocked = self.state.blocked(job, self.state.whole)
        return self.state.choose(job, self.state.priced(job, None), blocked) is not None

    def _best(self, job: int, prices: FloatArray | None, *, strict: bool = False) -> IntArray | None:
        return self.state.choose(job, self.state.priced(job, prices), self.state.blocked(job), strict=strict)

    def _take(self, order: Iterable[int], prices: FloatArray | None, *, strict: bool = False) -> list[int]:
        """Give each job in turn its cheapest free choice; returns those that found none."""
        out = []
        for job in order:
            cells = self._best(job, prices, strict=strict)
            if cells is None:
                out.append(job)
            else:
                self.state.put(job, cells)
        return out

    # --- all in time

    def _repair(self, out: list[int], prices: FloatArray) -> None:
        """Place what is out by ejecting others, while that goes on; a cell fought over grows dearer to enter."""
        state, fought = self.state, np.ones_like(self.grid.rates)
        for _ in range(min(EJECTIONS_PER_JOB * len(out), EJECTIONS)):
            # Each member would fit alone, so there are cells to fight for until none is out.
            if not out or (cells := self._contested(out[0], fought)) is None:
                return
            job = out.pop(0)
            fought.ravel()[cells] += 1
            state.put(job, cells)
            out += self._take(self._eject(job), prices)

    def _contested(self, job: int, fought: FloatArray) -> IntArray | None:
        """Where the job would stand on the fewest others, had it the place to itself."""
        contest = self.state.blocked(job) * fought[:, self.state.window(job)]
        return self.state.choose(job, contest, self.state.blocked(job, self.state.whole))

    def _eject(self, comer: int) -> list[int]:
        """Lift jobs from where `comer` overfills, those of low priority and with most slack first."""
        state, mine = self.state, self.state.cells[comer]
        full = mine[(state.free[:, mine] < -EPSILON).any(axis=0)]
        near = set().union(*(state.users[cell] for cell in full.tolist())) - {comer}
        ejected = []
        for job in sorted(near, key=lambda job: (self.grid.rank[job], -self.slack[job], job)):
            shared = [cell for cell in full.tolist() if job in state.users[cell]]
            if (state.free[:, shared][self.grid.demands[job] > 0] < -EPSILON).any():
                state.lift(job)
                ejected.append(job)
        return ejected

    def _earliest_deadline_first(self) -> None:
        """Each job at the first moment free, the most urgent first."""
        for job in sorted(self.members, key=lambda job: (self.grid.end[job], self.slack[job])):
            blocked = self.state.blocked(job)
            when = np.broadcast_to(np.arange(blocked.shape[1], dtype=float), blocked.shape)
            cells = self.state.choose(job, when, blocked)
            if cells is not None:
                self.state.put(job, cells)

    def _search(self) -> None:
        """Try all starts of the jobs in one piece, the least movable first, while there are tries left."""
        if len(self.members) > SEARCH_JOBS:
            return
        order = sorted(self.members, key=lambda job: (self.grid.cuttable[job], self.slack[job]))
        tried = [self._choices(order[0])]
        while tried and self.effort.nodes:
            self.effort.nodes -= 1
            job = order[len(tried) - 1]
            if self.state.placed[job]:
                self.state.lift(job)
            cells = next(tried[-1], None)
            if cells is None:
                tried.pop()
                continue
            self.state.put(job, cells)
            if len(tried) == len(order):
                return
            tried.append(self._choices(order[len(tried)]))

    def _choices(self, job: int) -> Iterator[IntArray]:
        """Where the job could run now: every start, or the first slots free if it may be cut."""
        state, blocked = self.state, self.state.blocked(job)
        if self.grid.cuttable[job]:
            when = np.broadcast_to(np.arange(blocked.shape[1], dtype=float), blocked.shape)
            cells = state.choose(job, when, blocked)
            return iter([] if cells is None else [cells])
        length = int(self.grid.length[job])
        place, slot = np.nonzero(state.sums(job, blocked) == 0)
        starts = (place * self.grid.slots + self.grid.first[job] + slot).tolist()
        return iter([np.arange(start, start + length) for start in starts])

    # --- cleaner

    def _improve(self, prices: FloatArray) -> None:
        """Move jobs while that saves, until none can or the rounds are over."""
        pushes = PUSHES
        for _ in range(PUSH_ROUNDS):
            for _ in range(MOVE_ROUNDS):
                if not sum(self._move(job) for job in self._in):
                    break
            tried, won = self._push_all(prices, pushes)
            pushes -= tried
            if not won:
                return

    def _move(self, job: int) -> bool:
        """Give the job cheaper free cells, if there are any."""
        if self.freed[self.state.window(job)].max() < self.looked[job]:
            return False
        self.moment += 1
        self.looked[job] = self.moment
        before, cells = self.state.cost(job), self.state.lift(job)
        better = self._best(job, None, strict=True)
        self.state.put(job, cells if better is None else better)
        if self.state.cost(job) < before * (1 - TIE):
            self._freed(cells)
            return True
        self.state.lift(job)
        self.state.put(job, cells)
        return False

    def _freed(self, cells: IntArray) -> None:
        self.moment += 1
        self.freed[cells % self.grid.slots] = self.moment

    def _push_all(self, prices: FloatArray, most: int) -> tuple[int, int]:
        """How many pushes were tried and how many saved; those that promise most come first."""
        hopes = []
        for job in self._in:
            gain = self._promise(job, prices)[0]
            if gain > 0:
                hopes.append((gain, job))
        won = [self._push(job, prices) for _, job in sorted(hopes, key=lambda hope: (-hope[0], hope[1]))[:most]]
        return len(won), sum(won)

    def _promise(self, job: int, prices: FloatArray) -> tuple[float, IntArray | None]:
        """What moving there seems to save, the full cells charged at their price, and where."""
        state = self.state
        cost = state.priced(job, prices, state.blocked(job))
        cells = state.choose(job, cost, state.blocked(job, state.whole), strict=True)
        if cells is None or np.array_equal(cells, state.cells[job]):
            return 0.0, None
        place, slot = np.divmod(cells, self.grid.slots)
        return state.cost(job) - float(cost[place, slot - self.grid.first[job]].sum()), cells

    def _push(self, job: int, prices: FloatArray) -> bool:
        """Put the job where it promises to save, let those it pushes aside go elsewhere; undone unless it saves in all."""
        gain, cells = self._promise(job, prices)
        if cells is None or gain <= 0:
            return False
        state = self.state
        before, undo = state.cost(job), [(job, state.lift(job))]
        state.put(job, cells)
        for other in self._eject(job):
            undo.append((other, state.cells[other]))
            before += state.cost(other)
        pushed = sorted((other for other, _ in undo[1:]), key=lambda other: (self.slack[other], other))
        stuck = self._take(pushed, None, strict=True)
        if not stuck and sum(state.cost(other) for other, _ in undo) < before * (1 - TIE):
            for _, cells_before in undo:
                self._freed(cells_before)
            return True
        for other, _ in undo:
            if state.placed[other]:
                state.lift(other)
        for other, cells_before in undo:
            state.put(other, cells_before)
        return False
