"""One training, as `greenai run --mode` and `greenai train` do it: baseline, or optimized behind the quality gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from greenai.errors import InputError
from greenai.training.arms import Arm, Scored, arm_of, trained
from greenai.training.baseline import baseline_of
from greenai.training.extras import import_lightgbm_alone
from greenai.training.family import Fitted
from greenai.training.gate import Check, Verdicts, check
from greenai.training.measuring import Measure, default_measure, use_document
from greenai.training.recipe import Goal, Recipe, packaged_recipe
from greenai.training.threads import threads_of
from greenai.training.workload import Workload

Mode = Literal["baseline", "optimized"]

METRIC_NAMES: Mapping[str, str] = MappingProxyType(
    {"mae": "MAE", "mse": "MSE", "log_loss": "log loss", "error_rate": "error rate"}
)
"""As they stand in evidence.csv, where the prototype wrote MAE."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainResult:
    """What one training gave: everything but `fitted`, the model, is plain data in `document()`.

    `trained_mode` is what was really trained: baseline where the gate refused
    the optimised way, and then `fallback` says why.
    """

    mode: Mode
    trained_mode: Mode
    workload: Workload
    arm: Arm
    scored: Scored
    seed: int
    threads: int | None
    feature_select: bool
    import_cpu_s: float
    recipe: Recipe | None = None
    gate: Check | None = None
    fallback: str = ""
    fitted: Fitted = field(repr=False)

    def document(self) -> dict[str, Any]:
        """The result as JSON-serialisable data."""
        metric = self.workload.metric
        return {
            "mode": self.mode,
            "trained_mode": self.trained_mode,
            "fallback": self.fallback or None,
            "dataset": self.workload.document(),
            "metric": metric,
            metric: self.scored.loss,
            "seed": self.seed,
            "n_jobs": self.threads,
            "feature_select": self.feature_select,
            "estimator": {"name": self.arm.name, **self.arm.described},
            "recipe": self.recipe.document() if self.recipe else None,
            "gate": self.gate.document() if self.gate else None,
            "energy": use_document(self.scored.use),
            "import_cpu_s": self.import_cpu_s,
        }

    def row(self) -> dict[str, Any]:
        """The columns of evidence.csv that a training fills."""
        return evidence_row(self.workload, phase=self.mode, loss=self.scored.loss, notes=self.fallback)


def train(
    mode: Mode,
    workload: Workload,
    *,
    recipe: Recipe | None = None,
    goal: Goal = "best",
    seed: int = 42,
    n_jobs: int | None = None,
    feature_select: bool = False,
    baseline: str | None = None,
    margin_share: float = 0.0,
    verdicts: Verdicts | None = None,
    measure: Measure | None = None,
    own_process: bool = False,
) -> TrainResult:
    """Train once on the split of `seed`, measured; imports and loading are not in the measurement.

    Mode "optimized" takes `recipe`, or the packaged one for the data's size, and
    passes it through the gate first: once per data set, remembered in `verdicts`.
    If the gate refuses, the baseline is trained and the result says so.
    `n_jobs` sets the threads (None: the recipe's, usually one; -1: all cores).
    `own_process` says that this process is greenai's, so imports may be lean.

    Raises:
        InputError: unknown mode, a recipe for another task, something not installed.
    """
    if mode not in {"baseline", "optimized"}:
        raise InputError(f"{mode!r} is no mode", hint="modes: baseline, optimized")
    measure = measure or default_measure()
    classes = len(workload.classes)
    threads = threads_of(n_jobs)
    base = baseline_of(baseline, classes=classes)
    arm, chosen, made = base, None, None
    if mode == "optimized":
        if own_process:
            import_lightgbm_alone()
        chosen = recipe or packaged_recipe(workload.task, workload.rows, goal=goal)
        _same_task(chosen, workload)
        arm = arm_of(chosen, classes=classes, threads=threads, feature_select=feature_select)
        made = _gated(arm, base, workload, margin_share=margin_share, verdicts=verdicts or Verdicts(), measure=measure)
    refused = made is not None and not made.verdict.passed
    used = base if refused else arm
    import_cpu_s = used.ready()
    scored = trained(used, workload.split(seed), workload, seed=seed, measure=measure)
    return TrainResult(
        mode=mode,
        trained_mode="baseline" if refused or mode == "baseline" else "optimized",
        workload=workload,
        arm=used,
        scored=scored,
        seed=seed,
        threads=threads,
        feature_select=feature_select,
        import_cpu_s=import_cpu_s,
        recipe=chosen,
        gate=made,
        fallback=_refusal(arm, made) if refused and made else "",
        fitted=scored.fitted,
    )


def evidence_row(workload: Workload, *, phase: str, loss: float, notes: str = "") -> dict[str, Any]:
    """The columns of evidence.csv that say what was trained and how well."""
    return {
        "phase": phase,
        "task": workload.task,
        "dataset": workload.name,
        "quality_metric_name": METRIC_NAMES[workload.metric],
        "quality_metric_value": loss,
        "notes": notes,
    }


def _gated(arm: Arm, base: Arm, workload: Workload, *, margin_share: float, verdicts: Verdicts, measure: Measure) -> Check:
    made = verdicts.find(workload, arm, base, margin_share)
    if made is None:
        made = check(arm, workload, baseline=base, measure=measure, margin_share=margin_share)
        verdicts.keep(workload, arm, base, made)
    return made


def _refusal(arm: Arm, made: Check) -> str:
    return f"the baseline was trained instead: the {arm.name} recipe is {made.verdict.sentence()}"


def _same_task(recipe: Recipe, workload: Workload) -> None:
    if recipe.task != workload.task:
        raise InputError(f"the recipe is for {recipe.task}, the data for {workload.task}", hint="choose another recipe or --task")
