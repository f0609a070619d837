"""A job: what runs, and the limits inside which it may be moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from greenai.errors import InputError
from greenai.model.scaling import ScalingCurve
from greenai.model.units import as_utc, iso_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """The limits of a job.

    `deadline_at` is done-by. `resume_cost` is work lost at each resume, charged
    as extra run time; `min_chunk` the shortest useful run; `max_segments` the
    most runs the job may be cut into. `max_g_per_kwh` is the limit of the
    threshold policy, `percentile` (0 to 100) that of the percentile policy.
    `min_saving` is a share (0.03 = 3 %): below it waiting is not worth it.
    `scaling` is the curve of the elastic policy; `duration` is that with its reference's workers.
    """

    earliest_at: datetime
    deadline_at: datetime
    duration: timedelta
    interruptible: bool = False
    min_chunk: timedelta = timedelta(0)
    resume_cost: timedelta = timedelta(0)
    max_segments: int | None = None
    max_g_per_kwh: float | None = None
    percentile: float = 30.0
    min_saving: float = 0.03
    scaling: ScalingCurve | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "earliest_at", as_utc(self.earliest_at, name="earliest_at"))
        object.__setattr__(self, "deadline_at", as_utc(self.deadline_at, name="deadline_at"))
        if self.duration <= timedelta(0):
            raise InputError(f"the duration must be positive, not {self.duration}")
        if min(self.min_chunk, self.resume_cost) < timedelta(0):
            raise InputError("minimum chunk and resume cost cannot be negative")
        if self.max_segments is not None and self.max_segments < 1:
            raise InputError(f"a job has at least one segment, not {self.max_segments}")
        if not 0 <= self.percentile <= 100:
            raise InputError(f"a percentile lies between 0 and 100, not {self.percentile}")
        if not 0 <= self.min_saving < 1:
            raise InputError(f"the minimum saving is a share from 0 to below 1, not {self.min_saving}")
        if self.max_g_per_kwh is not None and not 0 <= self.max_g_per_kwh < float("inf"):
            raise InputError(f"a threshold in g/kWh cannot be {self.max_g_per_kwh}")

    @property
    def latest_start_at(self) -> datetime:
        """The last moment at which an uninterrupted run still ends by the deadline."""
        return self.deadline_at - self.duration

    def describe(self) -> str:
        """The limits in words, for messages."""
        return f"{self.duration} between {iso_utc(self.earliest_at)} and {iso_utc(self.deadline_at)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command and its limits. `power_w` is the load it is expected to draw, if known."""

    id: str
    command: tuple[str, ...]
    constraints: Constraints
    policy: str = "greenest"
    zone: str
    submitted_at: datetime
    power_w: float | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
