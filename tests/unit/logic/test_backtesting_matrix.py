"""The matrix a backtest is played on: nothing from the future, and the fast way beside the slow one."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from tests.forecasting_world import HOUR, START, grid, series, slow_noise, weather

from greenai.errors import InputError, SeriesError
from greenai.logic.backtesting_matrix import Period, forecast_matrix, refitted, tail_naive
from greenai.logic.forecasting import lpr, naive
from greenai.logic.history import history_of

DAYS = 80
BEGIN = 70 * 24
HALF = timedelta(minutes=30)


def no_plugin(name):
    raise InputError(f"there is no forecaster named {name!r}")


def period(values, *, begin=BEGIN, end=None, leads=30, step=HOUR):
    return Period(whole=series(values, step=step), begin=begin, end=len(values) if end is None else end, leads=leads)


def made(wanted, name, **other):
    return forecast_matrix(wanted, name, plugin=no_plugin, **other)


@pytest.mark.parametrize("name", ["seasonal-naive", "lpr", "lpr+weather", "perfect"])
def test_each_row_begins_with_what_was_measured(name):
    values = grid(DAYS * 24)
    seen = made(period(values), name, weather=weather(slow_noise(DAYS * 24, 2)))
    assert seen.shape == (len(values) - BEGIN, 30)
    assert seen[:, 0].tolist() == values[BEGIN:].tolist()
    assert np.isfinite(seen).all()


@pytest.mark.parametrize("name", ["seasonal-naive", "lpr", "lpr+weather"])
def test_a_scrambled_future_changes_no_row_before_it(name):
    values, wind, cut = grid(DAYS * 24), slow_noise(DAYS * 24, 2), BEGIN + 200
    other = values.copy()
    other[cut:] = 900 - other[cut:]
    rows = cut - BEGIN
    before, after = (made(period(v), name, weather=weather(wind)) for v in (values, other))
    np.testing.assert_array_equal(before[:rows], after[:rows])
    assert not np.allclose(before[rows:], after[rows:])


def test_the_fast_seasonal_naive_is_the_forecasters_own():
    values = grid(20 * 24)
    wanted = period(values, begin=300, end=330)
    slow = forecast_matrix(wanted, "own", plugin={"own": naive}.__getitem__)
    np.testing.assert_allclose(made(wanted, "seasonal-naive"), slow)


def test_half_hours_are_forecast_slot_by_slot():
    values = grid(DAYS * 48)
    wanted = period(values, begin=70 * 48, end=70 * 48 + 4, leads=12, step=HALF)
    for name, plugin in (("lpr", lpr), ("seasonal-naive", naive)):
        seen = made(wanted, name)
        slow = forecast_matrix(wanted, "own", plugin={"own": plugin}.__getitem__)
        np.testing.assert_allclose(seen[0], slow[0], rtol=0.01)
        assert seen.shape == (4, 12)


def test_a_model_is_kept_for_a_week():
    values = grid(DAYS * 24)
    forecaster = refitted()

    def at(hours):
        return forecaster(history_of(series(values[:hours])), timedelta(hours=6)).values

    first = at(BEGIN)
    assert at(BEGIN + 100).tolist() != first.tolist()
    assert at(BEGIN).tolist() == first.tolist()
    kept, fresh = at(BEGIN + 167), at(BEGIN + 168)
    assert np.isfinite(kept).all()
    assert fresh.tolist() == refitted()(history_of(series(values[: BEGIN + 168])), timedelta(hours=6)).values.tolist()


def test_the_tail_says_what_the_whole_past_says():
    past = history_of(series(grid(30 * 24)))
    horizon = timedelta(hours=24)
    assert tail_naive(past, horizon).values.tolist() == naive(past, horizon).values.tolist()


def test_perfect_knows_all_and_repeats_the_end():
    values = grid(100)
    seen = made(period(values, begin=0, leads=5), "perfect")
    assert seen[10].tolist() == values[10:15].tolist()
    assert seen[-1].tolist() == [values[-1]] * 5


def test_too_little_past_is_refused():
    with pytest.raises(SeriesError, match="lpr needs 60 days"):
        made(period(grid(DAYS * 24), begin=59 * 24), "lpr")
    with pytest.raises(SeriesError, match="2 days"):
        made(period(grid(DAYS * 24), begin=24), "unknown")
    with pytest.raises(InputError, match="unknown"):
        made(period(grid(DAYS * 24)), "unknown")


def test_weather_may_begin_later_and_must_cover():
    values, wind = grid(DAYS * 24), slow_noise(DAYS * 24, 2)
    late = weather(wind[:-24], start_at=START + 24 * HOUR)
    assert np.isfinite(made(period(values), "lpr+weather", weather=late)).all()
    early = weather(slow_noise((DAYS + 1) * 24, 2), start_at=START - 24 * HOUR)
    assert np.isfinite(made(period(values), "lpr+weather", weather=early)).all()
    with pytest.raises(InputError, match="does not cover"):
        made(period(values), "lpr+weather", weather=weather(wind[:-1]))
    with pytest.raises(InputError, match="does not cover"):
        made(period(values), "lpr+weather", weather=weather(wind, start_at=START + 24 * 11 * HOUR))
    with pytest.raises(InputError, match="needs a weather series"):
        made(period(values), "lpr+weather")
    with pytest.raises(InputError, match="hourly"):
        made(period(grid(DAYS * 48), begin=70 * 48, step=HALF), "lpr+weather", weather=weather(wind))
