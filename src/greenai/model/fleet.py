"""Many jobs that share machines: what each needs, and who runs where and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import inf
from types import MappingProxyType

from greenai.errors import InputError
from greenai.model.plan import Window
from greenai.model.units import as_utc

UNITS = "units"
"""The resource that is meant where none is named: a GPU, a node, a licence."""

ONE_UNIT: Mapping[str, float] = MappingProxyType({UNITS: 1.0})


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetJob:
    """One job of many, and what it holds while it runs.

    `deadline_at` is done-by. An `interruptible` job may be cut at slot edges, at
    no cost, and go on in another allowed place. `places` empty: any place.
    `demands` says how much of each resource it holds (gpus, cpus, memory in GB:
    any names, the same as in the capacities); one unit if not said. Of two jobs
    that want the same clean slots the one of higher `priority` gets them, as
    long as no job is late for that.
    """

    id: str
    duration: timedelta
    earliest_at: datetime
    deadline_at: datetime
    power_w: float = 1000.0
    interruptible: bool = False
    places: tuple[str, ...] = ()
    demands: Mapping[str, float] = field(default_factory=lambda: ONE_UNIT)
    priority: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "earliest_at", as_utc(self.earliest_at, name="earliest_at"))
        object.__setattr__(self, "deadline_at", as_utc(self.deadline_at, name="deadline_at"))
        if self.duration <= timedelta(0):
            raise InputError(f"job {self.id}: the duration must be positive, not {self.duration}")
        if not 0 < self.power_w < inf:
            raise InputError(f"job {self.id}: the power must be a number of watts above 0, not {self.power_w}")
        _check_demands(f"job {self.id}", self.demands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a job that runs already keeps of a place: it stays put, others are packed around it."""

    job_id: str
    place: str
    start_at: datetime
    end_at: datetime
    power_w: float = 1000.0
    demands: Mapping[str, float] = field(default_factory=lambda: ONE_UNIT)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_at", as_utc(self.start_at, name="start_at"))
        object.__setattr__(self, "end_at", as_utc(self.end_at, name="end_at"))
        _check_demands(f"job {self.job_id}", self.demands)


def _check_demands(who: str, demands: Mapping[str, float]) -> None:
    for resource, amount in demands.items():
        if not 0 <= amount < inf:
            raise InputError(f"{who}: it cannot need {amount} {resource}", hint="an amount is a number from 0 on")


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
    `over_budget_g` holds the days (UTC) on which the jobs emit more than the carbon
    budget, and by how many grams: a deadline is kept even then.
    """

    allotments: tuple[Allotment, ...]
    expected_g: float
    at_once_g: float | None
    unplaced: tuple[str, ...] = ()
    conflict: tuple[str, ...] = ()
    proved: bool = True
    over_budget_g: tuple[tuple[date, float], ...] = ()

    @property
    def expected_saving(self) -> float | None:
        """Share of the emissions at once that the schedule is expected to save; None where unknown."""
        return 1 - self.expected_g / self.at_once_g if self.at_once_g else None
