"""A table ready to learn from: numbers, and texts as codes, with the columns they came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenai.training.extras import need

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns are learned from, in order.

    `levels` holds, per text column, its values: a cell's code is the position of
    its value there, -1 where it is missing or unknown.
    """

    numeric: tuple[str, ...]
    text: tuple[str, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, numbers first."""
        return self.numeric + self.text

    @property
    def width(self) -> int:
        """How many there are."""
        return len(self.numeric) + len(self.text)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Rows of features: `numeric` float64 (n, numbers), NaN where missing; `codes` int32 (n, texts)."""

    columns: Columns
    numeric: FloatArray
    codes: IntArray

    def __len__(self) -> int:
        return len(self.numeric)

    def rows(self, index: NDArray[np.int64] | slice) -> Table:
        """Some of the rows; a slice copies nothing."""
        return Table(columns=self.columns, numeric=self.numeric[index], codes=self.codes[index])

    def only(self, numeric: list[int], text: list[int]) -> Table:
        """Some of the columns, by position among the numbers and among the texts."""
        kept = Columns(
            numeric=tuple(self.columns.numeric[place] for place in numeric),
            text=tuple(self.columns.text[place] for place in text),
            levels=tuple(self.columns.levels[place] for place in text),
        )
        return Table(columns=kept, numeric=self.numeric[:, numeric], codes=self.codes[:, text])


def numbers(values: FloatArray, names: tuple[str, ...]) -> Table:
    """A table of numbers only; values (n, len(names))."""
    return Table(
        columns=Columns(numeric=names),
        numeric=np.ascontiguousarray(values, dtype=np.float64),
        codes=np.empty((len(values), 0), dtype=np.int32),
    )


def frame(table: Table) -> Any:
    """The table as a pandas DataFrame, texts as text: what a user's own pipeline expects."""
    pandas = need("pandas")
    data: dict[str, Any] = {name: table.numeric[:, place] for place, name in enumerate(table.columns.numeric)}
    for place, name in enumerate(table.columns.text):
        known = np.array([*table.columns.levels[place], None], dtype=object)
        data[name] = known[table.codes[:, place]]
    return pandas.DataFrame(data)


def sha256_of_arrays(table: Table, target: NDArray[Any]) -> str:
    """Hex SHA-256 over the column names and the bytes of the arrays."""
    digest = hashlib.sha256(repr(table.columns).encode())
    for array in (table.numeric, table.codes, target):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
