"""LightGBM: histogram boosting, leaf by leaf."""

from __future__ import annotations

from dataclasses import dataclass

from greenai.training.boosting import PARAMS, SPACE, Trees, boost, predicted, rows_to_learn
from greenai.training.family import Ask, Family, Fitted
from greenai.training.table import FloatArray, Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LightGbm:
    """Fitted boosted trees."""

    trees: Trees
    classes: int

    def predict(self, table: Table, /) -> FloatArray:
        """Values (n,) or chances (n, classes)."""
        return predicted(self.trees.margins(table), self.classes)


def fit(ask: Ask) -> Fitted:
    """Fit them."""
    return LightGbm(trees=boost(ask, learn=rows_to_learn(ask)), classes=ask.classes)


family = Family(
    name="lightgbm",
    title="LightGBM",
    tasks=("regression", "classification"),
    modules=("lightgbm",),
    params=PARAMS,
    space=SPACE,
    fit=fit,
)
