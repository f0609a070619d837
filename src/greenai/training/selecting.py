"""Feature selection: the columns that a small boosting leans on, at least half of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from greenai.training.boosting import PARAMS, boost
from greenai.training.family import Ask
from greenai.training.table import FloatArray, Table

FEWEST_COLUMNS = 5
"""Below this the prototype selected nothing either."""

_LOOKED_AT_ROWS = 2000
_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The columns kept, by position among the numbers and among the texts."""

    numeric: tuple[int, ...]
    text: tuple[int, ...]

    def of(self, table: Table) -> Table:
        """The table with these columns only."""
        return table.only(list(self.numeric), list(self.text))


def selected_columns(table: Table, target: FloatArray, *, classes: int, seed: int) -> Selected | None:
    """The columns whose gain in a small boosting reaches the median; None if there are too few to choose from."""
    if table.columns.width < FEWEST_COLUMNS:
        return None
    looked = slice(min(len(table), _LOOKED_AT_ROWS))
    params = {**PARAMS, "rounds": _ROUNDS, "held_out": 0.0}
    ask = Ask(
        table=table.rows(looked),
        target=target[looked],
        task="classification" if classes else "regression",
        classes=classes,
        params=params,
        seed=seed,
        threads=1,
        float32=True,
    )
    gain = boost(ask, learn=len(ask.table)).booster.feature_importance("gain")
    kept = np.flatnonzero(gain >= np.median(gain))
    numbers = len(table.columns.numeric)
    return Selected(
        numeric=tuple(int(place) for place in kept if place < numbers),
        text=tuple(int(place) - numbers for place in kept if place >= numbers),
    )
