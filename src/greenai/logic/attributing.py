"""How much of the machine's energy is the job's, and how sure that is.

Per interval and meter, with E the machine's joules and s the job's share of the
CPU seconds the machine was busy:

- idle power known:   job = (E - idle) * s + idle * c
- idle power unknown: job = E * s
- GPU:                job = E * g
- a power assumed:    job = E * c, for a constant nobody measured does not follow the load

c is the job's share of the cores (of the memory for a memory model), g its share
of the GPU. Idle energy is never more than E. A machine with no busy time gives
s = 0: a sleeping job uses nothing but its part of the idle power.

The interval [low, high] of a component holds three errors, one on top of another:

- the meter's own band, low_ratio to high_ratio (facts of each meter);
- a CPU second is not a joule: one of the job's may cost 0.7 to 1.3 times as much
  as another's, so s lies between 0.7s/(0.7s+1-s) and 1.3s/(1.3s+1-s);
- idle power unknown: the true figure lies between E*s (no idle power at all) and
  E*c (nothing but idle power), so a sleeping job's interval reaches from its
  share up to the whole machine.

To this come `edge_s` seconds of mean power at each end for counters that update
late, and intervals without a trustworthy reading (see `_Reading`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import fsum

import numpy as np

from greenai.model.energy import QUALITY_ORDER, EnergyTrace, MeterInfo, Quality
from greenai.model.footprint import ComponentEnergy
from greenai.model.series import FloatArray

CPU_SECOND_COST = (0.7, 1.3)
"""What a CPU second of the job costs relative to one of others: the +-30 % of the `attributed` grade."""

DEDICATED_SHARE = 0.95
"""From this share of the machine's energy on, the split hardly matters and a measurement keeps its grade."""

INSTANT_S = 1e-6
"""In less than this no power can be told."""


def components(trace: EnergyTrace) -> tuple[ComponentEnergy, ...]:
    """Energy of each meter over the run: the machine's, the job's with its interval, and the idle part. In the meters' order."""
    return tuple(_component(trace, meter) for meter in trace.meters)


def job_energy_j(trace: EnergyTrace) -> FloatArray:
    """The job's joules per interval, summed over meters, shape (n_intervals,)."""
    total_j = np.zeros(len(trace.intervals))
    for meter in trace.meters:
        total_j += _Split.of(trace, meter).job_j
    return total_j


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """A meter's joules per interval, shape (n_intervals,), and how much of the total is not safe, in joules.

    What a meter counted while it could not be read is spread evenly over the
    intervals it was absent from. After its last reading nothing was counted: its
    mean power so far fills in. An interval with a gap may hide a counter that was
    set back. The filled part may be nothing or twice as much; a gap may hide as
    much again as the mean power.
    """

    energy_j: FloatArray
    filled: FloatArray
    hidden_j: FloatArray


def _reading(trace: EnergyTrace, name: str) -> _Reading:
    duration_s = _durations_s(trace)
    given_j = np.array([interval.machine_j.get(name, np.nan) for interval in trace.intervals], dtype=np.float64)
    read = np.flatnonzero(np.isfinite(given_j))
    energy_j = np.zeros(len(given_j))
    first = 0
    for last in read.tolist():
        span = slice(first, last + 1)
        energy_j[span] = given_j[last] * _shares(duration_s[span])
        first = last + 1
    known_s = duration_s[:first].sum()
    mean_w = energy_j[:first].sum() / known_s if known_s > INSTANT_S else 0.0
    energy_j[first:] = mean_w * duration_s[first:]
    filled = np.zeros(len(given_j))
    filled[first:] = 1.0
    gaps = np.array([bool(interval.gap) for interval in trace.intervals], dtype=bool)
    return _Reading(energy_j=energy_j, filled=filled, hidden_j=np.where(gaps, mean_w * duration_s, 0.0))


def _durations_s(trace: EnergyTrace) -> FloatArray:
    return np.array([interval.duration_s for interval in trace.intervals], dtype=np.float64)


def _shares(duration_s: FloatArray) -> FloatArray:
    """Each interval's share of their total length; equal shares of instants."""
    total_s = duration_s.sum()
    return duration_s / total_s if total_s > 0 else np.full(len(duration_s), 1.0 / len(duration_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    """One meter's energy divided between the job and the rest, arrays of shape (n_intervals,)."""

    machine_j: FloatArray
    job_j: FloatArray
    low_j: FloatArray
    high_j: FloatArray
    idle_j: FloatArray | None
    filled_j: FloatArray

    @classmethod
    def of(cls, trace: EnergyTrace, meter: MeterInfo) -> _Split:
        """The split of a meter; see the module's docstring."""
        reading = _reading(trace, meter.name)
        divide = _divided(trace, meter, reading.energy_j)
        job_j = divide(1.0)
        low_j, high_j = (divide(cost) for cost in CPU_SECOND_COST)
        idle_j = None
        if meter.component != "gpu" and meter.idle_w is None:
            whole_j = reading.energy_j * _kept_share(trace, meter)
            low_j, high_j = np.minimum(low_j, whole_j), np.maximum(high_j, whole_j)
        elif meter.idle_w is not None:
            idle_j = _idle_j(trace, meter.idle_w, reading.energy_j)
        return cls(
            machine_j=reading.energy_j,
            job_j=job_j,
            low_j=low_j * (1 - reading.filled),
            high_j=high_j * (1 + reading.filled) + reading.hidden_j,
            idle_j=idle_j,
            filled_j=reading.energy_j * reading.filled,
        )


def _divided(trace: EnergyTrace, meter: MeterInfo, energy_j: FloatArray) -> Callable[[float], FloatArray]:
    """The job's part as a function of what one of its CPU or GPU seconds costs relative to others'."""
    share = _share_of_load(trace, meter)
    idle_j = _idle_j(trace, meter.idle_w or 0.0, energy_j)
    kept_j = idle_j * _kept_share(trace, meter)

    def divided(cost: float) -> FloatArray:
        weighted = cost * share / (cost * share + (1 - share))
        part: FloatArray = (energy_j - idle_j) * weighted + kept_j
        return part

    return divided


def _share_of_load(trace: EnergyTrace, meter: MeterInfo) -> FloatArray:
    """What the energy above idle is divided by. A power nobody measured does not follow the load: the job has its cores' part."""
    if meter.component == "gpu":
        return _gpu_share(trace, meter.name)
    if meter.quality == "assumed" and meter.idle_w is None:
        return np.full(len(trace.intervals), _kept_share(trace, meter))
    return _cpu_share(trace)


def _cpu_share(trace: EnergyTrace) -> FloatArray:
    """Job over busy CPU seconds, 0 to 1. The job's own seconds count as busy where the coarser machine clock missed them."""
    job_s = np.array([max(0.0, interval.job_cpu_s) for interval in trace.intervals], dtype=np.float64)
    busy_s = np.maximum([interval.busy_cpu_s for interval in trace.intervals], job_s)
    share: FloatArray = np.divide(job_s, busy_s, out=np.zeros_like(job_s), where=busy_s > 0)
    return share


def _gpu_share(trace: EnergyTrace, name: str) -> FloatArray:
    usual = trace.gpu_share.get(name, 1.0)
    return np.clip([interval.gpu_share.get(name, usual) for interval in trace.intervals], 0.0, 1.0)


def _kept_share(trace: EnergyTrace, meter: MeterInfo) -> float:
    """The job's part of what the machine draws doing nothing."""
    return trace.cores_share if meter.idle_share is None else meter.idle_share


def _idle_j(trace: EnergyTrace, idle_w: float, energy_j: FloatArray) -> FloatArray:
    duration_s = _durations_s(trace)
    return np.minimum(idle_w * duration_s, energy_j)


def _component(trace: EnergyTrace, meter: MeterInfo) -> ComponentEnergy:
    split = _Split.of(trace, meter)
    job_j = fsum(split.job_j)
    duration_s = fsum(interval.duration_s for interval in trace.intervals)
    edge_j = 2 * meter.edge_s * job_j / duration_s if duration_s > INSTANT_S else 0.0
    low_j = fsum(split.low_j) * meter.low_ratio - edge_j
    high_j = fsum(split.high_j) * meter.high_ratio + edge_j
    return ComponentEnergy(
        component=meter.component,
        meter=meter.name,
        quality=_quality(meter, split, trace),
        machine_j=fsum(split.machine_j),
        job_j=job_j,
        idle_j=None if split.idle_j is None else fsum(split.idle_j),
        low_j=min(max(0.0, low_j), job_j),
        high_j=max(high_j, job_j),
    )


def _quality(meter: MeterInfo, split: _Split, trace: EnergyTrace) -> Quality:
    """The meter's grade, or a worse one: where the split matters, where much was filled in, where nothing was ever read."""
    machine_j = fsum(split.machine_j)
    grades: list[Quality] = [meter.quality]
    if fsum(split.job_j) < DEDICATED_SHARE * machine_j:
        grades.append("attributed")
    if fsum(split.filled_j) > (1 - DEDICATED_SHARE) * machine_j:
        grades.append("modelled")
    if not any(meter.name in interval.machine_j for interval in trace.intervals):
        grades.append("assumed")
    return max(grades, key=QUALITY_ORDER.index)
