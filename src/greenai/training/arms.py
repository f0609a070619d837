"""An arm of a comparison: something that can be trained on a split, measured and judged the same way as any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenai.model.evidence import canonical, sha256_of
from greenai.training.extras import preload
from greenai.training.family import Ask, Fitted, family_of
from greenai.training.measuring import EnergyUse, Measure
from greenai.training.recipe import Recipe
from greenai.training.selecting import Selected, selected_columns
from greenai.training.table import FloatArray, Table
from greenai.training.workload import Split, Workload


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arm:
    """One way to train: `fit(table, target, seed)` does all that costs energy, `modules` are imported before.

    `described` is what a record says of it: everything its predictions depend on.
    """

    name: str
    fit: Callable[[Table, FloatArray, int], Fitted]
    modules: tuple[str, ...] = ()
    described: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the description: the same arm under any name."""
        return sha256_of(canonical(dict(self.described)))

    def ready(self) -> float:
        """Import what it needs; CPU seconds that took.

        Raises:
            InputError: something is not installed.
        """
        return preload(self.modules)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """One training, judged.

    `loss` is the mean of `row_losses` (n,); `rows` are the judged rows' numbers
    in the fixed table, None if the data was drawn for this seed alone.
    """

    seed: int
    loss: float
    row_losses: FloatArray
    rows: NDArray[np.int64] | None
    use: EnergyUse
    fitted: Fitted = field(repr=False)


def arm_of(recipe: Recipe, *, classes: int, threads: int | None = None, feature_select: bool = False) -> Arm:
    """The arm of a recipe; `threads` overrides the recipe's.

    Raises:
        InputError: no such family, or parameters it does not have.
    """
    family = family_of(recipe)
    params = family.complete(recipe.params)

    def fit(table: Table, target: FloatArray, seed: int) -> Fitted:
        table, target = _sampled(table, target, recipe.rows, seed)
        chosen = selected_columns(table, target, classes=classes, seed=seed) if feature_select else None
        ask = Ask(
            table=chosen.of(table) if chosen else table,
            target=target,
            task=recipe.task,
            classes=classes,
            params=params,
            seed=seed,
            threads=threads or recipe.threads,
            float32=recipe.float32,
        )
        fitted = family.fit(ask)
        return _OnSelected(chosen=chosen, fitted=fitted) if chosen else fitted

    modules = family.modules + (("lightgbm",) if feature_select else ())
    described = {"family": family.name, "params": params, "rows": recipe.rows, "float32": recipe.float32}
    described["feature_select"] = feature_select
    return Arm(name=recipe.family, fit=fit, modules=modules, described=MappingProxyType(described))


def trained(arm: Arm, split: Split, workload: Workload, *, seed: int, measure: Measure) -> Scored:
    """Train an arm on a split, measured from preprocessing to the test rows' predictions, and judge it outside."""

    def work() -> tuple[Fitted, FloatArray]:
        fitted = arm.fit(split.train, split.train_target, seed)
        return fitted, fitted.predict(split.test)

    (fitted, said), use = measure(work)
    if split.judge is not split.test:
        said = fitted.predict(split.judge)
    losses = workload.row_losses(split.judge_target, said)
    return Scored(seed=seed, loss=float(losses.mean()), row_losses=losses, rows=split.judge_rows, use=use, fitted=fitted)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _OnSelected:
    """A model that looks at some of the columns."""

    chosen: Selected
    fitted: Fitted

    def predict(self, table: Table, /) -> FloatArray:
        """As the model inside."""
        return self.fitted.predict(self.chosen.of(table))


def _sampled(table: Table, target: FloatArray, rows: int | None, seed: int) -> tuple[Table, FloatArray]:
    """At most `rows` random rows, taken before any preprocessing so that the rest costs nothing."""
    if rows is None or rows >= len(table):
        return table, target
    taken = np.random.default_rng(seed).choice(len(table), size=rows, replace=False, shuffle=False)
    return table.rows(taken), target[taken]
