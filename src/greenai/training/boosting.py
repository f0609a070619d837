"""Boosted trees by LightGBM on arrays: one thread unless told, stopped when held-out rows gain nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from greenai.training.extras import need
from greenai.training.family import Ask, Choice, Numbers
from greenai.training.linear import softmax
from greenai.training.losses import log_losses, squared_errors
from greenai.training.recipe import Scalar
from greenai.training.table import FloatArray, Table

PARAMS: Mapping[str, Scalar] = MappingProxyType(
    {
        "leaves": 8,
        "learning_rate": 0.15,
        "rounds": 60,
        "bins": 63,
        "min_leaf": 20,
        "l2": 0.0,
        "held_out": 0.1,
    }
)
"""`held_out` is the share of rows that says when to stop, 0 to do all rounds; `bins` the steps a number is cut into."""

SPACE: Mapping[str, Numbers | Choice] = MappingProxyType(
    {
        "leaves": Numbers(low=4, high=64, log=True),
        "learning_rate": Numbers(low=0.03, high=0.5, log=True),
        "rounds": Numbers(low=20, high=400, log=True),
        "bins": Choice(values=(31, 63, 127, 255)),
        "min_leaf": Numbers(low=5, high=100, log=True),
        "l2": Numbers(low=0.001, high=10.0, log=True),
    }
)

_LOOK_EVERY = 10
_LOOKS_WITHOUT_GAIN = 2
_LEAST_GAIN_RATIO = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees:
    """Boosted trees: `rounds` of them count; none if they gained nothing."""

    booster: Any
    rounds: int
    outputs: int
    threads: int
    float32: bool

    def margins(self, table: Table) -> FloatArray:
        """What the trees say, (n, outputs), before any link function."""
        if not self.rounds:
            return np.zeros((len(table), self.outputs))
        return self.added(matrix_of(table, float32=self.float32), range(self.rounds))

    def added(self, matrix: Any, rounds: range) -> FloatArray:
        """What these rounds' trees add to the rows of a matrix, (n, outputs)."""
        raw = self.booster.predict(
            matrix,
            start_iteration=rounds.start,
            num_iteration=len(rounds),
            raw_score=True,
            num_threads=self.threads,  # said again: a prediction takes all cores otherwise, whatever the training was told
        )
        return np.asarray(raw, dtype=np.float64).reshape(len(matrix), self.outputs)


def matrix_of(table: Table, *, float32: bool) -> Any:
    """Numbers, then codes, as one array (n, columns), NaN where missing.

    LightGBM takes a negative code as missing too, but each of its threads beyond the first warns of it on stdout,
    whatever verbosity says: its log level is kept per thread.
    """
    dtype = np.float32 if float32 else np.float64
    if not table.codes.shape[1]:
        return table.numeric.astype(dtype, copy=False)
    codes = np.where(table.codes < 0, dtype(np.nan), table.codes)
    return np.hstack([table.numeric, codes]).astype(dtype, copy=False)


def outputs_of(ask: Ask) -> int:
    """Trees per round: one, or one for each class from three classes on."""
    return ask.classes if ask.classes > 2 else 1


def boost(ask: Ask, *, learn: int, start: FloatArray | None = None) -> Trees:
    """Boost on the first `learn` rows of the ask; the others say when to stop.

    `start` (n, outputs) are margins to begin from; LightGBM's own constant if None.
    """
    lightgbm = need("lightgbm")
    params = _lightgbm_params(ask)
    matrix = matrix_of(ask.table, float32=ask.float32)
    numbers = len(ask.table.columns.numeric)
    data = lightgbm.Dataset(
        matrix[:learn],
        ask.target[:learn],
        init_score=None if start is None else _flat(start[:learn]),
        categorical_feature=list(range(numbers, matrix.shape[1])),
        params=params,
    )
    booster = lightgbm.Booster(params, data)
    trees = Trees(booster=booster, rounds=0, outputs=outputs_of(ask), threads=ask.threads, float32=ask.float32)
    if learn == len(matrix):
        rounds = _all_rounds(booster, int(ask.params["rounds"]))
    else:
        base = None if start is None else start[learn:]
        rounds = _while_it_gains(trees, matrix[learn:], ask, base)
    return Trees(booster=booster, rounds=rounds, outputs=trees.outputs, threads=ask.threads, float32=ask.float32)


def rows_to_learn(ask: Ask) -> int:
    """How many rows are learned from, the held-out share taken off; all of them where that would leave too few to judge by."""
    held = int(len(ask.table) * float(ask.params["held_out"]))
    return len(ask.table) - held if held >= 2 * _LOOK_EVERY else len(ask.table)


def predicted(margins: FloatArray, classes: int) -> FloatArray:
    """Values (n,) of a regression, or chances (n, classes), from margins (n, outputs)."""
    if not classes:
        return margins[:, 0]
    if classes == 2 and margins.shape[1] == 1:
        margins = np.column_stack([np.zeros(len(margins)), margins[:, 0]])
    return softmax(margins)


def _all_rounds(booster: Any, rounds: int) -> int:
    for done in range(rounds):
        if booster.update():
            return done
    return rounds


def _while_it_gains(trees: Trees, matrix: Any, ask: Ask, base: FloatArray | None) -> int:
    """The number of rounds with the least loss on the held-out rows, looked at every ten."""
    held = ask.target[-len(matrix) :]
    margins = np.zeros((len(matrix), trees.outputs)) if base is None else base.copy()
    best, best_round, without_gain = np.inf if base is None else _loss(held, margins, ask), 0, 0
    for done in range(_LOOK_EVERY, int(ask.params["rounds"]) + 1, _LOOK_EVERY):
        stuck = _all_rounds(trees.booster, _LOOK_EVERY) < _LOOK_EVERY
        margins += trees.added(matrix, range(done - _LOOK_EVERY, done))
        loss = _loss(held, margins, ask)
        if loss < best * (1 - _LEAST_GAIN_RATIO):
            best, best_round, without_gain = loss, done, 0
        else:
            without_gain += 1
        if stuck or without_gain == _LOOKS_WITHOUT_GAIN:
            break
    return best_round


def _loss(target: FloatArray, margins: FloatArray, ask: Ask) -> float:
    judged = log_losses if ask.classes else squared_errors
    return float(judged(target, predicted(margins, ask.classes)).mean())


def _flat(start: FloatArray) -> FloatArray:
    return start[:, 0] if start.shape[1] == 1 else start


def _lightgbm_params(ask: Ask) -> dict[str, Any]:
    params = ask.params
    objective = "regression" if not ask.classes else "binary" if ask.classes == 2 else "multiclass"
    return {
        "objective": objective,
        **({"num_class": ask.classes} if ask.classes > 2 else {}),
        "num_leaves": int(params["leaves"]),
        "learning_rate": float(params["learning_rate"]),
        "max_bin": int(params["bins"]),
        "min_data_in_leaf": int(params["min_leaf"]),
        "lambda_l2": float(params["l2"]),
        "num_threads": ask.threads,
        "seed": ask.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
