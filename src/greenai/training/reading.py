"""A user's CSV or Parquet file: read, its columns judged, and nothing invented.

What cannot be learned from is left out with a note: id columns, columns of one
value, dates, texts of too many values. Missing cells stay missing; each
estimator fills or uses them by its own rule.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from greenai.errors import InputError
from greenai.training.extras import need
from greenai.training.losses import Task
from greenai.training.table import Columns, FloatArray, Table

MOST_LEVELS = 50
"""A text column of more different values is an identifier or prose to a table learner, and is left out."""

FEWEST_ROWS = 20
"""With fewer there is nothing to split and compare."""

TOO_LARGE = 1e30
"""Numbers from here on count as missing, like infinities: their squares, or they themselves in 32 bits, overflow."""

CHUNK_ROWS = 100_000

NO_NUMBER_HINT = "leave cells without a number empty"

_ID_NAME = re.compile(r"(.*[_\s-])?(id|ids|uuid|guid|key|index|row|rowid)|unnamed: 0", re.IGNORECASE)
_MOSTLY_UNIQUE_SHARE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be predicted: values float64 (n,), class numbers if `classes` names any."""

    task: Task
    values: FloatArray
    classes: tuple[str, ...] = ()


def read_frame(path: Path) -> Any:
    """The whole file as a pandas DataFrame; the suffix says CSV (.csv, .tsv, also .gz) or Parquet (.parquet, .pq).

    Raises:
        InputError: no such file, not that format, empty.
    """
    return next(_frames(path, rows=None))


def chunks(path: Path, *, rows: int = CHUNK_ROWS) -> Iterator[Any]:
    """The file as DataFrames of up to `rows` rows, so that memory does not grow with it.

    Raises:
        InputError: as read_frame.
    """
    return _frames(path, rows=rows)


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of the file's bytes."""
    with path.open("rb") as body:
        return hashlib.file_digest(body, "sha256").hexdigest()


def target_of(frame: Any, name: str, *, task: Task | Literal["auto"] = "auto") -> tuple[Any, Target, tuple[str, ...]]:
    """The rows whose target is known, that target, and notes.

    Task "auto": texts, booleans and numbers of exactly two values are classes,
    other numbers are regressed.

    Raises:
        InputError: no such column (with the list of columns), or nothing to predict in it.
    """
    column = _column(frame, name)
    known = column.notna()
    if _is_number(column):
        known &= np.abs(column.to_numpy(dtype=float, na_value=np.nan)) < TOO_LARGE
    notes = [f"{int((~known).sum())} rows without a usable {name} were left out"] if not known.all() else []
    frame, column = frame[known], column[known]
    if len(frame) < FEWEST_ROWS:
        raise InputError(f"{len(frame)} rows have a {name}, too few to learn from", hint=f"give at least {FEWEST_ROWS} rows")
    distinct = column.nunique()
    if distinct < 2:
        raise InputError(f"the target {name} has the same value in every row", hint="choose another --target-col")
    chosen = _task(column, distinct) if task == "auto" else task
    if chosen == "regression":
        return frame, Target(task=chosen, values=_as_numbers(column, name)), tuple(notes)
    values, classes = _as_classes(column, name)
    return frame, Target(task=chosen, values=values, classes=classes), tuple(notes)


def columns_of(frame: Any, target: str) -> tuple[Columns, tuple[str, ...]]:
    """The columns worth learning from, and a note for each one left out.

    Raises:
        InputError: none is left.
    """
    numeric: list[str] = []
    levels: dict[str, tuple[str, ...]] = {}
    notes: list[str] = []
    for name in frame.columns:
        if name == target:
            continue
        column = frame[name]
        problem = _problem(column, str(name))
        if problem:
            notes.append(f"column {name} is left out: {problem}")
        elif _is_number(column):
            numeric.append(name)
        else:
            levels[name] = tuple(sorted(column.dropna().astype(str).unique()))
    if not numeric and not levels:
        raise InputError("no column is left to learn from: " + "; ".join(notes or ["the file holds only the target"]))
    return Columns(numeric=tuple(numeric), text=tuple(levels), levels=tuple(levels.values())), tuple(notes)


def table_of(frame: Any, columns: Columns) -> Table:
    """The frame's rows in these columns; text values not among the levels become missing.

    Raises:
        InputError: a column is absent, or one of numbers holds text.
    """
    absent = [name for name in columns.names if name not in frame.columns]
    if absent:
        raise InputError(f"the table lacks {', '.join(map(str, absent))}", hint=_listed(frame.columns))
    numeric = np.empty((len(frame), len(columns.numeric)))
    for place, name in enumerate(columns.numeric):
        numeric[:, place] = _as_numbers(frame[name], name)
    numeric[~(np.abs(numeric) < TOO_LARGE)] = np.nan
    codes = np.empty((len(frame), len(columns.text)), dtype=np.int32)
    for place, name in enumerate(columns.text):
        codes[:, place] = _codes(frame[name], columns.levels[place])
    return Table(columns=columns, numeric=numeric, codes=codes)


def _frames(path: Path, *, rows: int | None) -> Iterator[Any]:
    pandas = need("pandas")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    parquet = bool(suffixes) and suffixes[-1] in {".parquet", ".pq"}
    if not parquet and not {".csv", ".tsv"} & set(suffixes):
        raise InputError(f"{path.name} is neither CSV nor Parquet by its name", hint="name it .csv, .tsv or .parquet")
    read = _parquet_frames if parquet else _csv_frames
    try:
        yield from read(pandas, path, rows)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text", hint="save it as UTF-8") from None
    except InputError:
        raise
    except ValueError as error:  # pandas' EmptyDataError and ParserError, Arrow's errors
        hint = "" if parquet else "each line needs as many cells as the first, separated by commas (tabs in a .tsv)"
        raise InputError(f"{path} is not usable: {str(error).strip()}", hint=hint) from None


def _csv_frames(pandas: Any, path: Path, rows: int | None) -> Iterator[Any]:
    separator = separator_of(path)
    _refuse_other_separator(pandas, path, separator)
    if rows is None:
        yield pandas.read_csv(path, sep=separator)
        return
    with pandas.read_csv(path, sep=separator, chunksize=rows) as reader:
        yield from reader


def separator_of(path: Path) -> str:
    """Tabs in a .tsv, commas elsewhere."""
    return "\t" if ".tsv" in path.name.lower() else ","


def _refuse_other_separator(pandas: Any, path: Path, separator: str) -> None:
    """One column whose name holds a separator of another kind is a table misread, which no later message would explain."""
    names = [str(name) for name in pandas.read_csv(path, sep=separator, nrows=0).columns]
    other = next((mark for mark in (";", "\t", "|", ",") if mark in names[0]), None) if len(names) == 1 else None
    if other:
        said = {"\t": "a tab", ",": "a comma"}.get(other, repr(other))
        hint = "save it with commas, or as .tsv with tabs; decimals with a point"
        raise InputError(f"{path} is separated by {said}, not by {'a tab' if separator != ',' else 'commas'}", hint=hint)


def _parquet_frames(pandas: Any, path: Path, rows: int | None) -> Iterator[Any]:
    parquet = need("pyarrow.parquet", what="reading Parquet")
    with parquet.ParquetFile(path) as body:
        if rows is None:
            yield body.read().to_pandas()
            return
        for batch in body.iter_batches(batch_size=rows):
            yield batch.to_pandas()


def _column(frame: Any, name: str) -> Any:
    if name not in frame.columns:
        close = difflib.get_close_matches(name, [str(column) for column in frame.columns], n=1)
        guess = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"there is no column {name} to predict", hint=guess + _listed(frame.columns))
    return frame[name]


def _listed(names: Sequence[Any]) -> str:
    return "the columns are: " + ", ".join(str(name) for name in names)


def _is_number(column: Any) -> bool:
    types = need("pandas").api.types
    return bool(types.is_numeric_dtype(column) or types.is_bool_dtype(column))


def _task(column: Any, distinct: int) -> Task:
    return "regression" if _is_number(column) and distinct > 2 else "classification"


def _as_numbers(column: Any, name: str) -> FloatArray:
    try:
        values: FloatArray = need("pandas").to_numeric(column).to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError):
        raise InputError(f"column {name} is not all numbers: {_other_than_numbers(column)}", hint=NO_NUMBER_HINT) from None
    return values


def _other_than_numbers(column: Any) -> str:
    """Which cells are in the way: how many, and the first of them."""
    known = column[column.notna()]
    odd = known[need("pandas").to_numeric(known.astype(str), errors="coerce").isna()]
    if not len(odd):
        return f"it holds {column.dtype}"
    return f"{len(odd)} of {len(column)} cells are text, the first is {str(odd.iloc[0])[:40]!r}"


def _as_classes(column: Any, name: str) -> tuple[FloatArray, tuple[str, ...]]:
    names = tuple(sorted(column.astype(str).unique()))
    if len(names) > MOST_LEVELS:
        odd = "" if _is_number(column) else f" ({_other_than_numbers(column)})"
        raise InputError(
            f"the target {name} has {len(names)} different values, too many for classes{odd}",
            hint=f"if they are numbers: {NO_NUMBER_HINT}, and say --task regression",
        )
    return _codes(column, names).astype(np.float64), names


def _codes(column: Any, levels: Sequence[str]) -> Any:
    pandas = need("pandas")
    texts = column.astype(str).where(column.notna(), None)
    return pandas.Index(list(levels), dtype=object).get_indexer(texts.to_numpy(dtype=object)).astype(np.int32)


def _problem(column: Any, name: str) -> str:
    """Why a column is not learned from; empty if it is."""
    distinct, filled = column.nunique(), int(column.notna().sum())
    if distinct < 2:
        return "it says the same in every row" if distinct else "it is empty"
    if _is_id(column, name, distinct / filled):
        return "it only numbers the rows"
    if column.dtype.kind in "mM":
        return "dates and spans are not learned from; give the parts that matter as numbers"
    if not _is_number(column) and distinct > MOST_LEVELS:
        return f"text of {distinct} different values (at most {MOST_LEVELS} are learned from)"
    return ""


def _is_id(column: Any, name: str, unique_share: float) -> bool:
    if unique_share < _MOSTLY_UNIQUE_SHARE or column.dtype.kind == "f":
        return False
    if _ID_NAME.fullmatch(name):
        return True
    return column.dtype.kind in "iu" and bool((column.diff().dropna() == 1).all())
