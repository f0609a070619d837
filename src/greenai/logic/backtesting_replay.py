"""The slow, exact way: any forecaster, asked in every slot with nothing but the past in hand.

Used for plug-ins, and as the independent check of the fast kernels. A forecaster
is given a `History` that ends now. `Past` is the only way to the measured series,
and raises on look-ahead. Policies of others: `backtesting_plugged`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from greenai.errors import InputError
from greenai.logic.backtesting_kernel import TIE
from greenai.logic.history import History, history_of
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import iso_utc

Forecaster = Callable[[History, timedelta], IntensitySeries]


class LookAhead(InputError):
    """A policy under test asked for its future, or planned in its past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A measured series as known in the slot that holds `now_at`: `whole` is cut there and copied, nothing later is in reach."""

    whole: IntensitySeries
    now_at: datetime

    def __post_init__(self) -> None:
        known = (self.now_at - self.whole.start_at) // self.whole.step + 1
        object.__setattr__(self, "whole", replace(self.whole, values=self.whole.values[:known].copy()))

    @property
    def known_to_at(self) -> datetime:
        """The end of the current slot."""
        return self.whole.end_at

    def between(self, start_at: datetime, end_at: datetime) -> IntensitySeries:
        """Measured slots; raises LookAhead beyond the current one."""
        if end_at > self.known_to_at:
            raise LookAhead(f"at {iso_utc(self.now_at)} the values up to {iso_utc(end_at)} are not known yet")
        return self.whole.between(start_at, end_at)

    def history(self) -> History:
        """All that is known, for a forecaster."""
        return history_of(self.whole)


def forecast_at(past: Past, forecaster: Forecaster, horizon: timedelta) -> IntensitySeries:
    """The forecaster's answer, begun with the measured slot."""
    series = forecaster(past.history(), horizon)
    values = series.values.copy()
    values[0] = past.between(past.known_to_at - past.whole.step, past.known_to_at).values[-1]
    return replace(series, values=values)


def matrix(whole: IntensitySeries, forecaster: Forecaster, slots: tuple[int, int], leads: int) -> FloatArray:
    """What is said at each slot in [begin, end) of `whole` for it and the leads - 1 after, shape (end - begin, leads)."""
    horizon = whole.step * (leads - 1)
    out = np.empty((slots[1] - slots[0], leads))
    for slot in range(*slots):
        past = Past(whole=whole, now_at=whole.start_at + slot * whole.step)
        out[slot - slots[0]] = forecast_at(past, forecaster, horizon).values[:leads]
    return out


def one_start(seen: FloatArray, arrival: int, length: int, slack: int) -> int:
    """The rolling rule for one contiguous job, slot by slot: delay of its start (the check of `contiguous_starts`)."""
    for waited in range(slack):
        row = seen[arrival + waited]
        costs = [row[lead : lead + length].sum() for lead in range(slack - waited + 1)]
        if min(costs) >= costs[0] * (1 - TIE):
            return waited
    return slack
