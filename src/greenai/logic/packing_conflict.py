"""Which jobs cannot all run: named with a proof where one is cheap.

For jobs that all need the same the relaxation in which each may be cut is
solved exactly, and the closed set around the unmet ones is a proof. For unequal
demands the proof is energetic reasoning (Baptiste, Le Pape, Nuijten 2001): in
some span of time the jobs must together hold more of a resource than there is.
It is sound but not complete: no span found proves nothing.
"""

from __future__ import annotations

import numpy as np

from greenai.logic.packing_cut import Filling
from greenai.logic.packing_grid import EPSILON, Grid, IntArray
from greenai.model.series import FloatArray

MOST_SPANS = 500_000
"""Above this many begins x ends x jobs a proof is not looked for in all spans, only in those of the unmet jobs."""

NOBODY = np.array([], np.int64)


def conflict_of(grid: Grid, members: IntArray, out: IntArray) -> IntArray:
    """Jobs that together ask for more than there is; empty where that could not be shown."""
    if grid.uniform:
        filling = Filling(grid, members, grid.capacity[0])
        filling.fill()
        return filling.conflict() if filling.need.any() else NOBODY
    return _overloaded(grid, members, out)


def _overloaded(grid: Grid, members: IntArray, out: IntArray) -> IntArray:
    begins, ends = _edges(grid, members)
    if len(begins) * len(ends) * len(members) > MOST_SPANS:
        begins, ends = _edges(grid, out)
    for begin in begins.tolist():
        for end in ends[ends > begin].tolist():
            named = _too_much(grid, members, begin, end)
            if named.size:
                return named
    return NOBODY


def _edges(grid: Grid, jobs: IntArray) -> tuple[IntArray, IntArray]:
    """Where spans may begin and end: at windows' edges, at latest starts and at earliest ends."""
    first, end, length = grid.first[jobs], grid.end[jobs], grid.length[jobs]
    return np.unique(np.concatenate((first, end - length))), np.unique(np.concatenate((end, first + length)))


def _too_much(grid: Grid, members: IntArray, begin: int, end: int) -> IntArray:
    """The jobs that must work in [begin, end) if that is more than fits there, else nobody."""
    work = _least_work(grid, members, begin, end)
    needs = grid.demands[members] * work[:, None]
    # Only jobs bound to a set of places count against those places; the set of all is tried first, then each alone.
    for places in [np.ones(len(grid.places), bool), *np.eye(len(grid.places), dtype=bool)]:
        bound = ~grid.allowed[:, members][~places].any(axis=0) & (work > 0)
        there = grid.capacity[:, places, begin:end].sum(axis=(1, 2))
        over = needs[bound].sum(axis=0) > there * (1 + EPSILON) + EPSILON
        if over.any():
            guilty = bound & (grid.demands[members][:, over.argmax()] > 0)
            return np.sort(members[guilty])
    return NOBODY


def _least_work(grid: Grid, members: IntArray, begin: int, end: int) -> FloatArray:
    """Slots each job spends in [begin, end) however it is placed, (m,)."""
    first, last, length = grid.first[members], grid.end[members], grid.length[members]
    before = np.clip(np.minimum(begin, last) - first, 0, None)
    after = np.clip(last - np.maximum(end, first), 0, None)
    cut = length - before - after
    # In one piece the run lies to the left or to the right, not on both sides.
    whole = length - np.minimum(np.maximum(before, after), length)
    work: FloatArray = np.where(grid.cuttable[members], cut, np.minimum(whole, end - begin))
    return np.maximum(work, 0).astype(np.float64)
