"""A metered run laid over the slots of an intensity series.

Power is taken as constant within one interval, so an interval that crosses a
slot edge gives each slot its share by time. Moving a run means laying the same
intervals down from another moment. No BLAS and no random order: the same input
gives the same bits on every machine, which is what verification rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import fsum

import numpy as np

from greenai.logic.attributing import job_energy_j
from greenai.model.energy import EnergyTrace
from greenai.model.plan import Window, merged
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import J_PER_KWH, SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """The intervals of a run: seconds since `first_at`, and the job's joules in each. Arrays of shape (n_intervals,)."""

    first_at: datetime
    start_s: FloatArray
    end_s: FloatArray
    job_j: FloatArray

    @property
    def length_s(self) -> float:
        """From the first interval's start to the last moment of any."""
        return float(self.end_s.max())


def spans_of(trace: EnergyTrace) -> Spans:
    """The intervals of a trace that has at least one.

    Where the wall clock was set back inside an interval, the interval becomes an
    instant at its start.
    """
    first_at = trace.intervals[0].start_at
    start_s = np.array([(interval.start_at - first_at).total_seconds() for interval in trace.intervals])
    end_s = np.array([(interval.end_at - first_at).total_seconds() for interval in trace.intervals])
    return Spans(first_at=first_at, start_s=start_s, end_s=np.maximum(start_s, end_s), job_j=job_energy_j(trace))


def without(spans: Spans, standing: Sequence[Window]) -> Spans:
    """The run as it would have been had it never stood still: what lies in these windows is cut out, the rest closed up.

    Power is constant within one interval, so an interval that was cut keeps its
    energy by the share of its time that is left.
    """
    windows = merged(standing)
    if not windows:
        return spans
    from_s, to_s = (
        np.array([(getattr(window, name) - spans.first_at).total_seconds() for window in windows])
        for name in ("start_at", "end_at")
    )

    def closed_up(moment_s: FloatArray) -> FloatArray:
        stood_s: FloatArray = np.clip(moment_s[:, None] - from_s, 0.0, to_s - from_s).sum(axis=1)
        return moment_s - stood_s

    start_s = closed_up(spans.start_s)
    end_s = np.maximum(start_s, closed_up(spans.end_s))
    length_s = spans.end_s - spans.start_s
    stands = ((spans.start_s[:, None] >= from_s) & (spans.start_s[:, None] < to_s)).any(axis=1)
    lasts = length_s > 0
    share = np.where(lasts, (end_s - start_s) / np.where(lasts, length_s, 1.0), np.where(stands, 0.0, 1.0))
    return Spans(first_at=spans.first_at, start_s=start_s, end_s=end_s, job_j=spans.job_j * share)


def reaches(series: IntensitySeries, spans: Spans, start_at: datetime) -> bool:
    """Whether the series covers the run when it starts at `start_at`."""
    offset_s = series.offset_s(start_at)
    return bool(offset_s + spans.start_s.min() >= 0 and offset_s + spans.length_s <= series.step_s * len(series))


def slot_kwh(spans: Spans, series: IntensitySeries, start_at: datetime) -> FloatArray:
    """The job's energy in each slot of the series, shape (n_slots,), when the run starts at `start_at`.

    The caller has checked that the series reaches. The energies sum to the run's.
    """
    start_s = spans.start_s + series.offset_s(start_at)
    end_s = spans.end_s + series.offset_s(start_at)
    last_slot = len(series) - 1
    first = np.minimum(np.floor(start_s / series.step_s).astype(np.int64), last_slot)
    last = np.clip(np.ceil(end_s / series.step_s).astype(np.int64) - 1, first, last_slot)
    pieces = last - first + 1
    owner = np.repeat(np.arange(len(first)), pieces)
    slot = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + first[owner]
    share = np.ones(len(owner))
    cut = pieces[owner] > 1
    from_s = np.maximum(start_s[owner], slot * series.step_s)
    to_s = np.minimum(end_s[owner], (slot + 1) * series.step_s)
    share[cut] = ((to_s - from_s) / np.where(cut, end_s[owner] - start_s[owner], 1.0))[cut]
    energy: FloatArray = np.bincount(slot, weights=spans.job_j[owner] * share, minlength=len(series)) / J_PER_KWH
    return energy


def constant_kwh(power_w: float, series: IntensitySeries, start_at: datetime, end_at: datetime) -> FloatArray:
    """The energy of a constant load over [start_at, end_at) in each slot of the series, shape (n_slots,)."""
    edges_s = np.arange(len(series) + 1) * series.step_s
    inside_s = np.clip(edges_s, series.offset_s(start_at), series.offset_s(end_at))
    load: FloatArray = np.diff(inside_s) * (power_w / J_PER_KWH)
    return load


def grams(energy_kwh: FloatArray, series: IntensitySeries) -> float:
    """Sum over slots of kWh times the slot's intensity."""
    return fsum(energy_kwh * series.values)


def mean_g_over_starts(spans: Spans, series: IntensitySeries, first_at: datetime, last_at: datetime) -> float:
    """Mean emissions of the run over all starts in [first_at, last_at], each as likely as the other.

    Exact: with F the integral of the intensity and G that of F, the mean over
    starts s of a load p on [s+a, s+b] is p*(G(last+b) - G(first+b) - G(last+a) +
    G(first+a)) / (last - first).
    """
    slack_h = (last_at - first_at).total_seconds() / SECONDS_PER_HOUR
    if slack_h == 0:
        return grams(slot_kwh(spans, series, first_at), series)
    low_s, high_s = series.offset_s(first_at), series.offset_s(last_at)
    length_h = (spans.end_s - spans.start_s) / SECONDS_PER_HOUR
    instant = length_h == 0
    corners_s = np.array([high_s + spans.end_s, low_s + spans.end_s, high_s + spans.start_s, low_s + spans.start_s])
    last_end, first_end, last_start, first_start = _second_integral(series, corners_s)
    mean_g_per_kwh = np.where(
        instant,
        np.subtract(*series.cumulative_g_per_kw(corners_s[2:])) / slack_h,
        ((last_end - first_end) - (last_start - first_start)) / (slack_h * np.where(instant, 1.0, length_h)),
    )
    return fsum(mean_g_per_kwh * spans.job_j) / J_PER_KWH


def mean_waiting_g_per_kw(series: IntensitySeries, first_at: datetime, last_at: datetime) -> float:
    """Mean emissions of 1 kW held from `first_at` to a start, over all starts in [first_at, last_at]."""
    slack_h = (last_at - first_at).total_seconds() / SECONDS_PER_HOUR
    if slack_h == 0:
        return 0.0
    ends_s = np.array([series.offset_s(first_at), series.offset_s(last_at)])
    doubled = _second_integral(series, ends_s)
    return float((doubled[1] - doubled[0]) / slack_h - series.cumulative_g_per_kw(ends_s[:1])[0])


def _second_integral(series: IntensitySeries, offsets_s: FloatArray) -> FloatArray:
    """Integral over time of the integral of the intensity from the series' start, in (g/kWh)*h*h."""
    step_h = series.step_s / SECONDS_PER_HOUR
    at_edges = series.cumulative_g_per_kw(np.arange(len(series)) * series.step_s)
    doubled = np.concatenate(([0.0], np.cumsum(at_edges * step_h + series.values * (step_h * step_h / 2))))
    slot = np.clip((offsets_s / series.step_s).astype(np.int64), 0, len(series) - 1)
    rest_h = offsets_s / SECONDS_PER_HOUR - slot * step_h
    within: FloatArray = doubled[slot] + rest_h * at_edges[slot] + series.values[slot] * (rest_h * rest_h / 2)
    return within
