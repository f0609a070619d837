"""Linear models in closed or nearly closed form, on numpy alone.

scikit-learn has both; importing it costs two CPU-seconds, a thousand times what
these fits cost on a small table (bench/training.py), so a greener process does
without. Ridge: the normal equations by eigenvectors, the penalty by generalised
cross-validation (Golub, Heath and Wahba 1979). Logistic: the softmax likelihood
by its quadratic upper bound (Boehning 1992) with Nesterov's momentum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from greenai.training.encoding import Encoding, encoding_of, filled
from greenai.training.table import FloatArray, Table

_RIDGE_GRID = np.logspace(-6, 2, 17)
"""Penalties tried, as multiples of the number of rows (features are scaled to unit spread)."""

_MOST_STEPS = 300
_STEP_TOLERANCE = 1e-4
_UNPENALISED = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """margins = numbers @ weights + bias + what each text adds.

    `fill` (numbers,) stands for missing numbers; `weights` (numbers, outputs);
    `added` per text column (levels + 1, outputs), its last row, zero, for unknown.
    """

    fill: FloatArray
    weights: FloatArray
    bias: FloatArray
    added: tuple[FloatArray, ...]

    def margins(self, table: Table) -> FloatArray:
        """(n, outputs)."""
        total: FloatArray = filled(table.numeric, self.fill) @ self.weights + self.bias
        for place, added in enumerate(self.added):
            total += added[table.codes[:, place]]
        return total


def fit_ridge(table: Table, target: FloatArray) -> Linear:
    """Least squares with a quadratic penalty chosen by generalised cross-validation; one output."""
    encoding = encoding_of(table)
    matrix = encoding.of(table)
    mean = target.mean()
    centred = target - mean
    eigenvalues, vectors = _spectrum(matrix)
    projected = vectors.T @ (matrix.T @ centred)
    rows, total = len(target), centred @ centred

    def score(penalty: float) -> float:
        shrunk = projected / (eigenvalues + penalty)
        error = total - 2 * shrunk @ projected + (shrunk**2) @ eigenvalues
        freedom = 1 + (eigenvalues / (eigenvalues + penalty)).sum()
        return float(error / max(rows - freedom, _UNPENALISED) ** 2)

    penalty = min(_RIDGE_GRID * rows, key=score)
    coefficients = vectors @ (projected / (eigenvalues + penalty))
    return _of_the_table(coefficients[:, None], np.array([mean]), encoding, table)


def fit_logistic(table: Table, target: FloatArray, *, classes: int, penalty: float = 1.0) -> Linear:
    """Multinomial logistic regression; minimises the sum of log losses + penalty/2 * |coefficients|^2 (C = 1/penalty)."""
    encoding = encoding_of(table)
    matrix = np.column_stack([encoding.of(table), np.ones(len(target))])
    held = np.full(matrix.shape[1], penalty)
    held[-1] = _UNPENALISED
    inverse = np.linalg.inv(0.5 * matrix.T @ matrix + np.diag(held))
    truth = np.eye(classes)[target.astype(np.int64)]
    coefficients = ahead = np.zeros((matrix.shape[1], classes))
    for step in range(1, _MOST_STEPS):
        slope = matrix.T @ (softmax(matrix @ ahead) - truth) + held[:, None] * ahead
        moved = ahead - inverse @ slope
        change = moved - coefficients
        if np.sum(change * slope) > 0:  # momentum overshot: start it anew (O'Donoghue and Candes 2015)
            ahead = coefficients
            continue
        ahead, coefficients = moved + (step - 1) / (step + 2) * change, moved
        if np.abs(change).max() < _STEP_TOLERANCE:
            break
    return _of_the_table(coefficients[:-1], coefficients[-1], encoding, table)


def softmax(margins: FloatArray) -> FloatArray:
    """Chances from margins, row by row; both (n, classes)."""
    raised = np.exp(margins - margins.max(axis=1, keepdims=True))
    chances: FloatArray = raised / raised.sum(axis=1, keepdims=True)
    return chances


def _of_the_table(coefficients: FloatArray, intercept: FloatArray, encoding: Encoding, table: Table) -> Linear:
    """Coefficients (width, outputs) of the encoded matrix as a model of the table itself."""
    per_unit = coefficients / encoding.scale[:, None]
    numbers = len(encoding.fill)
    added, begin = [], numbers
    for levels in table.columns.levels:
        end = begin + len(levels)
        added.append(np.vstack([per_unit[begin:end], np.zeros((1, per_unit.shape[1]))]))
        begin = end
    bias = intercept - encoding.centre @ per_unit
    return Linear(fill=encoding.fill, weights=per_unit[:numbers], bias=bias, added=tuple(added))


def _spectrum(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues and vectors of the Gram matrix, by the shorter side."""
    if len(matrix) >= matrix.shape[1]:
        eigenvalues, vectors = np.linalg.eigh(matrix.T @ matrix)
        return np.maximum(eigenvalues, 0.0), vectors
    _, singular, rows = np.linalg.svd(matrix, full_matrices=False)
    return singular**2, rows.T
