"""The quality gate: no treatment is used before it was shown, on the user's own data, not to be worse than the baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from greenai.model.evidence import canonical, sha256_of
from greenai.training.arms import Arm, Scored, trained
from greenai.training.measuring import Measure, Tally, mean_energy_j
from greenai.training.paired import Verdict, not_worse
from greenai.training.recipe import packaged_document
from greenai.training.workload import FOLDS, Split, Workload, of_table

CHECK_SEEDS = tuple(range(1000, 1000 + 2 * FOLDS))
"""Ten trainings of each arm, two whole rounds of cross-validation; far from the seeds people choose."""

CHECK_ROWS = 50_000
"""Larger tables are checked on a random sample of so many rows: the check costs ten trainings of the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the gate found, and what finding it cost.

    `baseline_j` and `treatment_j` are joules per training on the checked rows.
    `reused` says that the verdict was reached earlier on the same data.
    """

    verdict: Verdict
    checked_rows: int
    baseline_j: float
    treatment_j: float
    cost_j: float
    reused: bool = False

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            **self.verdict.document(),
            "checked_rows": self.checked_rows,
            "baseline_j": self.baseline_j,
            "treatment_j": self.treatment_j,
            "cost_j": self.cost_j,
            "reused": self.reused,
        }


def check(
    arm: Arm,
    workload: Workload,
    *,
    baseline: Arm,
    measure: Measure,
    margin_share: float = 0.0,
    seeds: Sequence[int] = CHECK_SEEDS,
    most_rows: int = CHECK_ROWS,
) -> Check:
    """Train both arms on the same splits and judge.

    Raises:
        InputError: a library is not installed.
    """
    arm.ready()
    baseline.ready()
    smaller = at_most(workload, most_rows)
    tally = Tally(measure)
    pairs = [paired(arm, baseline, smaller, seed=seed, measure=tally) for seed in seeds]
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return Check(
        verdict=not_worse(ours, theirs, margin_share=margin_share),
        checked_rows=smaller.rows,
        baseline_j=mean_energy_j([scored.use for scored in theirs]),
        treatment_j=mean_energy_j([scored.use for scored in ours], like=[scored.use for scored in theirs]),
        cost_j=tally.total_j(),
    )


def paired(arm: Arm, baseline: Arm, workload: Workload, *, seed: int, measure: Measure) -> tuple[Scored, Scored]:
    """Both arms on one split; which goes first alternates with the seed."""
    split = workload.split(seed)
    first, second = (arm, baseline) if seed % 2 else (baseline, arm)
    scored = {id(one): trained(one, split, workload, seed=seed, measure=measure) for one in (first, second)}
    return scored[id(arm)], scored[id(baseline)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """Checks that were made before, by data and recipe: in a file of the user's, and those packaged for the samples."""

    path: Path | None = None

    def find(self, workload: Workload, arm: Arm, baseline: Arm, margin_share: float) -> Check | None:
        """The check of this arm against this baseline on this data, None if there was none."""
        key = verdict_key(workload, arm, baseline, margin_share)
        for known in (packaged_document()["checks"], self._own()):
            found = _check_of(known.get(key))
            if found is not None:
                return found
        return None

    def keep(self, workload: Workload, arm: Arm, baseline: Arm, made: Check) -> None:
        """Remember a check; a file that cannot be written is no reason to stop."""
        if self.path is None:
            return
        known = {**self._own(), verdict_key(workload, arm, baseline, made.verdict.margin_share): made.document()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json.dumps(known, indent=1), encoding="utf-8")
            fresh.replace(self.path)
        except OSError:
            return

    def _own(self) -> Mapping[str, Any]:
        try:
            known = json.loads(self.path.read_text(encoding="utf-8")) if self.path else {}
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def verdict_key(workload: Workload, arm: Arm, baseline: Arm, margin_share: float) -> str:
    """What a verdict depends on: the data, what is predicted and judged, both arms, the margin."""
    parts = [workload.sha256, workload.target, workload.task, workload.metric, arm.sha256, baseline.sha256, f"{margin_share:g}"]
    return sha256_of(canonical(parts))


def _check_of(document: object) -> Check | None:
    """A remembered check; None for what is not one: it is made again then."""
    if not isinstance(document, dict):
        return None
    try:
        verdict = Verdict(**{name: document[name] for name in Verdict.__slots__})
        rest = {name: document[name] for name in ("checked_rows", "baseline_j", "treatment_j", "cost_j")}
    except KeyError:
        return None
    return Check(verdict=verdict, reused=True, **rest)


def at_most(workload: Workload, rows: int) -> Workload:
    """The workload on a random sample of its rows."""
    if workload.rows <= rows:
        return workload
    if workload.whole is None:
        return _shorter_draws(workload, rows)
    table, values = workload.whole
    taken = np.sort(np.random.default_rng(0).choice(len(table), size=rows, replace=False))
    return replace(
        of_table(
            table.rows(taken),
            values[taken],
            name=workload.name,
            task=workload.task,
            target=workload.target,
            classes=workload.classes,
            metric=workload.metric,
        ),
        sha256=workload.sha256,
    )


def _shorter_draws(workload: Workload, rows: int) -> Workload:
    share = rows / workload.rows

    def draw(seed: int) -> Split:
        split = workload.draw(seed)
        kept = slice(int(len(split.train) * share))
        tested = split.test.rows(slice(int(len(split.test) * share)))
        return replace(split, train=split.train.rows(kept), train_target=split.train_target[kept], test=tested)

    return replace(workload, rows=rows, draw=draw)
