"""Ridge regression: where the truth is linear nothing is cheaper or better."""

from __future__ import annotations

from dataclasses import dataclass

from greenai.training.family import Ask, Family, Fitted
from greenai.training.linear import Linear, fit_ridge
from greenai.training.table import FloatArray, Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ridge:
    """A fitted ridge regression."""

    linear: Linear

    def predict(self, table: Table, /) -> FloatArray:
        """Values (n,)."""
        return self.linear.margins(table)[:, 0]


def fit(ask: Ask) -> Fitted:
    """Fit it; the penalty is found by generalised cross-validation."""
    return Ridge(linear=fit_ridge(ask.table, ask.target))


family = Family(name="ridge", title="Ridge regression in closed form", tasks=("regression",), fit=fit)
