"""A series of intensities as bars of text, the chosen window marked, the hours labelled.

Bars start at zero: a flat grid looks flat. A column holds whole slots and shows
their mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from rich.text import Text

from greenai.cli.words import intensity, is_utc
from greenai.model.plan import Window
from greenai.model.series import IntensitySeries

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "   ..::##"
BAR, CHOSEN, AXIS = "cyan", "bold green", "dim"

HEIGHT = 6
LABEL_EVERY = (1, 2, 3, 6, 12, 24, 48)
"""Hours between labels that people count in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The picture's columns: the moment each one starts at and its mean in g/kWh; `repeat` characters wide."""

    starts_at: tuple[datetime, ...]
    values: tuple[float, ...]
    span: timedelta
    repeat: int

    @property
    def width(self) -> int:
        """Characters across."""
        return len(self.values) * self.repeat

    def chosen(self, windows: Sequence[Window]) -> tuple[bool, ...]:
        """Which columns lie in a window by their middle; the one it starts in always does, however short it is."""
        return tuple(
            any(window.start_at <= start + self.span / 2 < window.end_at for window in windows)
            or any(start <= window.start_at < start + self.span and window.duration < self.span for window in windows)
            for start in self.starts_at
        )


def columns_of(series: IntensitySeries, width: int) -> Columns:
    """The series in at most `width` characters, whole slots to a column."""
    slots = len(series)
    per_column = math.ceil(slots / max(1, width))
    span = series.step * per_column
    starts = tuple(series.start_at + span * i for i in range(math.ceil(slots / per_column)))
    values = tuple(series.mean_g_per_kwh(start, min(start + span, series.end_at)) for start in starts)
    return Columns(starts_at=starts, values=values, span=span, repeat=max(1, min(4, width // len(values))))


def sparkline(series: IntensitySeries, width: int, *, windows: Sequence[Window] = (), unicode: bool = True) -> Text:
    """One row of bars."""
    return _rows(columns_of(series, width), windows, 1, unicode)[0]


def chart(
    series: IntensitySeries, *, width: int, zone: tzinfo, windows: Sequence[Window] = (), unicode: bool = True
) -> list[Text]:
    """Bars, axis and two rows of hours (local and UTC; one where they are the same)."""
    utc = is_utc(zone, series.start_at)
    local_name = "UTC" if utc else series.start_at.astimezone(zone).tzname() or "local"
    margin = max(7, len(local_name) + 3)
    columns = columns_of(series, max(12, width - margin - 1))
    lines = []
    for place, row in enumerate(_rows(columns, windows, HEIGHT, unicode)):
        head = f"{intensity(max(columns.values))} " if place == 0 else ""
        lines.append(Text.assemble((head.rjust(margin) + ("│" if unicode else "|"), AXIS), row))
    lines.append(_axis(columns, windows, margin, unicode))
    lines.append(_hours(columns, zone, local_name, margin))
    if not utc:
        lines.append(_hours(columns, UTC, "UTC", margin, ticks_zone=zone))
    for line in lines:
        line.rstrip()
    return lines


def _rows(columns: Columns, windows: Sequence[Window], height: int, unicode: bool) -> list[Text]:
    """Rows of bars, top first. Each bar is drawn in eighths of a row and never vanishes above zero."""
    blocks = BLOCKS if unicode else ASCII_BLOCKS
    top = max(columns.values) or 1.0
    eighths = [max(math.ceil(value / top * height * 8), 1 if value > 0 else 0) for value in columns.values]
    chosen = columns.chosen(windows)
    rows = []
    for level in range(height - 1, -1, -1):
        row = Text()
        for bar, picked in zip(eighths, chosen, strict=True):
            row.append(blocks[min(8, max(0, bar - level * 8))] * columns.repeat, style=CHOSEN if picked else BAR)
        rows.append(row)
    return rows


def _axis(columns: Columns, windows: Sequence[Window], margin: int, unicode: bool) -> Text:
    """The zero line; under a chosen window it is marked, also without colour."""
    plain, marked, corner = ("─", "▲", "┼") if unicode else ("-", "^", "+")
    line = Text.assemble(("0 ".rjust(margin) + corner, AXIS))
    for picked in columns.chosen(windows):
        line.append((marked if picked else plain) * columns.repeat, style=CHOSEN if picked else AXIS)
    return line


def _hours(columns: Columns, zone: tzinfo, name: str, margin: int, *, ticks_zone: tzinfo | None = None) -> Text:
    """Hours of the day under the axis, the weekday at midnight. `ticks_zone` places the labels under those of another row."""
    cells = [" "] * columns.width
    every = _label_hours(columns)
    for place, start in enumerate(columns.starts_at):
        tick_at = _next_tick(start, every, ticks_zone or zone)
        if tick_at < start + columns.span:
            label = _label(tick_at.astimezone(zone))
            position = place * columns.repeat
            if position + len(label) <= len(cells):
                cells[position : position + len(label)] = label
    return Text(f"{name} ".rjust(margin) + " " + "".join(cells), style=AXIS)


def _label(local: datetime) -> str:
    if local.hour == 0 and local.minute == 0:
        return f"{local:%a}"
    return f"{local:%H}" if local.minute == 0 else f"{local:%H:%M}"


def _next_tick(moment_at: datetime, every_h: int, zone: tzinfo) -> datetime:
    """The first local time from `moment_at` on that is a multiple of `every_h` hours on the wall clock."""
    local = moment_at.astimezone(zone).replace(tzinfo=None)
    past = (local - datetime.min) % timedelta(hours=every_h)  # noqa: DTZ901 - wall clock arithmetic wants no zone
    wait = timedelta(0) if not past else timedelta(hours=every_h) - past
    return (local + wait).replace(tzinfo=zone).astimezone(UTC)


def _label_hours(columns: Columns) -> int:
    """The closest spacing of labels that leaves room between them."""
    per_hour = columns.repeat * (timedelta(hours=1) / columns.span)
    return next((hours for hours in LABEL_EVERY if hours * per_hour >= 6), LABEL_EVERY[-1])
