"""The typical day of a series, and the simple forecasts made from it.

All work on `log_g`, the natural logarithm of hourly intensities (floored at
1 g/kWh), shape (n,), and look backwards only: what is said about hour t, or at
hour t about later hours, uses hours up to t alone.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from greenai.model.series import FloatArray

DAY = 24
PROFILE_DAYS = 28
PROFILE_DECAY = 0.9
"""Weight of one day more into the past, and how many days count (chosen on 2022; 14 to 56 days differ by .002)."""


def log_of(g_per_kwh: FloatArray) -> FloatArray:
    """Natural logarithm of intensities; below 1 g/kWh counts as 1, so that a clean hour is no abyss."""
    out: FloatArray = np.log(np.maximum(g_per_kwh, 1.0))
    return out


def filled(log_g: FloatArray) -> FloatArray:
    """The same without gaps: an unknown (NaN) hour repeats the day before, in the first day the last known hour.

    Uses earlier hours only; hours before the first known one take its value (they
    are never forecast from).
    """
    gaps = np.flatnonzero(np.isnan(log_g))
    if not gaps.size:
        return log_g
    whole = log_g.copy()
    for gap in gaps.tolist():
        whole[gap] = whole[gap - DAY] if gap >= DAY else whole[gap - 1] if gap else np.nan
    known = np.flatnonzero(~np.isnan(whole))
    whole[np.isnan(whole)] = whole[known[0]]
    return whole


def profile(log_g: FloatArray, *, days: int = PROFILE_DAYS) -> FloatArray:
    """The decaying mean of the same hour of the `days` days before, shape (n + 24,): a day beyond the end is known too.

    In the first days the mean is over what there is; NaN on the first day.
    """
    n = len(log_g)
    total, weight = np.zeros(n + DAY), np.zeros(n + DAY)
    for back in range(1, min(days, (n - 1) // DAY + 1) + 1):
        share = PROFILE_DECAY ** (back - 1)
        begin = back * DAY
        total[begin:] += share * log_g[: n + DAY - begin]
        weight[begin:] += share
    with np.errstate(invalid="ignore"):
        mean: FloatArray = total / weight
    return mean


def same_hour(leads: int) -> NDArray[np.int64]:
    """For each lead 0..leads-1 the offset into (t, t + 24] at the same hour of day: what `profile` knows at t."""
    ahead = np.arange(leads)
    offset: NDArray[np.int64] = ahead - DAY * np.maximum(0, -(-ahead // DAY) - 1)
    return offset


def base(day: FloatArray, leads: int) -> FloatArray:
    """The profile at each lead as known at each hour, shape (n, leads)."""
    out: FloatArray = sliding_window_view(day, DAY + 1)[:, same_hour(leads)]
    return out


def seasonal_naive(log_g: FloatArray, leads: int) -> FloatArray:
    """The last known value of the same hour of day, shape (n, leads); NaN on the first day."""
    return base(np.concatenate((np.full(DAY, np.nan), log_g)), leads)


def decaying_bias(log_g: FloatArray, leads: int, *, days: int = 14) -> FloatArray:
    """The 14-day profile plus the last error (decaying over 6 h) and the last day's mean error (48 h), shape (n, leads)."""
    day = profile(log_g, days=days)
    error = log_g - day[: len(log_g)]
    ahead = np.arange(leads)
    daily = trailing_mean(np.nan_to_num(error), DAY)
    last = (error - daily)[:, None] * np.exp(-ahead / 6)
    out: FloatArray = base(day, leads) + daily[:, None] * np.exp(-ahead / 48) + last
    return out


def trailing_mean(values: FloatArray, length: int) -> FloatArray:
    """The mean of the last `length` values up to each, of what there is at the beginning; shape (n,)."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    stop = np.arange(1, len(values) + 1)
    begin = np.maximum(stop - length, 0)
    mean: FloatArray = (sums[stop] - sums[begin]) / (stop - begin)
    return mean
