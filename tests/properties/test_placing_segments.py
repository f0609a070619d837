"""The dynamic programme of interruptible plans against exhaustive search in whole units of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from math import inf
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenai.logic.placing import greenest, interruptible
from greenai.model.job import Constraints
from greenai.model.plan import Plan
from greenai.model.series import IntensitySeries, Source

T0 = datetime(2026, 3, 28, 22, tzinfo=UTC)  # the night clocks change in Europe: nothing may depend on it
UNIT = timedelta(minutes=7)


def series_of(values: list[int], slot_units: int) -> IntensitySeries:
    source = Source(provider="test", url="", fetched_at=T0, payload_sha256="")
    return IntensitySeries(start_at=T0, step=slot_units * UNIT, values=np.array(values, float), zone="XX", source=source)


def cheapest_by_search(values: list[int], slot: int, c: Constraints, *, on_grid: bool) -> float:
    """Every choice of segments in whole units, in g per kW; on the grid all cuts but one lie on a slot edge or a limit."""
    per_unit = [values[t // slot] * (UNIT / timedelta(hours=1)) for t in range(slot * len(values))]
    low, end = (c.earliest_at - T0) // UNIT, min((c.deadline_at - T0) // UNIT, len(per_unit))
    work, resume, chunk = c.duration // UNIT, c.resume_cost // UNIT, c.min_chunk // UNIT
    sums = np.concatenate(([0.0], np.cumsum(per_unit)))

    def free(t: int) -> int:
        return 0 if not on_grid or t % slot == 0 or t in {low, end} else 1

    @cache
    def search(after: int, left: int, to_come: int, first: bool, spare: int) -> float:
        if to_come == 0:
            return 0.0 if left == 0 else inf
        least = max(1, chunk + (0 if first else resume))
        best = inf
        for start in range(after, end):
            for stop in range(start + least, min(end, start + left) + 1):
                used = free(start) + free(stop)
                if used <= spare:
                    rest = search(stop + 1, left - (stop - start), to_come - 1, False, spare - used)
                    best = min(best, float(sums[stop] - sums[start]) + rest)
        return best

    most = min(c.max_segments or work, max(work // max(chunk, 1), 1))
    single = min(float(sums[t + work] - sums[t]) for t in range(low, end - work + 1))
    return min([single, *(search(low, work + (s - 1) * resume, s, True, 1) for s in range(2, most + 1))])


@st.composite
def tasks(draw: st.DrawFn, *, chunk: str = "any") -> tuple[list[int], int, Constraints]:
    """Up to 14 units of time in slots of clean and dirty hours by turns: most of these jobs are best cut."""
    rng = draw(st.randoms(use_true_random=False))
    slot = rng.randint(1, 4)
    values = [rng.choice((0, 1, 2, 5, 8, 9, 9)) for _ in range(rng.randint(max(2, 6 // slot), 14 // slot))]
    units = slot * len(values)
    inside = 0 if chunk == "whole" else slot - 1
    low, end = rng.randint(0, inside), units - rng.randint(0, inside)
    whole = slot if chunk == "whole" else 1
    return (
        values,
        slot,
        Constraints(
            earliest_at=T0 + low * UNIT,
            deadline_at=T0 + end * UNIT,
            duration=rng.randint(1, max(1, (end - low) * 2 // 3)) * UNIT,
            min_chunk=0 * UNIT if chunk == "none" else rng.choice((0, 0, 1, 2, 3)) * whole * UNIT,
            resume_cost=rng.choice((0, 0, 1) if whole > 1 else (0, 0, 1, 1, 2)) * whole * UNIT,
            max_segments=rng.choice((None, None, 2, 3)),
        ),
    )


def check_lawful(plan: Plan, series: IntensitySeries, c: Constraints) -> None:
    """The plan keeps every limit and costs what it says."""
    windows = plan.windows
    assert windows[0].start_at >= c.earliest_at
    assert windows[-1].end_at <= min(c.deadline_at, series.end_at)
    assert all(earlier.end_at < later.start_at for earlier, later in pairwise(windows))
    assert c.max_segments is None or len(windows) <= c.max_segments
    run_time = sum((window.duration for window in windows), timedelta(0))
    assert run_time == c.duration + (len(windows) - 1) * c.resume_cost
    if len(windows) > 1:
        assert windows[0].duration >= c.min_chunk
        assert all(window.duration >= c.min_chunk + c.resume_cost for window in windows[1:])
    paid = sum(series.integral_g_per_kw(window.start_at, window.end_at) for window in windows)
    assert plan.cost_g_per_kw == pytest.approx(paid, rel=1e-9, abs=1e-9)
    assert plan.expected_g_per_kwh == pytest.approx(paid / (run_time / timedelta(hours=1)), rel=1e-9, abs=1e-9)


@given(tasks())
def test_no_plan_on_the_grid_is_cheaper(task: tuple[list[int], int, Constraints]) -> None:
    values, slot, c = task
    series = series_of(values, slot)
    plan = interruptible(series, c, c.earliest_at)
    check_lawful(plan, series, c)
    assert plan.cost_g_per_kw == pytest.approx(cheapest_by_search(values, slot, c, on_grid=True), rel=1e-9, abs=1e-9)


@given(tasks(chunk="none"))
def test_without_a_minimum_chunk_no_plan_at_all_is_cheaper(task: tuple[list[int], int, Constraints]) -> None:
    values, slot, c = task
    plan = interruptible(series_of(values, slot), c, c.earliest_at)
    assert plan.cost_g_per_kw == pytest.approx(cheapest_by_search(values, slot, c, on_grid=False), rel=1e-9, abs=1e-9)


@given(tasks(chunk="whole"))
def test_with_everything_but_the_work_in_whole_slots_no_plan_at_all_is_cheaper(task: tuple[list[int], int, Constraints]) -> None:
    values, slot, c = task
    plan = interruptible(series_of(values, slot), c, c.earliest_at)
    assert plan.cost_g_per_kw == pytest.approx(cheapest_by_search(values, slot, c, on_grid=False), rel=1e-9, abs=1e-9)


@given(tasks())
def test_never_dearer_than_one_window_and_equal_with_one_segment(task: tuple[list[int], int, Constraints]) -> None:
    values, slot, c = task
    series = series_of(values, slot)
    one = greenest(series, c, c.earliest_at)
    assert interruptible(series, c, c.earliest_at).cost_g_per_kw <= one.cost_g_per_kw * (1 + 1e-12)


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_without_costs_and_limits_it_is_the_cheapest_time_there_is(rng: Random, parts: int) -> None:
    """A day or two, now inside a slot: with free resumes the answer is known without a programme."""
    values = [rng.randint(0, 400) for _ in range(rng.randint(20, 60))]
    low, end = rng.randrange(5), 5 * len(values) - rng.randrange(5)
    c = Constraints(earliest_at=T0 + low * UNIT, deadline_at=T0 + end * UNIT, duration=parts * UNIT)
    plan = interruptible(series_of(values, 5), c, c.earliest_at)
    cheapest = sorted(values[t // 5] for t in range(low, end))[:parts]
    assert plan.cost_g_per_kw == pytest.approx(sum(cheapest) * (UNIT / timedelta(hours=1)), rel=1e-9)
