"""A decision in words: the answer first, then the choice as a picture and a table."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from greenai.cli import words
from greenai.cli.chart import chart
from greenai.cli.scaling import workers
from greenai.cli.screen import GOOD, Screen, fitting
from greenai.model.plan import Alternative, Decision, Window

if TYPE_CHECKING:
    from greenai.api import PlanAnswer


def best_start_line(decision: Decision) -> str:
    """The one line of `run --dry-run`."""
    start = f"{decision.start_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if decision.expected_g_per_kwh is None or decision.at_once_g_per_kwh is None:
        return f"Best start: {start} (intensity unknown): run now"
    then, at_once = words.intensity(decision.expected_g_per_kwh), words.intensity(decision.at_once_g_per_kwh)
    line = f"Best start: {start} ({then} gCO2e/kWh, now: {at_once}) -> saves ~{decision.expected_saving * 100:.0f}%"
    return line if decision.action == "wait" else f"{line}: run now"


def headline(decision: Decision, zone: tzinfo) -> Text:
    """What to do, in one line."""
    if decision.workers and decision.expected_saving > 0:
        least, most = min(decision.workers), max(decision.workers)
        counts = f"{least} to {most} workers" if least < most else workers(most)
        gain = words.share(decision.expected_saving)
        return Text(f"Run {counts}, start {words.day_time(decision.start_at, zone)}, saves about {gain}", style=GOOD)
    if decision.action == "wait":
        wait = words.about(decision.start_at - decision.made_at)
        gain = f", saves about {words.share(decision.expected_saving)}" if decision.expected_saving > 0 else ""
        return Text(f"Wait {wait}, start {words.day_time(decision.start_at, zone)}{gain}", style=GOOD)
    if decision.at_once_g_per_kwh is None:
        return Text("Run now")
    return Text(f"Run now, at {words.intensity(decision.at_once_g_per_kwh)} gCO2e/kWh")


def picture(answer: PlanAnswer, screen: Screen, zone: tzinfo) -> list[Text]:
    """The forecast up to the deadline with the chosen windows marked; nothing where nothing is known."""
    series, decision = answer.reading.series, answer.decision
    if series is None:
        return []
    end_at = min(series.end_at, max(answer.job.constraints.deadline_at, decision.windows[-1].end_at))
    start_at = max(series.start_at, decision.made_at)
    if end_at <= start_at:
        return []
    part = series.between(start_at, end_at)
    return chart(part, width=screen.width, zone=zone, windows=decision.windows, unicode=screen.unicode)


def choices(decision: Decision, zone: tzinfo, width: int) -> RenderableType:
    """The chosen windows, then the alternatives: a table, or one below the other where a table would break words."""
    scaled = bool(decision.workers)
    head = ("", "start", "end", *(("workers",) if scaled else ()), "g/kWh", "saving")
    rows = [
        ("chosen" if place == 0 else "", *_span(window, zone), *_workers(decision, place), *_numbers(decision, place))
        for place, window in enumerate(decision.windows)
    ]
    chosen = len(rows)
    rows += [
        (
            option.label,
            *_span(option, zone),
            *_workers(decision, None),
            words.intensity(option.expected_g_per_kwh),
            words.share(option.expected_saving),
        )
        for option in decision.alternatives
    ]
    return fitting(head, rows, right=range(3, len(head)), width=width, good=chosen)


def _workers(decision: Decision, place: int | None) -> tuple[str, ...]:
    """How many run in a window, or in another run of constant size; no column where jobs are not scaled."""
    if not decision.workers:
        return ()
    return (str(decision.workers[place]),) if place is not None else ("",)


def _numbers(decision: Decision, place: int) -> tuple[str, str]:
    """Intensity and saving of the whole plan, beside its first window."""
    return (words.intensity(decision.expected_g_per_kwh), words.share(decision.expected_saving)) if place == 0 else ("", "")


def _span(span: Window | Alternative, zone: tzinfo) -> tuple[str, str]:
    start, end = span.start_at.astimezone(zone), span.end_at.astimezone(zone)
    day = "" if start.date() == end.date() else f"{end:%a} "
    return words.clock_time(span.start_at, zone), f"{day}{end:%H:%M}"
