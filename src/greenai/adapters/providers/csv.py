"""A file of intensities the user gives, in one of a few shapes told apart by the names in its first line.

- `start_utc,g_per_kwh`: a series; scope not stated.
- `start_utc,lifecycle_g_per_kwh[,direct_g_per_kwh,...]`: a series; lifecycle is taken.
- `start_utc,direct_g_per_kwh`: a series of direct emissions (`greenai history` writes one where that is the scope).
- `region,UTC_hour,carbon_intensity_gco2_per_kwh`: one typical day per region, repeated.

Columns may stand in any order, with others beside them. A series is what was
observed: planning on it is replay with perfect foresight, and its kind says so.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from greenai.errors import InputError, SeriesGap, UnknownZone
from greenai.model.intensity import Access, Payload, Provider, Query, Request, slots_over, source_of
from greenai.model.series import FloatArray, IntensitySeries, Scope
from greenai.model.units import iso_utc, parse_iso_utc

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
SHAPES = "start_utc,g_per_kwh or start_utc,lifecycle_g_per_kwh or region,UTC_hour,carbon_intensity_gco2_per_kwh"
SERIES_COLUMNS: Mapping[str, Scope] = {"g_per_kwh": "unstated", "lifecycle_g_per_kwh": "lifecycle", "direct_g_per_kwh": "direct"}
TABLE_COLUMN = "carbon_intensity_gco2_per_kwh"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Line = tuple[int, list[str]]
"""The number of a line in the file, and its cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The file as read: where each column stands, and every line that is not blank."""

    name: str
    columns: Mapping[str, int]
    lines: Sequence[Line]

    def cell(self, line: Line, column: str) -> str:
        """The text under `column`; a line must have one."""
        number, cells = line
        if any(cells[len(self.columns) :]):
            raise self.refused(number, f"{len(cells)} cells under {len(self.columns)} columns", "write decimals with a point")
        place = self.columns[column]
        text = cells[place].strip() if place < len(cells) else ""
        if not text:
            raise self.refused(number, f"{column} is empty", "fill it in or delete the line; a hole is refused only where needed")
        return text

    def refused(self, number: int, problem: str, hint: str) -> InputError:
        """The error that names the file and a line."""
        return InputError(f"{self.name}, line {number}: {problem}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """The rows of a series in time: when each value holds in microseconds since the epoch, and the line it stands in."""

    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]
    g_per_kwh: FloatArray
    line: NDArray[np.int64]
    step_us: int


def covers(_zone: str) -> bool:
    """Whatever zone the user says the file is of; a table by region is checked when it is read."""
    return True


def requests(_query: Query, access: Access) -> Sequence[Request]:
    """The file."""
    if not access.base_url:
        raise InputError("no series file is given", hint="give --series FILE")
    return (Request(url=access.base_url),)


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The slots of the file that touch the query's span; the file may end before it does.

    Raises:
        InputError: the file is none of the three shapes, or a line of it is wrong.
        SeriesGap: a slot is missing within the span, or its start is not covered.
        UnknownZone: a table by region that does not have the zone.
    """
    sheet = _sheet(payloads[0])
    if not sheet.lines:
        raise InputError(f"{sheet.name} holds no rows", hint=f"its first line names the columns: {SHAPES}")
    for column in SERIES_COLUMNS:
        if {"start_utc", column} <= sheet.columns.keys():
            return _series(sheet, column, query, payloads)
    if {"region", "utc_hour", TABLE_COLUMN} <= sheet.columns.keys():
        return _typical_day(sheet, query, payloads)
    raise InputError(f"{sheet.name} has the columns {', '.join(sheet.columns)}", hint=f"it needs, separated by commas, {SHAPES}")


def past(payload: Payload, zone: str) -> tuple[IntensitySeries, ...]:
    """Every gapless stretch of a series file, in order: a measured past, which may have holes; raises InputError."""
    sheet = _sheet(payload)
    column = next((column for column in SERIES_COLUMNS if {"start_utc", column} <= sheet.columns.keys()), None)
    if column is None or not sheet.lines:
        raise InputError(f"{sheet.name} is no series of the past", hint="its first line names the columns: start_utc,g_per_kwh")
    slots = _slots(sheet, column)
    counts = (slots.end_us - slots.start_us) // slots.step_us
    edges = np.concatenate(([0], np.flatnonzero(slots.end_us[:-1] != slots.start_us[1:]) + 1, [len(counts)]))
    return tuple(
        IntensitySeries(
            start_at=_EPOCH + int(slots.start_us[first]) * _MICROSECOND,
            step=slots.step_us * _MICROSECOND,
            values=np.repeat(slots.g_per_kwh[first:last], counts[first:last]),
            zone=zone,
            scope=SERIES_COLUMNS[column],
            kind="observed",
            source=source_of("csv", (payload,)),
        )
        for first, last in pairwise(edges.tolist())
    )


def _sheet(payload: Payload) -> Sheet:
    name = unquote(urlsplit(payload.url).path) or payload.url
    try:
        text = payload.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text", hint="save it as CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = {cell.strip().lower(): place for place, cell in enumerate(next(reader, []))}
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: {error}", hint=f"it must be comma-separated: {SHAPES}") from None
    return Sheet(name=name, columns=columns, lines=lines)


def _g_per_kwh(sheet: Sheet, line: Line, column: str) -> float:
    text = sheet.cell(line, column)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < inf:
        raise sheet.refused(line[0], f"{column} is {text[:40]!r}", "an intensity is a number from 0 on, with a decimal point")
    return value


# A series: rows with their own times.


def _series(sheet: Sheet, column: str, query: Query, payloads: Sequence[Payload]) -> IntensitySeries:
    slots = _slots(sheet, column)
    start_us, end_us = _us(query.start_at), max(_us(query.end_at), _us(query.start_at) + 1)
    first, last = _wanted(slots, start_us, end_us, sheet)
    begin_us = slots.start_us[first] + (start_us - slots.start_us[first]) // slots.step_us * slots.step_us
    starts_us = slots.start_us[first:last].clip(min=begin_us)
    ends_us = slots.end_us[first:last].clip(max=begin_us - (begin_us - end_us) // slots.step_us * slots.step_us)
    return IntensitySeries(
        start_at=_EPOCH + int(begin_us) * _MICROSECOND,
        step=slots.step_us * _MICROSECOND,
        values=np.repeat(slots.g_per_kwh[first:last], (ends_us - starts_us) // slots.step_us),
        zone=query.zone,
        scope=SERIES_COLUMNS[column],
        kind="observed",
        source=source_of("csv", payloads),
    )


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _slots(sheet: Sheet, column: str) -> Slots:
    """Each row with its length: up to the next row if that is no more than an hour away, else one step.

    The step is the finest distance between two rows. A file may change its step
    on the way (half-hourly, later quarter-hourly); the last row is as long as the one before.
    """
    start_us, g_per_kwh, line = _rows(sheet, column)
    if len(start_us) < 2:
        raise sheet.refused(int(line[0]), "the only row: how long does it hold?", "give at least two rows, one step apart")
    apart_us = np.diff(start_us)
    step_us = int(apart_us.min())
    _check_steps(apart_us, line, sheet)
    longest_us = max(step_us, HOUR // _MICROSECOND)
    held_us = np.where(apart_us <= longest_us, apart_us, step_us)
    end_us = start_us + np.append(held_us, held_us[-1])
    return Slots(start_us=start_us, end_us=end_us, g_per_kwh=g_per_kwh, line=line, step_us=step_us)


def _check_steps(apart_us: NDArray[np.int64], line: NDArray[np.int64], sheet: Sheet) -> None:
    """Refuse a file whose rows keep to no one grid of times; named is the line that makes the finest step."""
    finest = int(apart_us.argmin())
    step = int(apart_us[finest]) * _MICROSECOND
    odd = np.flatnonzero(apart_us % apart_us[finest])
    number = int(line[finest + 1])
    if step < SECOND:
        raise sheet.refused(number, f"it starts {step} after the row before", "a step is a second or more")
    if odd.size:
        other = int(apart_us[odd[0]]) * _MICROSECOND
        problem = f"it starts {step} after the row before, line {line[odd[0] + 1]} {other} after its own"
        raise sheet.refused(number, problem, "all steps must be multiples of the finest")


def _rows(sheet: Sheet, column: str) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.int64]]:
    """Start, value and line of every row by time; one start may be given twice only with the same value."""
    start_us = np.array([_us(_start(sheet, line)) for line in sheet.lines], dtype=np.int64)
    g_per_kwh = np.array([_g_per_kwh(sheet, line, column) for line in sheet.lines])
    numbers = np.array([number for number, _ in sheet.lines], dtype=np.int64)
    order = np.argsort(start_us, kind="stable")
    start_us, g_per_kwh, numbers = start_us[order], g_per_kwh[order], numbers[order]
    again = np.diff(start_us) == 0
    unlike = np.flatnonzero(again & (np.diff(g_per_kwh) != 0))
    if unlike.size:
        first, second = int(numbers[unlike[0]]), int(numbers[unlike[0] + 1])
        raise sheet.refused(second, f"a second value for the time of line {first}", "keep one of the two lines")
    kept = np.append(True, ~again)
    return start_us[kept], g_per_kwh[kept], numbers[kept]


def _start(sheet: Sheet, line: Line) -> datetime:
    text = sheet.cell(line, "start_utc")
    try:
        return parse_iso_utc(text)
    except InputError as error:
        raise sheet.refused(line[0], str(error), "write UTC times with a Z, like 2026-11-24T09:00Z") from None


def _wanted(slots: Slots, start_us: int, end_us: int, sheet: Sheet) -> tuple[int, int]:
    """First and last (excluded) of the slots that touch the span, without a hole among them."""
    first = int(np.searchsorted(slots.start_us, start_us, side="right")) - 1
    if first < 0 or slots.end_us[first] <= start_us:
        raise SeriesGap(
            f"{sheet.name} covers {_iso(slots.start_us[0])} to {_iso(slots.end_us[-1])}, not {_iso(start_us)}",
            hint="give a file that reaches further; greenai plan --at replays a moment this one covers",
        )
    last = int(np.searchsorted(slots.start_us, end_us, side="left"))
    next_us = slots.start_us[first + 1 : last + 1]
    held_us = slots.end_us[first : first + len(next_us)]
    holes = np.flatnonzero((held_us != next_us) & (held_us < end_us))
    if holes.size:
        after = first + int(holes[0])
        raise SeriesGap(
            f"{sheet.name}, line {slots.line[after + 1]}: nothing is given from {_iso(slots.end_us[after])} "
            f"to {_iso(slots.start_us[after + 1])}",
            hint="fill the hole in the file, or ask for a time without one",
        )
    return first, last


def _iso(moment_us: int | np.int64) -> str:
    return iso_utc(_EPOCH + int(moment_us) * _MICROSECOND)


# A table by region and hour: one typical day.


def _typical_day(sheet: Sheet, query: Query, payloads: Sequence[Payload]) -> IntensitySeries:
    """One region's day, hour by hour, repeated over the span: a model, not a record."""
    day = _day(sheet, query.zone)
    hours = slots_over(query, HOUR)
    missing = sorted({hour.hour for hour in hours} - day.keys())
    if missing:
        raise SeriesGap(
            f"{sheet.name} has no hour {', '.join(map(str, missing))} UTC for {query.zone}", hint="give all 24 hours, 0 to 23"
        )
    return IntensitySeries(
        start_at=hours[0],
        step=HOUR,
        values=np.array([day[hour.hour] for hour in hours]),
        zone=query.zone,
        kind="modelled",
        source=source_of("csv", payloads),
    )


def _day(sheet: Sheet, zone: str) -> dict[int, float]:
    day: dict[int, float] = {}
    here = [line for line in sheet.lines if sheet.cell(line, "region").upper() == zone.upper()]
    if not here:
        regions = sorted({sheet.cell(line, "region") for line in sheet.lines})
        raise UnknownZone(f"{sheet.name} has no region {zone}", hint=f"it has {', '.join(regions)}: choose one with --zone")
    for line in here:
        hour, value = _hour(sheet, line), _g_per_kwh(sheet, line, TABLE_COLUMN)
        if day.setdefault(hour, value) != value:
            raise sheet.refused(line[0], f"a second value for hour {hour} of {zone}", "keep one of the two lines")
    return day


def _hour(sheet: Sheet, line: Line) -> int:
    text = sheet.cell(line, "utc_hour")
    if not re.fullmatch(r"[0-9]{1,2}(\.0+)?", text) or float(text) > 23:
        raise sheet.refused(line[0], f"UTC_hour is {text[:40]!r}", "it is a whole number from 0 to 23")
    return int(float(text))


provider = Provider(name="csv", title="A series file of the user's", live=True, covers=covers, requests=requests, parse=parse)
