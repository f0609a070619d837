"""The backtest: kernels beside plain loops, the rules of others on cases done by hand, and the contract of its rows."""

from __future__ import annotations

import itertools
import json
from importlib import resources

import jsonschema
import numpy as np
import pytest
from tests.forecasting_world import HOUR, START, grid, series

from greenai.errors import InputError
from greenai.logic import backtesting as bt
from greenai.logic import backtesting_baselines as rules
from greenai.logic import backtesting_kernel as kernel
from greenai.logic import backtesting_replay as replay
from greenai.logic.blending import anchored, blended, lead_weights, rolling_blend
from greenai.logic.forecasting import naive


def ground(actual, seen=None, **other):
    """A period played with a perfect forecast, or with `seen`."""
    leads = 16
    perfect = np.lib.stride_tricks.sliding_window_view(np.concatenate((actual, np.full(leads, actual[-1]))), leads)[: len(actual)]
    given = {"zone": "GB", "before": actual[:50], "arrivals": len(actual), "forecaster": "test"} | other
    return bt.Ground(actual=actual, seen=perfect if seen is None else seen, **given)


def noisy(actual, seed=0):
    seen = ground(actual).seen * np.random.default_rng(seed).lognormal(0, 0.2, (len(actual), 16))
    seen[:, 0] = actual
    return seen


@pytest.mark.parametrize("integers", [False, True])
def test_contiguous_starts_are_those_of_a_plain_loop(integers):
    seen = noisy(grid(120))
    seen = np.round(seen / 50) if integers else seen
    starts = kernel.contiguous_starts(seen, length=4, slack=9, arrivals=100)
    assert starts.tolist() == [replay.one_start(seen, arrival, 4, 9) for arrival in range(100)]


def test_interruptible_runs_are_those_of_a_plain_loop():
    seen = np.round(noisy(grid(120)) / 30)
    runs = kernel.interruptible_runs(seen, length=4, slack=9, arrivals=100)
    for arrival in range(100):
        left = 4
        for slot in range(13):
            better = (seen[arrival + slot, 1 : 13 - slot] < seen[arrival + slot, 0]).sum()
            run = left > 0 and better < left
            assert runs[arrival, slot] == run
            left -= run
        assert left == 0


def test_the_oracle_is_the_best_of_all_plans():
    actual = grid(60)
    whole = kernel.oracle_costs(actual, length=3, slack=5, interruptible=False)
    cut = kernel.oracle_costs(actual, length=3, slack=5, interruptible=True)
    for arrival in (0, 7, 31):
        part = actual[arrival : arrival + 8]
        assert whole[arrival] == pytest.approx(min(part[start : start + 3].sum() for start in range(6)))
        assert cut[arrival] == pytest.approx(min(sum(chosen) for chosen in itertools.combinations(part, 3)))


@pytest.mark.parametrize("scenario", [bt.Scenario(length=3, slack=12), bt.Scenario(length=3, slack=12, interruptible=True)])
def test_a_perfect_forecast_reaches_the_oracle(scenario):
    row = bt.backtest(ground(grid(400)), scenario, "rolling")
    assert row["fraction_of_oracle"] == pytest.approx(1.0)
    assert row["saving_low"] <= row["saving"] <= row["saving_high"]
    assert row["deadline_misses"] == 0


@pytest.mark.parametrize("policy", bt.POLICIES)
@pytest.mark.parametrize("cut", [False, True])
def test_rows_keep_the_contract(policy, cut):
    row = bt.backtest(ground(grid(400), noisy(grid(400))), bt.Scenario(length=2, slack=10, interruptible=cut), policy)
    schema = json.loads((resources.files("greenai.schemas") / "backtest.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate([row], schema)
    assert row["deadline_misses"] == 0
    assert row["oracle_saving"] >= row["saving"] - 1e-12
    assert row["arrivals"] == 388
    assert list(row) == schema["items"]["required"]


def test_a_flat_grid_has_no_fraction():
    row = bt.backtest(ground(np.full(100, 300.0)), bt.Scenario(length=2, slack=5), "rolling")
    assert row["fraction_of_oracle"] is None
    assert row["mean_delay_h"] == 0.0


def test_half_hours_are_counted_as_half_hours():
    row = bt.backtest(ground(grid(400), slot_h=0.5), bt.Scenario(length=4, slack=8), "percentile-past-week")
    assert (row["duration_h"], row["slack_h"]) == (2.0, 4.0)
    assert row["run_now_g_per_kwh"] == pytest.approx(200, rel=0.2)


def test_what_cannot_be_played_is_refused():
    with pytest.raises(InputError, match="no policy 'best'"):
        bt.backtest(ground(grid(100)), bt.SIX[0], "best")
    with pytest.raises(InputError, match="shorter than a job"):
        bt.backtest(ground(grid(12)), bt.Scenario(length=4, slack=8), "once")
    with pytest.raises(InputError, match="cannot plan"):
        bt.backtest(ground(grid(100)), bt.SIX[1], "once")


def test_the_rules_of_others_by_hand():
    seen = np.array([[5.0, 1.0, 4.0, 2.0, 2.0]])
    assert rules.lowest_slots(seen, 2).tolist() == [[False, True, False, True, False]]
    assert rules.worth_the_wait(seen, 1).tolist() == [1]
    go = np.array([False, False, True, False, True, False, False])
    assert rules.first_signal(go, 3).tolist() == [2, 1, 0, 1]
    assert rules.runs_on_signal(go, 2, 2)[0].tolist() == [False, False, True, True]
    assert rules.runs_on_signal(go, 1, 2)[0].tolist() == [False, False, True]


def test_the_past_percentile_looks_at_the_week_before():
    before, actual = np.arange(10.0, 20.0), np.array([11.0, 18.0])
    assert rules.below_past_percentile(actual, before, 5).tolist() == [True, False]
    assert rules.below_past_percentile(actual[::-1], before[:0], 5).tolist() == [False, True]


def test_look_ahead_raises():
    whole = series(grid(100))
    past = replay.Past(whole=whole, now_at=START + 50.5 * HOUR)
    assert len(past.history().values_g_per_kwh) == 51
    assert past.between(START, START + 51 * HOUR).end_at == past.known_to_at
    with pytest.raises(replay.LookAhead, match="not known yet"):
        past.between(START, START + 52 * HOUR)


def test_any_forecaster_can_be_replayed_slot_by_slot():
    values = grid(100)
    made = replay.matrix(series(values), naive, (72, 80), 30)
    assert made.shape == (8, 30)
    np.testing.assert_array_equal(made[:, 0], values[72:80])
    np.testing.assert_allclose(made[0, 1:25], values[49:73])


def test_cats_reads_averages_as_points_joined_by_lines():
    seen = np.array([[5.0, 1.0, 4.0, 2.0, 2.0]] * 4)
    played = bt.cats_window(ground(np.full(9, 1.0), seen), bt.Scenario(length=1, slack=3), 1)
    # Areas 3, 2.5, 3, 2: the last pair; the averages themselves would choose the second slot.
    assert played.delay_slots.tolist() == [3]
    played = bt.cats_window(ground(np.full(9, 1.0), seen), bt.Scenario(length=1, slack=4), 1)
    assert played.delay_slots.tolist() == [3]


def test_a_threshold_may_be_any_number():
    assert bt.play_named("threshold-150") is not None
    assert bt.play_named("threshold-") is None
    assert bt.play_named("guess") is None
    row = bt.backtest(ground(grid(400)), bt.Scenario(length=2, slack=10), "threshold-9999")
    assert (row["policy"], row["mean_delay_h"]) == ("threshold-9999", 0)


CUT = bt.Scenario(length=3, slack=10, interruptible=True, resume_slots=0.1)


@pytest.mark.parametrize("policy", bt.POLICIES)
def test_resumes_are_paid_by_every_policy_and_by_the_oracle(policy):
    actual = grid(400) + 60 * np.random.default_rng(1).random(400)
    free, paid = (
        bt.backtest(
            ground(actual, noisy(actual)), bt.Scenario(length=3, slack=slack, interruptible=True, resume_slots=cost), policy
        )
        for slack, cost in ((9, 0.0), (10, 0.1))
    )
    assert paid["oracle_saving"] < free["oracle_saving"]
    assert paid["saving"] <= paid["oracle_saving"] + 1e-12
    assert paid["saving"] <= free["saving"] + 1e-3
    assert (paid["slack_h"], paid["deadline_misses"]) == (10, 0)


@pytest.mark.parametrize("policy", ["rolling", "once"])
def test_a_perfect_forecast_reaches_the_oracle_that_pays(policy):
    actual = grid(400) + 60 * np.random.default_rng(1).random(400)
    assert bt.backtest(ground(actual), CUT, policy)["fraction_of_oracle"] == pytest.approx(1)


def test_without_slack_there_is_nothing_to_keep_free():
    row = bt.backtest(ground(grid(100)), bt.Scenario(length=3, slack=0, interruptible=True, resume_slots=0.1), "rolling")
    assert (row["saving"], row["deadline_misses"]) == (0, 0)


@pytest.mark.parametrize("cost", [-0.1, 1.1])
def test_a_resume_costs_at_most_a_slot(cost):
    with pytest.raises(InputError, match="more than one slot"):
        bt.Scenario(length=3, slack=10, interruptible=True, resume_slots=cost)


def test_the_interval_of_a_few_days_is_one():
    rng = np.random.default_rng(5)
    low, high = bt.interval(np.full(7 * 24, 300.0), 300 - 100 * rng.random(7 * 24), 24)
    assert low < high
    low, high = bt.interval(np.full(24, 300.0), np.full(24, 200.0), 24)
    assert low == high == pytest.approx(1 / 3)


def test_a_blend_finds_the_better_source():
    rng = np.random.default_rng(1)
    came = rng.normal(5, 0.3, (600, 9))
    good, bad = came + rng.normal(0, 0.05, came.shape), came + rng.normal(0, 0.5, came.shape)
    assert np.all(lead_weights(bad, good, came) > 0.85)
    assert np.all(lead_weights(good, bad, came) < 0.15)
    np.testing.assert_allclose(rolling_blend(good, bad, came)[:24], (good[:24] + bad[:24]) / 2)
    assert lead_weights(bad[:0], good[:0], came[:0]) == pytest.approx(np.full(9, 0.5))


def test_a_silent_service_leaves_our_own():
    own, service = np.full((2, 3), 5.0), np.array([[4.0, np.nan, 4.0]] * 2)
    assert blended(own, service, np.full(3, 0.5)).tolist() == [[4.5, 5.0, 4.5]] * 2


def test_anchoring_meets_the_measured_value():
    moved = anchored(np.full((1, 13), 5.0), np.array([5.6]))
    assert moved[0, 0] == 5.6
    assert moved[0, 6] == pytest.approx(5 + 0.6 / np.e)
