"""Energy of one call of a function, for experiments: no records, no grid."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from greenai.config import Settings
from greenai.logic.attributing import components
from greenai.model.energy import QUALITY_ORDER, EnergyTrace, Quality
from greenai.wiring import metering_of, settings_with

T = TypeVar("T")

TICKS_S = 0.02
"""Two clock ticks: /proc counts the machine's busy time in hundredths of a second (proc(5)), one at each end of a run is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyUse:
    """What one call used: the job's energy with its interval, J, and CPU seconds of this process and its ended children.

    `noise_floor_j` is what the meters cannot tell from nothing: smaller energies,
    and differences between energies, mean nothing.
    """

    duration_s: float
    cpu_s: float
    energy_j: float
    low_j: float
    high_j: float
    quality: Quality
    meter: str
    noise_floor_j: float


def measured(function: Callable[[], T], *, settings: Settings | None = None) -> tuple[T, EnergyUse]:
    """Call a function and meter it; returns its result and what it used. Its exceptions pass through."""
    metering = metering_of(settings_with(settings), lambda line: None)
    metering.start()
    metering.watch(os.getpid())
    cpu_before_s = cpu_s_so_far()
    try:
        result = function()
    finally:
        cpu_s = cpu_s_so_far() - cpu_before_s
        trace = metering.stop()
    return result, energy_use(trace, cpu_s)


def energy_use(trace: EnergyTrace, cpu_s: float) -> EnergyUse:
    """What a metered call used, of its trace."""
    parts = components(trace)
    duration_s = sum(interval.duration_s for interval in trace.intervals)
    energy_j = sum(part.job_j for part in parts)
    edge_s = max((meter.edge_s for meter in trace.meters), default=0.0)
    machine_w = sum(part.machine_j for part in parts) / duration_s if duration_s > 0 else 0.0
    return EnergyUse(
        duration_s=duration_s,
        cpu_s=cpu_s,
        energy_j=energy_j,
        low_j=sum(part.low_j for part in parts),
        high_j=sum(part.high_j for part in parts),
        quality=max((part.quality for part in parts), key=_rank, default="assumed"),
        meter=" + ".join(dict.fromkeys(part.meter for part in parts)),
        noise_floor_j=(edge_s + TICKS_S) * machine_w,
    )


def _rank(quality: Quality) -> int:
    return QUALITY_ORDER.index(quality)


def cpu_s_so_far() -> float:
    """CPU seconds of this process and its ended children, s."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
