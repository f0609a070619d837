"""What the weather adds to LPR-A: only its surprise moves the forecast, with a learned weight per lead.

Weather is turned into one number an hour, w: the part of the carbon residual
that weather anomalies explain (ridge). w then joins the regression twice: its
past as features, its future as further targets. What the regression expects of
w at a lead is already in the carbon forecast; the weather forecast says more
only by w[t+h] - expected w[t+h], and gamma[hour, lead] is the regression of one
residual on the other (partialling out). Leads beyond the weather's
reach are moved by its last hour, with weights of their own that soon fade.

Smoothing is centred but never looks beyond `reach` hours ahead of t: nearer to
that edge the forward half of the window is cut, so a forecast made at t reads
the weather of t + reach and not one hour later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from greenai.logic.forecasting_lpr import RESIDUAL, Grams, Rows, before, coefficients, grams, neighbours, predicted, taught
from greenai.logic.forecasting_profile import DAY, profile
from greenai.model.series import FloatArray
from greenai.model.weather import WeatherSeries

WIND_CAP_KM_PER_H = 35.0
RIDGE_EFFECT = 100.0
LAGS = (0, 1, 2, 3, 6, 12, 24)
SHORT, LONG = 2, 6
"""Half widths of the two smoothings, hours."""
POOLED = 0.25
"""How much of all hours' evidence is mixed into each hour's gamma."""
DAY_TERMS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anomalies:
    """Weather anomalies, raw and smoothed; `short[k]`, `long[k]` look k hours ahead, each (n, c); `turns` (n, 5) waves."""

    raw: FloatArray
    short: tuple[FloatArray, ...]
    long: tuple[FloatArray, ...]
    turns: FloatArray


def columns(weather: WeatherSeries) -> FloatArray:
    """Seven columns, shape (n, 7), each the mean over points weighted by what it drives: wind, sun, demand."""
    wind = np.array([point.wind_share for point in weather.points])
    solar = np.array([point.solar_share for point in weather.points])
    demand = np.array([point.demand_share for point in weather.points])
    temperature = weather.temperature_c
    parts = (
        (wind, weather.wind_km_per_h),
        (wind, np.minimum(weather.wind_km_per_h, WIND_CAP_KM_PER_H) ** 2),
        (solar, weather.cloud_percent),
        (demand, temperature),
        (demand, np.maximum(temperature - 20, 0)),
        (demand, np.maximum(12 - temperature, 0)),
        (demand, weather.humidity_percent),
    )
    return np.column_stack([shares @ values / shares.sum() for shares, values in parts])


def anomalies(values: FloatArray, first_hour: int) -> Anomalies:
    """Each column less its own decaying 28-day profile, with its smoothings; the first days, without profile, are 0."""
    n = len(values)
    raw = np.column_stack([np.nan_to_num(column - profile(column)[:n]) for column in values.T])
    turn = 2 * np.pi * ((first_hour + np.arange(n)) % DAY) / DAY
    return Anomalies(
        raw=raw,
        short=tuple(smoothed(raw, SHORT, ahead) for ahead in range(SHORT + 1)),
        long=tuple(smoothed(raw, LONG, ahead) for ahead in range(LONG + 1)),
        turns=np.column_stack((np.ones(n), np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn))),
    )


def smoothed(values: FloatArray, back: int, ahead: int) -> FloatArray:
    """The mean of the `back` hours before, the hour, and the `ahead` hours after; of what there is at the ends."""
    n = len(values)
    sums = np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)))
    stop, begin = np.minimum(np.arange(n) + ahead + 1, n), np.maximum(np.arange(n) - back, 0)
    out: FloatArray = (sums[stop] - sums[begin]) / (stop - begin)[:, None]
    return out


def design(weather: Anomalies, ahead: int, count: int | None = None) -> FloatArray:
    """The 7 columns of each weather column for hours up to `count`, looking `ahead` hours forward; shape (count, 7 c)."""
    short = weather.short[min(ahead, SHORT)][:count]
    waved = [short * weather.turns[:count, [term]] for term in range(DAY_TERMS)]
    return np.hstack([*waved, weather.long[min(ahead, LONG)][:count], weather.raw[:count]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surprise:
    """A fit with weather: regressions of carbon and of w, and what a surprise in w is worth.

    `effect` (7c,) turns weather into w; `carbon` (24, p + 7, m), `expected_w` (24, p + 7, reach), `gamma` (24, m - 1).
    """

    effect: FloatArray
    carbon: FloatArray
    expected_w: FloatArray
    gamma: FloatArray


def effect_of(weather: Anomalies, residual: FloatArray, known: int) -> FloatArray:
    """The ridge regression of the carbon residual on the weather, over the first `known` hours; shape (7 c,)."""
    x, y = design(weather, LONG, known), residual[:known]
    scale = np.repeat(1e-9 + weather.raw[:known].std(axis=0)[None, :], x.shape[1] // weather.raw.shape[1], axis=0).ravel()
    x = x / scale
    slopes: FloatArray = np.linalg.solve(x.T @ x + RIDGE_EFFECT * np.eye(x.shape[1]), x.T @ y) / scale
    return slopes


def with_weather(rows: Rows, weather: Anomalies, effect: FloatArray, reach: int) -> tuple[Rows, FloatArray]:
    """The rows with w's past among the features, and w at leads 1..reach beside them, (n, reach), NaN beyond the weather."""
    n = len(rows.hour)
    ahead = [min(LONG, reach - lead) for lead in range(1, reach + 1)]
    by_ahead = {k: design(weather, k) @ effect for k in {*ahead, min(LONG, reach)}}
    now = by_ahead[min(LONG, reach)]
    lagged = np.column_stack([before(now[:n], lag) for lag in LAGS])
    future = np.full((n, reach), np.nan)
    for lead, k in enumerate(ahead, start=1):
        part = by_ahead[k][lead : lead + n]
        future[: len(part), lead - 1] = part
    return replace(rows, features=np.hstack((rows.features, lagged))), future


def fit_surprise(rows: Rows, future: FloatArray, effect: FloatArray, end: int) -> Surprise:
    """Fit on the first `end` rows, which `with_weather` made."""
    m, p = rows.targets.shape[1], rows.features.shape[1]
    both = replace(rows, targets=np.hstack((rows.targets, future)))
    sums = grams(both, 0, end)
    carbon = coefficients(Grams(xx=sums.xx, xy=sums.xy[:, :, :m]), own=RESIDUAL)
    expected = coefficients(Grams(xx=sums.xx, xy=sums.xy[:, :, m:]), own=p - len(LAGS))
    return Surprise(effect=effect, carbon=carbon, expected_w=expected, gamma=gamma_of(both, carbon, expected, end))


def gamma_of(both: Rows, carbon: FloatArray, expected: FloatArray, end: int) -> FloatArray:
    """The regression of what carbon did not keep of its forecast on what w did not; shape (24, m - 1)."""
    m, reach = carbon.shape[2], expected.shape[2]
    used = np.flatnonzero(both.usable[:end])
    joint, own = np.zeros((DAY, m - 1)), np.zeros((DAY, m - 1))
    slopes = np.concatenate((carbon[:, :, 1:], expected), axis=2)
    for hour in range(DAY):
        at = used[both.hour[used] == hour]
        miss = both.targets[at, 1:] - both.features[at] @ slopes[hour]
        told = miss[:, m - 1 + told_by(m, reach)]
        joint[hour] = np.einsum("ij,ij->j", miss[:, : m - 1], told)
        own[hour] = np.einsum("ij,ij->j", told, told)
    above, below = (neighbours(part, 2) + POOLED * part.sum(axis=0) for part in (joint, own))
    out: FloatArray = above / np.maximum(below, 1e-12)
    return out


def told_by(m: int, reach: int) -> NDArray[np.int64]:
    """Which hour of the weather moves each lead 1..m-1: its own, beyond the weather's reach the last one known."""
    column: NDArray[np.int64] = np.minimum(np.arange(m - 1), reach - 1)
    return column


def moved(rows: Rows, future: FloatArray, fit: Surprise, span: tuple[int, int]) -> FloatArray:
    """Log forecasts of the rows in the span, moved by the surprise; where the weather is not known, not moved."""
    begin, end = span
    out = predicted(rows, fit.carbon, begin, end) + rows.base_log[begin:end]
    surprise = np.nan_to_num(future[begin:end] - predicted(rows, fit.expected_w, begin, end))
    out[:, 1:] += fit.gamma[rows.hour[begin:end]] * surprise[:, told_by(out.shape[1], future.shape[1])]
    return out


def rolling_with_weather(rows: Rows, weather: Anomalies, refits: list[int], *, end: int, reach: int) -> FloatArray:
    """As `forecasting_lpr.rolling`, with the weather of the next `reach` hours known at each hour."""
    parts = []
    for now, until in pairwise([*refits, end]):
        fit, wide, future = refit(rows, weather, now, reach)
        parts.append(moved(wide, future, fit, (now, until)))
    return np.concatenate(parts)


def refit(rows: Rows, weather: Anomalies, now: int, reach: int) -> tuple[Surprise, Rows, FloatArray]:
    """The fit of hour `now`, and the rows and weather it is to be used with."""
    effect = effect_of(weather, rows.features[:, RESIDUAL], now + 1)
    wide, future = with_weather(rows, weather, effect, reach)
    return fit_surprise(wide, future, effect, taught(rows, now)), wide, future
