"""Carbon intensity over time: a step function on half-open UTC slots.

Slot i covers [start_at + i*step, start_at + (i+1)*step) and holds one value in
gCO2(e) per kWh. Integrals are exact for any start and end, by prefix sums: an
interval that cuts a slot takes that slot's share. A gap is an error, never NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from greenai.errors import MixedSeries, SeriesError, SeriesGap
from greenai.model.units import SECONDS_PER_HOUR, as_utc, iso_utc

Basis = Literal["average", "marginal"]
Scope = Literal["direct", "lifecycle", "unstated"]
Kind = Literal["observed", "forecast", "modelled"]
FloatArray = NDArray[np.float64]

_EDGE_TOLERANCE_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a series came from: enough to fetch or re-read it and to prove it unchanged."""

    provider: str
    url: str
    fetched_at: datetime
    payload_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntensitySeries:
    """Carbon intensity of one zone in g/kWh on equal half-open slots.

    `values` is a read-only float64 array, finite and not negative. `kind` says
    whether the values were measured by the grid's operator ("observed"), are a
    forecast, or come from a model of typical days ("modelled").
    """

    start_at: datetime
    step: timedelta
    values: FloatArray
    zone: str
    basis: Basis = "average"
    scope: Scope = "unstated"
    kind: Kind = "observed"
    issued_at: datetime | None = None
    source: Source
    _cumulative_g_h: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64, copy=True)
        if values.ndim != 1 or values.size == 0:
            raise SeriesError(f"a series needs at least one value, zone {self.zone} has none")
        if self.step <= timedelta(0):
            raise SeriesError(f"a series needs a positive step, not {self.step}")
        bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
        if bad.size:
            raise SeriesError(f"value {values[bad[0]]} at slot {bad[0]} of zone {self.zone} is not a finite intensity >= 0")
        values.flags.writeable = False
        hours = self.step.total_seconds() / SECONDS_PER_HOUR
        cumulative = np.concatenate(([0.0], np.cumsum(values))) * hours
        cumulative.flags.writeable = False
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "start_at", as_utc(self.start_at, name="start_at"))
        object.__setattr__(self, "_cumulative_g_h", cumulative)

    @property
    def end_at(self) -> datetime:
        """First moment no longer covered."""
        return self.start_at + self.step * len(self.values)

    @property
    def step_s(self) -> float:
        """Length of one slot in seconds."""
        return self.step.total_seconds()

    @property
    def edge_sums_g_per_kw(self) -> FloatArray:
        """Integral of the intensity from the start to each slot edge, shape (n + 1,), read-only: grams per kW of load."""
        return self._cumulative_g_h

    def __len__(self) -> int:
        return len(self.values)

    def offset_s(self, moment: datetime) -> float:
        """Seconds from the first slot's start to `moment`."""
        return (moment - self.start_at).total_seconds()

    def covers(self, start_at: datetime, end_at: datetime) -> bool:
        """Whether every moment of [start_at, end_at) lies in a slot."""
        return self.start_at <= start_at and end_at <= self.end_at

    def at(self, moment: datetime) -> float:
        """The intensity in g/kWh of the slot that holds `moment`."""
        if not self.start_at <= moment < self.end_at:
            raise self._gap(moment, moment)
        return float(self.values[int((moment - self.start_at) // self.step)])

    def cumulative_g_per_kw(self, offsets_s: ArrayLike) -> FloatArray:
        """Integral of the intensity from the start to each offset, in (g/kWh)*h = g per kW of constant load.

        Offsets are seconds since `start_at`, any shape, all within the series.
        """
        slots = np.asarray(offsets_s, dtype=np.float64) / self.step_s
        limit = len(self.values)
        tolerance = _EDGE_TOLERANCE_S / self.step_s
        if slots.size and (slots.min() < -tolerance or slots.max() > limit + tolerance):
            raise SeriesGap(f"an offset lies outside the {limit} slots of zone {self.zone}")
        whole = np.clip(slots.astype(np.int64), 0, limit - 1)
        share = np.clip(slots - whole, 0.0, 1.0)
        return self._cumulative_g_h[whole] + share * self.values[whole] * (self.step_s / SECONDS_PER_HOUR)

    def integral_g_per_kw(self, start_at: datetime, end_at: datetime) -> float:
        """Grams emitted by a constant load of 1 kW over [start_at, end_at)."""
        if end_at < start_at:
            raise SeriesError(f"the interval ends at {iso_utc(end_at)}, before it starts at {iso_utc(start_at)}")
        if not self.covers(start_at, end_at):
            raise self._gap(start_at, end_at)
        return self._cumulative_at_g_per_kw(end_at) - self._cumulative_at_g_per_kw(start_at)

    def _cumulative_at_g_per_kw(self, moment: datetime) -> float:
        """What `cumulative_g_per_kw` says of one moment within the series, to the last bit: a queue asks for many."""
        slots = self.offset_s(moment) / self.step_s
        whole = min(int(slots), len(self.values) - 1)
        share = min(slots - whole, 1.0)
        return float(self._cumulative_g_h[whole] + share * self.values[whole] * (self.step_s / SECONDS_PER_HOUR))

    def mean_g_per_kwh(self, start_at: datetime, end_at: datetime) -> float:
        """Time-weighted mean over [start_at, end_at); of an empty interval, the value there."""
        if start_at == end_at:
            return self.at(start_at)
        hours = (end_at - start_at).total_seconds() / SECONDS_PER_HOUR
        return self.integral_g_per_kw(start_at, end_at) / hours

    def between(self, start_at: datetime, end_at: datetime) -> IntensitySeries:
        """The whole slots that touch [start_at, end_at); all of it must be covered."""
        if not self.covers(start_at, end_at) or start_at >= end_at:
            raise self._gap(start_at, end_at)
        first = (start_at - self.start_at) // self.step
        last = -((self.start_at - end_at) // self.step)
        return replace(self, start_at=self.start_at + first * self.step, values=self.values[first:last])

    def joined(self, later: IntensitySeries) -> IntensitySeries:
        """This series followed by `later`, which must start where this one ends and be of the same nature."""
        for name in ("zone", "basis", "scope", "kind", "step"):
            if getattr(self, name) != getattr(later, name):
                raise MixedSeries(f"cannot join series of different {name}: {getattr(self, name)} and {getattr(later, name)}")
        if later.start_at != self.end_at:
            raise SeriesGap(
                f"cannot join: the first part ends at {iso_utc(self.end_at)}, the second starts at {iso_utc(later.start_at)}"
            )
        return replace(self, values=np.concatenate((self.values, later.values)))

    def _gap(self, start_at: datetime, end_at: datetime) -> SeriesGap:
        return SeriesGap(
            f"the {self.source.provider} series of {self.zone} covers {iso_utc(self.start_at)} to {iso_utc(self.end_at)}, "
            f"not all of {iso_utc(start_at)} to {iso_utc(end_at)}"
        )


def series_from_rows(
    rows: Sequence[tuple[datetime, float]],
    *,
    step: timedelta,
    zone: str,
    source: Source,
    basis: Basis = "average",
    scope: Scope = "unstated",
    kind: Kind = "observed",
    issued_at: datetime | None = None,
) -> IntensitySeries:
    """Build a series from (slot start, g/kWh) rows in any order.

    Equal duplicates are dropped; of unequal ones the last given wins (the
    services append corrections). A missing slot raises SeriesGap.
    """
    if not rows:
        raise SeriesError(f"no rows for zone {zone}")
    by_start = dict(rows)
    starts = sorted(by_start)
    for earlier, later in pairwise(starts):
        if later - earlier != step:
            raise SeriesGap(f"zone {zone}: a slot is missing between {iso_utc(earlier)} and {iso_utc(later)} (step {step})")
    return IntensitySeries(
        start_at=starts[0],
        step=step,
        values=np.array([by_start[start] for start in starts]),
        zone=zone,
        basis=basis,
        scope=scope,
        kind=kind,
        issued_at=issued_at,
        source=source,
    )
