"""A machine whose joules are known, a model whose error is, and a table of every kind of column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest


@dataclass(frozen=True, kw_only=True)
class Use:
    duration_s: float
    cpu_s: float
    energy_j: float
    low_j: float
    high_j: float
    quality: str = "measured:counter"
    meter: str = "fake"
    noise_floor_j: float = 0.0


@dataclass
class Machine:
    """Adds up what the arms say they use; `measure` reads it, with a floor if one is planted."""

    noise_floor_j: float = 0.0
    spent_j: float = 0.0
    calls: int = 0
    jitter: Callable[[], float] = field(default=lambda: 0.0)

    def use(self, energy_j: float) -> None:
        self.spent_j += energy_j

    def measure(self, function):
        self.calls += 1
        before_j = self.spent_j
        result = function()
        used_j = self.spent_j - before_j + self.jitter()
        return result, Use(
            duration_s=used_j / 10,
            cpu_s=used_j / 20,
            energy_j=used_j,
            low_j=used_j * 0.9,
            high_j=used_j * 1.1,
            noise_floor_j=self.noise_floor_j,
        )


@dataclass(frozen=True)
class Guess:
    """A model that says the same of every row, off by `error`."""

    error: float

    def predict(self, table):
        return np.full(len(table), self.error)


def mixed_frame(rows: int = 400, seed: int = 0):
    """Numbers with gaps, a text that matters, an id, a prose column, a constant; y and the class `kind` follow from them."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=rows), rng.uniform(-1, 1, rows)
    colour = rng.choice(["red", "green", "blue"], rows)
    y = 2 * first + np.where(colour == "red", 3.0, 0.0) + second + rng.normal(0, 0.1, rows)
    frame = pandas.DataFrame(
        {
            "Id": np.arange(rows) * 7,
            "first": first,
            "second": second,
            "colour": colour,
            "prose": [f"a text of its own, number {place}" for place in range(rows)],
            "same": 5,
            "y": y,
            "kind": np.where(y > 1, "high", "low"),
        }
    )
    frame.loc[frame.index[::10], "second"] = np.nan
    frame.loc[frame.index[::17], "colour"] = None
    return frame
