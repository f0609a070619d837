"""scikit-learn's histogram boosting."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from greenai.training.boosting import matrix_of
from greenai.training.extras import need
from greenai.training.family import Ask, Choice, Family, Fitted, Numbers
from greenai.training.table import FloatArray, Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hist:
    """A fitted histogram boosting."""

    model: Any
    classes: int
    threads: int
    float32: bool

    def predict(self, table: Table, /) -> FloatArray:
        """Values (n,) or chances (n, classes)."""
        matrix = _matrix(table, float32=self.float32)
        with need("threadpoolctl").threadpool_limits(self.threads):
            said = self.model.predict_proba(matrix) if self.classes else self.model.predict(matrix)
        return np.asarray(said, dtype=np.float64)


def fit(ask: Ask) -> Fitted:
    """Fit it. scikit-learn takes its threads from the process, so they are limited around it."""
    ensemble = need("sklearn.ensemble")
    kind = ensemble.HistGradientBoostingClassifier if ask.classes else ensemble.HistGradientBoostingRegressor
    texts = np.arange(ask.table.columns.width) >= len(ask.table.columns.numeric)
    model = kind(
        max_iter=int(ask.params["rounds"]),
        max_leaf_nodes=int(ask.params["leaves"]),
        learning_rate=float(ask.params["learning_rate"]),
        max_bins=int(ask.params["bins"]),
        min_samples_leaf=int(ask.params["min_leaf"]),
        l2_regularization=float(ask.params["l2"]),
        categorical_features=texts if texts.any() else None,
        early_stopping=False,
        random_state=ask.seed,
    )
    with need("threadpoolctl").threadpool_limits(ask.threads):
        model.fit(_matrix(ask.table, float32=ask.float32), ask.target)
    return Hist(model=model, classes=ask.classes, threads=ask.threads, float32=ask.float32)


def _matrix(table: Table, *, float32: bool) -> Any:
    """Missing codes as NaN: scikit-learn takes no negative category."""
    matrix = matrix_of(table, float32=float32)
    if table.codes.shape[1]:
        texts = matrix[:, len(table.columns.numeric) :]
        texts[texts < 0] = np.nan
    return matrix


family = Family(
    name="hist",
    title="scikit-learn's histogram boosting",
    tasks=("regression", "classification"),
    modules=("sklearn.ensemble", "threadpoolctl"),
    params=MappingProxyType({"leaves": 8, "learning_rate": 0.1, "rounds": 100, "bins": 63, "min_leaf": 20, "l2": 0.0}),
    space=MappingProxyType(
        {
            "leaves": Numbers(low=4, high=64, log=True),
            "learning_rate": Numbers(low=0.03, high=0.5, log=True),
            "rounds": Numbers(low=20, high=300, log=True),
            "bins": Choice(values=(31, 63, 127, 255)),
            "min_leaf": Numbers(low=5, high=100, log=True),
            "l2": Numbers(low=0.001, high=10.0, log=True),
        }
    ),
    fit=fit,
)
