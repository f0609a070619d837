"""Paired differences of an experiment, and whether they allow a conclusion."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from greenai.report.extras import need
from greenai.report.trainings import Experiment

CONFIDENCE = 0.95
FEWEST_PAIRS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Differences optimised - baseline over the pairs: mean, median and the 95 % t-interval of the mean.

    `refusal` says why nothing may be concluded, empty if something may.
    """

    baseline_mean: float
    optimized_mean: float
    mean: float
    median: float
    low: float
    high: float
    pairs: int
    refusal: str = ""

    @property
    def change_ratio(self) -> float:
        """The mean difference as a share of the baseline's mean."""
        return self.mean / self.baseline_mean if self.baseline_mean else 0.0


def paired(baseline: Sequence[float], optimized: Sequence[float], *, floor: float = 0.0, what: str = "the difference") -> Paired:
    """Compare; `floor` is the smallest difference one pair's meter can tell, in the same unit.

    The interval is Student's t over the pairs. Nothing is concluded from fewer
    than two pairs, from a mean below the floor over the root of the pairs, or
    from an interval that includes zero.
    """
    differences = [ours - theirs for ours, theirs in zip(optimized, baseline, strict=True)]
    count = len(differences)
    mean = statistics.fmean(differences)
    reach = _reach(differences) if count >= FEWEST_PAIRS else math.inf
    return Paired(
        baseline_mean=statistics.fmean(baseline),
        optimized_mean=statistics.fmean(optimized),
        mean=mean,
        median=statistics.median(differences),
        low=mean - reach,
        high=mean + reach,
        pairs=count,
        refusal=_refusal(mean, reach, count=count, floor=floor, what=what),
    )


def energy_of(experiment: Experiment) -> Paired:
    """The job's energy per training, J."""
    floor = max(training.noise_floor_j for training in experiment.trainings)
    return paired(*_both(experiment, "energy_j"), floor=floor, what="the difference in energy")


def facility_kwh_of(experiment: Experiment) -> Paired:
    """The facility's energy per training, kWh: refused where the job's is."""
    floor = max(t.noise_floor_j * t.facility_kwh / t.energy_j if t.energy_j else 0.0 for t in experiment.trainings)
    return paired(*_both(experiment, "facility_kwh"), floor=floor, what="the difference in energy")


def duration_of(experiment: Experiment) -> Paired:
    """Time per training, s; of the whole measurement, so a little long."""
    return paired(*_both(experiment, "duration_s"), what="the difference in time")


def loss_of(experiment: Experiment) -> Paired | None:
    """Loss, in the metric's unit; None where runs state none. Less is better."""
    if any(training.loss is None for training in experiment.trainings):
        return None
    return paired(*_both(experiment, "loss"), what="the difference in quality")


def _both(experiment: Experiment, name: str) -> tuple[list[float], list[float]]:
    baseline, optimized = ([getattr(one, name) for one in experiment.of(arm)] for arm in ("baseline", "optimized"))
    return baseline, optimized


def _reach(differences: Sequence[float]) -> float:
    quantile = float(need("scipy.special").stdtrit(len(differences) - 1, (1 + CONFIDENCE) / 2))
    return quantile * statistics.stdev(differences) / math.sqrt(len(differences))


def _refusal(mean: float, reach: float, *, count: int, floor: float, what: str) -> str:
    if count < FEWEST_PAIRS:
        return f"{count} pair is not enough for an interval"
    if abs(mean) * math.sqrt(count) <= floor:
        return f"{what} is below what the meters can tell"
    if mean - reach <= 0 <= mean + reach:
        return f"the 95 % interval of {what} includes zero"
    return ""
