"""The lattice on which plans in segments are paths, and its tables; the problem and the method are told in `segments`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from greenai.logic.starts import MICROSECOND, TIE_RATIO, US_PER_HOUR, Admissible
from greenai.model.job import Constraints
from greenai.model.series import FloatArray, IntensitySeries


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentTask:
    """The problem in whole microseconds since the start of the series.

    `rates` are g/kWh of the whole slots in the span; the head and the tail are
    the partial slots before and after them, of length 0 when there is none.
    """

    step_us: int
    first_edge_us: int
    rates: FloatArray
    head_us: int
    head_rate: float
    tail_us: int
    tail_rate: float
    work_us: int
    resume_us: int
    chunk_us: int
    most_segments: int
    ladder: tuple[FloatArray, FloatArray]

    @classmethod
    def of(cls, series: IntensitySeries, constraints: Constraints, span: Admissible) -> SegmentTask:
        """The problem of one job whose admissible starts are known."""
        step_us = series.step // MICROSECOND
        start_us = (span.first_at - series.start_at) // MICROSECOND
        end_us = (min(constraints.deadline_at, series.end_at) - series.start_at) // MICROSECOND
        first, last = -(-start_us // step_us), end_us // step_us
        work_us, chunk_us = constraints.duration // MICROSECOND, constraints.min_chunk // MICROSECOND
        return cls(
            step_us=step_us,
            first_edge_us=first * step_us,
            rates=series.values[first:last],
            head_us=first * step_us - start_us,
            head_rate=float(series.values[start_us // step_us]),
            tail_us=end_us - last * step_us,
            tail_rate=float(series.values[(end_us - 1) // step_us]),
            work_us=work_us,
            resume_us=constraints.resume_cost // MICROSECOND,
            chunk_us=chunk_us,
            most_segments=min(constraints.max_segments or work_us, work_us // max(chunk_us, 1), last - first + 2),
            ladder=_ladder(series, start_us, end_us),
        )

    def run_us(self, count: int) -> int:
        """Length of all windows of a plan in `count` segments."""
        return self.work_us + (count - 1) * self.resume_us

    def least_slots(self, order: int, beside_us: int) -> int:
        """Whole slots that the segment of that order (1 = first) needs beside the parts of slots it runs."""
        least_us = self.chunk_us + (self.resume_us if order > 1 else 0) - beside_us
        return max(-(-least_us // self.step_us), 0 if beside_us else 1)

    def cheapest_g_per_kw(self, run_us: int | FloatArray) -> FloatArray:
        """The least any plan of that length can cost: the greenest parts of the span, however scattered."""
        run_times, costs = self.ladder
        return np.asarray(np.interp(run_us, run_times, costs, right=np.inf))

    def counts(self, below_g_per_kw: float) -> range:
        """The numbers of segments that might cost less than that."""
        runs_us = self.work_us + np.arange(1.0, self.most_segments) * self.resume_us
        return range(2, 2 + int(np.sum(self.cheapest_g_per_kw(runs_us) < below_g_per_kw * (1 - TIE_RATIO))))


def _ladder(series: IntensitySeries, start_us: int, end_us: int) -> tuple[FloatArray, FloatArray]:
    """Run time, and the least cost of so much of it between the two moments: the greenest slots first. A convex line."""
    step_us = series.step // MICROSECOND
    first, stop = start_us // step_us, -(-end_us // step_us)
    lengths_us = np.diff(np.clip(np.arange(first, stop + 1) * step_us, start_us, end_us))
    rates = series.values[first:stop]
    order = np.argsort(rates)
    costs = lengths_us[order] * rates[order] / US_PER_HOUR
    return np.concatenate(([0.0], np.cumsum(lengths_us[order]))), np.concatenate(([0.0], np.cumsum(costs)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Way:
    """One way for a segment to lie: the paths it continues, and the parts of slots it runs before and after whole ones.

    `table[d, k]` is the cost on arrival at edge d + k, a part at the segment's start included.
    """

    origin: _Paths
    table: FloatArray
    start_us: int = 0
    end_us: int = 0
    from_part: bool = False

    def least_slots(self, order: int) -> int:
        """Whole slots that the segment must run if it is the one of that order."""
        beside_us = self.start_us + self.end_us
        return max(self.origin.task.least_slots(order, beside_us) - self.origin.waived, 0 if beside_us else 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Arrival:
    """The cheapest segment of one kind that ends at a point: the column where it entered whole slots, and the total cost."""

    cost_g_per_kw: float
    way: _Way
    row: int
    entered: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Plans in exactly `count` segments with `k` whole slots run and `d` not, the tail whole or not; the head is in `paths`."""

    paths: _Paths
    count: int
    d: int
    k: int
    whole_tail: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finish:
    """The cheapest plan of a case; `last` is its last segment where that ends in the tail."""

    case: Case
    cost_g_per_kw: float
    last: _Arrival | None = None


class Lattice:
    """The tables shared by all cases. Rows are slots idled, columns slots run; points beyond the span feed none within."""

    def __init__(self, task: SegmentTask, most: int) -> None:
        slots = len(task.rates)
        widest = min(slots, task.run_us(most) // task.step_us)
        least = max(0, (task.run_us(2) - task.head_us - task.tail_us) // task.step_us)
        self.task = task
        rates = np.concatenate((task.rates, np.full(widest + 1, task.tail_rate)))
        costs = np.concatenate(([0.0], np.cumsum(rates))) * (task.step_us / US_PER_HOUR)
        self.shape = (slots - least + 1, widest + 1)
        self.rate = sliding_window_view(rates, widest + 1)[: self.shape[0]]
        self.passed = np.ascontiguousarray(sliding_window_view(costs, widest + 1)[: self.shape[0]])
        shortest = task.least_slots(2, 0) == 1 and (not task.head_us or task.least_slots(1, task.head_us) == 0)
        self._waived = 0 if shortest else 2
        self._paths: dict[tuple[bool, int, int], _Paths] = {}

    def cases(self, count: int) -> Iterator[Case]:
        """What plans in `count` segments can look like: head and tail run whole or not, and so a partial slot of what length."""
        task = self.task
        for whole_head in (False, True) if task.head_us else (False,):
            for whole_tail in (False, True) if task.tail_us else (False,):
                rest_us = task.run_us(count) - whole_head * task.head_us - whole_tail * task.tail_us
                k, part_us = divmod(rest_us, task.step_us)
                if 0 <= k <= len(task.rates):
                    paths = self._paths_of(whole_head, part_us)
                    yield Case(paths=paths, count=count, d=len(task.rates) - k, k=k, whole_tail=whole_tail)

    def bound_g_per_kw(self, case: Case, *, rough: bool = False) -> float:
        """No plan of this case costs less: without its parts of slots it is one of whole slots, in no more segments.

        Each segment loses less than two slots by that, so the tables it is looked up in ask for two less.
        A rough bound parts with the head too, and needs no tables of its own for that.
        """
        task, head_us = self.task, case.paths.head_us
        whole = self._paths_of(bool(head_us) and not rough, 0, self._waived)
        head = head_us / US_PER_HOUR * task.head_rate if rough else 0.0
        least = min(whole.idle(order)[case.d, case.k] for order in range(case.count + 1))
        tail = task.tail_us / US_PER_HOUR * task.tail_rate if case.whole_tail else 0.0
        return float(least + task.cheapest_g_per_kw(case.paths.part_us) + head + tail)

    def finish(self, case: Case) -> Finish:
        """The cheapest plan of a case; of infinite cost where there is none."""
        inner = np.inf if case.whole_tail else case.paths.idle(case.count)[case.d, case.k]
        finishes = [Finish(case=case, cost_g_per_kw=float(inner))]
        for way in case.paths.tail_ways(case.count, case.whole_tail):
            last = self.arrival(way, case.count, case.d, case.k)
            finishes.append(Finish(case=case, cost_g_per_kw=last.cost_g_per_kw, last=last))
        return min(finishes, key=lambda finish: finish.cost_g_per_kw)

    def _paths_of(self, whole_head: bool, part_us: int, waived: int = 0) -> _Paths:
        key = (whole_head, part_us, waived)
        if key not in self._paths:
            plain = self._paths_of(whole_head, 0) if part_us else None
            self._paths[key] = _Paths(self, self.task.head_us if whole_head else 0, part_us, plain=plain, waived=waived)
        return self._paths[key]

    @staticmethod
    def later(table: FloatArray, columns: int) -> FloatArray:
        """The table that many columns on."""
        if not columns:
            return table
        moved = np.empty_like(table)
        moved[:, :columns] = np.inf
        moved[:, columns:] = table[:, : max(0, table.shape[1] - columns)]
        return moved

    def arrival(self, way: _Way, order: int, row: int, k: int) -> _Arrival:
        """The cheapest segment of this kind that leaves whole slots at (row, k)."""
        least = way.least_slots(order)
        if row < 0 or k < least:
            return _Arrival(cost_g_per_kw=np.inf, way=way, row=row, entered=0)
        costs = way.table[row, : k + 1 - least] - self.passed[row, : k + 1 - least]
        entered = int(costs.argmin())
        last_part = self.rate[row, k] * (way.end_us / US_PER_HOUR)
        cost = float(costs[entered] + self.passed[row, k] + last_part)
        return _Arrival(cost_g_per_kw=cost, way=way, row=row, entered=entered)

    def trace(self, finish: Finish) -> list[tuple[int, int]]:
        """(start, end) of each segment of a plan, in order, in microseconds since the start of the series."""
        spans: list[tuple[int, int]] = []
        paths, d, k, last = finish.case.paths, finish.case.d, finish.case.k, finish.last
        for order in range(finish.case.count, 0, -1):
            arrival = last or self._ended_by(paths, order, d, k)
            last = None
            way, row = arrival.way, arrival.row
            spans.append((self._edge_us(row + arrival.entered) - way.start_us, self._edge_us(row + k) + way.end_us))
            paths, d, k = way.origin, row - way.from_part, arrival.entered
        return spans[::-1]

    def _ended_by(self, paths: _Paths, order: int, d: int, k: int) -> _Arrival:
        """The segment whose end made it possible to stand idle at (d, k)."""
        ended = int(paths.ended(order)[: d + 1, k].argmin())
        arrivals = [self.arrival(way, order, ended - bool(way.end_us), k) for way in paths.ways(order)]
        least = min(arrival.cost_g_per_kw for arrival in arrivals)
        return next(arrival for arrival in arrivals if arrival.cost_g_per_kw <= least * (1 + TIE_RATIO))

    def _edge_us(self, edge: int) -> int:
        return self.task.first_edge_us + edge * self.task.step_us


class _Paths:
    """The tables of one case, a round per segment. `plain` is the case before its partial slot is used; None: it has none."""

    def __init__(self, lattice: Lattice, head_us: int, part_us: int, *, plain: _Paths | None, waived: int) -> None:
        self.lattice, self.task = lattice, lattice.task
        self.head_us, self.part_us = head_us, part_us
        self.plain, self.waived = plain, waived
        self._part_cost = lattice.rate * (part_us / US_PER_HOUR)
        self._passed_and_part = lattice.passed + self._part_cost
        self._idle = [self._unstarted()]
        self._ways: list[tuple[_Way, ...]] = []
        self._ended: list[FloatArray] = []
        self._begun: list[tuple[FloatArray, int]] = []

    def _unstarted(self) -> FloatArray:
        """Cost before the first segment: nothing, wherever it starts; with the head run whole it starts there alone."""
        table = np.full(self.lattice.shape, np.inf)
        if self.plain is None:
            table[: 1 if self.head_us else None, 0] = self.head_us / US_PER_HOUR * self.task.head_rate
        return table

    def idle(self, order: int) -> FloatArray:
        """Least cost of standing idle at each point after that many segments."""
        while len(self._idle) <= order:
            self._ended.append(self._ends(len(self._idle)))
            self._idle.append(np.minimum.accumulate(self._ended[-1], axis=0))
        return self._idle[order]

    def ended(self, order: int) -> FloatArray:
        """Least cost of having just ended that segment at each point."""
        self.idle(order)
        return self._ended[order - 1]

    def begun(self, order: int) -> tuple[FloatArray, int]:
        """Least (cost - C) of segments that may end on an edge, by the column `least` before it; and that least."""
        while len(self._begun) < order:
            following = len(self._begun) + 1
            at_edge = [(way, way.least_slots(following)) for way in self.ways(following) if not way.end_us]
            least = min(slots for _, slots in at_edge)
            tables = [self.lattice.later(way.table - self.lattice.passed, slots - least) for way, slots in at_edge]
            entered = reduce(np.minimum, tables)
            self._begun.append((np.minimum.accumulate(entered, axis=1, out=entered), least))
        return self._begun[order - 1]

    def _ends(self, order: int) -> FloatArray:
        table, least = self.begun(order)
        ended = self.lattice.later(table, least) + self.lattice.passed
        for way in self.ways(order):
            if way.end_us:
                entered, _ = way.origin.begun(order)
                whole = self.lattice.later(entered, way.least_slots(order)) + self._passed_and_part
                np.minimum(ended[1:], whole[:-1], out=ended[1:])
        return ended

    def ways(self, order: int) -> tuple[_Way, ...]:
        """How the segment of that order can lie among whole slots and the partial one."""
        while len(self._ways) < order:
            following = len(self._ways) + 1
            ways = [self._from_edge(following)]
            if self.plain is not None:
                to_part = replace(self.plain.ways(following)[0], end_us=self.part_us)
                # Where a part can lie at either end of its slot the earlier place is preferred.
                ways += [to_part, self._from_part(following, self.plain)]
            self._ways.append(tuple(ways))
        return self._ways[order - 1]

    def tail_ways(self, order: int, whole_tail: bool) -> tuple[_Way, ...]:
        """How the last segment can end within the tail."""
        tail_us = self.task.tail_us
        if whole_tail:
            return tuple(replace(way, end_us=tail_us) for way in self.ways(order) if not way.end_us)
        return tuple(way for way in self.ways(order) if way.end_us) if self.part_us <= tail_us else ()

    def _from_edge(self, order: int) -> _Way:
        head_us = self.head_us if order == 1 and self.plain is None else 0
        return _Way(origin=self, table=self.idle(order - 1), start_us=head_us)

    def _from_part(self, order: int, plain: _Paths) -> _Way:
        """Starting with the partial slot, which then lies right before the edge arrived at, or in the head."""
        table = np.full(self.lattice.shape, np.inf)
        if order > 1 or not plain.head_us:
            np.add(plain.idle(order - 1)[:-1], self._part_cost[:-1], out=table[1:])
        if order == 1 and not plain.head_us and self.part_us <= self.task.head_us:
            table[0, 0] = self.part_us / US_PER_HOUR * self.task.head_rate
        return _Way(origin=plain, table=table, start_us=self.part_us, from_part=True)
