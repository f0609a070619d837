"""Predictions for a test table, written as they are made: memory does not grow with the table."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from greenai import wiring
from greenai.api.asking import Running
from greenai.config import Settings
from greenai.engine.doors import tell_nobody
from greenai.engine.run import RunOutcome
from greenai.errors import GreenaiError, InputError
from greenai.training.arms import Arm
from greenai.training.extras import import_lightgbm_alone, need
from greenai.training.family import Fitted
from greenai.training.fitting import Mode
from greenai.training.gate import Check
from greenai.training.reading import CHUNK_ROWS, chunks, separator_of, table_of
from greenai.training.recording import Recorder
from greenai.training.running import TrainingFailed, Treatment, books_of, gate
from greenai.training.workload import Workload, load

ID_COLUMNS = ("example_id", "Id")
"""As the prototype looked for them; without one, rows are numbered ROW000000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """A submission: where it is, how many rows, what made it and the run that measured it."""

    path: Path
    rows: int
    id_column: str | None
    trained_mode: Mode
    estimator: str
    workload: Workload
    gate: Check | None
    outcome: RunOutcome

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "path": str(self.path),
            "rows": self.rows,
            "id_column": self.id_column,
            "target": self.workload.target,
            "trained_mode": self.trained_mode,
            "estimator": self.estimator,
            "dataset": self.workload.document(),
            "gate": self.gate.document() if self.gate else None,
            "run_id": self.outcome.run_id,
            "evidence": self.outcome.evidence,
            "warnings": list(self.outcome.warnings),
        }


def predict_recorded(
    treatment: Treatment,
    *,
    train_csv: str | Path,
    test_csv: str | Path,
    out: str | Path,
    target_col: str = "GreenScore",
    task: Any = "auto",
    command: tuple[str, ...],
    ask: Running | None = None,
    settings: Settings | None = None,
) -> Predicted:
    """Train on all rows of one table, predict those of another, and leave evidence of both together.

    The file at `out` has the header `Id,<target_col>` and a row per test row, ids
    as they stand in the test table. It appears when it is complete. Reading the
    training table is not measured; reading the test table, chunk by chunk, is.

    Raises:
        InputError: a file, column or recipe that cannot be used.
        TrainingFailed: the training or the prediction raised; its run is in the ledger.
    """
    ask = ask or {}
    known = wiring.settings_with(settings, meter=ask.get("meter"))
    out, test_csv = Path(out), Path(test_csv)
    _check(out)
    workload = load(train_csv, target_col, task=task)
    id_column, _first = _look(test_csv, workload)
    books = books_of(command, {**treatment.labels(workload), "phase": "predict", "test": test_csv.name}, ask, known)
    doors = wiring.open_doors(known)
    arm, made = _passed(workload, treatment, known, books)
    arm.ready()
    recorder = Recorder(known, doors, books)
    try:
        rows, _use = recorder(lambda: _submission(arm, workload, treatment.seed, test_csv=test_csv, out=out, id_column=id_column))
    except Exception as error:
        outcome = recorder.fail(error)
        if isinstance(error, GreenaiError) or outcome is None:
            raise
        raise TrainingFailed(error, outcome) from error
    mode: Mode = "optimized" if treatment.mode == "optimized" and (made is None or made.verdict.passed) else "baseline"
    learned = {"trained_mode": mode, "estimator": arm.name, "predicted_rows": str(rows)}
    return Predicted(
        path=out,
        rows=rows,
        id_column=id_column,
        trained_mode=mode,
        estimator=arm.name,
        workload=workload,
        gate=made,
        outcome=recorder.finish(learned),
    )


def _passed(workload: Workload, treatment: Treatment, settings: Settings, books: Any) -> tuple[Arm, Check | None]:
    """The arm to use: the optimised one if the gate lets it through."""
    arm, base = treatment.arms(workload)
    if treatment.mode == "baseline":
        return base, None
    import_lightgbm_alone()
    quiet = replace(wiring.open_doors(settings), tell=tell_nobody)
    made = gate(workload, treatment, settings=settings, doors=quiet, books=books)
    return (arm if made.verdict.passed else base), made


def _submission(arm: Arm, workload: Workload, seed: int, *, test_csv: Path, out: Path, id_column: str | None) -> int:
    """Fit, predict, write; the number of rows."""
    if workload.whole is None:
        raise InputError("only a table can be trained on as a whole")
    table, values = workload.whole
    fitted = arm.fit(table, values, seed)
    rows = 0
    with _complete_or_absent(out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["Id", workload.target])
        for frame, ids in zip(chunks(test_csv), _ids(test_csv, id_column), strict=False):
            said = _said(fitted, workload, frame)
            names = ids if id_column else [f"ROW{rows + place:06d}" for place in range(len(frame))]
            writer.writerows(zip(names, said, strict=True))
            rows += len(frame)
    return rows


def _said(fitted: Fitted, workload: Workload, frame: Any) -> list[Any]:
    """The predictions of a chunk as they are written: numbers, or the names of the likeliest classes."""
    given = fitted.predict(table_of(frame, workload.columns))
    if workload.classes:
        return [workload.classes[place] for place in given.argmax(axis=1)]
    values: list[Any] = np.asarray(given, dtype=np.float64).tolist()
    return values


def _look(test_csv: Path, workload: Workload) -> tuple[str | None, Any]:
    """The id column of the test table; refused here, before any energy is spent, if it lacks what is learned from."""
    first = next(chunks(test_csv, rows=100), None)
    if first is None or len(first) == 0:
        raise InputError(f"{test_csv} has no rows to predict")
    table_of(first, workload.columns)
    return next((name for name in ID_COLUMNS if name in first.columns), None), first


def _ids(test_csv: Path, id_column: str | None) -> Iterator[list[str]]:
    """The ids as they are written in the file, chunk by chunk: 007 stays 007."""
    if id_column is None:
        while True:
            yield []
    if test_csv.suffix.lower() in {".parquet", ".pq"}:
        for frame in chunks(test_csv):
            yield [str(value) for value in frame[id_column]]
        return
    as_text = {"usecols": [id_column], "dtype": str, "keep_default_na": False, "sep": separator_of(test_csv)}
    with need("pandas").read_csv(test_csv, chunksize=CHUNK_ROWS, **as_text) as reader:
        for frame in reader:
            yield frame[id_column].tolist()


def _check(out: Path) -> None:
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}") from None
    place = out if out.exists() else out.absolute().parent
    if out.is_dir() or not os.access(place, os.W_OK):
        raise InputError(f"{out} cannot be written", hint="choose another --out")


@contextmanager
def _complete_or_absent(path: Path) -> Iterator[TextIO]:
    """A file that replaces `path` when all of it is written, and leaves nothing behind when not."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as file:
            yield file
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
