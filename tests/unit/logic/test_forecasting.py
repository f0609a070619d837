"""Forecasts: what a history allows, how good the method is on grids of known make, and what a plan may read."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from tests.forecasting_world import FIRST_HOUR, HOUR, START, grid, series, slow_noise, weather

from greenai.errors import InputError, MixedSeries, SeriesError
from greenai.logic import forecasting as f
from greenai.logic.forecasting_lpr import TAIL_H, last_row, rolling, rows_of
from greenai.logic.forecasting_profile import filled, log_of, profile, same_hour, seasonal_naive
from greenai.logic.history import history_of, hourly, until
from greenai.logic.skill import by_lead, choice_regret
from greenai.model.weather import WeatherSeries

DAY_AHEAD = timedelta(hours=24)


@pytest.mark.parametrize(
    ("days", "method"), [(61, "lpr"), (59, "profile"), (14, "profile"), (13, "seasonal-naive"), (2, "seasonal-naive")]
)
def test_the_length_of_the_history_chooses_the_method(days, method):
    made = f.forecast(history_of(series(grid(days * 24))), DAY_AHEAD)
    assert made.method == method
    assert (made.reason == "") == (method == "lpr")
    assert made.series.kind == "forecast"
    assert made.series.end_at == START + timedelta(days=days + 1)
    assert np.all(made.low.values <= made.series.values)
    assert np.all(made.series.values <= made.high.values)


def test_a_day_is_too_little_and_it_is_said():
    with pytest.raises(SeriesError, match="24 hours of history are known"):
        f.forecast(history_of(series(grid(24))), DAY_AHEAD)
    with pytest.raises(SeriesError, match="60 are needed for lpr"):
        f.fit(history_of(series(grid(20 * 24))), DAY_AHEAD)


@pytest.mark.parametrize("horizon", [timedelta(0), timedelta(days=8)])
def test_horizons_are_up_to_a_week(horizon):
    with pytest.raises(SeriesError, match="0 to 7 days"):
        f.forecast(history_of(series(grid(80 * 24))), horizon)


def test_a_grid_of_pure_days_is_forecast_exactly():
    wave = 200 + 100 * np.sin(2 * np.pi * np.arange(90 * 24) / 24)
    made = f.lpr(history_of(series(wave[: 80 * 24])), DAY_AHEAD)
    np.testing.assert_allclose(made.values, wave[80 * 24 - 1 : 81 * 24], rtol=0.01)
    same = f.naive(history_of(series(wave[: 80 * 24])), DAY_AHEAD)
    np.testing.assert_allclose(same.values, wave[80 * 24 - 1 : 81 * 24])


def test_the_first_value_is_the_measured_one_and_the_step_is_kept():
    values = np.repeat(grid(70 * 24), 2)[:-1]
    history = history_of(series(values, step=HOUR / 2))
    made = f.forecast(history, timedelta(hours=6)).series
    assert made.step == HOUR / 2
    assert made.start_at == history.end_at - HOUR / 2
    assert made.values[0] == values[-1]
    assert made.covers(history.end_at, history.end_at + timedelta(hours=6))


def test_five_minutes_are_forecast_by_the_hour_and_spread():
    values = np.repeat(grid(62 * 24), 12)
    made = f.forecast(history_of(series(values, step=HOUR / 12)), timedelta(hours=3)).series
    assert len(made) == 1 + 36
    assert f.spread(np.array([100.0, 200.0, 150.0]), 12).reshape(3, 12).mean(axis=1) == pytest.approx([100, 200, 150])


def test_the_slots_within_the_hour_go_on_from_the_measured_one():
    """A quarter 20 % above its hour's line: the next are above what they would be, less and less, the far ones not at all."""
    values = np.repeat(grid(70 * 24), 4)
    usual = f.forecast(history_of(series(values, step=HOUR / 4)), timedelta(hours=8)).series
    higher = values.copy()
    higher[-4:] *= (0.9, 0.9, 1.0, 1.2)
    made = f.forecast(history_of(series(higher, step=HOUR / 4)), timedelta(hours=8)).series
    above = made.values / usual.values - 1
    assert above[0] == pytest.approx(0.2)
    assert 0.12 < above[1] < 0.2
    assert (np.diff(above[:9]) < 0).all()
    assert abs(above[-1]) < 0.01


def test_what_was_measured_as_nothing_is_no_end_of_the_world():
    values = np.repeat(grid(70 * 24), 4)
    values[-1] = 0.0
    made = f.forecast(history_of(series(values, step=HOUR / 4)), timedelta(hours=8)).series
    assert made.values[0] == 0.0
    assert (made.values[1:] > 0).all()
    assert np.isfinite(made.values).all()


def test_steps_that_do_not_divide_the_hour_are_refused():
    with pytest.raises(InputError, match="do not divide the hour"):
        f.forecast(history_of(series(grid(90 * 24), step=timedelta(hours=2))), DAY_AHEAD)


def test_gaps_in_the_history_are_bridged_never_in_the_forecast():
    values = grid(100 * 24)
    pieces = [series(values[:500]), series(values[520:], start_at=START + 520 * HOUR)]
    history = history_of(*pieces)
    assert np.isnan(history.values_g_per_kwh[500:520]).all()
    made, whole = f.lpr(history, DAY_AHEAD), f.lpr(history_of(series(values)), DAY_AHEAD)
    np.testing.assert_allclose(made.values, whole.values, rtol=0.05)


def test_filling_repeats_the_day_before():
    log_g = np.arange(60.0)
    log_g[[0, 1, 3, 30, 54]] = np.nan
    whole = filled(log_g)
    assert whole[[0, 1, 3, 30, 54]].tolist() == [2.0, 2.0, 2.0, 6.0, 6.0]
    assert filled(whole) is whole


def test_histories_of_different_nature_do_not_mix():
    one = series(grid(48))
    with pytest.raises(MixedSeries, match="different step"):
        history_of(one, series(grid(48), step=HOUR / 2))
    with pytest.raises(MixedSeries, match="one grid"):
        history_of(one, series(grid(48), start_at=START + timedelta(minutes=7)))


def test_until_cuts_at_the_last_known_value():
    values = grid(72)
    history = history_of(series(values[:24]), series(values[30:], start_at=START + 30 * HOUR))
    assert until(history, START + 28 * HOUR).end_at == START + 24 * HOUR
    with pytest.raises(SeriesError, match="nothing is known"):
        until(history, START)


def test_an_hour_needs_half_of_its_slots_but_the_last_takes_what_there_is():
    step = HOUR / 4
    values = np.arange(1.0, 13.0)
    history = history_of(series(values[:1], step=step), series(values[6:9], step=step, start_at=START + 6 * step))
    hours = hourly(history).values_g_per_kwh
    assert np.isnan(hours[0])
    assert hours[1:].tolist() == [7.5, 9.0]


def test_the_last_row_alone_is_the_last_of_all_rows():
    log_g = log_of(grid(100 * 24))
    rows = rows_of(log_g, np.ones(len(log_g), dtype=bool), first_hour=FIRST_HOUR, leads=60)
    row, expected = last_row(log_g[-TAIL_H:], FIRST_HOUR + len(log_g) - TAIL_H, 60)
    np.testing.assert_allclose(row, rows.features[-1], atol=1e-9)
    np.testing.assert_allclose(expected, rows.base_log[-1], atol=1e-12)
    assert rows.features.shape[1] == 55


def test_a_fitted_model_forecasts_as_a_fresh_one_and_no_further():
    history = history_of(series(grid(100 * 24)))
    model = f.fit(history, DAY_AHEAD)
    one = f.forecast_with(model, history, DAY_AHEAD)
    np.testing.assert_array_equal(one.series.values, f.forecast(history, DAY_AHEAD).series.values)
    with pytest.raises(SeriesError, match="the model forecasts 24 hours, not 25"):
        f.forecast_with(model, history, timedelta(hours=25))


def test_short_leads_are_calibrated_and_better_than_yesterday():
    values = grid(700 * 24, seed=4)
    rows = rows_of(log_of(values), np.ones(len(values), dtype=bool), first_hour=FIRST_HOUR, leads=30)
    begin = 500 * 24
    seen = np.exp(rolling(rows, [*range(begin, len(values), 168)], len(values)))
    seen[:, 0] = values[begin:]
    judged, naive = by_lead(seen, values[begin:]), by_lead(np.exp(seasonal_naive(log_of(values), 30))[begin:], values[begin:])
    assert np.all(np.abs(judged.slope[1:7] - 1) < 0.1)
    assert np.all(judged.error_g_per_kwh[1:] < naive.error_g_per_kwh[1:])
    assert np.all(np.abs(judged.bias_g_per_kwh) < 8)
    regrets = [
        choice_regret(one, values[begin:], length=2, span=14).share
        for one in (seen, np.exp(seasonal_naive(log_of(values), 30))[begin:])
    ]
    assert regrets[0] < regrets[1]


def test_a_window_of_three_years_forgets_what_is_older(monkeypatch):
    monkeypatch.setattr("greenai.logic.forecasting_lpr.WINDOW_H", 40 * 24)
    values = grid(120 * 24)
    other = values.copy()
    other[: 20 * 24] *= 3
    made = []
    for given in (values, other):
        rows = rows_of(log_of(given), np.ones(len(given), dtype=bool), first_hour=FIRST_HOUR, leads=10)
        made.append(rolling(rows, [90 * 24, 119 * 24], len(given))[-24:])
    np.testing.assert_allclose(made[0], made[1], atol=1e-6)


def test_intervals_cover_what_they_say():
    values = grid(400 * 24, seed=9)
    lows, highs, begin = [], [], 250 * 24
    for now in range(begin, len(values) - 24, 53):
        made = f.forecast(history_of(series(values[:now])), timedelta(hours=12))
        lows.append(made.low.values[1:])
        highs.append(made.high.values[1:])
        lows[-1] = (lows[-1] <= values[now : now + 12]) & (values[now : now + 12] <= highs[-1])
        if len(lows) == 50:
            break
    assert 0.72 < np.mean(lows) < 0.88


def test_weather_moves_the_forecast_the_right_way():
    wind = slow_noise(201 * 24, 5)
    wind[-24:] = 4.0
    values = grid(200 * 24, wind=wind[:-24])
    history = history_of(series(values))
    made, plain = f.forecast_with_weather(history, DAY_AHEAD, weather(wind)), f.forecast(history, DAY_AHEAD)
    assert made.method == "lpr+weather"
    assert made.series.values[4:].mean() < 0.9 * plain.series.values[4:].mean()
    assert np.all(made.low.values <= made.series.values)


def test_weather_may_begin_before_or_after_the_history():
    wind = slow_noise(221 * 24, 5)
    values = grid(200 * 24, wind=wind[: 200 * 24])
    history = history_of(series(values))
    early = f.forecast_with_weather(history_of(series(values[480:], start_at=START + 480 * HOUR)), DAY_AHEAD, weather(wind))
    late = f.forecast_with_weather(history, DAY_AHEAD, weather(wind[480:], start_at=START + 480 * HOUR))
    np.testing.assert_allclose(early.series.values, late.series.values)


@pytest.mark.parametrize(("hours", "skip"), [(100 * 24, 0), (101 * 24, 60 * 24)])
def test_too_little_weather_is_said(hours, skip):
    history = history_of(series(grid(100 * 24)))
    made = f.forecast_with_weather(history, DAY_AHEAD, weather(slow_noise(hours, 2)[skip:], start_at=START + skip * HOUR))
    assert made.method == "lpr"
    assert "weather" in made.reason


def test_weather_without_a_shape_or_a_number_is_refused():
    good = weather(np.zeros(3))
    fields = {name: getattr(good, name) for name in WeatherSeries.__dataclass_fields__}
    with pytest.raises(SeriesError, match="shape"):
        WeatherSeries(**fields | {"cloud_percent": np.zeros((2, 3))})
    with pytest.raises(SeriesError, match="no number"):
        WeatherSeries(**fields | {"cloud_percent": np.array([[1.0, np.nan, 2.0]])})
    assert good.end_at == START + 3 * HOUR


def test_the_profile_weighs_days_by_their_age():
    log_g = np.zeros(72)
    log_g[24:48], log_g[48:] = 1.0, 3.0
    assert profile(log_g)[72] == pytest.approx((3 + 0.9 * 1) / (1 + 0.9 + 0.81))
    assert np.isnan(profile(log_g)[0])
    assert same_hour(50)[[0, 1, 24, 25, 48, 49]].tolist() == [0, 1, 24, 1, 24, 1]
