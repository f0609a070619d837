"""A workload: the data of a training, loaded once, outside every measurement, and split the same way by the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from greenai.errors import InputError
from greenai.training.losses import USUAL, Task, row_loss
from greenai.training.reading import columns_of, file_sha256, read_frame, table_of, target_of
from greenai.training.table import Columns, FloatArray, Table, sha256_of_arrays

FOLDS = 5
"""Five folds: each split trains on 80 % of the rows and tests on 20 %, the prototype's shares."""

SEARCHED_SHARE = 0.7
FEWEST_ROWS_TO_HOLD_OUT = 2000

RowNumbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """One division of the data.

    The model is fitted on `train` and predicts `test` inside the measurement;
    it is judged, outside, on `judge`, which is the test rows or, for generated
    data, a larger fresh sample. `judge_rows` are the rows' numbers in the whole
    table; None when every split draws new data.
    """

    train: Table
    train_target: FloatArray
    test: Table
    judge: Table
    judge_target: FloatArray
    judge_rows: RowNumbers | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workload:
    """A task on named, hashed data. `draw` gives the split of a seed; `whole` the rows, None for generated data."""

    name: str
    task: Task
    target: str
    metric: str
    rows: int
    columns: Columns
    sha256: str
    draw: Callable[[int], Split] = field(repr=False)
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    whole: tuple[Table, FloatArray] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        row_loss(self.metric, self.task)

    def split(self, seed: int) -> Split:
        """The split of a seed >= 0: always the same for the same seed.

        Raises:
            InputError: a negative seed.
        """
        if seed < 0:
            raise InputError(f"a seed is a whole number from 0, not {seed}")
        return self.draw(seed)

    def row_losses(self, target: FloatArray, prediction: FloatArray) -> FloatArray:
        """The loss of each row; its mean is the metric."""
        return row_loss(self.metric, self.task)(target, prediction)

    def document(self) -> dict[str, Any]:
        """What it is, as plain data."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "task": self.task,
            "target": self.target,
            "metric": self.metric,
            "rows": self.rows,
            "columns": list(self.columns.names),
            "classes": list(self.classes),
            "notes": list(self.notes),
        }


def load(
    path: str | Path, target_col: str = "GreenScore", *, task: Task | Literal["auto"] = "auto", metric: str | None = None
) -> Workload:
    """The workload of a CSV or Parquet file.

    Raises:
        InputError: the file cannot be read or has no such target (with the list of its columns).
    """
    path = Path(path)
    whole = read_frame(path)
    known, target, target_notes = target_of(whole, target_col, task=task)
    columns, column_notes = columns_of(known, target_col)
    table = table_of(known, columns)
    return of_table(
        table,
        target.values,
        name=path.name,
        task=target.task,
        target=target_col,
        classes=target.classes,
        metric=metric,
        notes=target_notes + column_notes,
        sha256=file_sha256(path),
    )


def of_table(
    table: Table,
    values: FloatArray,
    *,
    name: str,
    task: Task,
    target: str,
    classes: tuple[str, ...] = (),
    metric: str | None = None,
    notes: tuple[str, ...] = (),
    sha256: str | None = None,
) -> Workload:
    """A workload of rows in memory; `values` float64 (n,), class numbers for a classification."""
    rows = np.arange(len(table))
    return Workload(
        name=name,
        task=task,
        target=target,
        metric=metric or USUAL[task],
        rows=len(table),
        columns=table.columns,
        sha256=sha256 or sha256_of_arrays(table, values),
        draw=_folds(table, values, tested=rows, stratify=task == "classification"),
        classes=classes,
        notes=notes,
        whole=(table, values),
    )


def to_search_and_confirm(workload: Workload) -> tuple[Workload, Workload, str]:
    """Two workloads, one to choose on and one to confirm the choice on, and in words what makes them different.

    Generated data is drawn afresh by every seed. Of 2000 fixed rows or more,
    30 % are kept from the search and are the only ones the confirmation is
    judged on. Fewer rows cannot spare that: there the confirmation splits the
    same rows anew, which leaves some of the search's luck in it.
    """
    if workload.whole is None:
        return workload, workload, "fresh data: other seeds draw other rows"
    table, values = workload.whole
    if len(table) < FEWEST_ROWS_TO_HOLD_OUT:
        return workload, workload, "fresh splits of the same rows: too few to hold any out, so some luck of the search remains"
    order = np.random.default_rng(0).permutation(len(table))
    cut = int(len(table) * SEARCHED_SHARE)
    stratify = workload.task == "classification"
    searched = np.sort(order[:cut])
    search = replace(
        workload, draw=_folds(table.rows(searched), values[searched], tested=np.arange(cut), stratify=stratify), whole=None
    )
    confirm = replace(workload, draw=_folds(table, values, tested=np.sort(order[cut:]), stratify=stratify))
    return search, confirm, "rows held out: the search never saw the rows it is judged on"


def _folds(table: Table, values: FloatArray, *, tested: RowNumbers, stratify: bool) -> Callable[[int], Split]:
    """Splits by seed: seed // 5 deals the tested rows into five folds, seed % 5 is the fold that tests."""

    def draw(seed: int) -> Split:
        rng = np.random.default_rng(seed // FOLDS)
        dealt = rng.permutation(tested)
        if stratify:
            dealt = dealt[np.argsort(values[dealt], kind="stable")]
        test = np.sort(dealt[seed % FOLDS :: FOLDS])
        in_train = np.ones(len(table), dtype=bool)
        in_train[test] = False
        train = rng.permutation(np.flatnonzero(in_train))
        judged = table.rows(test)
        return Split(
            train=table.rows(train),
            train_target=values[train],
            test=judged,
            judge=judged,
            judge_target=values[test],
            judge_rows=test,
        )

    return draw
