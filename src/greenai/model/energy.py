"""Energy as meters give it: cumulative joules per component, and the intervals between reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypeVar

M = TypeVar("M")

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
    model attributes to an idle machine, None where it is not known. `idle_share`
    is the job's share of that idle power where it is not its share of the cores
    (memory is limited by itself).
    """

    name: str
    component: Component
    quality: Quality
    low_ratio: float
    high_ratio: float
    edge_s: float = 0.0
    idle_w: float | None = None
    idle_share: float | None = None
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

    `machine_j` is joules by meter name; a meter that could not be read is absent,
    and what it counted meanwhile is in its next interval. `job_cpu_s` and
    `busy_cpu_s` are CPU seconds of the job and of the whole machine; `gap` names a
    lost reading, counter reset, suspend or clock jump inside the interval, empty
    if none. `gpu_share` is the job's share of a GPU by meter name, where others
    used it too.
    """

    start_at: datetime
    end_at: datetime
    duration_s: float
    machine_j: Mapping[str, float]
    job_cpu_s: float
    busy_cpu_s: float
    gap: str = ""
    gpu_share: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTrace:
    """The metered run: which meters, which were rejected, and every interval in order.

    `cores_share` is the job's share of the machine's cores, `gpu_share` its share
    of a GPU by meter name where an interval does not say (1 by default). `notes`
    say in words what else bears on the numbers.
    """

    meters: tuple[MeterInfo, ...]
    rejected: tuple[RejectedMeter, ...] = ()
    intervals: tuple[EnergyInterval, ...] = ()
    cores_share: float = 1.0
    gpu_share: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """CPU seconds used since metering began: by the job, and by everything on the machine."""

    job_s: float
    busy_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterEnvironment:
    """Where meters look and what the user says of the machine: plain values, filled from the settings.

    `visible_devices` is CUDA_VISIBLE_DEVICES as it stands, None where it is not
    set. `assumed_w` is the user's figure for the machine's power, None if none was
    given; `idle_w` the idle power of what the CPU or node meter covers. `chosen`
    names the meters the user asked for, empty for the best there are.
    """

    powercap_root: str = "/sys/class/powercap"
    proc_root: str = "/proc"
    sys_root: str = "/sys"
    nvml_library: str | None = None
    visible_devices: str | None = None
    assumed_w: float | None = None
    idle_w: float | None = None
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection(Generic[M]):
    """What one kind of meter found here: meters that work, and those that do not, with reason and remedy."""

    meters: tuple[M, ...] = ()
    rejected: tuple[RejectedMeter, ...] = ()
