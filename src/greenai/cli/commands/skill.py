"""`greenai skill`: how good forecasts of a grid have been, the services' and our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.options import SERIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.text import Text

ENOUGH_DECISIONS = 24
"""A source that was judged on fewer decisions is not named the best."""
WITHIN_WANTED = (0.7, 0.9)
"""Of intervals that should hold 80 %."""

HELP = """How good have forecasts been?

The forecasts that plans have archived, and those our own forecasters would have
made of the same past, against what came.

\b
  greenai skill --zone GB
  greenai skill --zone DE --days 90 --series de.csv
"""


@click.command(cls=Command, help=HELP)
@click.option("--days", metavar="N", type=float, default=30.0, show_default=True, help="Judge the last N days.")
@SERIES
@click.option("--weather", metavar="FILE", type=click.Path(dir_okay=False), help="Hourly weather, to judge lpr+weather too.")
@pass_session
def skill(session: Session, days: float, series: str | None, weather: str | None) -> None:
    """Ask, and show."""
    from greenai.api import skill as judge
    from greenai.cli.bar import progress

    with progress(session) as tell:
        found = judge(days=days, series=series, weather=weather, tell=tell, settings=session.settings())
    if session.json:
        session.screen.document(found)
    else:
        _show(session, found)


def _show(session: Session, found: dict[str, Any]) -> None:
    from greenai.cli.screen import facts, table

    screen, sources = session.screen, found["sources"]
    screen.answer(_answer(found))
    head = ["source", "forecasts", "MAE", "RMSE", "MAPE", "bias", "slope", "in 10-90", "1 h job", "4 h job"]
    screen.detail("", "the first 24 hours ahead, g/kWh; what a job's window emits more than with perfect knowledge")
    screen.detail(table(head, (line for one in sources for line in _lines(one)), right=range(1, len(head))), "")
    ends = [f"{one['to_h']} h" for one in sources[0]["bins"]] if sources else []
    screen.detail("MAE by hours ahead, g/kWh")
    rows = [_by_lead(one, _top(sources), unicode=screen.unicode) for one in sources]
    screen.detail(table(["source", *ends, "by the hour"], rows, right=range(1, len(ends) + 1)), "")
    screen.detail(facts(_facts(session, found)))


def _answer(found: dict[str, Any]) -> str:
    """Which source served decisions best, where enough of them could be judged."""
    from greenai.cli.words import intensity, share

    judged = [one for one in found["sources"] if one["regret"]["1h"]["decisions"] >= ENOUGH_DECISIONS]
    if not judged:
        return f"{found['zone']}: too little is known to say which forecast serves best"
    best = min(judged, key=lambda one: one["regret"]["1h"]["share"] or 0.0)
    error, regret = best["day_ahead"], best["regret"]["1h"]
    return (
        f"{found['zone']}: {best['source']} serves best: a 1 h job placed by it within 24 h emits "
        f"{share(regret['share'] or 0.0)} more than with perfect knowledge; "
        f"it misses by {intensity(error['mae_g_per_kwh'])} gCO2e/kWh in the mean"
    )


def _lines(one: dict[str, Any]) -> Iterator[tuple[str | Text, ...]]:
    """A source, and under a service our own forecasters on the very same values."""
    from greenai.cli.words import share

    spread = one["coverage"]
    yield (
        one["source"],
        f"{one['forecasts']:,}",
        *_errors(one),
        _marked(None if spread is None else spread["within"], WITHIN_WANTED, share),
        *(_or_dash(one["regret"][length]["share"], share) for length in ("1h", "4h")),
    )
    for name, same in one.get("own_at_the_same", {}).items():
        if same["day_ahead"]["pairs"]:
            yield (f"  {name} on the same", "", *_errors(same), "", "", "")


def _errors(one: dict[str, Any]) -> tuple[str | Text, ...]:
    from greenai.cli.words import intensity, share
    from greenai.logic.skill import SLOPE_WANTED

    day = one["day_ahead"]
    return (
        _or_dash(day["mae_g_per_kwh"], intensity),
        _or_dash(day["rmse_g_per_kwh"], intensity),
        _or_dash(day["mape"], share),
        _or_dash(day["bias_g_per_kwh"], "{:+.1f}".format),
        _marked(one["short_slope"], SLOPE_WANTED, "{:.2f}".format),
    )


def _or_dash(value: float | None, words: Any) -> str:
    return "-" if value is None else str(words(value))


def _marked(value: float | None, wanted: tuple[float, float], words: Any) -> Text:
    """The figure, with a mark where it is not as wanted."""
    from rich.text import Text

    from greenai.cli.screen import WARN

    if value is None or wanted[0] <= value <= wanted[1]:
        return Text(_or_dash(value, words))
    return Text(f"{words(value)} !", style=WARN)


def _top(sources: Sequence[dict[str, Any]]) -> float:
    """The largest error of all: the bars of every source stand on one scale."""
    return max((value for one in sources for value in one["mae_by_hour_g_per_kwh"] if value is not None), default=0.0) or 1.0


def _by_lead(one: dict[str, Any], top: float, *, unicode: bool) -> tuple[str | Text, ...]:
    from rich.text import Text

    from greenai.cli.chart import ASCII_BLOCKS, BAR, BLOCKS
    from greenai.cli.words import intensity

    blocks = BLOCKS if unicode else ASCII_BLOCKS
    bars = "".join(
        " " if value is None else blocks[max(1, round(value / top * (len(blocks) - 1)))] for value in one["mae_by_hour_g_per_kwh"]
    )
    return (one["source"], *(_or_dash(part["mae_g_per_kwh"], intensity) for part in one["bins"]), Text(bars, style=BAR))


def _facts(session: Session, found: dict[str, Any]) -> list[tuple[str, str]]:
    from greenai.cli.words import day_time, intensity
    from greenai.model.units import parse_iso_utc

    def when(name: str, row: dict[str, Any]) -> str:
        return day_time(parse_iso_utc(row[name]), session.local_zone)

    by = found["judged_by"]
    scope = "" if by["scope"] == "unstated" else f", {by['scope']} emissions"
    return [
        ("judged by", f"{by['provider']}: {by['kind']}, {by['basis']}{scope}, mean {intensity(by['mean_g_per_kwh'])} gCO2e/kWh"),
        (
            "from",
            f"{when('judged_from', found)} to {when('judged_to', found)}, {by['slots']:,} slots of {by['step_s'] / 60:g} min",
        ),
        *(
            ("archived", f"{one['provider']}: {one['forecasts']:,} forecasts, {when('first_at', one)} to {when('last_at', one)}")
            for one in found["archived"]
        ),
        *(("left out", f"{one['source']}: {one['reason']}") for one in found["left_out"]),
        ("!", _wanted()),
    ]


def _wanted() -> str:
    return "not as wanted: a slope of 0.9 to 1.1 over the first 6 h, 80 % of what came within 10-90; services state no interval"
