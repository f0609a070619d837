"""A paired experiment: two arms on the same splits in random order, and what may be concluded from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from greenai.errors import InputError
from greenai.model.units import kwh_from_j
from greenai.training.arms import Arm, Scored, trained
from greenai.training.fitting import METRIC_NAMES, evidence_row
from greenai.training.measuring import Measure, default_measure, repeated, repeats_for
from greenai.training.paired import Interval, Verdict, interval, is_by_row, loss_differences, not_worse, runs_to_tell
from greenai.training.workload import Workload

FEWEST_PAIRS = 2
"""With fewer no interval can be drawn, so nothing is concluded."""

_ONE_PAIR = "one pair is too few for an interval"

ArmName = Literal["baseline", "optimized"]
Conclusion = Literal["less", "more", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensities:
    """At what intensity each arm ran, or would run if started when planned; g/kWh, from one series."""

    baseline_g_per_kwh: float
    optimized_g_per_kwh: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One measured training: the pair it belongs to, and whether it came first or second in it."""

    pair: int
    position: int
    arm: ArmName
    scored: Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Differences optimized - baseline of one quantity over the pairs, and what they allow to be said.

    `baseline_mean` puts them in proportion. `pairs_needed` is how many pairs it
    would take to conclude, None where these suffice or the mean is zero.
    """

    name: str
    difference: Interval
    baseline_mean: float
    conclusion: Conclusion
    reason: str
    pairs_needed: int | None = None

    @property
    def change_ratio(self) -> float:
        """The mean difference as a share of the baseline's mean."""
        return self.difference.mean / self.baseline_mean if self.baseline_mean else 0.0

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "difference": self.difference.document(),
            "baseline_mean": self.baseline_mean,
            "change_ratio": self.change_ratio,
            "conclusion": self.conclusion,
            "reason": self.reason,
            "pairs_needed": self.pairs_needed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonSplit:
    """The carbon saved per run, in two terms that never mix: dC = (E0 - E1)*I0 + E1*(I0 - I1).

    `efficiency_g` is what less energy saves at the baseline's intensity,
    `timing_g` what another time saves on the energy still used. Positive is saved.
    """

    efficiency_g: float
    timing_g: float
    source: str

    @property
    def total_g(self) -> float:
        """Both."""
        return self.efficiency_g + self.timing_g

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "efficiency_g": self.efficiency_g,
            "timing_g": self.timing_g,
            "total_g": self.total_g,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExperimentResult:
    """The runs in the order they were made, and the comparisons over their pairs."""

    workload: Workload
    arms: Mapping[ArmName, Arm]
    runs: tuple[Run, ...]
    repeats: Mapping[ArmName, int]
    energy: Compared
    time: Compared
    quality: Compared
    verdict: Verdict
    carbon: CarbonSplit | None
    notes: tuple[str, ...]

    def of(self, name: ArmName) -> list[Scored]:
        """An arm's trainings in the order of the pairs."""
        return [run.scored for run in sorted(self.runs, key=lambda run: run.pair) if run.arm == name]

    def document(self) -> dict[str, Any]:
        """The result as JSON-serialisable data."""
        return {
            "dataset": self.workload.document(),
            "arms": {name: {"name": arm.name, **arm.described} for name, arm in self.arms.items()},
            "pairs": len(self.runs) // 2,
            "repeats": dict(self.repeats),
            "summary": {name: _summary(self.of(name)) for name in self.arms},
            "energy_j": self.energy.document(),
            "duration_s": self.time.document(),
            METRIC_NAMES[self.workload.metric]: self.quality.document(),
            "not_worse": self.verdict.document(),
            "carbon": self.carbon.document() if self.carbon else None,
            "notes": list(self.notes),
            "runs": self.rows(),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One flat record per run, in the order made, with the columns of evidence.csv it fills and its pair."""
        return [
            {
                **evidence_row(self.workload, phase=run.arm, loss=run.scored.loss),
                "pair_id": run.pair,
                "position": run.position,
                "seed": run.scored.seed,
                "kWh": kwh_from_j(run.scored.use.energy_j),
                "runtime_s": run.scored.use.duration_s,
                "cpu_s": run.scored.use.cpu_s,
                "energy_quality": run.scored.use.quality,
            }
            for run in self.runs
        ]


def experiment(
    workload: Workload,
    *,
    baseline: Arm,
    optimized: Arm,
    runs: int = 10,
    seed: int = 42,
    repeats: int | None = None,
    margin_share: float = 0.0,
    intensities: Intensities | None = None,
    measure: Measure | None = None,
    tell: Callable[[Run], None] | None = None,
) -> ExperimentResult:
    """Train both arms in pairs and compare.

    `runs` counts trainings of both arms; an odd number is raised by one, so that
    each has its partner. One pair is made and reported, and nothing concluded.
    Pair k uses the split and the seed `seed + k` in both arms; which arm goes first
    is drawn from `seed`. One training of each arm comes before, uncounted. `repeats` trainings go into each measurement (None:
    as many as lift it above the meter's noise floor).

    Raises:
        InputError: no runs; something is not installed.
    """
    check_runs(runs)
    measure = measure or default_measure()
    arms: Mapping[ArmName, Arm] = MappingProxyType({"baseline": baseline, "optimized": optimized})
    times = _warm_up(arms, workload, seed=seed, repeats=repeats, measure=measure)
    measures = {name: repeated(measure, count) for name, count in times.items()}
    made = _blocks(arms, workload, pairs=(runs + 1) // 2, seed=seed, measures=measures, tell=tell)
    ours, theirs = ([run.scored for run in made if run.arm == name] for name in ("optimized", "baseline"))
    notes = [
        f"{count} trainings of the {name} arm in each measurement, to lift it above the meter's noise floor"
        for name, count in times.items()
        if count > 1
    ]
    if runs % 2:
        notes.append(f"{runs} runs were asked for, {runs + 1} made: each has its partner")
    return ExperimentResult(
        workload=workload,
        arms=arms,
        runs=tuple(made),
        repeats=times,
        energy=_energy(ours, theirs),
        time=_compared("duration_s", [a.use.duration_s - b.use.duration_s for a, b in zip(ours, theirs, strict=True)], theirs),
        quality=_quality(ours, theirs, workload),
        verdict=not_worse(ours, theirs, margin_share=margin_share),
        carbon=_carbon(ours, theirs, intensities) if intensities else None,
        notes=tuple(notes),
    )


def check_runs(runs: int) -> None:
    """Refuse what is no number of runs, before anything is spent; raises InputError."""
    if runs < 1:
        raise InputError(f"{runs} runs compare nothing", hint="give --runs 4 or more: two pairs are the fewest with an interval")


def _warm_up(
    arms: Mapping[ArmName, Arm], workload: Workload, *, seed: int, repeats: int | None, measure: Measure
) -> Mapping[ArmName, int]:
    """Import and train each arm once, uncounted; how many of its trainings go into a measurement."""
    if repeats is not None and repeats < 1:
        raise InputError(f"repeats are a whole number from 1, not {repeats}")
    split = workload.split(seed)
    times: dict[ArmName, int] = {}
    for name, arm in arms.items():
        arm.ready()
        use = trained(arm, split, workload, seed=seed, measure=measure).use
        times[name] = repeats or repeats_for(use.energy_j, use.noise_floor_j)
    return times


def _blocks(
    arms: Mapping[ArmName, Arm],
    workload: Workload,
    *,
    pairs: int,
    seed: int,
    measures: Mapping[ArmName, Measure],
    tell: Callable[[Run], None] | None,
) -> list[Run]:
    coin = np.random.default_rng(seed)
    made = []
    for pair in range(pairs):
        split = workload.split(seed + pair)
        order: tuple[ArmName, ...] = ("baseline", "optimized") if coin.random() < 0.5 else ("optimized", "baseline")
        for position, name in enumerate(order):
            scored = trained(arms[name], split, workload, seed=seed + pair, measure=measures[name])
            made.append(Run(pair=pair + 1, position=position + 1, arm=name, scored=scored))
            if tell:
                tell(made[-1])
    return made


def _energy(ours: Sequence[Scored], theirs: Sequence[Scored]) -> Compared:
    differences = [a.use.energy_j - b.use.energy_j for a, b in zip(ours, theirs, strict=True)]
    floor_j = max(scored.use.noise_floor_j for scored in (*ours, *theirs))
    found = interval(differences)
    mean = float(np.mean([scored.use.energy_j for scored in theirs]))
    if found.count >= FEWEST_PAIRS and abs(found.mean) <= floor_j / math.sqrt(found.count):
        needed = runs_to_tell(differences, noise_floor=floor_j)
        reason = f"a difference of {found.mean:.3g} J is below what the meter can tell ({floor_j:.3g} J a run)"
        return Compared(
            name="energy_j", difference=found, baseline_mean=mean, conclusion="none", reason=reason, pairs_needed=needed
        )
    return _concluded("energy_j", differences, mean)


def _compared(name: str, differences: Sequence[float], theirs: Sequence[Scored]) -> Compared:
    return _concluded(name, differences, float(np.mean([scored.use.duration_s for scored in theirs])))


def _quality(ours: Sequence[Scored], theirs: Sequence[Scored], workload: Workload) -> Compared:
    found = _concluded(workload.metric, loss_differences(ours, theirs), float(np.mean([scored.loss for scored in theirs])))
    if len(ours) < FEWEST_PAIRS:
        # Of a fixed table one split judges many rows, but only on one training of each arm.
        return replace(found, conclusion="none", reason=_ONE_PAIR, pairs_needed=FEWEST_PAIRS)
    if found.pairs_needed is None or not is_by_row(theirs):
        return found
    reason = f"{found.reason}; it would take about {found.pairs_needed} judged rows: more data, not more runs"
    return replace(found, pairs_needed=None, reason=reason)


def _concluded(name: str, differences: Sequence[float] | Any, baseline_mean: float) -> Compared:
    found = interval(differences)
    if found.excludes_zero:
        conclusion: Conclusion = "less" if found.mean < 0 else "more"
        return Compared(
            name=name,
            difference=found,
            baseline_mean=baseline_mean,
            conclusion=conclusion,
            reason="the 95 % interval of the mean difference excludes zero",
        )
    few = found.count < FEWEST_PAIRS
    return Compared(
        name=name,
        difference=found,
        baseline_mean=baseline_mean,
        conclusion="none",
        reason=_ONE_PAIR if few else "the 95 % interval of the mean difference includes zero",
        pairs_needed=FEWEST_PAIRS if few else runs_to_tell(differences),
    )


def _carbon(ours: Sequence[Scored], theirs: Sequence[Scored], intensities: Intensities) -> CarbonSplit:
    e0_kwh, e1_kwh = (kwh_from_j(float(np.mean([scored.use.energy_j for scored in arm]))) for arm in (theirs, ours))
    i0, i1 = intensities.baseline_g_per_kwh, intensities.optimized_g_per_kwh
    return CarbonSplit(efficiency_g=(e0_kwh - e1_kwh) * i0, timing_g=e1_kwh * (i0 - i1), source=intensities.source)


def _summary(scored: Sequence[Scored]) -> dict[str, Any]:
    """Mean, median and 95 % interval of an arm's energy, time and loss over its runs."""
    return {
        "energy_j": interval([one.use.energy_j for one in scored]).document(),
        "duration_s": interval([one.use.duration_s for one in scored]).document(),
        "cpu_s": interval([one.use.cpu_s for one in scored]).document(),
        "loss": interval([one.loss for one in scored]).document(),
        "quality": scored[0].use.quality,
        "meter": scored[0].use.meter,
    }
