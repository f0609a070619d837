"""From a table to one matrix of numbers: missing ones filled, texts one-hot, all centred and of unit spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from greenai.training.table import FloatArray, Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoding:
    """How a table becomes a matrix (n, width): learned from the training rows, used on any others.

    `fill` (numbers,) are the means that stand for missing numbers; `centre` and
    `scale` (width,) are taken off and divided by.
    """

    fill: FloatArray
    centre: FloatArray
    scale: FloatArray

    def of(self, table: Table) -> FloatArray:
        """The matrix of a table with the same columns."""
        encoded: FloatArray = (_raw(table, self.fill) - self.centre) / self.scale
        return encoded


def encoding_of(table: Table) -> Encoding:
    """The encoding that centres this table and gives its numbers unit spread; one-hot columns keep their scale."""
    fill = _means(table.numeric)
    raw = _raw(table, fill)
    scale = np.ones(raw.shape[1])
    spread = raw[:, : len(fill)].std(axis=0)
    scale[: len(fill)] = np.where(spread > 0, spread, 1.0)
    return Encoding(fill=fill, centre=raw.mean(axis=0), scale=scale)


def filled(numeric: FloatArray, fill: FloatArray) -> FloatArray:
    """The numbers with `fill` where they are missing; the same array if none is."""
    if not np.isnan(numeric.sum()):
        return numeric
    return np.where(np.isnan(numeric), fill, numeric)


def _means(numeric: FloatArray) -> FloatArray:
    known = ~np.isnan(numeric)
    means: FloatArray = np.where(known, numeric, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return means


def _raw(table: Table, fill: FloatArray) -> FloatArray:
    numeric = filled(table.numeric, fill)
    if not table.columns.levels:
        return numeric
    texts = [np.eye(len(levels) + 1)[table.codes[:, place]][:, :-1] for place, levels in enumerate(table.columns.levels)]
    return np.hstack([numeric, *texts])
