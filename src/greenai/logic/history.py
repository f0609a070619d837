"""A measured past with gaps, as forecasters read it: never a plan's series, which may have none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from greenai.errors import InputError, MixedSeries, SeriesError
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import floor_to

HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Measured intensities up to now. `values_g_per_kwh` (n,) has NaN where nothing is known; its last value is known.

    `like` is the newest piece it was made of: zone, basis, scope, step and source.
    """

    start_at: datetime
    values_g_per_kwh: FloatArray
    like: IntensitySeries

    @property
    def end_at(self) -> datetime:
        """The end of the last slot: now, or the end of what is published."""
        return self.start_at + self.like.step * len(self.values_g_per_kwh)

    @property
    def known_days(self) -> float:
        """How much of it is known, in days."""
        return float(np.isfinite(self.values_g_per_kwh).sum() * (self.like.step / timedelta(days=1)))


def history_of(*pieces: IntensitySeries) -> History:
    """Pieces in any order as one past; where they overlap the later given wins, between them lies a gap.

    Raises MixedSeries when they differ in zone, basis, scope, step or grid.
    """
    newest = max(pieces, key=lambda piece: piece.end_at)
    start_at = min(piece.start_at for piece in pieces)
    values = np.full((newest.end_at - start_at) // newest.step, np.nan)
    for piece in pieces:
        _require_alike(piece, newest)
        first = (piece.start_at - start_at) // newest.step
        values[first : first + len(piece)] = piece.values
    values.flags.writeable = False
    return History(start_at=start_at, values_g_per_kwh=values, like=newest)


def _require_alike(piece: IntensitySeries, newest: IntensitySeries) -> None:
    for name in ("zone", "basis", "scope", "step"):
        if getattr(piece, name) != getattr(newest, name):
            raise MixedSeries(f"cannot make one history of different {name}: {getattr(piece, name)}, {getattr(newest, name)}")
    if (newest.start_at - piece.start_at) % newest.step:
        raise MixedSeries(f"the pieces of the history of {piece.zone} do not lie on one grid of slots")


def until(history: History, end_at: datetime) -> History:
    """The part that ends at or before `end_at`, up to its last known value; raises SeriesError when none is left."""
    count = max((end_at - history.start_at) // history.like.step, 0)
    known = np.flatnonzero(np.isfinite(history.values_g_per_kwh[:count]))
    if not known.size:
        raise SeriesError(f"nothing is known of {history.like.zone} before {end_at}")
    return History(start_at=history.start_at, values_g_per_kwh=history.values_g_per_kwh[: int(known[-1]) + 1], like=history.like)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hourly:
    """The past by whole hours: `values_g_per_kwh` (n,), NaN where unknown; `first_hour` counts hours from 1970."""

    first_hour: int
    values_g_per_kwh: FloatArray

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which hours are known."""
        return np.isfinite(self.values_g_per_kwh)


def hourly(history: History) -> Hourly:
    """Means of whole hours. An hour counts if at least half of it is known; the last one by what is known of it so far.

    Raises InputError for a step that does not divide the hour.
    """
    step = history.like.step
    if HOUR % step:
        raise InputError(f"slots of {step} do not divide the hour", hint="forecasts need steps of an hour, 30, 15 or 5 minutes")
    per_hour = HOUR // step
    first_at = floor_to(history.start_at, HOUR) if per_hour > 1 else history.start_at
    lead_in = (history.start_at - first_at) // step
    count = -(-(lead_in + len(history.values_g_per_kwh)) // per_hour)
    slots = np.full(count * per_hour, np.nan)
    slots[lead_in : lead_in + len(history.values_g_per_kwh)] = history.values_g_per_kwh
    table = slots.reshape(count, per_hour)
    known = np.isfinite(table).sum(axis=1)
    enough = known * 2 >= per_hour
    enough[-1] = True
    means = np.nansum(table, axis=1) / np.maximum(known, 1)
    return Hourly(first_hour=(first_at - EPOCH) // HOUR, values_g_per_kwh=np.where(enough, means, np.nan))
