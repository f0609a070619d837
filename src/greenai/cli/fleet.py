"""`greenai plan --jobs`: many jobs on shared machines; its options, and the plan in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from datetime import tzinfo

    from rich.text import Text

    from greenai.api.fleet import FleetAnswer
    from greenai.cli.command import Session

F = TypeVar("F", bound=Callable[..., Any])

POSITIVE = click.FloatRange(min=0, min_open=True)
SHOWN = 30
"""Rows of the table; -v shows all."""

MANY = (
    click.option("--jobs", metavar="FILE", type=click.Path(), help="Plan many jobs together: CSV or JSON, a row for each."),
    click.option("--capacity", metavar="NAME=N,...", multiple=True, help="What the jobs share: gpus=2,cpus=16 or DE:gpus=2."),
    click.option("--power-cap-w", metavar="W", type=POSITIVE, help="Power the jobs may draw together in a place."),
    click.option("--carbon-budget", metavar="G", type=POSITIVE, help="Grams a UTC day should stay within; deadlines come first."),
    click.option("--slot", metavar="SPAN", help="Durations are rounded up to slots of this length.  [default: 15m or longer]"),
    click.option("--out", metavar="FILE", type=click.Path(dir_okay=False), help="Write the plan of --jobs to FILE as JSON."),
)
NAMES = ("jobs", "capacity", "power_cap_w", "carbon_budget", "slot", "out")
TOGETHER = ("at", "series")
"""Options of `plan` that --jobs takes as well."""


def packing(command: F) -> F:
    """The options that plan many jobs."""
    for option in reversed(MANY):
        command = option(command)
    return command


def taken_jobs(asked: dict[str, Any]) -> dict[str, Any] | None:
    """The options of many jobs out of `asked`, None without --jobs; raises UsageError for what does not go together."""
    given = {name: value for name in NAMES if (value := asked.pop(name)) not in {None, ()}}
    if not given:
        return None
    if "jobs" not in given:
        raise click.UsageError(f"--{next(iter(given)).replace('_', '-')} is about many jobs: add --jobs FILE")
    for name, value in asked.items():
        if value not in {None, False, ()} and name not in TOGETHER:
            raise click.UsageError(f"--{name.replace('_', '-')} is about one job, with --jobs each row says its own")
    return given


def plan_many(session: Session, given: dict[str, Any], asked: dict[str, Any], *, require_live: bool) -> None:
    """Pack, and show, print or write."""
    from pathlib import Path

    from greenai.api import plan_jobs
    from greenai.cli.bar import progress
    from greenai.errors import NoFeasibleWindow, StoreError

    settings = session.settings()
    with progress(session) as tell:
        answer = plan_jobs(
            given["jobs"],
            capacity=given.get("capacity", ()),
            power_cap_w=given.get("power_cap_w"),
            carbon_budget_g_per_day=given.get("carbon_budget"),
            step=given.get("slot"),
            at=asked["at"],
            series=asked["series"],
            require_live=require_live,
            tell=tell,
            settings=settings,
        )
    if "out" in given:
        import json

        try:
            Path(given["out"]).write_text(json.dumps(answer.document(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise StoreError(f"the plan cannot be written to {given['out']}: {error.strerror}") from None
    if session.json:
        session.screen.document(answer.document())
    else:
        show(session, answer)
    if answer.packing.unplaced:
        raise NoFeasibleWindow(_refusal(answer), hint="allow later finishes, more capacity or shorter jobs")


def _refusal(answer: FleetAnswer) -> str:
    packing = answer.packing
    names = ", ".join(packing.conflict[:10]) + (f" and {len(packing.conflict) - 10} more" if len(packing.conflict) > 10 else "")
    count = f"{len(packing.unplaced)} of {len(answer.jobs)}"
    if packing.proved:
        return f"{count} jobs cannot be done in time; these ask for more than there is: {names}"
    return f"no schedule was found for {count} jobs, which proves nothing: {names}"


def show(session: Session, answer: FleetAnswer) -> None:
    """The answer, how full the machines are, and the jobs by start."""
    from greenai.cli import words
    from greenai.cli.screen import facts, fitting

    screen, packing, zone = session.screen, answer.packing, session.local_zone
    screen.answer(_headline(answer))
    screen.detail("", *(_picture(answer, place, screen.width, unicode=screen.unicode) for place in answer.capacities), "")
    rows = sorted(
        (window.start_at, allotment.job_id, window.end_at, place, allotment.emissions_g)
        for allotment in packing.allotments
        for window, place in zip(allotment.windows, allotment.places, strict=True)
    )
    shown = rows if session.verbose else rows[:SHOWN]
    cells = [
        (name, words.clock_time(at, zone), _until(at, end, zone), where, words.grams(g)) for at, name, end, where, g in shown
    ]
    if cells:
        screen.detail(fitting(("job", "start", "end", "place", "job's CO2e"), cells, right=(4,), width=screen.width))
    if len(rows) > len(shown):
        screen.detail(f"  and {len(rows) - len(shown)} more; -v shows all")
    for day, over_g in packing.over_budget_g:
        screen.warn(f"{day:%a %d %b} (UTC) is {words.grams(over_g)} over the carbon budget: deadlines come first")
    screen.detail("", facts(_rests_on(answer)))


def _headline(answer: FleetAnswer) -> str:
    from greenai.cli import words

    packing, count = answer.packing, len(answer.jobs)
    late = f"{len(packing.unplaced)} of {count} jobs do not fit" if packing.unplaced else f"{count} jobs, none late"
    if packing.expected_saving is None or packing.at_once_g is None:
        return f"{late}: {words.grams(packing.expected_g)}"
    saving = words.share(packing.expected_saving)
    return f"{late}, saves about {saving}: {words.grams(packing.expected_g)} instead of {words.grams(packing.at_once_g)} at once"


def _until(start: Any, end: Any, zone: tzinfo) -> str:
    begin, stop = start.astimezone(zone), end.astimezone(zone)
    return f"{stop:%H:%M}" if begin.date() == stop.date() else f"{stop:%a %H:%M}"


def _picture(answer: FleetAnswer, place: str, width: int, *, unicode: bool) -> Text:
    """One line a place: how much of its first resource is used over time."""
    from itertools import pairwise

    from rich.text import Text

    resource, used = answer.busy(place)
    capacity = answer.capacities[place][resource]
    columns = min(max(20, width - 30), len(used))
    blocks = " ▁▂▃▄▅▆▇█" if unicode else " .:-=+*#%"
    edges = [round(k * len(used) / columns) for k in range(columns + 1)]
    means = [sum(used[a:b]) / (b - a) for a, b in pairwise(edges)]
    drawn = "".join(blocks[round(min(1.0, mean / capacity) * (len(blocks) - 1)) if capacity else 0] for mean in means)
    return Text(f"  {place} {capacity:g} {resource} |{drawn}|")


def _rests_on(answer: FleetAnswer) -> list[tuple[str, str]]:
    from greenai.cli import words

    grid = next(iter(answer.grid.values()))
    sources = "; ".join(
        f"{place}: {reading.series.source.provider}, {reading.series.kind}"
        for place, reading in answer.readings.items()
        if reading.series is not None
    )
    return [("source", sources), ("slots", f"{words.about(grid.step)}; durations are rounded up to them")]
