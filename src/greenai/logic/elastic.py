"""How many workers in each slot: the plan of least emissions for a job that can be scaled up and down.

The problem. Work W (the duration with the reference's workers, in hours) must be
done between the first admissible moment and the deadline. In each moment the job
runs with one of the curve's numbers of workers, or none; with p workers it does
T(p) of work an hour and draws P(p), both over the reference's. Emissions are the
integral of intensity x power, in grams per kW of the reference's load. Starting,
stopping and scaling cost nothing (CarbonScaler, SIGMETRICS 2024, assumes the same).

The method. Time can be shared between two numbers of workers, so what counts is
the lower convex hull of power over throughput (`ScalingCurve.frugal`). Each slot
offers the hull's steps: so much more work for so much more power. Taking steps by
rising intensity x extra power / extra work, the last in part, is the optimum of
the linear programme over shares of time: the hull makes a slot's steps ascend in
price, so none is taken before the one below it. Of equal steps the lower come
first, then the earlier ones. O(n m log(n m)) for n slots and m steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic.placing import greenest, plan_at
from greenai.logic.starts import MICROSECOND, US_PER_HOUR, Admissible, admissible
from greenai.logic.wording import span_words, when
from greenai.model.job import Constraints
from greenai.model.plan import Plan, Window
from greenai.model.scaling import EXAMPLE, ScalingCurve, ScalingPoint
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import as_utc

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What the same work costs with a number of workers that never changes.

    `manner` is "at once", "one run" (the greenest start) or "suspend and resume"
    (the cheapest pieces, free resumes). `saving` is a share of the reference run at
    once; costs are in g per kW of the reference's load.
    """

    manner: str
    workers: int
    start_at: datetime
    end_at: datetime
    cost_g_per_kw: float
    saving: float


def elastic(series: IntensitySeries, constraints: Constraints, now_at: datetime) -> Plan:
    """The cheapest number of workers for every moment; `workers` of the plan has one count per window.

    `expected_g_per_kwh` is the mean over the energy drawn.

    Raises:
        InputError: the job has no scaling curve, or costs of resuming that this policy does not charge.
        NoFeasibleWindow: the work does not fit, even with the most workers.
    """
    curve = _curve_of(constraints)
    span = admissible(series, constraints, as_utc(now_at, name="now_at"))
    slots = _Slots.of(series, constraints, span)
    rungs = curve.frugal()
    taken, part = _greedy(slots, rungs, constraints)
    pieces = _merged(_pieces(slots, rungs, taken, part))
    cost_g_per_kw, energy_h = _spent(slots, rungs, taken, part)
    return Plan(
        windows=tuple(
            Window(start_at=series.start_at + start_us * MICROSECOND, end_at=series.start_at + end_us * MICROSECOND)
            for start_us, end_us, _ in pieces
        ),
        workers=tuple(workers for _, _, workers in pieces),
        expected_g_per_kwh=cost_g_per_kw / energy_h,
        cost_g_per_kw=cost_g_per_kw,
        note="; ".join(filter(None, (_unused(curve, rungs), span.note))),
    )


def _spent(slots: _Slots, rungs: tuple[ScalingPoint, ...], taken: IntArray, part: tuple[int, int]) -> tuple[float, float]:
    """Emissions in g per kW of the reference's load, and energy in hours of it."""
    power = np.array([0.0, *(rung.power_ratio for rung in rungs)])
    partial, part_us = part
    energy_h = power[taken] * np.diff(slots.edges_us) / US_PER_HOUR
    energy_h[partial] += (power[taken[partial] + 1] - power[taken[partial]]) * part_us / US_PER_HOUR
    return float(energy_h @ slots.rates_g_per_kwh), float(energy_h.sum())


def fitted(constraints: Constraints) -> Constraints:
    """The same job over the fewest workers with which it fits between its limits; unchanged where the reference fits.

    Raises:
        NoFeasibleWindow: it fits with no number of workers.
    """
    curve = _curve_of(constraints)
    room = constraints.deadline_at - constraints.earliest_at
    for point in (curve.reference, *curve.points):
        if constraints.duration / point.throughput_ratio <= room:
            duration = constraints.duration / point.throughput_ratio
            return replace(constraints, duration=duration, scaling=curve.over(point))
    raise _too_long(constraints, curve.fastest, room)


def fixed_sizes(series: IntensitySeries, constraints: Constraints, now_at: datetime) -> tuple[Fixed, ...]:
    """The same work with each number of workers that fits, run at once, in one run and in pieces, at the same deadline."""
    curve = _curve_of(constraints)
    span = admissible(series, constraints, now_at)
    at_once_g_per_kw = plan_at(series, constraints, span.first_at).cost_g_per_kw
    points = {point.workers: point for point in (*curve.points, curve.reference)}
    rows: list[Fixed] = []
    for point in sorted(points.values(), key=lambda point: point.workers):
        sized = replace(constraints, duration=constraints.duration / point.throughput_ratio, scaling=None)
        if sized.latest_start_at < span.first_at or not series.covers(span.first_at, span.first_at + sized.duration):
            continue
        plans = {
            "at once": plan_at(series, sized, span.first_at),
            "one run": greenest(series, sized, now_at),
            # Free resumes: the greenest time there is, which needs no programme over segments.
            "suspend and resume": elastic(series, replace(sized, scaling=ScalingCurve.of({point.workers: 1.0})), now_at),
        }
        rows += [_fixed(manner, point, plan, at_once_g_per_kw) for manner, plan in plans.items()]
    return tuple(rows)


def _fixed(manner: str, point: ScalingPoint, plan: Plan, at_once_g_per_kw: float) -> Fixed:
    cost = plan.cost_g_per_kw * point.power_ratio
    return Fixed(
        manner=manner,
        workers=point.workers,
        start_at=plan.windows[0].start_at,
        end_at=plan.windows[-1].end_at,
        cost_g_per_kw=cost,
        saving=1 - cost / at_once_g_per_kw if at_once_g_per_kw > 0 else 0.0,
    )


def _curve_of(constraints: Constraints) -> ScalingCurve:
    if constraints.scaling is None:
        raise InputError(
            "the elastic policy needs a scaling curve: the throughput by number of workers",
            hint=f"add --scaling {EXAMPLE}, or measure it with greenai profile-scaling",
        )
    if constraints.resume_cost or constraints.min_chunk or constraints.max_segments:
        raise InputError(
            "the elastic policy charges no resume cost and keeps to no minimum chunk or number of segments",
            hint="leave them out, or take --policy interruptible",
        )
    return constraints.scaling


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Slots:
    """The slots of the span, cut at its ends: edges in microseconds since the series began, shape (n + 1,), and n rates."""

    edges_us: IntArray
    rates_g_per_kwh: FloatArray

    @classmethod
    def of(cls, series: IntensitySeries, constraints: Constraints, span: Admissible) -> _Slots:
        step_us = series.step // MICROSECOND
        start_us = (span.first_at - series.start_at) // MICROSECOND
        end_us = (min(constraints.deadline_at, series.end_at) - series.start_at) // MICROSECOND
        first, stop = start_us // step_us, -(-end_us // step_us)
        edges_us = np.clip(np.arange(first, stop + 1, dtype=np.int64) * step_us, start_us, end_us)
        return cls(edges_us=edges_us, rates_g_per_kwh=series.values[first:stop])


def _greedy(slots: _Slots, rungs: tuple[ScalingPoint, ...], constraints: Constraints) -> tuple[IntArray, tuple[int, int]]:
    """Steps taken whole in each slot, shape (n,), and the slot of the step taken in part with its length in microseconds."""
    throughput = np.diff([0.0, *(rung.throughput_ratio for rung in rungs)])
    power = np.diff([0.0, *(rung.power_ratio for rung in rungs)])
    # The hull ascends but for the noise of floats.
    per_work = np.maximum.accumulate(power / throughput)
    lengths_us = np.diff(slots.edges_us)
    prices = np.multiply.outer(per_work, slots.rates_g_per_kwh).ravel()
    order = np.argsort(prices, kind="stable")
    work_us = np.multiply.outer(throughput, lengths_us.astype(np.float64)).ravel()[order]
    done_us = np.cumsum(work_us)
    wanted_us = constraints.duration / MICROSECOND
    # A microsecond's work is as exact as times are.
    if wanted_us > done_us[-1] + 1.0:
        raise _too_long(constraints, rungs[-1], timedelta(microseconds=int(lengths_us.sum())))
    last = min(int(np.searchsorted(done_us, wanted_us)), len(done_us) - 1)
    slot, step = int(order[last] % len(lengths_us)), int(order[last] // len(lengths_us))
    left_us = wanted_us - float(done_us[last] - work_us[last])
    part_us = min(int(np.ceil(left_us / throughput[step] - 1e-6)), int(lengths_us[slot]))
    taken = np.bincount(order[:last] % len(lengths_us), minlength=len(lengths_us))
    return taken, (slot, part_us)


def _pieces(
    slots: _Slots, rungs: tuple[ScalingPoint, ...], taken: IntArray, part: tuple[int, int]
) -> Iterator[tuple[int, int, int]]:
    """(start, end, workers) in order; the part of a step lies where its slot's neighbour runs on."""
    counts = (0, *(rung.workers for rung in rungs))
    partial, part_us = part
    for slot, (steps, start_us, end_us) in enumerate(
        zip(taken.tolist(), slots.edges_us[:-1].tolist(), slots.edges_us[1:].tolist(), strict=True)
    ):
        if slot != partial:
            yield start_us, end_us, counts[steps]
            continue
        before = taken[slot - 1] if slot else 0
        after = taken[slot + 1] if slot + 1 < len(taken) else 0
        if after > steps and before <= steps:
            yield start_us, end_us - part_us, counts[steps]
            yield end_us - part_us, end_us, counts[steps + 1]
        else:
            yield start_us, start_us + part_us, counts[steps + 1]
            yield start_us + part_us, end_us, counts[steps]


def _merged(pieces: Iterator[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Neighbours with the same workers as one; what runs nothing or lasts no time left out."""
    merged: list[tuple[int, int, int]] = []
    for start_us, end_us, workers in pieces:
        if not workers or start_us == end_us:
            continue
        if merged and merged[-1][1:] == (start_us, workers):
            merged[-1] = (merged[-1][0], end_us, workers)
        else:
            merged.append((start_us, end_us, workers))
    return merged


def _unused(curve: ScalingCurve, rungs: tuple[ScalingPoint, ...]) -> str:
    left = [str(point.workers) for point in curve.points if point not in rungs]
    return f"never with {', '.join(left)} workers: other numbers do the same work with less energy" if left else ""


def _too_long(constraints: Constraints, most: ScalingPoint, room: timedelta) -> NoFeasibleWindow:
    needed = constraints.duration / most.throughput_ratio
    workers = f"{most.workers} workers"
    return NoFeasibleWindow(
        f"even with {workers} the work takes {span_words(needed)}, and there are {span_words(room)} "
        f"until {when(constraints.deadline_at)}",
        hint="allow a later finish, or give a scaling curve with more workers",
    )
