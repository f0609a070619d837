"""Many jobs that share machines: what each needs, and who runs where and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from greenai.errors import InputError
from greenai.model.plan import Window
from greenai.model.units import as_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetJob:
    """One job of many. It takes one unit of capacity (a GPU, a node) while it runs.

    `deadline_at` is done-by. An `interruptible` job may be cut at slot edges, at
    no cost, and go on in another allowed place. `places` empty: any place.
    """

    id: str
    duration: timedelta
    earliest_at: datetime
    deadline_at: datetime
    power_w: float = 1000.0
    interruptible: bool = False
    places: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "earliest_at", as_utc(self.earliest_at, name="earliest_at"))
        object.__setattr__(self, "deadline_at", as_utc(self.deadline_at, name="deadline_at"))
        if self.duration <= timedelta(0):
            raise InputError(f"job {self.id}: the duration must be positive, not {self.duration}")
        if not 0 < self.power_w < inf:
            raise InputError(f"job {self.id}: the power must be a number of watts above 0, not {self.power_w}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """When and where one job runs: `windows[i]` in `places[i]`, by time. `emissions_g` at the job's power."""

    job_id: str
    windows: tuple[Window, ...]
    places: tuple[str, ...]
    emissions_g: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Who runs when, in the order the jobs were given, and what did not fit.

    `unplaced` jobs have no allotment. `conflict` names the jobs that together ask
    for more than there is; empty where all fit. `proved` says whether the
    answer to "do all fit" is certain: always where all are placed; where not,
    no schedule exists at all. `at_once_g` is what the same jobs emit if each
    starts as soon as a unit is free, in order of arrival and blind to deadlines;
    None where the series end before that queue does, or jobs are unplaced.
    """

    allotments: tuple[Allotment, ...]
    expected_g: float
    at_once_g: float | None
    unplaced: tuple[str, ...] = ()
    conflict: tuple[str, ...] = ()
    proved: bool = True

    @property
    def expected_saving(self) -> float | None:
        """Share of the emissions at once that the schedule is expected to save; None where unknown."""
        return 1 - self.expected_g / self.at_once_g if self.at_once_g else None
