"""Forecast the intensity of a grid from its own past: which method the past allows, and how sure it is.

At least 60 known days: LPR-A (`forecasting_lpr`). At least 14: the profile with
decaying bias. At least 2: the same hour of the last known day. Less: none, said
with the reason. A forecast is causal because it is given the past and nothing
else. Entry points of the group greenai.forecasters have the shape
`(History, horizon) -> IntensitySeries`.

The intervals are the 10th and 90th percentile of the method's own errors, per
lead, on the last days of the past, forecast by a model fitted before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

import numpy as np

from greenai.errors import SeriesError
from greenai.logic.forecasting_lpr import (
    MAX_LOG,
    TAIL_H,
    Rows,
    coefficients,
    grams,
    last_row,
    predicted,
    rows_of,
    taught,
)
from greenai.logic.forecasting_profile import DAY, decaying_bias, filled, log_of, seasonal_naive
from greenai.logic.forecasting_weather import Anomalies, anomalies, columns, moved, refit
from greenai.logic.history import EPOCH, HOUR, History, Hourly, hourly
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.weather import WeatherSeries

Method = Literal["lpr+weather", "lpr", "profile", "seasonal-naive"]
LPR_DAYS = 60.0
LEAST_DAYS: Mapping[Method, float] = MappingProxyType({"lpr": LPR_DAYS, "profile": 14.0, "seasonal-naive": 2.0})
"""Known days each method needs, best first."""
GAP_DAYS = 4
"""A forecast from a fitted model reads so many days more than it needs, to fill a gap at their beginning."""
ERROR_DAYS = 60
LOW, HIGH = 0.1, 0.9
MAX_HORIZON = timedelta(days=7)
WITHIN_HOUR_H = 1.0
"""In what time the measured slot's deviation from its hour's line falls to 1/e (docs/explanation/forecasting.md)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LprModel:
    """A fitted LPR-A: `slopes` (24, p, m); `low_log`, `high_log` (m,) the 10th and 90th percentile of its log errors."""

    slopes: FloatArray
    low_log: FloatArray
    high_log: FloatArray

    @property
    def leads(self) -> int:
        """How many hours it forecasts, the current one included."""
        return int(self.slopes.shape[2])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """What is expected, from the last measured slot on (its value is the measured one), and its 80 % interval.

    `reason` says in words why a lesser method than the best was used; else empty.
    """

    series: IntensitySeries
    low: IntensitySeries
    high: IntensitySeries
    method: Method
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Logs:
    """A log forecast of m hours with its error quantiles, each (m,)."""

    middle: FloatArray
    low: FloatArray
    high: FloatArray


def method_for(history: History) -> tuple[Method, str]:
    """The best method the past allows and why not LPR-A; raises SeriesError when it allows none."""
    days = history.known_days
    for method, least in LEAST_DAYS.items():
        if days >= least:
            known = "" if method == "lpr" else f"{days:.0f} days of history are known, {LPR_DAYS:.0f} are needed for lpr"
            return method, known
    raise SeriesError(
        f"no forecast for {history.like.zone}: {days * 24:.0f} hours of history are known, at least 48 are needed",
        hint="run now, or give a longer history",
    )


def forecast(history: History, horizon: timedelta) -> Forecast:
    """The best forecast the past alone allows, to `horizon` (at most 7 days) after it."""
    method, reason = method_for(history)
    hours, leads = hourly(history), leads_for(history, horizon)
    if method == "lpr":
        return replace(forecast_with(fit(history, horizon), history, horizon), reason=reason)
    return _finished(history, horizon, _simple(hours, leads, method), (method, reason))


def lpr(history: History, horizon: timedelta) -> IntensitySeries:
    """Entry point `lpr`: LPR-A, or its fallback for a short history."""
    return forecast(history, horizon).series


def naive(history: History, horizon: timedelta) -> IntensitySeries:
    """Entry point `seasonal-naive`: the same hour of the last known day."""
    logs = _simple(hourly(history), leads_for(history, horizon), "seasonal-naive")
    return _finished(history, horizon, logs, ("seasonal-naive", "")).series


def leads_for(history: History, horizon: timedelta) -> int:
    """How many hours, the current included, reach `horizon` after the past; raises SeriesError beyond 7 days."""
    if not timedelta(0) < horizon <= MAX_HORIZON:
        raise SeriesError(f"a forecast reaches from 0 to 7 days ahead, not {horizon}")
    begun = HOUR if history.like.step == HOUR else _slots_into_hour(history) * history.like.step
    return -(-(begun + horizon) // HOUR)


def fit(history: History, horizon: timedelta) -> LprModel:
    """LPR-A fitted on the past (needs 60 days); refit daily or weekly. Raises SeriesError when the past is too short."""
    method, reason = method_for(history)
    if method != "lpr":
        raise SeriesError(reason)
    hours, leads = hourly(history), leads_for(history, horizon)
    rows = _rows(hours, leads)
    now = len(rows.hour) - 1
    stop = taught(rows, now)
    begin, held = max(0, stop - 1096 * DAY), _held_out(stop)
    early = grams(rows, begin, stop - held)
    late = grams(rows, stop - held, stop)
    span = (stop - held, stop)
    errors = rows.targets[slice(*span)] - predicted(rows, coefficients(early), *span)
    low, high = _quantiles(errors[rows.usable[slice(*span)]])
    return LprModel(slopes=coefficients(early + late), low_log=low, high_log=high)


def forecast_with(model: LprModel, history: History, horizon: timedelta) -> Forecast:
    """A forecast from a model fitted earlier, well under a millisecond; raises SeriesError beyond the model's leads."""
    leads = leads_for(history, horizon)
    if leads > model.leads:
        raise SeriesError(f"the model forecasts {model.leads - 1} hours, not {leads - 1}")
    hours = hourly(_tail(history))
    row, expected = last_row(filled(_logs(hours)), hours.first_hour, leads)
    hour = (hours.first_hour + len(hours.values_g_per_kwh) - 1) % DAY
    middle = expected + (row @ model.slopes[hour])[:leads]
    logs = _Logs(middle=middle, low=model.low_log[:leads], high=model.high_log[:leads])
    return _finished(history, horizon, logs, ("lpr", ""))


def forecast_with_weather(history: History, horizon: timedelta, weather: WeatherSeries) -> Forecast:
    """LPR-A moved by the surprise in the weather; without weather ahead or 60 days of both, LPR-A, and why."""
    hours, leads = hourly(history), leads_for(history, horizon)
    skip = max((weather.start_at - EPOCH) // HOUR - hours.first_hour, 0)
    n = len(hours.values_g_per_kwh) - skip
    lead_in = hours.first_hour + skip - (weather.start_at - EPOCH) // HOUR
    reach = min(len(weather) - lead_in - n, leads - 1)
    if reach < 1 or n < LPR_DAYS * DAY or method_for(history)[0] != "lpr":
        why = f"the weather series of {weather.zone} does not cover 60 days of the history and the hours ahead"
        return replace(forecast(history, horizon), reason=why)
    shared = Hourly(first_hour=hours.first_hour + skip, values_g_per_kwh=hours.values_g_per_kwh[skip:])
    known = anomalies(columns(weather)[lead_in : lead_in + n + reach], shared.first_hour)
    logs = _weathered(_rows(shared, leads), known, reach)
    return _finished(history, horizon, logs, ("lpr+weather", ""))


def _weathered(rows: Rows, weather: Anomalies, reach: int) -> _Logs:
    """The forecast of the last row, and the error quantiles of a model that ended before the held-out days."""
    n = len(rows.hour)
    stop = taught(rows, n - 1)
    span = (stop - _held_out(stop), stop)
    early, wide, future = refit(rows, weather, span[0] - 1 + rows.targets.shape[1], reach)
    errors = (rows.targets + rows.base_log)[slice(*span)] - moved(wide, future, early, span)
    low, high = _quantiles(errors[rows.usable[slice(*span)]])
    last, wide, future = refit(rows, weather, n - 1, reach)
    return _Logs(middle=moved(wide, future, last, (n - 1, n))[0], low=low, high=high)


def _rows(hours: Hourly, leads: int) -> Rows:
    return rows_of(filled(_logs(hours)), hours.known, first_hour=hours.first_hour, leads=leads)


def _logs(hours: Hourly) -> FloatArray:
    return log_of(hours.values_g_per_kwh)


def _tail(history: History) -> History:
    """The last days of a past, begun on a whole day so that gaps are filled and hours cut alike."""
    count = (TAIL_H + DAY * GAP_DAYS) * (HOUR // history.like.step)
    skip = max(len(history.values_g_per_kwh) - count, 0)
    return replace(
        history, start_at=history.start_at + skip * history.like.step, values_g_per_kwh=history.values_g_per_kwh[skip:]
    )


def _held_out(rows: int) -> int:
    """How many of the last rows judge the errors: 60 days, of a short past a third."""
    return min(ERROR_DAYS * DAY, rows // 3)


def _quantiles(errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    low, high = np.quantile(errors, (LOW, HIGH), axis=0)
    return np.minimum(low, 0.0), np.maximum(high, 0.0)


def _simple(hours: Hourly, leads: int, method: str) -> _Logs:
    """A fallback's forecast of the last hour, its errors those of all hours before, all leads of a day together."""
    log_g = filled(_logs(hours))
    made = (decaying_bias if method == "profile" else seasonal_naive)(log_g, leads)
    n = len(log_g)
    errors = np.concatenate([log_g[lead:] - made[: n - lead, lead] for lead in range(1, min(leads, DAY + 1))])
    low, high = (np.full(leads, value) for value in np.nanquantile(errors, (LOW, HIGH)))
    return _Logs(middle=made[-1], low=low, high=high)


def _finished(history: History, horizon: timedelta, logs: _Logs, said: tuple[Method, str]) -> Forecast:
    """Logs of whole hours as series on the history's own slots, from its last one on, which is the measured one.

    Slots within the hour go on from what was measured: an hour's mean says little of the next quarter.
    """
    step, per_hour = history.like.step, HOUR // history.like.step
    begin = _slots_into_hour(history) - 1
    count = 1 + -(-horizon // step)
    measured = float(history.values_g_per_kwh[-1])

    def slots(log_g: FloatArray) -> FloatArray:
        return spread(np.exp(np.clip(log_g, 0.0, MAX_LOG)), per_hour)[begin : begin + count]

    anchor = np.ones(count) if per_hour == 1 else _anchor(measured / slots(logs.middle)[0], per_hour, count)

    def series(log_g: FloatArray) -> IntensitySeries:
        values = slots(log_g) * anchor
        values[0] = measured
        return replace(history.like, start_at=history.end_at - step, values=values, kind="forecast", issued_at=history.end_at)

    low, high = np.minimum(logs.low, 0.0), np.maximum(logs.high, 0.0)
    middle = series(logs.middle)
    return Forecast(series=middle, low=series(logs.middle + low), high=series(logs.middle + high), method=said[0], reason=said[1])


def _anchor(ratio: float, per_hour: int, count: int) -> FloatArray:
    """What slots are multiplied by: the measured slot over what was said of it, vanishing in logarithms, shape (count,)."""
    log_ratio = np.log(max(ratio, 1.0 / np.exp(MAX_LOG)))
    out: FloatArray = np.exp(log_ratio * np.exp(-np.arange(count) / (per_hour * WITHIN_HOUR_H)))
    return out


def _slots_into_hour(history: History) -> int:
    """How many slots of the current hour have begun, 1 for hourly slots."""
    if history.like.step == HOUR:
        return 1
    into = (history.end_at - EPOCH) % HOUR
    return int(into // history.like.step) or int(HOUR // history.like.step)


def spread(hour_means: FloatArray, per_hour: int) -> FloatArray:
    """Whole hours as finer slots: on the line between the hours' middles, each hour scaled back to its mean."""
    if per_hour == 1:
        return hour_means.copy()
    m = len(hour_means)
    middles = np.arange(m) + 0.5
    slots = np.interp((np.arange(m * per_hour) + 0.5) / per_hour, middles, hour_means).reshape(m, per_hour)
    out: FloatArray = (slots * (hour_means / slots.mean(axis=1))[:, None]).ravel()
    return out
