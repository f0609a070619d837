"""When one job runs: the policies `(series, constraints, now_at) -> Plan`.

All choose among the same admissible starts: from now (or `earliest_at`) to
`latest_start_at`, both included, as far as the series covers the run. All raise
NoFeasibleWindow when there is none. Costs are grams per kW of constant load.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import floor

import numpy as np

from greenai.errors import InputError
from greenai.logic.segments import best_segments
from greenai.logic.starts import (
    MICROSECOND,
    TIE_RATIO,
    Admissible,
    StartProfile,
    admissible,
    greenest_starts,
    hours_of,
    start_profile,
)
from greenai.model.job import Constraints
from greenai.model.plan import Plan, Window
from greenai.model.series import IntensitySeries
from greenai.model.units import as_utc

__all__ = ["asap", "greenest", "greenest_starts", "interruptible", "percentile", "threshold"]


NEVER_BELOW = "never below"
"""How the note of a threshold or percentile plan begins when no admissible start is below the limit."""


def asap(series: IntensitySeries, constraints: Constraints, now_at: datetime) -> Plan:
    """The first admissible start."""
    span = admissible(series, constraints, as_utc(now_at, name="now_at"))
    return plan_at(series, constraints, span.first_at, note=span.note)


def greenest(series: IntensitySeries, constraints: Constraints, now_at: datetime) -> Plan:
    """The one window with the least emissions, exact over real-valued starts; ties go to the earliest."""
    span = admissible(series, constraints, as_utc(now_at, name="now_at"))
    return _greenest(start_profile(series, span, constraints.duration), constraints, span.note)


def threshold(series: IntensitySeries, constraints: Constraints, now_at: datetime) -> Plan:
    """The first start whose mean over the run is strictly below `max_g_per_kwh`, else the greenest one, with a note.

    Exact over real-valued starts, then to the next whole second of the series: of
    the starts below a limit there is no first. Raises InputError without a limit.
    """
    if constraints.max_g_per_kwh is None:
        raise InputError("the threshold policy needs a limit in g/kWh", hint="give one with --threshold, for example 200")
    span = admissible(series, constraints, as_utc(now_at, name="now_at"))
    return _first_below(series, constraints, span, constraints.max_g_per_kwh)


def percentile(series: IntensitySeries, constraints: Constraints, now_at: datetime) -> Plan:
    """As threshold, the limit being a percentile of the intensities an admissible run could meet.

    The percentile is weighted by time: the least value that at least that share
    of the time from the first start to the end of the last run does not exceed.
    """
    span = admissible(series, constraints, as_utc(now_at, name="now_at"))
    limit = time_percentile(series, span.first_at, span.last_at + constraints.duration, constraints.percentile)
    return _first_below(series, constraints, span, limit)


def interruptible(series: IntensitySeries, constraints: Constraints, now_at: datetime) -> Plan:
    """The cheapest set of segments; the problem solved is stated in `greenai.logic.segments`.

    Never dearer than `greenest`, whose window is among the candidates and wins ties.
    """
    span = admissible(series, constraints, as_utc(now_at, name="now_at"))
    whole = _greenest(start_profile(series, span, constraints.duration), constraints, span.note)
    cut = best_segments(series, constraints, span, below_g_per_kw=whole.cost_g_per_kw)
    if cut is None:
        return whole
    windows = tuple(Window(start_at=start, end_at=end) for start, end in cut.spans)
    run_time = sum((window.duration for window in windows), timedelta(0))
    return Plan(
        windows=windows,
        expected_g_per_kwh=cut.cost_g_per_kw / hours_of(run_time),
        cost_g_per_kw=cut.cost_g_per_kw,
        note=span.note,
    )


def time_percentile(series: IntensitySeries, start_at: datetime, end_at: datetime, percent: float) -> float:
    """The least intensity that at least `percent` of [start_at, end_at) does not exceed, in g/kWh."""
    part = series.between(start_at, end_at)
    edges_s = np.clip(np.arange(len(part) + 1) * part.step_s, part.offset_s(start_at), part.offset_s(end_at))
    order = np.argsort(part.values, kind="stable")
    passed_s = np.cumsum(np.diff(edges_s)[order])
    place = np.searchsorted(passed_s, passed_s[-1] * percent / 100 * (1 - 1e-12))
    return float(part.values[order][place])


def plan_at(series: IntensitySeries, constraints: Constraints, start_at: datetime, *, note: str = "") -> Plan:
    """The plan of one uninterrupted run from `start_at`; raises SeriesGap where the series does not cover it."""
    cost_g_per_kw = series.integral_g_per_kw(start_at, start_at + constraints.duration)
    return _plan(constraints, start_at, max(cost_g_per_kw, 0.0), note)


def _plan(constraints: Constraints, start_at: datetime, cost_g_per_kw: float, note: str) -> Plan:
    return Plan(
        windows=(Window(start_at=start_at, end_at=start_at + constraints.duration),),
        expected_g_per_kwh=cost_g_per_kw / hours_of(constraints.duration),
        cost_g_per_kw=cost_g_per_kw,
        note=note,
    )


def _greenest(profile: StartProfile, constraints: Constraints, note: str) -> Plan:
    place = profile.greenest()
    return _plan(constraints, profile.start_at(place), profile.costs_g_per_kw.item(place), note)


def _first_below(series: IntensitySeries, constraints: Constraints, span: Admissible, limit_g_per_kwh: float) -> Plan:
    profile = start_profile(series, span, constraints.duration)
    start_at = _first_start_below(profile, limit_g_per_kwh * hours_of(constraints.duration))
    if start_at is not None:
        return plan_at(series, constraints, start_at, note=span.note)
    never = f"{NEVER_BELOW} {limit_g_per_kwh:.4g} g/kWh before the limit: the greenest start instead"
    return _greenest(profile, constraints, f"{never}; {span.note}" if span.note else never)


ROUNDING_S = 1e-6
"""Times are kept to the microsecond."""


def _first_start_below(profile: StartProfile, limit_g_per_kw: float) -> datetime | None:
    """The first start below the limit, on the next whole second after the line crosses it; None if it never does."""
    below = np.flatnonzero(profile.costs_g_per_kw < limit_g_per_kw * (1 - TIE_RATIO))
    if not below.size:
        return None
    place = int(below[0])
    if place == 0:
        return profile.start_at(0)
    before, here = profile.costs_g_per_kw[place - 1 : place + 1].tolist()
    from_us, to_us = profile.start_us(place - 1), profile.start_us(place)
    crossing_s = (from_us + (to_us - from_us) * (before - limit_g_per_kw) / (before - here)) / 1e6
    # A crossing on a whole second may come out a hair before it, and the mean there is the limit itself, not below it.
    return profile.origin_at + min(timedelta(seconds=floor(crossing_s + ROUNDING_S) + 1), to_us * MICROSECOND)
