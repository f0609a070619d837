"""Energy as meters give it: cumulative joules per component, and the intervals between reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Component = Literal["cpu", "dram", "gpu", "node"]
Quality = Literal["measured:counter", "measured:sampled", "attributed", "modelled", "assumed"]

QUALITY_ORDER: tuple[Quality, ...] = ("measured:counter", "measured:sampled", "attributed", "modelled", "assumed")
"""Best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterInfo:
    """What a meter is: shown in every record that rests on it.

    `low_ratio` and `high_ratio` bound the true energy as multiples of the value
    (0.95, 1.05); `edge_s` adds that many seconds of mean power at each end of a
    run, for counters that update late (NVML). `idle_w` is the power the meter's
    model attributes to an idle machine, None where it is not known.
    """

    name: str
    component: Component
    quality: Quality
    low_ratio: float
    high_ratio: float
    edge_s: float = 0.0
    idle_w: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedMeter:
    """A meter that was not taken, why, and the exact remedy if there is one."""

    name: str
    component: Component
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergySample:
    """One read of one meter: joules since an arbitrary origin, already unwrapped."""

    taken_at: datetime
    monotonic_s: float
    meter: str
    component: Component
    energy_j: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyInterval:
    """What happened between two reads, all meters together.

    `machine_j` is joules by meter name. `job_cpu_s` and `busy_cpu_s` are CPU
    seconds of the job and of the whole machine; `gap` names a counter reset,
    suspend or clock jump inside the interval, empty if none.
    """

    start_at: datetime
    end_at: datetime
    duration_s: float
    machine_j: Mapping[str, float]
    job_cpu_s: float
    busy_cpu_s: float
    gap: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTrace:
    """The metered run: which meters, which were rejected, and every interval in order."""

    meters: tuple[MeterInfo, ...]
    rejected: tuple[RejectedMeter, ...] = ()
    intervals: tuple[EnergyInterval, ...] = ()
    cores_share: float = 1.0
    gpu_share: Mapping[str, float] = field(default_factory=dict)
