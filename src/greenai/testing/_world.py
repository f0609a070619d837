"""The grid behind the fake services: recorded intensity replayed, as seen at a moment."""

from __future__ import annotations

import csv
import json
import math
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from greenai.errors import InputError
from greenai.model.units import ceil_to, floor_to, iso_utc

HALF_HOUR = timedelta(minutes=30)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_FORECAST_REACH = timedelta(hours=96)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as a service sees it; header names in lower case."""

    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def one(self, name: str, default: str = "") -> str:
        """The last value of an argument."""
        return self.query.get(name, [default])[-1]


Row = dict[str, Any]
Shape = Callable[[list[Row]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a service answers: a JSON document, or any bytes. `delivery` is how it reaches the client.

    `rows` are {"at": start, "value": g/kWh or None} before `shape` made the
    document of them, for services whose rows faults can spoil.
    """

    status: int = 200
    document: Any = None
    rows: Sequence[Row] = ()
    shape: Shape | None = None
    body: bytes | None = None
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: str = "whole"

    def encoded(self) -> bytes:
        """The bytes of the answer."""
        return json.dumps(self.document, separators=(",", ":")).encode() if self.body is None else self.body


class Recorded:
    """A step function of recorded intensity in g/kWh.

    Each row holds until the next one, if that follows at a step the file often
    has; else for the file's usual step, so that a missing row stays missing.
    With `repeat` the record plays over and over, in whole weeks if it is long
    enough, else in whole days, so that a recorded year gives every future
    moment the value of the same hour and weekday.
    """

    def __init__(self, rows: Iterable[tuple[datetime, float]], *, repeat: bool = True) -> None:
        ordered = sorted(rows)
        if not ordered:
            raise InputError("the series has no rows", hint="give start_utc,g_per_kwh rows")
        self._starts = [start_at for start_at, _ in ordered]
        self._values = [value for _, value in ordered]
        self._ends = _ends(self._starts)
        self._period = _whole_period(self._ends[-1] - self._starts[0]) if repeat else None

    def mean_g_per_kwh(self, start_at: datetime, length: timedelta) -> float | None:
        """Mean over [start_at, start_at + length), looked at each minute; None if any of it is not recorded."""
        values = [self._at(start_at + minute * _MINUTE) for minute in range(length // _MINUTE)]
        known = [value for value in values if value is not None]
        return math.fsum(known) / len(known) if len(known) == len(values) else None

    def _at(self, moment: datetime) -> float | None:
        if self._period:
            moment = self._starts[0] + (moment - self._starts[0]) % self._period
        row = bisect_right(self._starts, moment) - 1
        return self._values[row] if row >= 0 and moment < self._ends[row] else None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The grid at `now_at`: what has happened, what is published of it, what is forecast.

    `shift` is added to the record's times. A measured value is published
    `actual_after` its half hour has ended. The forecast misses the truth by
    `noise_share` of it a day ahead (one standard deviation), less nearer by.
    """

    now_at: datetime
    recorded: Recorded
    shift: timedelta = timedelta(0)
    actual_after: timedelta = HALF_HOUR
    noise_share: float = 0.0
    seed: int = 0

    def forecast_g_per_kwh(self, start_at: datetime) -> float | None:
        """The forecast of a half hour; None where nothing is recorded or it lies too far ahead."""
        value = self.truth_g_per_kwh(start_at)
        if value is None or start_at > self.now_at + _FORECAST_REACH:
            return None
        lead_days = max(start_at + HALF_HOUR - self.now_at, timedelta(0)) / _DAY
        # Uniform over +-sqrt(3) has a standard deviation of one; a hash makes it the same at each request.
        draw = math.sqrt(3) * (2 * zlib.crc32(f"{self.seed} {start_at.isoformat()}".encode()) / 0xFFFF_FFFF - 1)
        return max(0.0, value * (1 + self.noise_share * draw * min(1.0, math.sqrt(lead_days))))

    def actual_g_per_kwh(self, start_at: datetime) -> float | None:
        """The measured value of a half hour; None until it is published."""
        return self.truth_g_per_kwh(start_at) if start_at + HALF_HOUR + self.actual_after <= self.now_at else None

    def truth_g_per_kwh(self, start_at: datetime) -> float | None:
        """What happens, published or not."""
        return self.recorded.mean_g_per_kwh(start_at - self.shift, HALF_HOUR)


def shaped(rows: Sequence[Row], shape: Shape) -> Reply:
    """The answer that `shape` makes of the rows."""
    return Reply(document=shape(list(rows)), rows=rows, shape=shape)


def slots(start_at: datetime, end_at: datetime, step: timedelta) -> list[datetime]:
    """The slots of a step since the epoch that begin in [start_at, end_at)."""
    first_at = ceil_to(start_at, step)
    return [first_at + step * number for number in range(max(0, -((first_at - end_at) // step)))]


def forecast_rows(world: World, starts: Sequence[datetime], step: timedelta) -> list[Row]:
    """The forecast for slots of any step; a slot holds the mean of its half hours."""
    return [{"at": start, "value": _over(world.forecast_g_per_kwh, start, step)} for start in starts]


def actual_rows(world: World, starts: Sequence[datetime], step: timedelta) -> list[Row]:
    """The measured values of slots of any step, None where a half hour is not published."""
    return [{"at": start, "value": _over(world.actual_g_per_kwh, start, step)} for start in starts]


def _over(value_at: Callable[[datetime], float | None], start_at: datetime, step: timedelta) -> float | None:
    halves = [value_at(half) for half in slots(floor_to(start_at, HALF_HOUR), start_at + step, HALF_HOUR)]
    known = [value for value in halves if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(halves) else None


def synthetic_rows() -> list[tuple[datetime, float]]:
    """One made-up day by the hour: 100 g/kWh at 04:00 UTC, 250 at 18:00, for when no record is at hand."""
    first_at = datetime(2026, 1, 1, tzinfo=UTC)
    shape = [0.1, 0.05, 0.02, 0.01, 0, 0.05, 0.2, 0.4, 0.5, 0.48, 0.42, 0.36, 0.32, 0.33, 0.4, 0.55, 0.8, 0.95, 1, 0.92, 0.75]
    shape += [0.5, 0.3, 0.18]
    return [(first_at + hour * timedelta(hours=1), 100 + 150 * part) for hour, part in enumerate(shape)]


def rows_from_csv(file: Path) -> list[tuple[datetime, float]]:
    """Rows of a series file: a column start_utc, and the first one whose name ends in g_per_kwh; empty values are left out.

    Raises:
        InputError: no such file or columns, or a row that cannot be read; names the line.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the series file {file} cannot be read: {error}", hint="give a CSV file start_utc,g_per_kwh") from None
    reader = csv.DictReader(text.splitlines())
    column = next((name for name in reader.fieldnames or () if name.endswith("g_per_kwh")), None)
    if column is None or "start_utc" not in (reader.fieldnames or ()):
        raise InputError(f"{file} has no columns start_utc and g_per_kwh", hint="the first line names them: start_utc,g_per_kwh")
    return [_row(row, column, f"{file} line {reader.line_num}") for row in reader if row[column]]


def _row(row: Mapping[str, str], column: str, place: str) -> tuple[datetime, float]:
    try:
        start_at = datetime.fromisoformat(row["start_utc"])
        value = float(row[column])
    except ValueError as error:
        raise InputError(f"{place} cannot be read: {error}", hint="a row is like 2026-11-24T09:00Z,142") from None
    if not 0 <= value < math.inf:
        raise InputError(f"{place} holds {value}, which is no intensity", hint="values are 0 or more, in g/kWh")
    return (start_at if start_at.tzinfo else start_at.replace(tzinfo=UTC)).astimezone(UTC), value


def _ends(starts: list[datetime]) -> list[datetime]:
    """When each row stops holding."""
    steps = Counter(later - earlier for earlier, later in pairwise(starts))
    usual = steps.most_common(1)[0][0] if steps else HALF_HOUR
    common = {step for step, count in steps.items() if count > len(starts) / 20 and count > 1} | {usual}
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    return [start_at + (gap if gap in common else usual) for start_at, gap in zip(starts, [*gaps, usual], strict=True)]


def _whole_period(length: timedelta) -> timedelta | None:
    """The longest part of a record that can follow itself without moving the hour, and the weekday where it can."""
    whole = _WEEK if length >= _WEEK else _DAY
    return length // whole * whole or None


def minute_utc(moment: datetime) -> str:
    """2026-11-23T10:30Z."""
    return iso_utc(moment)[:16] + "Z"
