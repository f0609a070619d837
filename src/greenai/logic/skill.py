"""How good forecasts have been: error, bias, slope and coverage by lead, and what deciding by them cost.

A forecast is judged on slots: `seen` (n, m) holds what was said during each of n
slots for it (lead 0) and the m - 1 after it, NaN where nothing was said; `actual`
(n,) is what came, NaN where that is not known. Lead 0 is not judged: it is now.

The slope is that of the actual change on the predicted one, both from the current
value: 1 is calibrated; below, the forecaster overstates how fast things return,
and re-planning each slot waits too long. MAPE does not rank forecasters for
planning, regret does. docs/explanation/forecast-skill.md explains each figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from greenai.logic.backtesting_kernel import TIE, window_sums
from greenai.logic.history import HOUR, History
from greenai.model.series import FloatArray, IntensitySeries

BINS_H = (1, 3, 6, 12, 24, 48)
"""Leads are judged in bins that end at so many hours, each begun where the one before ends."""
SHORT_H = 6
"""Leads up to so many hours count as short."""
SLOPE_WANTED = (0.9, 1.1)
"""The short-lead slope of a calibrated forecast: outside of it, re-planning each slot goes wrong."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skill:
    """Sums over forecasts by lead, each (m,), and what they come to: NaN where nothing was said of what came.

    `absolute_sums_g_per_kwh`, `signed_sums_g_per_kwh` (forecast - actual) and `squared_sums` in (g/kWh)^2 are of the
    errors, `share_sums` of errors as a share of what came (of 1 g/kWh at least); `cross_sums` and `change_sums` of the
    products of predicted and actual change, and of the squares of the predicted one, in (g/kWh)^2.
    """

    pairs: FloatArray
    absolute_sums_g_per_kwh: FloatArray
    signed_sums_g_per_kwh: FloatArray
    squared_sums: FloatArray
    share_sums: FloatArray
    cross_sums: FloatArray
    change_sums: FloatArray

    @property
    def error_g_per_kwh(self) -> FloatArray:
        """Mean absolute error."""
        return _ratio(self.absolute_sums_g_per_kwh, self.pairs)

    @property
    def root_square_g_per_kwh(self) -> FloatArray:
        """Root of the mean squared error."""
        return np.sqrt(_ratio(self.squared_sums, self.pairs))

    @property
    def bias_g_per_kwh(self) -> FloatArray:
        """Mean of forecast - actual: above 0 the grid is said to be dirtier than it comes."""
        return _ratio(self.signed_sums_g_per_kwh, self.pairs)

    @property
    def error_share(self) -> FloatArray:
        """Mean absolute error as a share of what came (MAPE)."""
        return _ratio(self.share_sums, self.pairs)

    @property
    def slope(self) -> FloatArray:
        """Of the actual change on the predicted one."""
        return _ratio(self.cross_sums, self.change_sums)

    def pooled(self, first: int, last: int) -> Skill:
        """Leads [first, last) taken together, each (1,)."""
        return Skill(**{name: getattr(self, name)[first:last].sum(keepdims=True) for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Shares of what came at or below the 10th, 50th and 90th percentile, and within the outer two: wanted .1, .5, .9 and .8."""

    pairs: int
    below_10: float
    below_50: float
    below_90: float
    within: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """What windows chosen by forecasts cost more than the best ones, as a share of those; None without decisions, or of 0 g.

    `of_oracle` is the share of the possible saving that was reached, None where nothing could be saved.
    """

    decisions: int
    share: float | None
    of_oracle: float | None


def _ratio(sums: FloatArray, of: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        out: FloatArray = np.where(of > 0, sums / of, np.nan)
    return out


def came(actual: FloatArray, leads: int) -> FloatArray:
    """What came at each lead of each slot, shape (n, leads), NaN beyond the end."""
    out: FloatArray = sliding_window_view(np.concatenate((actual, np.full(leads - 1, np.nan))), leads)
    return out


def by_lead(seen: FloatArray, actual: FloatArray) -> Skill:
    """Skill of forecasts (n, m) made at each of the n slots of `actual`; NaN is left out.

    A change is counted from the forecast's own lead 0, where it has one, else from the measured slot.
    """
    then = came(actual, seen.shape[1])
    known = np.isfinite(seen) & np.isfinite(then)
    miss = np.where(known, seen - then, 0.0)
    share = np.abs(miss) / np.maximum(np.where(known, then, 1.0), 1.0)
    begun = np.where(np.isfinite(seen[:, 0]), seen[:, 0], actual)[:, None]
    moved = known & np.isfinite(begun) & np.isfinite(actual)[:, None]
    expected = np.where(moved, seen - begun, 0.0)
    change = np.where(moved, then - actual[:, None], 0.0)
    return Skill(
        pairs=known.sum(axis=0).astype(np.float64),
        absolute_sums_g_per_kwh=np.abs(miss).sum(axis=0),
        signed_sums_g_per_kwh=miss.sum(axis=0),
        squared_sums=(miss**2).sum(axis=0),
        share_sums=share.sum(axis=0),
        cross_sums=(expected * change).sum(axis=0),
        change_sums=(expected**2).sum(axis=0),
    )


def coverage(bounds: tuple[FloatArray, FloatArray, FloatArray], actual: FloatArray) -> Coverage | None:
    """How often what came lay below the 10th, 50th and 90th percentile, each (n, m), leads from 1 on; None without any."""
    low, middle, high = (bound[:, 1:] for bound in bounds)
    then = came(actual, bounds[0].shape[1])[:, 1:]
    known = np.isfinite(low) & np.isfinite(middle) & np.isfinite(high) & np.isfinite(then)
    if not known.any():
        return None
    below = [float((then <= bound)[known].mean()) for bound in (low, middle, high)]
    within = float(((low <= then) & (then <= high))[known].mean())
    return Coverage(pairs=int(known.sum()), below_10=below[0], below_50=below[1], below_90=below[2], within=within)


def choice_regret(seen: FloatArray, actual: FloatArray, *, length: int, span: int) -> Regret:
    """A window of `length` slots chosen within the coming `span` by each forecast that shows them all, against the best one.

    The forecast's lowest window is taken, of equal ones the first, and priced with what came; planned once, never again.
    """
    if seen.shape[1] < span or span < length:
        return Regret(decisions=0, share=None, of_oracle=None)
    said, then = seen[:, :span], came(actual, span)
    whole = np.isfinite(said).all(axis=1) & np.isfinite(then).all(axis=1)
    if not whole.any():
        return Regret(decisions=0, share=None, of_oracle=None)
    expected, real = window_sums(said[whole], length), window_sums(then[whole], length)
    chosen = (expected <= expected.min(axis=1, keepdims=True) * (1 + TIE)).argmax(axis=1)
    spent, least, now = real[np.arange(len(real)), chosen].sum(), real.min(axis=1).sum(), real[:, 0].sum()
    return Regret(
        decisions=int(whole.sum()),
        share=float((spent - least) / least) if least > 0 else None,
        of_oracle=float((now - spent) / (now - least)) if now - least > TIE * now else None,
    )


def on_slots(series: IntensitySeries, start_at: datetime, step: timedelta, count: int) -> FloatArray:
    """The series as `count` slots from `start_at` on: means over whole slots, shape (count,), NaN where it does not cover one."""
    offsets_s = series.offset_s(start_at) + np.arange(count + 1) * step.total_seconds()
    whole_s = len(series) * series.step_s
    inside = (offsets_s >= 0) & (offsets_s <= whole_s)
    sums = series.cumulative_g_per_kw(np.clip(offsets_s, 0.0, whole_s))
    return np.where(inside[:-1] & inside[1:], np.diff(sums) / (step / HOUR), np.nan)


def said(issues: Iterable[tuple[datetime, IntensitySeries]], truth: History, leads: int) -> FloatArray:
    """What forecasts issued at these moments said, on the slots of `truth`, shape (n, leads); a later issue of a slot wins.

    A forecast counts from the slot it was issued in, never before: what it says of earlier slots was no forecast.
    """
    n, step = len(truth.values_g_per_kwh), truth.like.step
    out = np.full((n, leads), np.nan)
    for issued_at, series in sorted(issues, key=lambda issue: issue[0]):
        row = (issued_at - truth.start_at) // step
        if 0 <= row < n:
            values = on_slots(series, truth.start_at + row * step, step, leads)
            out[row] = np.where(np.isfinite(values), values, out[row])
    return out


def bins(step: timedelta, leads: int) -> list[tuple[int, int, int, int]]:
    """(from_h, to_h, first lead, last lead + 1) of each bin that has a lead below `leads`."""
    per_hour = HOUR / step
    found = [
        (begin, end, int(begin * per_hour) + 1, int(end * per_hour) + 1) for begin, end in zip((0, *BINS_H), BINS_H, strict=False)
    ]
    return [(begin, end, first, min(last, leads)) for begin, end, first, last in found if first < min(last, leads)]
