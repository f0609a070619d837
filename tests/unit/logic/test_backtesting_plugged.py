"""Policies of others: the same rules as plug-ins come out the same, and one that cheats is caught."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import numpy as np
import pytest
from tests.forecasting_world import HOUR, START, grid, series

from greenai.logic import backtesting as bt
from greenai.logic import placing
from greenai.logic.backtesting_plugged import plugged
from greenai.logic.backtesting_replay import LookAhead, Past
from greenai.model.plan import Window

BEGIN, LEADS = 60, 20
WHOLE = series(np.round(grid(200)) + np.random.default_rng(1).random(200))


def ground(values=WHOLE.values):
    actual = values[BEGIN:]
    seen = np.lib.stride_tricks.sliding_window_view(np.concatenate((actual, np.full(LEADS, 300.0))), LEADS)[: len(actual)]
    seen = seen * np.random.default_rng(2).lognormal(0, 0.2, seen.shape)
    seen[:, 0] = actual
    return bt.Ground(zone="GB", actual=actual, seen=seen, before=values[:BEGIN], arrivals=50, forecaster="test")


def rows(scenario, policy, ours, *, once=False):
    play = plugged(policy, WHOLE, BEGIN, once=once)
    return bt.backtest(ground(), scenario, "theirs", play), bt.backtest(ground(), scenario, ours)


def numbers(row):
    return {name: value for name, value in row.items() if name != "policy"}


@pytest.mark.parametrize(
    ("scenario", "policy", "ours", "once"),
    [
        (bt.Scenario(length=3, slack=9), placing.greenest, "rolling", False),
        (bt.Scenario(length=3, slack=9, interruptible=True), placing.interruptible, "rolling", False),
        (bt.Scenario(length=3, slack=9), placing.greenest, "once", True),
        (bt.Scenario(length=3, slack=9, interruptible=True), placing.interruptible, "once", True),
        (bt.Scenario(length=3, slack=9), placing.asap, "run-now", False),
    ],
)
def test_our_rules_as_plug_ins_come_out_the_same(scenario, policy, ours, once):
    theirs, kernels = rows(scenario, policy, ours, once=once)
    assert numbers(theirs) == pytest.approx(numbers(kernels))


def test_a_resume_cost_is_told_to_the_policy_and_paid():
    asked = []

    def policy(forecast, limits, now_at):
        asked.append(limits.resume_cost)
        return placing.interruptible(forecast, limits, now_at)

    scenario = bt.Scenario(length=3, slack=9, interruptible=True, resume_slots=0.5)
    theirs, kernels = rows(scenario, policy, "rolling")
    assert set(asked) == {timedelta(minutes=30)}
    assert theirs["saving"] <= kernels["oracle_saving"]
    assert theirs["deadline_misses"] == 0


def test_a_policy_is_given_no_later_measured_value():
    """Everything it is handed is the same when all that comes after is scrambled."""
    handed = []

    def policy(forecast, limits, now_at, past):
        handed.append((now_at, forecast.values.tolist(), past.whole.values.tolist()))
        base = past.whole.values.base
        assert base is None or len(base) == len(past.whole)
        return placing.asap(forecast, limits, now_at)

    bt.backtest(ground(), bt.Scenario(length=2, slack=5), "theirs", plugged(policy, WHOLE, BEGIN))
    first = list(handed)
    handed.clear()
    scrambled = WHOLE.values.copy()
    scrambled[BEGIN + 50 :] = 9.0
    other = dataclasses.replace(WHOLE, values=scrambled)
    bt.backtest(ground(), bt.Scenario(length=2, slack=5), "theirs", plugged(policy, other, BEGIN))
    assert handed == first
    assert {len(past) for at, _, past in handed} == {BEGIN + slot + 1 for slot in range(50)}


def test_a_policy_that_asks_for_its_future_is_stopped():
    def cheat(forecast, limits, now_at, past):
        return placing.greenest(past.between(now_at, limits.deadline_at), limits, now_at)

    with pytest.raises(LookAhead, match="are not known yet"):
        bt.backtest(ground(), bt.Scenario(length=2, slack=5), "theirs", plugged(cheat, WHOLE, BEGIN))


def test_a_policy_that_runs_in_its_past_is_stopped():
    def cheat(forecast, limits, now_at):
        plan = placing.asap(forecast, limits, now_at)
        early = tuple(Window(start_at=w.start_at - HOUR, end_at=w.end_at - HOUR) for w in plan.windows)
        return dataclasses.replace(plan, windows=early)

    for once in (False, True):
        with pytest.raises(LookAhead, match="planned to begin at"):
            bt.backtest(ground(), bt.Scenario(length=2, slack=5), "theirs", plugged(cheat, WHOLE, BEGIN, once=once))


def test_a_policy_that_never_starts_runs_at_the_limit():
    def never(forecast, limits, now_at):
        plan = placing.asap(forecast, limits, now_at)
        return dataclasses.replace(plan, windows=(Window(start_at=limits.latest_start_at, end_at=limits.deadline_at),))

    row = bt.backtest(ground(), bt.Scenario(length=2, slack=5), "theirs", plugged(never, WHOLE, BEGIN))
    assert (row["mean_delay_h"], row["deadline_misses"]) == (5, 0)


def test_a_plan_that_ends_late_is_late():
    def late(forecast, limits, now_at):
        plan = placing.asap(forecast, limits, now_at)
        window = Window(start_at=limits.deadline_at - HOUR, end_at=limits.deadline_at + HOUR)
        return dataclasses.replace(plan, windows=(window,))

    row = bt.backtest(ground(), bt.Scenario(length=2, slack=5), "theirs", plugged(late, WHOLE, BEGIN, once=True))
    assert row["deadline_misses"] == row["arrivals"]


def test_the_past_holds_nothing_later():
    past = Past(whole=WHOLE, now_at=START + 50.5 * HOUR)
    assert len(past.whole) == 51
    with pytest.raises(LookAhead):
        past.between(START, START + 52 * HOUR)


@pytest.mark.parametrize("interruptible", [False, True])
@pytest.mark.parametrize("once", [False, True])
def test_only_the_arrivals_of_jobs_are_asked_about(*, once, interruptible):
    """What comes of them is what comes of them when all are asked about."""
    asked = []

    def policy(forecast, limits, now_at):
        asked.append(now_at)
        return (placing.interruptible if interruptible else placing.greenest)(forecast, limits, now_at)

    scenario = bt.Scenario(length=3, slack=9, interruptible=interruptible)
    play, world = plugged(policy, WHOLE, BEGIN, once=once), ground()
    of_all = play(world, scenario, 50)
    asked.clear()
    wanted = np.isin(np.arange(50), (7, 30))
    of_two = play(dataclasses.replace(world, wanted=wanted), scenario, 50)
    assert {(at - START) // HOUR - BEGIN for at in asked} <= {*range(7, 19), *range(30, 42)}
    for name in ("costs_g_per_kw", "delay_slots", "late"):
        assert getattr(of_two, name)[wanted].tolist() == getattr(of_all, name)[wanted].tolist()
