"""What our own forecasters would have said of a measured past, slot by slot, each time with nothing but what came before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType

import numpy as np

from greenai.errors import SeriesError
from greenai.logic.backtesting_matrix import LEAST, REFIT, Period, forecast_matrix, tail_naive
from greenai.logic.backtesting_replay import Forecaster
from greenai.logic.forecasting import Forecast, LprModel, fit, forecast_with
from greenai.logic.history import EPOCH, HOUR, History, hourly, until
from greenai.model.series import FloatArray
from greenai.model.units import ceil_to
from greenai.model.weather import WeatherSeries

COARSEST_FINE = timedelta(minutes=15)
"""Slots shorter than this are judged by the hour: a plan on them differs by little, and there are very many."""

_NO_OTHERS: Mapping[str, Forecaster] = MappingProxyType({})

Say = Callable[[int, int], None]
"""Told how many slots are done, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """What was said at each slot of a past, (n, leads), NaN where nothing was; `bounds` its 10th and 90th percentile, if any."""

    middle: FloatArray
    bounds: tuple[FloatArray, FloatArray] | None = None


def coarse(truth: History) -> History:
    """The past on slots worth judging: finer than a quarter of an hour becomes whole hours, the unfinished last one left out."""
    if truth.like.step >= COARSEST_FINE:
        return truth
    hours = hourly(truth)
    whole = (truth.end_at - EPOCH) // HOUR - hours.first_hour
    known = np.flatnonzero(np.isfinite(hours.values_g_per_kwh[:whole]))
    if not known.size:
        raise SeriesError(f"less than an hour is known of {truth.like.zone}")
    start_at = EPOCH + hours.first_hour * HOUR
    like = replace(truth.like, step=HOUR, start_at=ceil_to(truth.like.start_at, HOUR), values=truth.like.values[:1])
    return History(start_at=start_at, values_g_per_kwh=hours.values_g_per_kwh[: int(known[-1]) + 1], like=like)


def lpr_said(truth: History, begin: int, leads: int, say: Say) -> Said:
    """LPR-A with its intervals at each known slot from `begin` on, fitted anew each week; raises SeriesError for a short past."""
    horizon = truth.like.step * (leads - 1)
    kept: list[tuple[LprModel, History]] = []

    def asked(past: History) -> Forecast:
        if not kept or past.end_at - kept[-1][1].end_at >= REFIT:
            kept[:] = [(fit(past, horizon + HOUR), past)]
        return forecast_with(kept[-1][0], past, horizon)

    middle, low, high = (np.full((len(truth.values_g_per_kwh), leads), np.nan) for _ in range(3))
    for slot, past in _pasts(truth, begin, say):
        made = asked(past)
        # LPR-A always states its interval; the type leaves room for plug-ins that do not.
        parts = (made.series, made.low or made.series, made.high or made.series)
        middle[slot], low[slot], high[slot] = (part.values[:leads] for part in parts)
    return Said(middle=middle, bounds=(low, high))


def naive_said(truth: History, begin: int, leads: int, say: Say) -> Said:
    """Seasonal naive at each known slot from `begin` on; raises SeriesError for a short past."""
    middle = np.full((len(truth.values_g_per_kwh), leads), np.nan)
    for slot, past in _pasts(truth, begin, say):
        middle[slot] = tail_naive(past, truth.like.step * (leads - 1)).values[:leads]
    return Said(middle=middle)


def weather_said(truth: History, begin: int, leads: int, weather: WeatherSeries) -> Said:
    """LPR-A moved by the weather, on a past by the hour without gaps; raises SeriesError or InputError where it cannot be."""
    gaps = int(np.isnan(truth.values_g_per_kwh).sum())
    if gaps:
        raise SeriesError(f"{gaps} slots of the past are not known: lpr+weather is judged on a past without gaps")
    whole = replace(truth.like, start_at=truth.start_at, values=truth.values_g_per_kwh)
    period = Period(whole=whole, begin=begin, end=len(whole), leads=leads)
    made = forecast_matrix(period, "lpr+weather", plugin=_NO_OTHERS.__getitem__, weather=weather)
    return Said(middle=np.vstack((np.full((begin, leads), np.nan), made)))


def first_row(truth: History, begin: int, forecaster: str) -> int:
    """The first slot from `begin` on with the past the forecaster needs, gaps not counted; raises SeriesError without one."""
    needed = LEAST[forecaster] // truth.like.step
    enough = np.flatnonzero(np.cumsum(np.isfinite(truth.values_g_per_kwh)) > needed)
    if not enough.size:
        days, known = LEAST[forecaster].days, truth.known_days
        raise SeriesError(f"it needs {days} days of the past before the first slot judged, {known:.1f} are known")
    return max(begin, int(enough[0]))


def _pasts(truth: History, begin: int, say: Say) -> Iterator[tuple[int, History]]:
    """Each known slot from `begin` on with the past up to its end: the only way to the truth."""
    slots = np.flatnonzero(np.isfinite(truth.values_g_per_kwh[begin:])) + begin
    for done, slot in enumerate(slots.tolist()):
        say(done, len(slots))
        yield slot, until(truth, truth.start_at + (slot + 1) * truth.like.step)
