"""No forecast, weight or decision made at an hour changes when everything after that hour is scrambled."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.forecasting_world import FIRST_HOUR, grid, slow_noise, weather

from greenai.logic.backtesting import POLICIES, Ground, Scenario
from greenai.logic.blending import rolling_blend
from greenai.logic.forecasting_lpr import rolling, rows_of
from greenai.logic.forecasting_profile import decaying_bias, log_of, seasonal_naive
from greenai.logic.forecasting_weather import anomalies, columns, rolling_with_weather

HOURS, BEGIN, LEADS, REACH = 90 * 24, 80 * 24, 30, 12
NOWS = st.integers(BEGIN, HOURS - 1)


def scrambled(values: np.ndarray, after: int) -> np.ndarray:
    """Everything later than hour `after` replaced by nonsense."""
    out = values.copy()
    out[after + 1 :] = np.random.default_rng(after).uniform(20, 900, len(out) - after - 1)
    return out


def lpr_rows(values):
    return rows_of(log_of(values), np.ones(len(values), dtype=bool), first_hour=FIRST_HOUR, leads=LEADS)


def lpr(values):
    return rolling(lpr_rows(values), list(range(BEGIN, HOURS, 24)), HOURS)


@settings(max_examples=8, deadline=None)
@given(now=NOWS)
def test_lpr_knows_nothing_after_now(now):
    values = grid(HOURS)
    np.testing.assert_array_equal(lpr(values)[: now - BEGIN + 1], lpr(scrambled(values, now))[: now - BEGIN + 1])


@settings(max_examples=5, deadline=None)
@given(now=NOWS)
def test_lpr_with_weather_knows_no_weather_beyond_its_reach(now):
    wind = slow_noise(HOURS, 7)
    values = grid(HOURS, wind=wind)
    other = wind.copy()
    other[now + REACH + 1 :] = 9.0

    def made(values, wind):
        known = anomalies(columns(weather(wind)), FIRST_HOUR)
        return rolling_with_weather(lpr_rows(values), known, [*range(BEGIN, HOURS, 96)], end=HOURS, reach=REACH)

    before, after = made(values, wind), made(scrambled(values, now), other)
    np.testing.assert_allclose(before[: now - BEGIN + 1], after[: now - BEGIN + 1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", [seasonal_naive, decaying_bias])
def test_the_simple_methods_know_nothing_after_now(method):
    values, now = grid(HOURS), BEGIN + 5
    one, two = (method(log_of(given), LEADS)[: now + 1] for given in (values, scrambled(values, now)))
    np.testing.assert_array_equal(one, two)


@settings(max_examples=10, deadline=None)
@given(now=st.integers(24, 299))
def test_a_blend_learns_only_from_what_has_come(now):
    rng = np.random.default_rng(3)
    own, service = rng.normal(5, 0.2, (2, 300, 10))
    log_g = rng.normal(5, 0.2, 310)
    came, other = (
        np.lib.stride_tricks.sliding_window_view(given, 10)[:300] for given in (log_g, np.where(np.arange(310) > now, 0.0, log_g))
    )
    np.testing.assert_array_equal(rolling_blend(own, service, came)[: now + 1], rolling_blend(own, service, other)[: now + 1])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("interruptible", [False, True])
def test_policies_run_the_same_until_the_scrambled_hours(policy, interruptible):
    values, now = grid(400), 300
    scenario = Scenario(length=3, slack=12, interruptible=interruptible)
    whole, cut = (
        Ground(
            zone="GB",
            actual=given,
            seen=np.column_stack([given, *[np.roll(values, 24 - lead) for lead in range(1, 15)]]),
            before=values[:200],
            arrivals=400,
            forecaster="test",
        )
        for given in (values, scrambled(values, now))
    )
    arrivals = now - scenario.span
    one, two = (POLICIES[policy](ground, scenario, arrivals) for ground in (whole, cut))
    np.testing.assert_array_equal(one.delay_slots, two.delay_slots)
    assert not one.late.any()
    assert timedelta(0) <= timedelta(hours=int(one.delay_slots.min()))
