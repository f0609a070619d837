"""How good forecasts have been: error, bias, slope and coverage by lead, from what was said and what came.

The slope is that of the actual on the predicted change from the current value:
1 is calibrated; below, the forecaster overstates how fast things return, and
re-planning each slot waits too long. MAPE does not rank forecasters for
planning, regret does: `decision_regret`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from greenai.logic.backtesting_kernel import contiguous_costs, contiguous_starts, oracle_costs, window_sums
from greenai.model.series import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skill:
    """By lead, each (m,), NaN where nothing was said: mean absolute error and bias (forecast - actual) in g/kWh, MAPE, slope."""

    error_g_per_kwh: FloatArray
    bias_g_per_kwh: FloatArray
    error_share: FloatArray
    slope: FloatArray


def came(actual: FloatArray, leads: int) -> FloatArray:
    """What came at each lead of each slot, shape (n, leads), NaN beyond the end."""
    out: FloatArray = sliding_window_view(np.concatenate((actual, np.full(leads - 1, np.nan))), leads)
    return out


def by_lead(seen: FloatArray, actual: FloatArray) -> Skill:
    """Skill of forecasts (n, m) made at each of the n slots of `actual`, lead 0 the current one; NaN is left out."""
    n, m = seen.shape
    then = came(actual, m)
    known = np.isfinite(seen) & np.isfinite(then)
    count = np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    miss = np.where(known, seen - then, 0.0)
    expected = np.where(known, seen - actual[:n, None], 0.0)
    change = np.where(known, then - actual[:n, None], 0.0)
    share = np.where(known, np.abs(miss) / np.maximum(np.where(known, then, 1.0), 1.0), 0.0)
    square = (expected**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(square > 0, (expected * change).sum(axis=0) / square, np.nan)
    return Skill(
        error_g_per_kwh=np.abs(miss).sum(axis=0) / count,
        bias_g_per_kwh=miss.sum(axis=0) / count,
        error_share=share.sum(axis=0) / count,
        slope=slope,
    )


def coverage(low: FloatArray, high: FloatArray, actual: FloatArray) -> FloatArray:
    """Share of what came that lay within [low, high], by lead, shape (m,); bounds have shape (n, m), NaN is left out."""
    then = came(actual, low.shape[1])
    known = np.isfinite(low) & np.isfinite(high) & np.isfinite(then)
    within = known & (low <= then) & (then <= high)
    with np.errstate(invalid="ignore"):
        share: FloatArray = within.sum(axis=0) / known.sum(axis=0)
    return share


def decision_regret(seen: FloatArray, actual: FloatArray, *, length: int, slack: int) -> float:
    """What decisions by these forecasts cost more than the oracle's, as a share of run-now's grams: rolling, contiguous."""
    arrivals = len(actual) - length - slack
    starts = contiguous_starts(seen, length=length, slack=slack, arrivals=arrivals)
    spent = contiguous_costs(actual, starts, length=length).sum()
    least = oracle_costs(actual, length=length, slack=slack, interruptible=False)[:arrivals].sum()
    return float((spent - least) / window_sums(actual, length)[:arrivals].sum())
