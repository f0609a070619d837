"""Logistic regression: the linear classifier."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from greenai.training.family import Ask, Family, Fitted, Numbers
from greenai.training.linear import Linear, fit_logistic, softmax
from greenai.training.table import FloatArray, Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Logistic:
    """A fitted logistic regression."""

    linear: Linear

    def predict(self, table: Table, /) -> FloatArray:
        """Chances (n, classes)."""
        return softmax(self.linear.margins(table))


def fit(ask: Ask) -> Fitted:
    """Fit it."""
    return Logistic(linear=fit_logistic(ask.table, ask.target, classes=ask.classes, penalty=float(ask.params["l2"])))


family = Family(
    name="logistic",
    title="Logistic regression",
    tasks=("classification",),
    params=MappingProxyType({"l2": 1.0}),
    space=MappingProxyType({"l2": Numbers(low=0.01, high=100.0, log=True)}),
    fit=fit,
)
