"""LPR-A: a typical day plus a ridge regression of its residual, one per hour of day, all leads at once.

With l the log intensity, P its decaying 28-day profile and b the profile at the
lead's hour as known at t, the target is Y[t, h] = l[t+h] - b[t, h] and the 55
features are the last 36 residuals, daily means, day of week and season. The
regression is not shrunk toward zero but toward B0, the regression on {1, r[t]}
alone: a residual returns at the speed the past shows. That keeps the slope of
actual on predicted change near 1 at short leads, without which re-planning each
slot procrastinates. Formulas: docs/explanation/forecasting.md.

Everything at row t uses hours up to t; a model for time `now` is fitted on rows
whose last target lies before it. Shapes: n hours, p features, m leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from greenai.logic.forecasting_profile import DAY, PROFILE_DAYS, PROFILE_DECAY, base, profile, same_hour, trailing_mean
from greenai.model.series import FloatArray

LAGS = 36
WARM_UP_H = 10 * DAY
"""Rows before are no good: their profile rests on a few days."""
WINDOW_H = 1096 * DAY
"""A model learns from the last 36 months."""
CALENDAR_WEIGHT = 0.3
TAIL_H = 56 * DAY
"""What the features of one hour look back on."""
RIDGE = 1.0
RIDGE_B0 = 1e-3
RESIDUAL = 1
"""Column of r[t]; column 0 is the constant."""
MAX_LOG = 8.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """The regression's rows: what is known at each hour, and what came of it.

    `features` (n, p), `base_log` (n, m) the profile at each lead, `targets` (n, m)
    its errors, NaN where not yet known; `hour` (n,) of the day in UTC; `usable`
    (n,): whether a row may teach (its own value and most of its targets measured).
    """

    features: FloatArray
    base_log: FloatArray
    targets: FloatArray
    hour: NDArray[np.int64]
    usable: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grams:
    """Sums of products of rows, by the hour of day they were made at: all a fit needs.

    `xx` (24, p, p) of features, `xy` (24, p, m) of features and targets.
    """

    xx: FloatArray
    xy: FloatArray

    def __add__(self, other: Grams) -> Grams:
        return Grams(xx=self.xx + other.xx, xy=self.xy + other.xy)

    def __sub__(self, other: Grams) -> Grams:
        return Grams(xx=self.xx - other.xx, xy=self.xy - other.xy)


def calendar(first_hour: int, n: int) -> FloatArray:
    """Day of week one-hot and the season's sine and cosine, weighted, shape (n, 9); `first_hour` counts from 1970."""
    hours = first_hour + np.arange(n)
    days = hours // DAY
    weekday = (days[:, None] + 3) % 7 == np.arange(7)
    date = days.astype("datetime64[D]")
    day_of_year = (date - date.astype("datetime64[Y]")).astype(np.int64) + 1
    turn = 2 * np.pi * day_of_year / 365.25
    out: FloatArray = CALENDAR_WEIGHT * np.column_stack((weekday, np.sin(turn), np.cos(turn)))
    return out


def features(log_g: FloatArray, residual: FloatArray, first_hour: int) -> FloatArray:
    """The 55 columns: 1, r[t..t-35], calendar, 7 daily means, 56 days against 14, last week's same hour; shape (n, 55)."""
    n = len(log_g)
    lags = sliding_window_view(np.concatenate((np.zeros(LAGS - 1), residual)), LAGS)[:, ::-1]
    daily = trailing_mean(log_g, DAY)
    fortnight = trailing_mean(log_g, 14 * DAY)
    days = np.column_stack([before(daily, back * DAY) for back in range(7)]) - fortnight[:, None]
    months = trailing_mean(log_g, 56 * DAY) - fortnight
    week = np.mean([before(log_g, back * DAY) for back in range(1, 8)], axis=0)
    weekly = before(log_g, 7 * DAY) - week
    return np.column_stack((np.ones(n), lags, calendar(first_hour, n), days, months, weekly))


def before(values: FloatArray, hours: int) -> FloatArray:
    """The value `hours` ago at each hour; at the beginning the first one."""
    if not hours:
        return values
    return np.concatenate((np.full(min(hours, len(values)), values[0]), values[:-hours]))


def rows_of(log_g: FloatArray, known: NDArray[np.bool_], *, first_hour: int, leads: int) -> Rows:
    """Rows for `leads` leads, 0 the current hour, of a series without gaps; `known` tells measured from filled hours."""
    n = len(log_g)
    day = profile(log_g)
    residual = np.nan_to_num(log_g - day[:n])
    later = sliding_window_view(np.concatenate((log_g, np.full(leads - 1, np.nan))), leads)
    expected = base(day, leads)
    measured = np.concatenate(([0], np.cumsum(known), np.full(leads, known.sum())))
    most = measured[leads : leads + n] - measured[:n] >= 0.75 * leads
    return Rows(
        features=features(log_g, residual, first_hour),
        base_log=expected,
        targets=later - expected,
        hour=(first_hour + np.arange(n)) % DAY,
        usable=known & most & (np.arange(n) >= WARM_UP_H),
    )


def last_row(log_g: FloatArray, first_hour: int, leads: int) -> tuple[FloatArray, FloatArray]:
    """Features (55,) and profile at each lead (leads,) of the last hour alone: `rows_of`'s last row, without the others.

    Needs the last TAIL_H hours.
    """
    n = len(log_g)
    past = sliding_window_view(log_g, PROFILE_DAYS * DAY - DAY + 1)[-(LAGS + DAY) :, ::-DAY]
    shares = PROFILE_DECAY ** np.arange(PROFILE_DAYS)
    day = past @ (shares / shares.sum())
    fortnight = log_g[-14 * DAY :].mean()
    days = log_g[-7 * DAY :].reshape(7, DAY).mean(axis=1)[::-1] - fortnight
    months = log_g[-56 * DAY :].mean() - fortnight
    same = log_g[n - 1 - DAY * np.arange(1, 8)]
    residual = (log_g[-LAGS:] - day[:LAGS])[::-1]
    out = np.concatenate(([1.0], residual, calendar(first_hour + n - 1, 1)[0], days, [months, same[-1] - same.mean()]))
    return out, day[LAGS - 1 + same_hour(leads)]


def grams(rows: Rows, begin: int, end: int) -> Grams:
    """Sums over the usable rows in [begin, end), whose targets must be known."""
    p, m = rows.features.shape[1], rows.targets.shape[1]
    xx, xy = np.zeros((DAY, p, p)), np.zeros((DAY, p, m))
    for first in range(begin, min(begin + DAY, end)):
        good = rows.usable[first:end:DAY]
        x, y = rows.features[first:end:DAY][good], rows.targets[first:end:DAY][good]
        xx[rows.hour[first]], xy[rows.hour[first]] = x.T @ x, x.T @ y
    return Grams(xx=xx, xy=xy)


def neighbours(by_hour: FloatArray, reach: int = 1) -> FloatArray:
    """The sum over the hours of day g - reach .. g + reach, round the clock."""
    out: FloatArray = sum((np.roll(by_hour, shift, axis=0) for shift in range(-reach, reach + 1)), np.zeros_like(by_hour))
    return out


def coefficients(sums: Grams, *, own: int = RESIDUAL) -> FloatArray:
    """The regression of each hour of day, shape (24, p, m), shrunk toward that on {1, column `own`}."""
    xx, xy = neighbours(sums.xx), neighbours(sums.xy)
    pair = np.array([0, own])
    small = xx[:, pair[:, None], pair] + RIDGE_B0 * np.eye(2)
    start = np.zeros_like(xy)
    start[:, pair] = np.linalg.solve(small, xy[:, pair])
    slope: FloatArray = start + np.linalg.solve(xx + RIDGE * np.eye(xx.shape[1]), xy - xx @ start)
    return slope


def predicted(rows: Rows, slopes: FloatArray, begin: int, end: int) -> FloatArray:
    """X B for the rows in [begin, end), each with its hour's regression, shape (end - begin, m)."""
    out = np.empty((end - begin, slopes.shape[2]))
    for first in range(begin, min(begin + DAY, end)):
        out[first - begin :: DAY] = rows.features[first:end:DAY] @ slopes[rows.hour[first]]
    return out


def rolling(rows: Rows, refits: list[int], end: int) -> FloatArray:
    """Log forecasts of rows refits[0] .. end-1, each by the last model fitted before it, shape (end - refits[0], m).

    A refit at hour t learns from rows whose targets all lie at or before t.
    """
    out = np.empty((end - refits[0], rows.targets.shape[1]))
    sums, low, high = grams(rows, 0, 0), 0, 0
    for now, until in pairwise([*refits, end]):
        stop = max(taught(rows, now), high)
        begin = max(low, stop - WINDOW_H)
        sums = sums + grams(rows, high, stop) - grams(rows, low, begin)
        low, high = begin, stop
        out[now - refits[0] : until - refits[0]] = predicted(rows, coefficients(sums), now, until)
    return out + rows.base_log[refits[0] : end]


def taught(rows: Rows, now: int) -> int:
    """How many rows have all their targets at or before hour `now`."""
    return max(now + 2 - int(rows.targets.shape[1]), 0)
