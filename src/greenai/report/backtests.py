"""A backtest as a picture: what each policy saved with its interval, beside what the oracle saves, kind of job by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from greenai.errors import InputError
from greenai.report.extras import need
from greenai.report.plots import COLOURS, STYLE, Axes, Figure, save

Row = Mapping[str, Any]
FORMATS = (".png", ".svg", ".pdf")
ACROSS = 4
"""Panels beside each other."""


def drawable(path: Path) -> None:
    """That a backtest can be drawn to this file, before one is played.

    Raises:
        InputError: another kind of file, or matplotlib is missing.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} is no picture", hint=f"its name ends in {', '.join(FORMATS)}")
    need("matplotlib.figure")


def draw_backtest(rows: Sequence[Row], path: Path) -> Path:
    """Rows of the contract as a picture; raises InputError when it cannot be written."""
    drawable(path)
    return save(backtest_figure(rows), path)


def backtest_figure(rows: Sequence[Row]) -> Figure:
    """A panel for each zone and kind of job: savings as bars from the top in the order of the rows, the oracle's as a line."""
    kinds: dict[str, list[Row]] = {}
    zones = list(dict.fromkeys(row["zone"] for row in rows))
    for row in rows:
        kinds.setdefault(_kind(row) if len(zones) == 1 else f"{row['zone']}: {_kind(row)}", []).append(row)
    across = min(len(kinds), ACROSS)
    down = -(-len(kinds) // across)
    size = (3.2 + 2.8 * across, (1.6 + 0.42 * max(map(len, kinds.values()))) * down)
    with need("matplotlib").rc_context(dict(STYLE)):
        figure = need("matplotlib.figure").Figure(figsize=size, layout="constrained")
        panels = figure.subplots(down, across, squeeze=False).flatten()
        for axis, (kind, group) in zip(panels, kinds.items(), strict=False):
            _panel(axis, kind, group)
        for axis in panels[len(kinds) :]:
            axis.set_axis_off()
        arrivals = ", ".join(sorted({f"{row['arrivals']:,}" for row in rows}))
        title = f"{zones[0] if len(zones) == 1 else f'{len(zones)} zones'}: saved against running at once, {arrivals} arrivals"
        figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
    return figure


def _kind(row: Row) -> str:
    return f"{row['duration_h']:.4g} h + {row['slack_h']:g} h{' in pieces' if row['interruptible'] else ''}"


def _panel(axis: Axes, kind: str, rows: Sequence[Row]) -> None:
    """One kind of job; losses go to the left, in red."""
    places = range(len(rows))
    savings = [100 * row["saving"] for row in rows]
    reach = [
        [abs(100 * row[edge] - saving) for row, saving in zip(rows, savings, strict=True)]
        for edge in ("saving_low", "saving_high")
    ]
    colours = [COLOURS["optimized" if saving >= 0 else "bad"] for saving in savings]
    axis.barh(places, savings, xerr=reach, color=colours, height=0.62, ecolor="#555c66", capsize=3)
    for place, row in zip(places, rows, strict=True):
        axis.plot([100 * row["oracle_saving"]] * 2, [place - 0.4, place + 0.4], color=COLOURS["line"], linewidth=2)
    axis.set_yticks(places, [f"{row['policy']}\n{row['forecaster']}" for row in rows])
    axis.invert_yaxis()
    axis.axvline(0, color="#9aa0a8", linewidth=1)
    axis.set_xlabel("saving, %; line: oracle")
    axis.set_title(kind)
