"""Candidates of a search: recipes that were tried on a few seeds, given up early when they are clearly no use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from greenai.training.arms import Arm, Scored, arm_of, trained
from greenai.training.measuring import Measure, mean_energy_j, repeated
from greenai.training.recipe import Recipe
from greenai.training.workload import Split, Workload

_HOPELESS = (0.10, 0.05, 0.03)
"""After one, two, three seeds a candidate this much worse than the margin is given up: chance does not make that good."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A recipe with what it gave: joules per training, and its loss as a share of the baseline's on the same seeds."""

    recipe: Recipe
    scored: tuple[Scored, ...] = field(repr=False)
    energy_j: float
    loss_ratio: float
    complete: bool

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "recipe": self.recipe.document(),
            "energy_j": self.energy_j,
            "loss_ratio": self.loss_ratio,
            "seeds": len(self.scored),
            "complete": self.complete,
        }


class Course:
    """The seeds every candidate runs over. Splits and the baseline's trainings are made once and kept."""

    def __init__(self, workload: Workload, baseline: Arm, *, seeds: Sequence[int], measure: Measure) -> None:
        self.workload = workload
        self.baseline = baseline
        self.seeds = tuple(seeds)
        self.measure = measure
        self._splits: dict[int, Split] = {}
        self._baselines: dict[int, Scored] = {}

    def baseline_on(self, seed: int) -> Scored:
        """The baseline's training on a seed."""
        if seed not in self._baselines:
            self._baselines[seed] = self._trained(self.baseline, seed)
        return self._baselines[seed]

    def baselines(self, count: int | None = None) -> list[Scored]:
        """The baseline's trainings on the first seeds, all if no count is given."""
        return [self.baseline_on(seed) for seed in self.seeds[:count]]

    def tried(self, recipe: Recipe, *, margin_share: float = 0.0, to_the_end: bool = False, repeats: int = 1) -> Candidate:
        """Train a recipe seed by seed; a hopeless one is stopped, unless it must run `to_the_end`.

        `repeats` trainings go into each measurement.

        Raises:
            InputError: the recipe's family or parameters do not exist, or a library is missing.
        """
        arm = arm_of(recipe, classes=len(self.workload.classes))
        arm.ready()
        scored: list[Scored] = []
        for seed in self.seeds:
            scored.append(self._trained(arm, seed, repeats))
            if not to_the_end and self._hopeless(scored, margin_share):
                break
        theirs = self.baselines(len(scored))
        return Candidate(
            recipe=recipe,
            scored=tuple(scored),
            energy_j=self._energy_j(scored),
            loss_ratio=_mean_loss(scored) / _mean_loss(theirs) if _mean_loss(theirs) else math.inf,
            complete=len(scored) == len(self.seeds),
        )

    def _trained(self, arm: Arm, seed: int, repeats: int = 1) -> Scored:
        if seed not in self._splits:
            self._splits[seed] = self.workload.split(seed)
        return trained(arm, self._splits[seed], self.workload, seed=seed, measure=repeated(self.measure, repeats))

    def _energy_j(self, scored: Sequence[Scored]) -> float:
        theirs = [one.use for one in self.baselines(len(scored))]
        return mean_energy_j([one.use for one in scored], like=theirs)

    def _hopeless(self, scored: Sequence[Scored], margin_share: float) -> bool:
        theirs = self.baselines(len(scored))
        if self._energy_j(scored) > mean_energy_j([one.use for one in theirs]):
            return True
        allowed = _HOPELESS[min(len(scored), len(_HOPELESS)) - 1]
        return _mean_loss(scored) > (1 + margin_share + allowed) * _mean_loss(theirs)


def front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The Pareto front in order of energy: no other candidate uses less and errs less."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (one.energy_j, one.loss_ratio)):
        if not kept or candidate.loss_ratio < kept[-1].loss_ratio:
            kept.append(candidate)
    return kept


def _mean_loss(scored: Sequence[Scored]) -> float:
    return sum(one.loss for one in scored) / len(scored)
