"""What is said of forecasts: each figure by hand, planted faults seen, and no way to look ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.forecasting_world import HOUR, START, grid, series, slow_noise, weather

from greenai.errors import SeriesError
from greenai.logic import skill, skill_own
from greenai.logic.history import History, history_of
from greenai.logic.skill import bins, by_lead, choice_regret, coverage, on_slots, said

QUARTER = timedelta(minutes=15)


def world(days: int = 66, **more: object) -> History:
    return history_of(series(grid(days * 24), **more))


def quiet(_done: int, _of: int) -> None:
    """Nobody listens."""


def test_what_was_not_said_is_left_out():
    judged = by_lead(np.array([[1.0, 3.0], [2.0, np.nan]]), np.array([1.0, 2.0]))
    assert judged.pairs.tolist() == [2, 1]
    assert judged.error_g_per_kwh.tolist() == [0.0, 1.0]
    assert judged.bias_g_per_kwh[1] == 1.0
    assert judged.slope[1] == pytest.approx(0.5)
    assert np.isnan(by_lead(np.full((2, 2), np.nan), np.array([1.0, 2.0])).error_g_per_kwh).all()


def test_what_did_not_come_yet_is_left_out():
    judged = by_lead(np.ones((3, 3)), np.array([1.0, np.nan, 4.0]))
    assert judged.pairs.tolist() == [2, 1, 1]
    assert judged.error_g_per_kwh.tolist() == [1.5, 3.0, 3.0]


def test_figures_by_hand():
    actual = np.array([10.0, 20.0, 40.0, 20.0])
    seen = np.array([[10.0, 24.0], [20.0, 30.0], [40.0, 10.0], [20.0, np.nan]])
    day = by_lead(seen, actual).pooled(1, 2)
    assert day.error_g_per_kwh[0] == pytest.approx((4 + 10 + 10) / 3)
    assert day.root_square_g_per_kwh[0] == pytest.approx(np.sqrt((16 + 100 + 100) / 3))
    assert day.bias_g_per_kwh[0] == pytest.approx((4 - 10 - 10) / 3)
    assert day.error_share[0] == pytest.approx((4 / 20 + 10 / 40 + 10 / 20) / 3)
    assert day.slope[0] == pytest.approx((14 * 10 + 10 * 20 + 30 * 20) / (14**2 + 10**2 + 30**2))


def test_pooling_weighs_by_what_was_judged():
    rng = np.random.default_rng(1)
    actual, seen = rng.uniform(50, 300, 60), rng.uniform(50, 300, (60, 9))
    judged = by_lead(seen, actual)
    whole = judged.pooled(1, 9)
    assert whole.error_g_per_kwh[0] == pytest.approx(
        (judged.error_g_per_kwh[1:] * judged.pairs[1:]).sum() / judged.pairs[1:].sum()
    )


@pytest.mark.parametrize("planted", [-20.0, 35.0])
def test_a_planted_bias_shows_in_full_and_leaves_the_slope(planted):
    actual = grid(400)
    seen = skill.came(actual, 25)
    judged = by_lead(seen + planted, actual).pooled(1, 25)
    assert judged.bias_g_per_kwh[0] == pytest.approx(planted)
    assert judged.slope[0] == pytest.approx(1.0)
    assert by_lead(seen, actual).pooled(1, 25).error_g_per_kwh[0] == pytest.approx(0)


def test_a_forecast_that_returns_too_fast_has_a_low_slope():
    actual = grid(600)
    begun = actual[:, None]
    too_fast = begun + 2 * (skill.came(actual, 7) - begun)
    assert by_lead(too_fast, actual).pooled(1, 7).slope[0] == pytest.approx(0.5)


def test_coverage_counts_what_came():
    actual = np.array([1.0, 2.0, 3.0, 4.0])
    low, middle, high = (np.tile([0.0, value], (4, 1)) for value in (1.5, 2.5, 3.5))
    found = coverage((low, middle, high), actual)
    assert (found.pairs, found.below_10, found.below_50, found.below_90) == (3, 0.0, 1 / 3, 2 / 3)
    assert found.within == pytest.approx(2 / 3)
    assert coverage((low, middle, high), np.full(4, np.nan)) is None


def test_an_interval_planted_too_narrow_shows():
    rng = np.random.default_rng(3)
    middle = np.full((4000, 2), 200.0)
    actual = 200 + rng.normal(0, 10, 4000)
    for width, wanted in ((12.816, 0.8), (4.0, 0.31)):
        found = coverage((middle - width, middle, middle + width), actual)
        assert found.within == pytest.approx(wanted, abs=0.03)
        assert found.below_50 == pytest.approx(0.5, abs=0.03)


def test_regret_by_hand():
    actual = np.array([4.0, 2.0, 1.0, 3.0])
    seen = np.array([[4.0, 1.0, 2.0], [2.0, 3.0, np.nan], [1.0, np.nan, np.nan], [3.0, 1.0, 1.0]])
    found = choice_regret(seen, actual, length=1, span=3)
    assert (found.decisions, found.share, found.of_oracle) == (1, 1.0, pytest.approx(2 / 3))
    knowing = choice_regret(skill.came(actual, 3), actual, length=1, span=3)
    assert (knowing.decisions, knowing.share, knowing.of_oracle) == (2, 0.0, 1.0)


def test_equal_windows_mean_now_and_a_flat_grid_has_nothing_to_save():
    flat = choice_regret(np.ones((5, 3)), np.ones(5), length=2, span=3)
    assert (flat.share, flat.of_oracle) == (0.0, None)
    clean = choice_regret(np.zeros((5, 3)), np.zeros(5), length=2, span=3)
    assert (clean.decisions, clean.share) == (3, None)


@pytest.mark.parametrize(("leads", "length", "span"), [(2, 1, 3), (5, 4, 3), (3, 1, 3)])
def test_no_decision_no_regret(leads, length, span):
    found = choice_regret(np.full((4, leads), np.nan), np.ones(4), length=length, span=span)
    assert (found.decisions, found.share, found.of_oracle) == (0, None, None)


@given(hnp.arrays(float, (12, 6), elements=st.floats(1, 900)), hnp.arrays(float, 12, elements=st.floats(1, 900)))
def test_regret_is_never_negative_and_agrees_with_brute_force(seen, actual):
    found = choice_regret(seen, actual, length=2, span=6)
    spent = least = 0.0
    for slot in range(12 - 6 + 1):
        costs = [actual[slot + start] + actual[slot + start + 1] for start in range(5)]
        said_costs = [seen[slot, start] + seen[slot, start + 1] for start in range(5)]
        chosen = next(start for start in range(5) if said_costs[start] <= min(said_costs) * (1 + 1e-10))
        spent, least = spent + costs[chosen], least + min(costs)
    assert found.share >= -1e-12
    assert found.share == pytest.approx((spent - least) / least, abs=1e-9)


def test_slots_of_another_length_are_means():
    hours = series(np.array([100.0, 200.0]))
    assert on_slots(hours, START, timedelta(minutes=30), 5).tolist() == pytest.approx([100, 100, 200, 200, np.nan], nan_ok=True)
    halves = series(np.array([100.0, 200.0, 300.0]), step=timedelta(minutes=30))
    assert on_slots(halves, START - HOUR, HOUR, 3).tolist() == pytest.approx([np.nan, 150, np.nan], nan_ok=True)


def test_a_forecast_counts_from_the_slot_it_was_read_in():
    """What was read late says nothing of the hours before: it would be hindsight."""
    truth = world(1)
    knowing = series(truth.values_g_per_kwh)
    table = said([(START + 5 * HOUR + QUARTER, knowing)], truth, 4)
    assert np.isnan(np.delete(table, 5, axis=0)).all()
    assert table[5].tolist() == pytest.approx(truth.values_g_per_kwh[5:9].tolist())


def test_of_two_in_a_slot_the_later_wins_where_it_says_something():
    truth = world(1)
    early, late = series(np.full(5, 1.0)), series(np.full(3, 2.0))
    table = said([(START + QUARTER, late), (START, early), (START - HOUR, late), (START + 30 * HOUR, late)], truth, 5)
    assert table[0].tolist() == pytest.approx([2, 2, 2, 1, 1])
    assert np.isnan(table[1:]).all()


def test_bins_end_where_the_leads_end():
    assert bins(HOUR, 25) == [(0, 1, 1, 2), (1, 3, 2, 4), (3, 6, 4, 7), (6, 12, 7, 13), (12, 24, 13, 25)]
    assert bins(timedelta(minutes=30), 5) == [(0, 1, 1, 3), (1, 3, 3, 5)]


def test_five_minutes_are_judged_by_the_hour():
    fine = history_of(series(np.repeat(grid(30), 12)[:-5], step=timedelta(minutes=5)))
    coarse = skill_own.coarse(fine)
    assert (coarse.like.step, coarse.start_at, len(coarse.values_g_per_kwh)) == (HOUR, START, 29)
    np.testing.assert_allclose(coarse.values_g_per_kwh, grid(30)[:-1])
    assert skill_own.coarse(world(1)).like.step == HOUR
    with pytest.raises(SeriesError, match="less than an hour"):
        skill_own.coarse(history_of(series(np.ones(5), step=timedelta(minutes=5))))


def test_own_forecasters_never_see_ahead():
    """Everything after a slot scrambled: what was said at the slot and before stays, bit for bit."""
    truth, cut = world(64), 63 * 24
    values = truth.values_g_per_kwh.copy()
    values[cut + 1 :] = np.random.default_rng(5).uniform(1, 900, len(values) - cut - 1)
    other = replace(truth, values_g_per_kwh=values)
    sky = weather(slow_noise(66 * 24, 2))
    makers = (
        lambda past: skill_own.lpr_said(past, 62 * 24, 25, quiet),
        lambda past: skill_own.naive_said(past, 62 * 24, 25, quiet),
        lambda past: skill_own.weather_said(past, 62 * 24, 25, sky),
    )
    for make in makers:
        one, two = make(truth), make(other)
        np.testing.assert_array_equal(one.middle[: cut + 1], two.middle[: cut + 1])
        assert not np.array_equal(one.middle[cut + 1 :], two.middle[cut + 1 :])
        if one.bounds and two.bounds:
            np.testing.assert_array_equal(one.bounds[0][: cut + 1], two.bounds[0][: cut + 1])


def test_own_intervals_cover_and_gaps_are_passed_over():
    truth = world(90)
    values = truth.values_g_per_kwh.copy()
    values[80 * 24 : 80 * 24 + 5] = np.nan
    gappy = replace(truth, values_g_per_kwh=values)
    made = skill_own.lpr_said(gappy, 65 * 24, 25, quiet)
    assert np.isnan(made.middle[80 * 24 : 80 * 24 + 5]).all()
    found = coverage((made.bounds[0], made.middle, made.bounds[1]), values)
    assert 0.7 < found.within < 0.9
    with pytest.raises(SeriesError, match="5 slots"):
        skill_own.weather_said(gappy, 65 * 24, 25, weather(slow_noise(91 * 24, 2)))


def test_the_first_slot_judged_has_past_enough():
    truth = world(66)
    assert skill_own.first_row(truth, 0, "lpr") == 60 * 24
    assert skill_own.first_row(truth, 65 * 24, "lpr") == 65 * 24
    values = truth.values_g_per_kwh.copy()
    values[:24] = np.nan
    assert skill_own.first_row(replace(truth, values_g_per_kwh=values), 0, "lpr") == 61 * 24
    with pytest.raises(SeriesError, match=r"60 days .* 10\.0 are known"):
        skill_own.first_row(world(10), 0, "lpr")
