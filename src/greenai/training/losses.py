"""How wrong a prediction is, row by row: every quality here is a loss, so less is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np

from greenai.errors import InputError
from greenai.training.table import FloatArray

Task = Literal["regression", "classification"]

_SMALLEST_CHANCE = 1e-15
"""A class given no chance at all that happens costs -log(1e-15) = 34.5, not infinity (scikit-learn clips likewise)."""


def absolute_errors(target: FloatArray, prediction: FloatArray) -> FloatArray:
    """|y - f(x)|; both (n,)."""
    return np.abs(target - prediction)


def squared_errors(target: FloatArray, prediction: FloatArray) -> FloatArray:
    """(y - f(x))^2; both (n,)."""
    errors: FloatArray = np.square(target - prediction)
    return errors


def log_losses(target: FloatArray, chances: FloatArray) -> FloatArray:
    """-log of the chance given to the class that was true; target (n,) class numbers, chances (n, classes)."""
    given = chances[np.arange(len(target)), target.astype(np.int64)]
    return -np.log(np.maximum(given, _SMALLEST_CHANCE))


def wrong_classes(target: FloatArray, chances: FloatArray) -> FloatArray:
    """1 where the likeliest class is not the true one, else 0; target (n,) class numbers, chances (n, classes)."""
    wrong: FloatArray = (chances.argmax(axis=1) != target).astype(np.float64)
    return wrong


RowLoss = Callable[[FloatArray, FloatArray], FloatArray]

ROW_LOSSES: Mapping[str, tuple[Task, RowLoss]] = MappingProxyType(
    {
        "mae": ("regression", absolute_errors),
        "mse": ("regression", squared_errors),
        "log_loss": ("classification", log_losses),
        "error_rate": ("classification", wrong_classes),
    }
)
"""By metric: the task it is for, and the loss of each row, whose mean is the metric."""

USUAL: Mapping[Task, str] = MappingProxyType({"regression": "mae", "classification": "log_loss"})
"""The metric of a task when none is named."""


def row_loss(metric: str, task: Task) -> RowLoss:
    """The row loss of a metric.

    Raises:
        InputError: no such metric, or it belongs to the other task.
    """
    known = [name for name, (its_task, _) in ROW_LOSSES.items() if its_task == task]
    if metric not in known:
        raise InputError(f"{metric!r} is no metric of {task}", hint="known: " + ", ".join(known))
    return ROW_LOSSES[metric][1]
