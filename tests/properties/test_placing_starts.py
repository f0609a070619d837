"""Uninterrupted runs against brute force over every minute, on data whose bends all lie on whole minutes."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count, takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning_world import MINUTE, T0, grid, limits

from greenai.logic.placing import asap, greenest, greenest_starts, percentile, threshold, time_percentile
from greenai.logic.starts import MICROSECOND
from greenai.model.job import Constraints
from greenai.model.plan import Plan
from greenai.model.series import IntensitySeries

Task = tuple[IntensitySeries, Constraints, datetime]


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """A series of a few slots, a job that fits it, and a moment inside a slot; sometimes more time than the series covers."""
    rng = draw(st.randoms(use_true_random=False))
    step = rng.choice((1, 5, 5, 15, 30, 60))
    values = [rng.choice((0.0, 0.0, 50.0, 120.5, 200.25, 431.0, rng.uniform(1, 600))) for _ in range(rng.randint(1, 12))]
    covered = step * len(values)
    duration = rng.randint(1, covered)
    now = rng.randint(0, covered - duration)
    slack = rng.randint(0, covered - duration - now) + rng.choice((0, 0, 0, 37))
    constraints = Constraints(
        earliest_at=T0 + rng.choice((0, now)) * MINUTE,
        deadline_at=T0 + (now + slack + duration) * MINUTE,
        duration=duration * MINUTE,
        max_g_per_kwh=rng.uniform(0, 500),
        percentile=rng.choice((0, 10, 30, 75, 100)),
    )
    return grid(values, step * MINUTE), constraints, T0 + now * MINUTE


def every_minute(task: Task) -> list[tuple[datetime, float]]:
    """(start, g per kW) of every admissible start on a whole minute, slot by slot: no prefix sums."""
    series, c, now_at = task
    per_minute = np.repeat(series.values, int(series.step / MINUTE)) / 60
    length = c.duration // MINUTE
    last_at = min(c.latest_start_at, series.end_at - c.duration)
    starts = takewhile(lambda start_at: start_at <= last_at, (max(now_at, c.earliest_at) + i * MINUTE for i in count()))
    return [(start, float(per_minute[(i := (start - T0) // MINUTE) : i + length].sum())) for start in starts]


@given(tasks())
def test_greenest_is_the_least_of_all_and_the_earliest_of_those(task: Task) -> None:
    series, c, now_at = task
    plan, starts = greenest(series, c, now_at), every_minute(task)
    least = min(cost for _, cost in starts)
    assert plan.cost_g_per_kw == pytest.approx(least, rel=1e-9, abs=1e-9)
    first_at = next(start for start, cost in starts if cost <= least * (1 + 1e-9) + 1e-9)
    assert plan.windows[0].start_at == first_at
    assert plan.expected_g_per_kwh == pytest.approx(plan.cost_g_per_kw * 60 / (c.duration / MINUTE), rel=1e-12, abs=1e-12)


@given(tasks(), st.integers(0, 59_999_999), st.integers(0, 59_999_999))
def test_no_start_between_the_minutes_is_greener(task: Task, start_us: int, length_us: int) -> None:
    series, whole, now_at = task
    duration = max(whole.duration - timedelta(microseconds=length_us), timedelta(microseconds=1))
    c = Constraints(earliest_at=whole.earliest_at, deadline_at=whole.deadline_at, duration=duration)
    now_at = min(now_at + timedelta(microseconds=start_us), c.latest_start_at, series.end_at - duration)
    plan = greenest(series, c, now_at)
    last_at = min(c.latest_start_at, series.end_at - duration)
    assert now_at <= plan.windows[0].start_at <= last_at
    for share in np.linspace(0, 1, 25):
        start_at = now_at + (last_at - now_at) * float(share)
        cost = series.integral_g_per_kw(start_at, start_at + duration)
        assert plan.cost_g_per_kw <= cost * (1 + 1e-9) + 1e-9


@given(tasks())
def test_threshold_starts_at_the_first_second_below(task: Task) -> None:
    series, c, now_at = task
    assert c.max_g_per_kwh is not None
    check_first_below(task, threshold(series, c, now_at), c.max_g_per_kwh)


@given(st.lists(st.integers(0, 20), min_size=3, max_size=12), st.integers(1, 5400), st.integers(0, 5400))
def test_a_mean_of_exactly_the_limit_is_not_below_it(tens: list[int], duration_s: int, second: int) -> None:
    """The limit is the mean at a whole second, where the line may cross it: that start is not below, a later one may be."""
    series = grid([10.0 * ten for ten in tens], 30 * MINUTE)
    duration = timedelta(seconds=min(duration_s, 1800 * len(tens) // 2))
    at = T0 + min(timedelta(seconds=second), series.end_at - T0 - duration)
    limit_g_per_kwh = series.mean_g_per_kwh(at, at + duration)
    c = limits(duration, series.end_at - T0, max_g_per_kwh=limit_g_per_kwh)
    plan = threshold(series, c, T0)
    assert plan.windows[0].start_at != at or plan.note.startswith("never below")
    if not plan.note.startswith("never below"):
        assert plan.expected_g_per_kwh < limit_g_per_kwh


@given(tasks())
def test_percentile_is_a_threshold_on_what_a_run_could_meet(task: Task) -> None:
    series, c, now_at = task
    starts = [start for start, _ in every_minute(task)]
    minutes = np.repeat(series.values, int(series.step / MINUTE))
    met = np.sort(minutes[(starts[0] - T0) // MINUTE : (starts[-1] + c.duration - T0) // MINUTE])
    limit = met[max(0, int(np.ceil(len(met) * c.percentile / 100 - 1e-9)) - 1)]
    assert time_percentile(series, starts[0], starts[-1] + c.duration, c.percentile) == limit
    check_first_below(task, percentile(series, c, now_at), float(limit))


def check_first_below(task: Task, plan: Plan, limit_g_per_kwh: float) -> None:
    """The plan starts below the limit, on the first second that does; if none does it is the greenest, and says so."""
    series, c, now_at = task
    start_at, starts = plan.windows[0].start_at, every_minute(task)
    least = min(cost for _, cost in starts)
    hours = c.duration / timedelta(hours=1)
    if least >= limit_g_per_kwh * hours * (1 - 1e-10):
        assert plan.note.startswith("never below")
        assert start_at == greenest(series, c, now_at).windows[0].start_at
        return
    assert "never below" not in plan.note
    assert plan.expected_g_per_kwh < limit_g_per_kwh
    a_second_before = [start for start in (start_at - timedelta(seconds=1, microseconds=1),) if start >= now_at]
    whole_minutes_before = [start for start, _ in starts if start < start_at][-40:]
    for earlier_at in (*a_second_before, *whole_minutes_before):
        mean = series.mean_g_per_kwh(earlier_at, earlier_at + c.duration)
        assert mean >= limit_g_per_kwh * (1 - 1e-7)


@given(tasks())
def test_asap_is_the_first_admissible_moment(task: Task) -> None:
    series, c, now_at = task
    plan = asap(series, c, now_at)
    first_at, cost = every_minute(task)[0]
    assert plan.windows[0].start_at == first_at
    assert plan.cost_g_per_kw == pytest.approx(cost, rel=1e-9, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from((5, 30, 60)))
def test_many_at_once_are_the_same_as_one_by_one(seed: int, step: int) -> None:
    """Forty jobs of any length with any limits, in whole microseconds; some fit nowhere."""
    rng = np.random.default_rng(seed)
    series = grid(list(rng.choice([0, 50, 120.5, 431, 90, 300], rng.integers(1, 40))), step * MINUTE)
    covered_us = (series.end_at - T0) // timedelta(microseconds=1)
    low_us, slack_us, length_us = (rng.integers(1, covered_us * share, 40) for share in (1.0, 0.6, 0.4))
    slack_us[:10] = 0
    starts_s, costs = greenest_starts(series, low_us / 1e6, (low_us + slack_us) / 1e6, length_us / 1e6)
    assert starts_s.shape == costs.shape == (40,)
    for low, slack, length, start_s, cost in zip(low_us, slack_us, length_us, starts_s, costs, strict=True):
        if low + length > covered_us:
            assert np.isnan(start_s)
            assert np.isnan(cost)
            continue
        earliest_at, duration = T0 + int(low) * MICROSECOND, int(length) * MICROSECOND
        c = Constraints(earliest_at=earliest_at, deadline_at=earliest_at + int(slack) * MICROSECOND + duration, duration=duration)
        plan = greenest(series, c, T0)
        assert start_s == pytest.approx(series.offset_s(plan.windows[0].start_at), abs=1e-5)
        assert cost == pytest.approx(plan.cost_g_per_kw, rel=1e-9, abs=1e-9)
