"""Many jobs in one file, CSV or JSON: from rows to `FleetJob`, each mistake named by file, line and column."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from greenai.errors import InputError
from greenai.model.fleet import FleetJob
from greenai.moments import parse_moment, parse_span
from greenai.zones import local_timezone

RESOURCES = ("gpus", "cpus", "memory", "units")
LIMITS = ("finish_by", "deadline")
COLUMNS = ("id", "duration", "earliest", *LIMITS, *RESOURCES, "power_w", "priority", "interruptible", "places")
TRUE, FALSE = {"true", "yes", "1", "y"}, {"false", "no", "0", "n", ""}
SLACK = timedelta(hours=24)
"""How long a job may wait whose row sets no limit, as in `plan`."""

Row = Mapping[str, str]
Cell = tuple[str, Row, str]
"""Where the row stands, the row, and the column."""


def jobs_of(text: str, name: str, now_at: datetime, resource: str) -> list[FleetJob]:
    """The jobs of a file's text; `name` is the file, `resource` what a job takes one of that states no amount.

    Raises:
        InputError: no row, an unknown or missing column, or a value that cannot be read.
    """
    reader = _Reader(name, now_at, resource)
    rows = _json_rows(text, name) if Path(name).suffix.lower() == ".json" else _csv_rows(text, name)
    jobs = [reader.job(line, row) for line, row in rows]
    if not jobs:
        raise InputError(f"{name} holds no job", hint=f"a row for each job, with the columns {', '.join(COLUMNS)}")
    return jobs


def _csv_rows(text: str, name: str) -> Iterator[tuple[str, Row]]:
    lines = csv.reader(text.splitlines())
    head = [column.strip().lower() for column in next(lines, [])]
    _check_columns(head, f"{name}, line 1")
    for cells in lines:
        if not any(cells):
            continue
        where = f"{name}, line {lines.line_num}"
        if len(cells) != len(head):
            raise InputError(f"{where}: there are {len(cells)} values for {len(head)} columns")
        yield where, dict(zip(head, map(str.strip, cells), strict=True))


def _json_rows(text: str, name: str) -> Iterator[tuple[str, Row]]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{name}, line {error.lineno}: that is not JSON: {error.msg}") from None
    jobs = found.get("jobs") if isinstance(found, dict) else found
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise InputError(f"{name}: a JSON file of jobs is a list of objects", hint='or {"jobs": [...]} with such a list')
    for place, job in enumerate(jobs, 1):
        where = f"{name}, job {place}"
        _check_columns(list(job), where)
        yield where, {column: _as_text(value) for column, value in job.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _check_columns(head: list[str], where: str) -> None:
    unknown = [column for column in head if column not in COLUMNS]
    if unknown:
        raise InputError(f"{where}: there is no column {unknown[0]!r}", hint=f"columns: {', '.join(COLUMNS)}")
    missing = [column for column in ("id", "duration") if column not in head]
    if missing:
        raise InputError(f"{where}: the column {missing[0]!r} is missing", hint="each job needs an id and a duration")


class _Reader:
    """Reads rows; what is written the same way often is parsed once."""

    def __init__(self, name: str, now_at: datetime, resource: str) -> None:
        self.now_at, self.resource = now_at, resource
        zone = local_timezone(os.environ)
        self.span = lru_cache(4096)(parse_span)
        self.moment = lru_cache(4096)(lambda text: parse_moment(text, now_at, zone))

    def job(self, where: str, row: Row) -> FleetJob:
        """One row as a job."""
        duration: timedelta = self._read((where, row, "duration"), self.span, None)
        earliest_at: datetime = self._read((where, row, "earliest"), self.moment, self.now_at)
        job_id = row["id"]
        if not job_id:
            raise InputError(f"{where}, column id: it is empty")
        amounts = {name: self._read((where, row, name), _amount, None) for name in RESOURCES if row.get(name)}
        try:
            return FleetJob(
                id=job_id,
                duration=duration,
                earliest_at=earliest_at,
                deadline_at=self._deadline(where, row, max(earliest_at, self.now_at), duration),
                power_w=self._read((where, row, "power_w"), _amount, 1000.0),
                interruptible=self._read((where, row, "interruptible"), _flag, False),
                places=tuple(row.get("places", "").replace(";", " ").replace(",", " ").split()),
                demands=amounts or {self.resource: 1.0},
                priority=self._read((where, row, "priority"), int, 0),
            )
        except InputError as error:
            if str(error).startswith(where):
                raise
            raise InputError(f"{where}: {error}", hint=error.hint) from None

    def _deadline(self, where: str, row: Row, begin_at: datetime, duration: timedelta) -> datetime:
        """Done-by: the earlier of `finish_by` and of `deadline`, the latest start, plus the duration."""
        limits: list[datetime] = []
        if row.get("finish_by"):
            limits.append(self._read((where, row, "finish_by"), self.moment, None))
        if row.get("deadline"):
            limits.append(self._read((where, row, "deadline"), self.moment, None) + duration)
        return min(limits) if limits else begin_at + SLACK + duration

    def _read(self, cell: Cell, read: Callable[[str], Any], default: Any) -> Any:
        where, row, column = cell
        text = row.get(column, "")
        if not text and default is not None:
            return default
        try:
            return read(text)
        except InputError as error:
            raise InputError(f"{where}, column {column}: {error}", hint=error.hint) from None
        except ValueError:
            raise InputError(f"{where}, column {column}: {text[:40]!r} is not a number") from None


def _amount(text: str) -> float:
    """A number; of memory also with its unit, as GB."""
    return float(text.upper().removesuffix("GB").removesuffix("G"))


def _flag(text: str) -> bool:
    word = text.lower()
    if word not in TRUE | FALSE:
        raise InputError(f"{text[:40]!r} is neither true nor false")
    return word in TRUE


def capacities_of(texts: tuple[str, ...], home: str) -> dict[str, dict[str, float]]:
    """`gpus=2,cpus=16` for home, `DE:gpus=2` for a place; one unit at home if nothing is said.

    Raises:
        InputError: not of that form.
    """
    found: dict[str, dict[str, float]] = {}
    for text in texts or ("units=1",):
        lead, _, _ = text.partition("=")
        place, colon, _ = lead.rpartition(":")
        amounts = text[len(place) + 1 :] if colon else text
        for part in amounts.split(","):
            name, _, number = (word.strip() for word in part.partition("="))
            try:
                found.setdefault(place or home, {})[name.lower()] = _amount(number)
            except ValueError:
                name = ""
            if not name:
                hint = "write it like gpus=2,cpus=16, for a place DE:gpus=2"
                raise InputError(f"the capacity {text!r} cannot be read", hint=hint)
    return found
