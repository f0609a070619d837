"""evidence.csv: one row a run, appended under a lock, header checked first.

A file that begins with the prototype's columns but goes on otherwise, the
prototype's own or an older version's, is set aside as .bak-N and a new one begun:
its numbers have no evidence behind them and must not stand in one table with
those that have. Any other file is refused before the run.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from greenai.adapters.exporters._files import append_durably, check_place, content, free_name, locked
from greenai.errors import InputError, StoreError

SHARED_COLUMNS = 14
"""So many first columns make a file an evidence.csv, of whatever version."""


def check_writable(path: Path, columns: Sequence[str]) -> None:
    """Raise InputError unless a row of these columns can be added; what the file holds is left as it is."""
    path = path.resolve()
    check_place(path)
    if path.exists() and not _is_ours(_header(path.read_bytes()), columns):
        raise InputError(f"{path} is not an evidence.csv: its columns are others", hint="choose another path for --out")


def append_row(path: Path, row: Mapping[str, str]) -> tuple[str, ...]:
    """Add a row, its keys being the columns in order; returns warnings. Raises StoreError, the file then as it was."""
    path = path.resolve()
    columns = tuple(row)
    warnings: list[str] = []
    while True:
        with locked(path) as descriptor:
            body = content(descriptor)
            header = _header(body)
            if not _is_ours(header, columns):
                raise StoreError(
                    f"{path} is not an evidence.csv any more", hint="the run is in the ledger: greenai evidence export"
                )
            if not header or header[: len(columns)] == columns:
                warnings += _mend_end(path, descriptor, body, len(header))
                append_durably(descriptor, _lines([row.values()] if header else [columns, row.values()]))
                return tuple(warnings)
            aside = free_name(path, "bak")
            path.rename(aside)
            warnings.append(f"{path} had other columns: it is kept as {aside.name} and a new file begun")


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows by column; a cell that is not there is empty. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), restkey="", restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from None
    return [{column: str(cell) for column, cell in row.items() if column} for row in rows]


def _header(body: bytes) -> tuple[str, ...]:
    first = body.split(b"\n", 1)[0].decode("utf-8-sig", "replace")
    return tuple(next(csv.reader([first]), ()))


def _is_ours(header: tuple[str, ...], columns: Sequence[str]) -> bool:
    return not header or header[:SHARED_COLUMNS] == tuple(columns[:SHARED_COLUMNS])


def _mend_end(path: Path, descriptor: int, body: bytes, width: int) -> list[str]:
    """See that the next row begins on a line of its own; a row that was torn is set aside."""
    if not body or body.endswith(b"\n"):
        return []
    start = body.rfind(b"\n") + 1
    last = next(csv.reader([body[start:].decode("utf-8", "replace")]), [])
    if len(last) >= width:
        append_durably(descriptor, b"\n")
        return []
    aside = free_name(path, "torn")
    aside.write_bytes(body[start:])
    os.ftruncate(descriptor, start)
    return [f"the last row of {path} was torn: it is kept as {aside.name}"]


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")
