"""Where words go: answers to stdout, everything else to stderr; colour only on a terminal that wants it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any, TextIO

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 100
"""Columns of a chart when the output is no terminal and COLUMNS is not set."""

UNFOLDED_WIDTH = 10_000
"""Columns of everything else then: text that may be searched is not folded."""

STRONG, CALM, GOOD, WARN, BAD = "bold", "dim", "green", "yellow", "red"


def console_for(stream: TextIO) -> Console:
    """A console that writes plain text unless `stream` is a terminal and NO_COLOR is unset."""
    plain = not stream.isatty() or bool(os.environ.get("NO_COLOR"))
    width = None if stream.isatty() else stated_width() or UNFOLDED_WIDTH
    return Console(file=stream, color_system=None if plain else "auto", width=width, highlight=False, markup=False, emoji=False)


def is_utf8(stream: IO[str]) -> bool:
    """Whether a stream takes every character."""
    return str(getattr(stream, "encoding", None) or "ascii").lower().startswith("utf")


def stated_width() -> int | None:
    """Columns as the environment states them."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) > 0 else None


class Screen:
    """The output of one command."""

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: int = 0) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self.out = console_for(sys.stdout)
        self.err = console_for(sys.stderr)

    @property
    def width(self) -> int:
        """Columns for a chart in the answer."""
        return PLAIN_WIDTH if self.out.width == UNFOLDED_WIDTH else self.out.width

    @property
    def unicode(self) -> bool:
        """Whether the answer's stream can show block characters."""
        return is_utf8(self.out.file)

    def answer(self, text: str | Text, style: str = STRONG) -> None:
        """The one line a person came for."""
        _line(self.out, text, style)

    def detail(self, *renderables: RenderableType | None) -> None:
        """What stands behind the answer, None being nothing; left out with --quiet."""
        _lines(self.out, () if self.quiet else renderables)

    def report(self, *renderables: RenderableType | None) -> None:
        """What stands behind an answer that is not this program's: on stderr; left out with --quiet."""
        _lines(self.err, () if self.quiet else renderables)

    def note(self, text: str, style: str = CALM) -> None:
        """Something said aloud beside the answer, on stderr; left out with --quiet."""
        if not self.quiet:
            _line(self.err, Text(f"note: {text}"), style)

    def warn(self, text: str) -> None:
        """Something the user must not miss; --quiet does not silence it."""
        _line(self.err, Text(f"warning: {text}"), WARN)

    def document(self, document: Any, stream: TextIO | None = None) -> None:
        """The JSON document, alone on stdout."""
        print_json(document, stream or sys.stdout)


def print_json(document: Any, stream: TextIO) -> None:
    """One document and a newline, in ASCII where the stream is not UTF-8; NaN is refused, it is not JSON."""
    stream.write(json.dumps(document, indent=2, ensure_ascii=not is_utf8(stream), allow_nan=False) + "\n")
    stream.flush()


def _lines(console: Console, renderables: Iterable[RenderableType | None]) -> None:
    for renderable in renderables:
        if renderable is not None:
            _line(console, renderable, "")


def _line(console: Console, renderable: RenderableType, style: str) -> None:
    """Print; where that is no terminal, without the spaces that fill a line."""
    if console.is_terminal:
        console.print(renderable, style=style or None)
        return
    if isinstance(renderable, Text) and renderable.no_wrap:
        console.file.write("".join(f"{line.rstrip()}\n" for line in renderable.plain.splitlines()))
        return
    with console.capture() as captured:
        console.print(renderable, style=style or None)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def facts(rows: Iterable[Sequence[str | Text]]) -> Padding | None:
    """Name and value, or name, state and value, one a line and aligned; without a value left out, and of nothing comes None."""
    kept = [row for row in rows if row[-1]]
    if not kept:
        return None
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=CALM, no_wrap=True)
    for _ in kept[0][1:-1]:
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in kept:
        grid.add_row(*row)
    return Padding(grid, (0, 0, 0, 2))


def table(head: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Iterable[int] = ()) -> Padding:
    """A table without lines; columns of `right` hold numbers and are aligned to the right. They and the first never fold."""
    numbers = set(right)
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=CALM)
    for place, name in enumerate(head):
        kept_whole = place == 0 or place in numbers
        grid.add_column(name, justify="right" if place in numbers else "left", overflow="fold", no_wrap=kept_whole)
    for row in rows:
        grid.add_row(*row)
    return Padding(grid, (0, 0, 0, 2))


def columns(head: Sequence[str], rows: Sequence[Sequence[Text]], *, right: Iterable[int] = ()) -> Text:
    """A table of which no cell folds, as `table` would draw it: a tenth of its cost for thousands of rows."""
    numbers, last = set(right), len(head) - 1
    lines = [[Text(name, style=CALM) for name in head], *rows]
    widths = [max(cell_len(line[place].plain) for line in lines) for place in range(len(head))]
    drawn = Text(no_wrap=True, overflow="ignore")
    for number, line in enumerate(lines):
        drawn.append("\n  " if number else "  ")
        for place, (cell, width) in enumerate(zip(line, widths, strict=True)):
            gap = " " * (width - cell_len(cell.plain))
            before, behind = (gap, "") if place in numbers else ("", gap)
            drawn.append(before).append_text(cell)
            drawn.append(behind + "  " if place < last else "")
    return drawn


def fitting(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Iterable[int],
    width: int,
    good: int = 0,
    styles: Sequence[str] | None = None,
) -> RenderableType:
    """A table, or its rows one below the other where that would break words.

    The first `good` rows are what was chosen; `styles` says instead how each row looks.
    """
    needed = 2 + sum(max(map(len, column)) + 2 for column in zip(head, *rows, strict=True))
    if styles is None:
        styles = [GOOD if place < good else "" for place in range(len(rows))]
    if needed <= width:
        styled = [[Text(cell, style=style) for cell in row] for row, style in zip(rows, styles, strict=True)]
        return table(head, styled, right=right)
    return Text("\n").join(_stacked(head, row, style) for row, style in zip(rows, styles, strict=True))


def _stacked(head: Sequence[str], row: Sequence[str], style: str) -> Text:
    """One row as lines: its first cell, then each other one after the name of its column."""
    lines = [row[0], *(f"  {name}  {cell}" for name, cell in zip(head[1:], row[1:], strict=True) if cell)]
    return Text("\n".join(line for line in lines if line), style=style)
