"""When a job runs: windows, a plan, and the decision that can be replayed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from greenai.errors import InputError
from greenai.model.units import iso_utc

Action = Literal["run", "wait", "miss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A half-open span of time [start_at, end_at)."""

    start_at: datetime
    end_at: datetime

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise InputError(f"a window must end after it starts, not {iso_utc(self.start_at)} to {iso_utc(self.end_at)}")

    @property
    def duration(self) -> timedelta:
        """Length of the window."""
        return self.end_at - self.start_at


def merged(windows: Iterable[Window]) -> tuple[Window, ...]:
    """The same time as windows that are in order and apart."""
    found: list[Window] = []
    for window in sorted(windows, key=lambda one: one.start_at):
        if found and window.start_at <= found[-1].end_at:
            found[-1] = Window(start_at=found[-1].start_at, end_at=max(found[-1].end_at, window.end_at))
        else:
            found.append(window)
    return tuple(found)


def total_of(windows: Iterable[Window]) -> timedelta:
    """How long windows last together; what two of them share counts once."""
    return sum((window.duration for window in merged(windows)), timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a policy chose: the windows and their time-weighted mean intensity.

    `windows` include the time lost to resumes; `expected_g_per_kwh` is the mean
    over all of it, `cost_g_per_kw` the integral (grams per kW of load) that
    policies are compared by: a plan with resumes pays for the work done twice.
    `workers` has one count per window where the job is scaled, else none; the mean
    is then over the energy drawn, the load that of the reference's workers.
    """

    windows: tuple[Window, ...]
    expected_g_per_kwh: float
    cost_g_per_kw: float
    note: str = ""
    workers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another start the user could choose."""

    label: str
    start_at: datetime
    end_at: datetime
    expected_g_per_kwh: float
    expected_saving: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to "when should this run", with everything needed to replay it.

    `expected_saving` is a share of the emissions of running at once, on the
    forecast: never a claim. `worst_g_per_kwh` is the dirtiest admissible start.
    Intensities are None only when nothing at all is known of the grid.
    `workers` has one count per window of a job that can be scaled, else none.
    """

    job_id: str
    made_at: datetime
    zone: str
    policy: str
    action: Action
    windows: tuple[Window, ...]
    at_once_g_per_kwh: float | None
    expected_g_per_kwh: float | None
    worst_g_per_kwh: float | None
    expected_saving: float
    alternatives: tuple[Alternative, ...]
    reason: str
    notes: tuple[str, ...] = ()
    workers: tuple[int, ...] = ()

    @property
    def start_at(self) -> datetime:
        """When the job should start."""
        return self.windows[0].start_at
