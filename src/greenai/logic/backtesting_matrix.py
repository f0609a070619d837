"""What would have been forecast at every slot of a period: the matrix a backtest is played on.

Row t holds what was said during slot t about it (column 0, measured) and the
slots after it. Hourly series are forecast all at once; finer ones, and plug-in
forecasters, slot by slot with nothing but the past in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from greenai.errors import InputError, SeriesError
from greenai.logic import forecasting_weather as weather_logic
from greenai.logic.backtesting_replay import Forecaster, matrix
from greenai.logic.forecasting import LprModel, fit, forecast_with, naive
from greenai.logic.forecasting_lpr import MAX_LOG, Rows, rolling, rows_of
from greenai.logic.forecasting_profile import log_of, seasonal_naive
from greenai.logic.history import EPOCH, HOUR, History
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.weather import WeatherSeries

REFIT = timedelta(days=7)
TAIL = timedelta(days=7)
REACH_H = 24
"""How far ahead a weather series is read: a day's forecast is close to what happened, later days are not."""
LEAST: Mapping[str, timedelta] = MappingProxyType(
    {
        "perfect": timedelta(0),
        "seasonal-naive": timedelta(days=2),
        "lpr": timedelta(days=60),
        "lpr+weather": timedelta(days=60),
    }
)
"""The forecasters known by name, and the past each needs before the first arrival."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Period:
    """The part [begin, end) of a measured series, in slots, to be forecast `leads` slots ahead, the current one included."""

    whole: IntensitySeries
    begin: int
    end: int
    leads: int

    @property
    def actual(self) -> FloatArray:
        """The measured values of the part, shape (end - begin,)."""
        return self.whole.values[self.begin : self.end]


def forecast_matrix(
    period: Period, name: str, *, plugin: Callable[[str], Forecaster], weather: WeatherSeries | None = None
) -> FloatArray:
    """Forecasts of a forecaster by name, shape (end - begin, leads); `plugin` finds one that is not known here.

    Raises:
        SeriesError: the past before the period is shorter than the forecaster needs.
        InputError: lpr+weather without a weather series that covers the period.
    """
    least, past = LEAST.get(name, LEAST["seasonal-naive"]), period.begin * period.whole.step
    if past < least:
        raise SeriesError(
            f"{name} needs {least.days} days before the first arrival, the series of {period.whole.zone} has {past.days}",
            hint="start later with --from, or give the time before with --history",
        )
    if name == "perfect":
        seen = _perfect(period)
    elif name not in LEAST:
        seen = _slotwise(period, plugin(name))
    elif name == "lpr+weather":
        seen = _weathered(period, weather)
    elif period.whole.step == HOUR:
        seen = _hourly(period, name)
    else:
        seen = _slotwise(period, refitted() if name == "lpr" else tail_naive)
    seen[:, 0] = period.actual
    return seen


def _perfect(period: Period) -> FloatArray:
    """What came; beyond the series' end its last value, which no job that fits the period reads."""
    actual = period.whole.values[period.begin : period.end + period.leads - 1]
    missing = period.end - period.begin + period.leads - 1 - len(actual)
    return sliding_window_view(np.concatenate((actual, np.full(missing, actual[-1]))), period.leads).copy()


def _hourly(period: Period, name: str) -> FloatArray:
    log_g = log_of(period.whole.values[: period.end])
    if name == "seasonal-naive":
        return _grams(seasonal_naive(log_g, period.leads)[period.begin :])
    return _grams(rolling(_rows(period, 0), _refits(period, 0), period.end))


def _weathered(period: Period, weather: WeatherSeries | None) -> FloatArray:
    """LPR-A moved by the weather, on the hours for which both are known."""
    if weather is None:
        raise InputError("lpr+weather needs a weather series", hint="give --weather FILE, or forecast with lpr")
    if period.whole.step != HOUR:
        raise InputError("lpr+weather is backtested on hourly series only", hint="forecast with lpr")
    skip = max((weather.start_at - period.whole.start_at) // HOUR, 0)
    lead_in = (period.whole.start_at - weather.start_at) // HOUR + skip
    n = period.end - skip
    if len(weather) - lead_in < n or (period.begin - skip) * HOUR < LEAST["lpr+weather"]:
        raise InputError(
            f"the weather series of {weather.zone} does not cover the period and 60 days before it",
            hint="choose --from and --to within it",
        )
    columns = weather_logic.columns(weather)[lead_in : lead_in + n]
    known = weather_logic.anomalies(columns, _first_hour(period) + skip)
    refits = _refits(period, skip)
    return _grams(weather_logic.rolling_with_weather(_rows(period, skip), known, refits, end=n, reach=REACH_H))


def _rows(period: Period, skip: int) -> Rows:
    log_g = log_of(period.whole.values[skip : period.end])
    known = np.ones(len(log_g), dtype=np.bool_)
    return rows_of(log_g, known, first_hour=_first_hour(period) + skip, leads=period.leads)


def _first_hour(period: Period) -> int:
    return (period.whole.start_at - EPOCH) // HOUR


def _refits(period: Period, skip: int) -> list[int]:
    return list(range(period.begin - skip, period.end - skip, REFIT // HOUR))


def _grams(log_g: FloatArray) -> FloatArray:
    out: FloatArray = np.exp(np.clip(log_g, 0.0, MAX_LOG))
    return out


def _slotwise(period: Period, forecaster: Forecaster) -> FloatArray:
    return matrix(period.whole, forecaster, (period.begin, period.end), period.leads)


def refitted() -> Forecaster:
    """LPR-A as a forecaster that keeps its model for a week; one for each period played."""
    kept: list[tuple[LprModel, History]] = []

    def forecaster(history: History, horizon: timedelta) -> IntensitySeries:
        if not kept or history.end_at - kept[-1][1].end_at >= REFIT:
            kept[:] = [(fit(history, horizon + HOUR), history)]
        return forecast_with(kept[-1][0], history, horizon).series

    return forecaster


def tail_naive(history: History, horizon: timedelta) -> IntensitySeries:
    """Seasonal naive on the last week: the same answer as on the whole past, sooner."""
    skip = max(len(history.values_g_per_kwh) - TAIL // history.like.step, 0)
    start_at = history.start_at + skip * history.like.step
    return naive(replace(history, start_at=start_at, values_g_per_kwh=history.values_g_per_kwh[skip:]), horizon)
