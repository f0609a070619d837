"""What a plan made on one basis does on the other: shown beside it, never mixed into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from greenai.model.plan import Decision, Window
from greenai.model.series import Basis, IntensitySeries


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The plan's windows and running at once, by a series of another basis.

    `disagrees`: one basis says that the plan saves, the other that it costs.
    """

    basis: Basis
    provider: str
    at_once_g_per_kwh: float
    planned_g_per_kwh: float
    saving: float
    disagrees: bool


def beside(decision: Decision, other: IntensitySeries, now_at: datetime) -> Beside | None:
    """The decision by `other`; None where it has no windows or `other` does not reach over them all."""
    if not decision.windows:
        return None
    length = sum((window.end_at - window.start_at for window in decision.windows), start=timedelta(0))
    at_once = Window(start_at=now_at, end_at=now_at + length)
    if not all(other.covers(window.start_at, window.end_at) for window in (at_once, *decision.windows)):
        return None
    before, after = _mean_g_per_kwh([at_once], other), _mean_g_per_kwh(decision.windows, other)
    return Beside(
        basis=other.basis,
        provider=other.source.provider,
        at_once_g_per_kwh=before,
        planned_g_per_kwh=after,
        saving=(before - after) / before if before > 0 else 0.0,
        disagrees=decision.expected_saving * (before - after) < 0,
    )


def _mean_g_per_kwh(windows: Sequence[Window], series: IntensitySeries) -> float:
    hours = sum((window.end_at - window.start_at).total_seconds() / 3600 for window in windows)
    return sum(series.integral_g_per_kw(window.start_at, window.end_at) for window in windows) / hours
