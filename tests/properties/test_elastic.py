"""The elastic plan beside a linear programme over shares of time, and beside every choice of whole slots."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.planning_world import HOUR, MINUTE, T0, grid

from greenai.logic.elastic import elastic, fixed_sizes
from greenai.model.job import Constraints
from greenai.model.plan import Plan
from greenai.model.scaling import ScalingCurve
from greenai.model.series import IntensitySeries

UNIT = timedelta(minutes=10)


@st.composite
def curves(draw: st.DrawFn) -> ScalingCurve:
    """Concave throughputs of up to four counts; power in proportion, with a shared part, or any."""
    counts = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=4)))
    gains = sorted((draw(st.floats(0.05, 1)) for _ in counts), reverse=True)
    sizes = np.diff([0, *counts])
    throughput = dict(zip(counts, np.cumsum(sizes * gains).tolist(), strict=True))
    kind = draw(st.sampled_from(["plain", "shared", "any"]))
    if kind == "any":
        return ScalingCurve.of(throughput, drawn_w={count: draw(st.floats(20, 900)) for count in counts})
    return ScalingCurve.of(throughput, worker_w=100.0, shared_w=draw(st.floats(0, 300)) if kind == "shared" else 0.0)


@st.composite
def problems(draw: st.DrawFn) -> tuple[IntensitySeries, Constraints]:
    """Up to nine slots, now and the deadline inside a slot or on an edge."""
    values = draw(st.lists(st.integers(0, 9), min_size=2, max_size=9))
    low = draw(st.integers(0, 2))
    end = 3 * len(values) - draw(st.integers(0, 2))
    duration = draw(st.integers(1, max(1, end - low)))
    low = min(low, end - duration)
    limits = Constraints(
        earliest_at=T0 + low * UNIT, deadline_at=T0 + end * UNIT, duration=duration * UNIT, scaling=draw(curves())
    )
    return grid(values, step=3 * UNIT), limits


def lp_cost(series: IntensitySeries, limits: Constraints) -> float | None:
    """The least emissions over shares of each slot's time at each number of workers, by HiGHS."""
    curve = limits.scaling
    edges = [max(limits.earliest_at, min(limits.deadline_at, T0 + place * series.step)) for place in range(len(series) + 1)]
    hours = np.array([(later - earlier) / HOUR for earlier, later in pairwise(edges)])
    points = curve.points
    cost = np.concatenate([hours * series.values * point.power_ratio for point in points])
    work = np.concatenate([hours * point.throughput_ratio for point in points])
    shares = np.tile(np.eye(len(hours)), len(points))
    solved = linprog(cost, A_ub=np.vstack([-work, shares]), b_ub=[-limits.duration / HOUR, *np.ones(len(hours))], bounds=(0, 1))
    return float(solved.fun) if solved.status == 0 else None


def check_lawful(plan: Plan, series: IntensitySeries, limits: Constraints) -> None:
    """The plan keeps the limits, does the work, and costs what it says."""
    points = {point.workers: point for point in limits.scaling.points}
    spans = list(zip(plan.windows, (points[count] for count in plan.workers), strict=True))
    assert plan.windows[0].start_at >= limits.earliest_at
    assert plan.windows[-1].end_at <= limits.deadline_at
    for (earlier, before), (later, after) in pairwise(spans):
        assert earlier.end_at <= later.start_at
        assert earlier.end_at < later.start_at or before.workers != after.workers
    work_s = sum(window.duration.total_seconds() * point.throughput_ratio for window, point in spans)
    assert work_s == pytest.approx(limits.duration.total_seconds(), abs=1e-4)
    paid = sum(series.integral_g_per_kw(window.start_at, window.end_at) * point.power_ratio for window, point in spans)
    energy = sum(window.duration / HOUR * point.power_ratio for window, point in spans)
    assert plan.cost_g_per_kw == pytest.approx(paid, rel=1e-9, abs=1e-9)
    assert plan.expected_g_per_kwh == pytest.approx(paid / energy, rel=1e-9, abs=1e-9)


@given(problems())
def test_no_shares_of_time_are_cheaper(problem: tuple[IntensitySeries, Constraints]) -> None:
    series, limits = problem
    plan = elastic(series, limits, limits.earliest_at)
    check_lawful(plan, series, limits)
    assert plan.cost_g_per_kw == pytest.approx(lp_cost(series, limits), rel=1e-7, abs=1e-6)


@given(st.lists(st.integers(0, 400), min_size=2, max_size=6), st.integers(1, 12), curves())
def test_no_choice_of_whole_slots_is_cheaper(values: list[int], halves: int, curve: ScalingCurve) -> None:
    series = grid(values, step=HOUR)
    limits = Constraints(
        earliest_at=T0,
        deadline_at=series.end_at,
        duration=min(halves, 2 * len(values)) * 30 * MINUTE,
        scaling=curve,
    )
    choices = [(0.0, 0.0), *((point.throughput_ratio, point.power_ratio) for point in curve.points)]
    least = min(
        sum(value * power for value, (_, power) in zip(values, chosen, strict=True))
        for chosen in product(choices, repeat=len(values))
        if sum(throughput for throughput, _ in chosen) >= limits.duration / HOUR - 1e-9
    )
    assert elastic(series, limits, T0).cost_g_per_kw <= least * (1 + 1e-9) + 1e-9


@given(problems())
def test_never_dearer_than_any_fixed_number_of_workers(problem: tuple[IntensitySeries, Constraints]) -> None:
    series, limits = problem
    plan = elastic(series, limits, limits.earliest_at)
    rows = fixed_sizes(series, limits, limits.earliest_at)
    assert {row.manner for row in rows} == {"at once", "one run", "suspend and resume"}
    for row in rows:
        assert plan.cost_g_per_kw <= row.cost_g_per_kw * (1 + 1e-6) + 1e-6
