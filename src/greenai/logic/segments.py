"""The cheapest way to run a job in several segments: an exact dynamic programme.

The problem. Work W must be done between the first admissible moment and the
deadline (or the end of the series, if that is sooner). The run is cut into s
segments, 1 <= s <= max_segments, apart in time. Each resumed segment (all but
the first) starts with `resume_cost` R of run time that does no work and is part
of its window, so the windows last W + (s - 1) R together. Each segment does at
least `min_chunk` of work; a job shorter than that is one segment. The cost is
the integral of the intensity over the windows.

The grid. The span of time is cut at the slot edges into whole slots and up to
two partial ones, the head and the tail. A segment begins and ends at such a cut,
but for one place in the whole plan, which may lie anywhere and makes the total
exact. That loses nothing when min_chunk is 0, or when min_chunk and R are
multiples of the step and the span begins and ends on slot edges: the cost is
piecewise linear in the cuts under one equation, so some optimum has all cuts but
one where it bends. Otherwise it is the optimum among such plans: two segments of
exactly min_chunk, each with one end off the grid, are not looked for.

The method. A plan is a path on a lattice: after d slots not run and k slots run
it stands at slot edge d + k. Running moves along k, standing idle along d. With C
the running cost of the slots, the best start of a segment is a running minimum of
(cost so far - C) along k and its best end one along d: two `minimum.accumulate`
over a whole table per segment, no loop over slots. The length of the slot run in
part follows from s and from whether head and tail are run whole; each such case
has its own tables beside the shared ones of whole slots. Lengths are whole
microseconds: no case hangs on rounding. Each case has a bound from the tables of
whole slots (`Lattice.bound_g_per_kw`); the cases are solved best bound first, and
s is tried upwards until the cheapest W + (s - 1) R of time, wherever it lies,
costs no less than the best plan found (`_Search`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from math import inf

from greenai.logic.lattice import Case, Finish, Lattice, SegmentTask
from greenai.logic.starts import MICROSECOND, TIE_RATIO, Admissible
from greenai.model.job import Constraints
from greenai.model.series import IntensitySeries


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """A plan in segments: (start, end) of each in order, and its cost in g per kW of load."""

    spans: tuple[tuple[datetime, datetime], ...]
    cost_g_per_kw: float


def best_segments(
    series: IntensitySeries, constraints: Constraints, span: Admissible, *, below_g_per_kw: float
) -> Segments | None:
    """The cheapest plan in two or more segments that costs less than `below_g_per_kw`, or None.

    `below_g_per_kw` is the cost of the best single run, whose start is not bound to any grid.
    """
    task = SegmentTask.of(series, constraints, span)
    counts = task.counts(below_g_per_kw)
    if not counts:
        return None
    search = _Search(Lattice(task, counts[-1]), below_g_per_kw)
    for count in counts:
        if task.cheapest_g_per_kw(task.run_us(count)) >= search.limit_g_per_kw * (1 - TIE_RATIO):
            break
        search.look_at(count)
    search.solve()
    best = search.best
    if best is None:
        return None
    spans = tuple(
        (series.start_at + start_us * MICROSECOND, series.start_at + end_us * MICROSECOND)
        for start_us, end_us in search.lattice.trace(best)
    )
    return Segments(spans=spans, cost_g_per_kw=best.cost_g_per_kw)


class _Search:
    """Best first: of the cases looked at that of the least bound is solved first, and none whose bound is no gain.

    To solve a case is dear, its bound is cheap and close, so few are solved; a rough
    bound, cheaper yet, is made close when its turn comes. They are solved as soon
    as one more segment no longer lowers the bounds: the plan
    found then shows, by `cheapest_g_per_kw`, how many need not be looked at.
    """

    def __init__(self, lattice: Lattice, below_g_per_kw: float) -> None:
        self.lattice, self.limit_g_per_kw = lattice, below_g_per_kw
        self.best: Finish | None = None
        self._least_g_per_kw = inf
        self._waiting: list[tuple[float, int, int, bool, Case]] = []

    def look_at(self, count: int) -> None:
        """Bound the cases of so many segments."""
        least_before = self._least_g_per_kw
        for place, case in enumerate(self.lattice.cases(count)):
            bound_g_per_kw = self.lattice.bound_g_per_kw(case, rough=True)
            self._least_g_per_kw = min(self._least_g_per_kw, bound_g_per_kw)
            heappush(self._waiting, (bound_g_per_kw, count, place, not case.paths.head_us, case))
        if self._least_g_per_kw >= least_before:
            self.solve()

    def solve(self) -> None:
        """Solve the cases looked at, until no bound is below the best plan."""
        while self._waiting and self._waiting[0][0] < self.limit_g_per_kw * (1 - TIE_RATIO):
            _, count, place, close, case = heappop(self._waiting)
            if not close:
                heappush(self._waiting, (self.lattice.bound_g_per_kw(case), count, place, True, case))
                continue
            finish = self.lattice.finish(case)
            if finish.cost_g_per_kw < self.limit_g_per_kw * (1 - TIE_RATIO):
                self.best, self.limit_g_per_kw = finish, finish.cost_g_per_kw
        self._waiting.clear()
