"""The slow, exact way: any policy and any forecaster, asked again and again, with nothing but the past in hand.

Used for plug-ins, resume costs and minimum chunks, and as the independent check
of the fast kernels. A policy is given a series that begins with the measured
slot of now and goes on with a forecast; a forecaster is given a `History` that
ends now. `Past` is the only way to the measured series, and raises on look-ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from greenai.errors import InputError
from greenai.logic.backtesting_kernel import TIE
from greenai.logic.history import History, history_of
from greenai.model.job import Constraints
from greenai.model.plan import Plan
from greenai.model.series import FloatArray, IntensitySeries

Policy = Callable[[IntensitySeries, Constraints, datetime], Plan]
Forecaster = Callable[[History, timedelta], IntensitySeries]


class LookAhead(InputError):
    """A policy under test asked for a value of its future."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A measured series as known during the slot that holds `now_at`: its values up to that slot, and no later one."""

    whole: IntensitySeries
    now_at: datetime

    @property
    def known_to_at(self) -> datetime:
        """The end of the current slot."""
        return self.whole.start_at + ((self.now_at - self.whole.start_at) // self.whole.step + 1) * self.whole.step

    def between(self, start_at: datetime, end_at: datetime) -> IntensitySeries:
        """Measured slots; raises LookAhead beyond the current one."""
        if end_at > self.known_to_at:
            raise LookAhead(f"at {self.now_at} the values up to {end_at} are not known yet")
        return self.whole.between(start_at, end_at)

    def history(self) -> History:
        """All that is known, for a forecaster."""
        return history_of(self.between(self.whole.start_at, self.known_to_at))


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


def planned_cost_g_per_kw(policy: Policy, forecast: IntensitySeries, actual: IntensitySeries, limits: Constraints) -> float:
    """Grams per kW of a plan made once on the forecast and kept, priced on what was measured; resume costs are in its windows."""
    plan = policy(forecast, limits, limits.earliest_at)
    return sum(actual.integral_g_per_kw(window.start_at, window.end_at) for window in plan.windows)


def one_start(seen: FloatArray, arrival: int, length: int, slack: int) -> int:
    """The rolling rule for one contiguous job, slot by slot: delay of its start (the check of `contiguous_starts`)."""
    for waited in range(slack):
        row = seen[arrival + waited]
        costs = [row[lead : lead + length].sum() for lead in range(slack - waited + 1)]
        if min(costs) >= costs[0] * (1 - TIE):
            return waited
    return slack
