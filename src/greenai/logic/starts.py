"""Which starts a job may have and what each costs: the ground every policy stands on.

The emissions of a run of fixed length on a step function are piecewise linear
in its start. They bend only where the start or the end of the run meets a slot
edge, so the best and the worst start is such a bend, or the first or the last
admissible moment: about 2n candidates, priced by prefix sums in O(n), are exact
over real-valued starts. Costs are grams per kW of constant load.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from greenai.errors import NoFeasibleWindow
from greenai.logic.wording import span_words, when
from greenai.model.job import Constraints
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import SECONDS_PER_HOUR, ceil_to

TIE_RATIO = 1e-10
"""Two costs this close are one: the noise of prefix sums must not choose a later start."""

MICROSECOND = timedelta(microseconds=1)
"""The finest a start can be: all exact times are whole microseconds."""

MINUTE = timedelta(minutes=1)

US_PER_HOUR = 3_600_000_000

_BLOCK = 1 << 15
"""Candidates priced at once: a few arrays of this many doubles stay in a core's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admissible:
    """The starts to choose from, both ends included, and what was left out of the search."""

    first_at: datetime
    last_at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StartProfile:
    """Cost of a run by its start, at every bend; in between it is linear.

    `costs_g_per_kw` has shape (m,), by ascending start, the first and the last
    admissible one at its ends. Starts are whole microseconds since `origin_at`.
    """

    origin_at: datetime
    first_us: int
    last_us: int
    edge_us: int
    step_us: int
    into_us: int
    costs_g_per_kw: FloatArray

    def start_us(self, place: int) -> int:
        """The start of that place: on a slot edge and `into_us` after one by turns."""
        return min(max(self.edge_us + place // 2 * self.step_us + place % 2 * self.into_us, self.first_us), self.last_us)

    def start_at(self, place: int) -> datetime:
        """The same as a moment."""
        return self.origin_at + self.start_us(place) * MICROSECOND

    def starts_us(self) -> NDArray[np.int64]:
        """All starts, shape (m,)."""
        places = np.arange(len(self.costs_g_per_kw), dtype=np.int64)
        starts = self.edge_us + places // 2 * self.step_us + places % 2 * self.into_us
        within: NDArray[np.int64] = np.minimum(np.maximum(starts, self.first_us), self.last_us)
        return within

    def greenest(self) -> int:
        """The place of least cost, ties to the earliest."""
        costs = self.costs_g_per_kw
        return int((costs <= costs.min() * (1 + TIE_RATIO)).argmax())


def admissible(series: IntensitySeries, constraints: Constraints, now_at: datetime) -> Admissible:
    """Starts from now (or earliest_at, if later) to latest_start_at whose run the series covers.

    Raises NoFeasibleWindow when there is none; its hint says what would fit.
    """
    soonest_at = max(now_at, constraints.earliest_at)
    require_time(constraints, soonest_at)
    first_at = max(soonest_at, series.start_at)
    last_at = min(constraints.latest_start_at, series.end_at - constraints.duration)
    if last_at < first_at:
        covered = series.end_at - first_at
        raise NoFeasibleWindow(
            f"the series of {series.zone} covers {when(series.start_at)} to {when(series.end_at)}: no run of "
            f"{span_words(constraints.duration)} from {when(first_at)} to {when(constraints.deadline_at)} lies within it",
            hint=f"the longest run it covers is {span_words(covered)}"
            if covered > timedelta(0)
            else "take a series that covers the job",
        )
    return Admissible(first_at=first_at, last_at=last_at, note=_left_out(series, constraints, soonest_at))


def require_time(constraints: Constraints, soonest_at: datetime) -> None:
    """Raise NoFeasibleWindow unless a run from `soonest_at` on can end by the deadline; the hint says what would fit."""
    if soonest_at <= constraints.latest_start_at:
        return
    finish_at = soonest_at + constraints.duration
    left = constraints.deadline_at - soonest_at
    shorter = f", or shorten the run: up to {span_words(left)} would fit" if left > timedelta(0) else ""
    raise NoFeasibleWindow(
        f"a run of {span_words(constraints.duration)} from {when(soonest_at)} on cannot end by {when(constraints.deadline_at)}",
        hint=f"allow it to end at {when(ceil_to(finish_at, MINUTE))} or later{shorter}",
    )


def _left_out(series: IntensitySeries, constraints: Constraints, soonest_at: datetime) -> str:
    """What the series does not let us search, in words; empty when nothing."""
    parts = []
    if series.start_at > soonest_at:
        parts.append(f"the series begins at {when(series.start_at)}: earlier starts were not considered")
    if series.end_at < constraints.deadline_at:
        parts.append(f"the series ends at {when(series.end_at)}: time beyond it was not considered")
    return "; ".join(parts)


def start_profile(series: IntensitySeries, span: Admissible, duration: timedelta) -> StartProfile:
    """Cost of every admissible start of a run of `duration`, as a piecewise linear function."""
    step_us, length_us = series.step // MICROSECOND, duration // MICROSECOND
    first_us, last_us = ((at - series.start_at) // MICROSECOND for at in (span.first_at, span.last_at))
    # A run that ends on an edge counts as ending with the slot before it: so every index below lies in the series.
    ahead, end_us = divmod(length_us - 1, step_us)
    end_us += 1
    first, stop = first_us // step_us, last_us // step_us + 1
    sums, rates = series.edge_sums_g_per_kw, series.values
    costs = np.empty(2 * (stop - first) + 1)
    costs[:-1:2] = sums[first + ahead : stop + ahead] + rates[first + ahead : stop + ahead] * (end_us / US_PER_HOUR)
    costs[1::2] = sums[first + ahead + 1 : stop + ahead + 1] - rates[first:stop] * ((step_us - end_us) / US_PER_HOUR)
    costs[:-1].reshape(-1, 2)[:] -= sums[first:stop, None]
    profile = StartProfile(
        origin_at=series.start_at,
        first_us=first_us,
        last_us=last_us,
        edge_us=first * step_us,
        step_us=step_us,
        into_us=step_us - end_us,
        costs_g_per_kw=costs,
    )
    _pin_ends(series, profile, length_us)
    # Differences of sums can fall below zero by their rounding; a cost cannot.
    np.maximum(costs, 0.0, out=costs)
    return profile


def _pin_ends(series: IntensitySeries, profile: StartProfile, length_us: int) -> None:
    """Price the places that fall outside the admissible span as its ends, where `start_us` puts them."""
    costs, last = profile.costs_g_per_kw, len(profile.costs_g_per_kw) - 1
    for start_us, end, inner in ((profile.first_us, 0, 1), (profile.last_us, last, last - 1)):
        costs[end] = _sum_to(series, start_us + length_us) - _sum_to(series, start_us)
        if profile.start_us(inner) == start_us:
            costs[inner] = costs[end]


def _sum_to(series: IntensitySeries, offset_us: int) -> float:
    """Integral from the start of the series to an offset within it."""
    slot, into_us = divmod(offset_us, series.step // MICROSECOND)
    part = series.values.item(slot) * (into_us / US_PER_HOUR) if into_us else 0.0
    return series.edge_sums_g_per_kw.item(slot) + part


def greenest_starts(
    series: IntensitySeries, earliest_offsets_s: ArrayLike, latest_offsets_s: ArrayLike, duration_s: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """The greenest contiguous start of many jobs at once, exact over real-valued starts, ties to the earliest.

    Args:
        series: the intensities all jobs are priced by.
        earliest_offsets_s: first admissible start of each job, seconds since series.start_at.
        latest_offsets_s: last admissible start of each job, the same way; both are cut to what the series covers.
        duration_s: run time of each job. The three broadcast to one shape (jobs,).

    Returns:
        Start offsets in seconds and costs in g per kW of constant load, each of shape (jobs,);
        NaN in both where a job has no admissible start.

    Time and memory go with the slots in the widest span of starts, not with the length of the series.
    """
    given = (np.atleast_1d(np.asarray(times, np.float64)) for times in (earliest_offsets_s, latest_offsets_s, duration_s))
    low_s, high_s, length_s = np.broadcast_arrays(*given)
    low_s, high_s = np.maximum(low_s, 0.0), np.minimum(high_s, len(series) * series.step_s - length_s)
    starts, costs_g_per_kw = np.full((2, len(low_s)), np.nan)
    # Seconds as floats are good to less than the microsecond that times are told in.
    fits = np.flatnonzero((low_s <= high_s + MICROSECOND.total_seconds()) & (length_s > 0))
    low, high, length = (times / series.step_s for times in (low_s, np.maximum(low_s, high_s), length_s))
    table = _RunTable(series, float((high - low)[fits].max(initial=0.0)))
    for first in range(0, len(fits), table.rows_per_block):
        block = fits[first : first + table.rows_per_block]
        starts[block], costs_g_per_kw[block] = table.greenest(low[block], high[block], length[block])
    return starts * series.step_s, costs_g_per_kw


class _RunTable:
    """Prices many jobs at once, a row each: the sums and rates from any slot on are one row of a sliding window.

    All times are in slots.
    """

    def __init__(self, series: IntensitySeries, widest: float) -> None:
        self.places = np.arange(int(widest) + 1)
        width = len(self.places)
        self.rows_per_block = max(1, _BLOCK // width)
        # Rows may reach beyond the series: what they hold there belongs to starts that are not admissible.
        self.sums = sliding_window_view(np.pad(series.edge_sums_g_per_kw, (0, width), mode="edge"), width)
        self.rates = sliding_window_view(np.pad(series.values * (series.step_s / SECONDS_PER_HOUR), (0, width + 1)), width)

    def greenest(self, low: FloatArray, high: FloatArray, length: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The best start of each job and its cost, from the four kinds of bend."""
        ahead, rest = np.divmod(length, 1.0)
        kinds = [(low, self._run(low, length)), (high, self._run(high, length))]
        kinds.append(self._best_slot(np.ceil(low), high, ahead, (ahead, rest)))
        if rest.any():
            to_edge = np.ceil(length) - length
            starts, costs = self._best_slot(np.ceil(low - to_edge), high - to_edge, np.ceil(length), (0.0 * ahead, -to_edge))
            kinds.append((starts + to_edge, costs))
        starts, costs = (np.stack(part) for part in zip(*kinds, strict=True))
        chosen = np.where(costs <= costs.min(axis=0) * (1 + TIE_RATIO), starts, np.inf).argmin(axis=0)
        jobs = np.arange(len(chosen))
        return np.clip(starts[chosen, jobs], low, high), np.maximum(costs[chosen, jobs], 0.0)

    def _best_slot(
        self, first: FloatArray, last: FloatArray, ahead: FloatArray, part: tuple[FloatArray, FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """The best slot to start in, from first to last, its cost `ahead` slots on; `part` (slots on, share) is added to it."""
        begin = first.astype(np.int64)
        costs = self.sums[begin + ahead.astype(np.int64)]
        costs -= self.sums[begin]
        costs += self.rates[begin + part[0].astype(np.int64)] * part[1][:, None]
        costs[self.places > (last - first)[:, None]] = np.inf
        least = costs.min(axis=1)
        place = (costs <= least[:, None] * (1 + TIE_RATIO)).argmax(axis=1)
        return first + place, least

    def _run(self, start: FloatArray, length: FloatArray) -> FloatArray:
        """Cost of one run from each start."""
        return self._sum_to(start + length) - self._sum_to(start)

    def _sum_to(self, offset: FloatArray) -> FloatArray:
        slot = offset.astype(np.int64)
        share = offset - slot
        return np.asarray(self.sums[slot, 0] + share * self.rates[slot, 0])


def hours_of(duration: timedelta) -> float:
    """A span in hours."""
    return duration.total_seconds() / SECONDS_PER_HOUR
