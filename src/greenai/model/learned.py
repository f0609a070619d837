"""What past runs tell of the next one: how long it takes, what it draws, and what pausing costs.

A `PastLeg` is one run's evidence in few words, a `PastJob` all legs of a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from greenai.model.queue import PauseWay

KinDegree = Literal["this command", "this command under other labels", "this script with other arguments"]
"""How near the past runs are to the next one, nearest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """What a run is compared by: hashes of its command and of its labels, and its program and script in words.

    `script` is empty where what runs cannot be told from the arguments (`python -c`, `make`).
    """

    command: str
    labels: str
    script: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastLeg:
    """One ended run. `worked` leaves out what it `stood` frozen; `energy_kwh` is None where nothing was measured.

    `job_id` is empty for a run that was no leg of a queued job.
    """

    run_id: str
    kin: Kin
    job_id: str = ""
    ended_at: datetime
    worked: timedelta
    stood: timedelta = timedelta(0)
    exit_code: int | None
    energy_kwh: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastJob:
    """One job that completed at its first try, its legs summed. `mean_w` is None where it is not known of every leg."""

    kin: Kin
    run_ids: tuple[str, ...]
    ended_at: datetime
    worked: timedelta
    mean_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """How long the next run takes and what it draws, by the past ones.

    `duration` is the length to plan with, `source` what it rests on in words;
    `shortest`, `typical` and `longest` are what was seen. `power_w` is the median
    of the mean powers of `power_runs` runs, between `low_w` and `high_w`; None
    where no energy was measured. `left_out` counts, by reason, jobs of the same kin that do not count.
    """

    degree: KinDegree
    runs: int
    duration: timedelta
    source: str
    shortest: timedelta
    typical: timedelta
    longest: timedelta
    power_w: float | None = None
    low_w: float | None = None
    high_w: float | None = None
    power_runs: int = 0
    left_out: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseSeen:
    """What was measured of the pauses of some jobs; each a tuple of what was seen.

    `saves`: from being asked to having left; `returns`: what a leg lost until it
    was further than the leg before it; `pauses`: how long they stood; `held_w`:
    what frozen runs drew meanwhile.
    """

    saves: tuple[timedelta, ...] = ()
    returns: tuple[timedelta, ...] = ()
    pauses: tuple[timedelta, ...] = ()
    held_w: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseCost:
    """What one pause costs in the way that is cheaper, as time that the job has to run more; `source`: what it rests on."""

    way: PauseWay
    cost: timedelta
    source: str
