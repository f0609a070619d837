"""Options that several commands share, so that each is worded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from greenai.cli.command import keep

F = TypeVar("F", bound=Callable[..., Any])

REQUIRE = click.option(
    "--require", type=click.Choice(["live"]), help="Refuse anything but a live answer of the service (exit 4)."
)
SERIES = click.option("--series", metavar="FILE", type=click.Path(), help="Read a series file instead of a grid service.")
METER = click.option("--meter", metavar="NAME", help="Take this meter only; greenai plugins lists them.")
OUT = click.option("--out", metavar="FILE.csv", type=click.Path(dir_okay=False), help="Append the evidence as a CSV row.")
JSON_TO = click.option(
    "--json-to",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the JSON document to FILE; the command's stdout stays its own.",
)

_FORESEEING = (
    click.option(
        "--forecaster",
        metavar="NAME",
        expose_value=False,
        callback=keep,
        help="Who forecasts: auto, service, blend, lpr, lpr+weather, seasonal-naive, or a plug-in.  [default: auto]",
    ),
    click.option(
        "--history",
        metavar="FILE",
        type=click.Path(),
        expose_value=False,
        callback=keep,
        help="Series file of the past, to forecast from.",
    ),
)

_PLACING = (
    click.option("--duration", metavar="SPAN", help="How long the job takes: 2h, 90m, 1h30m."),
    click.option("--finish-by", metavar="WHEN", help="The job must be done by then: 24h, 'fri 18:00', 'tomorrow 9am'."),
    click.option("--deadline", metavar="WHEN", help="The latest start."),
    click.option("--policy", metavar="NAME", help="How the start is chosen: greenest, asap, threshold, percentile, ..."),
    click.option("--min-saving", metavar="SHARE", help="Below this expected saving run at once.  [default: 3%]"),
    click.option(
        "--threshold",
        metavar="G",
        type=click.FloatRange(min=0),
        help="Start once below G gCO2e/kWh (selects the policy threshold, unless --policy is given).",
    ),
    click.option("--percentile", metavar="P", type=click.FloatRange(0, 100), help="Start below this percentile of the forecast."),
    click.option("--interruptible", is_flag=True, help="The job may be cut into pieces."),
    click.option("--min-chunk", metavar="SPAN", help="Shortest piece worth starting."),
    click.option("--resume-cost", metavar="SPAN", help="Work lost at each resume."),
    click.option("--max-segments", metavar="N", type=click.IntRange(min=1), help="Most pieces."),
    SERIES,
    REQUIRE,
)

_UNIT_OF_WORK = (
    click.option(
        "--per", metavar="NAME", default="run", show_default=True, help="Functional unit of the SCI score: run, epoch, ..."
    ),
    click.option(
        "--count",
        metavar="N",
        type=click.FloatRange(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="How many of it the run does.",
    ),
)

_HARDWARE = (
    METER,
    click.option("--pue", metavar="X", type=click.FloatRange(min=1), help="Power usage effectiveness of the building."),
    click.option("--hold-w", metavar="W", type=click.FloatRange(min=0), help="Power of what is reserved while the job waits."),
    click.option("--assumed-kw", metavar="KW", type=click.FloatRange(min=0), help="Power where nothing can be measured, kW."),
    click.option("--proxy-emissions", is_flag=True, help="Measure nothing: use the assumed power (--meter assumed)."),
)


def placing(command: F) -> F:
    """The options that say when a job may run."""
    return _applied(command, _PLACING)


def foreseeing(command: F) -> F:
    """--forecaster and --history; they become settings."""
    return _applied(command, _FORESEEING)


def unit_of_work(command: F) -> F:
    """--per and --count."""
    return _applied(command, _UNIT_OF_WORK)


def hardware(command: F) -> F:
    """The options that describe meters and building."""
    return _applied(command, _HARDWARE)


def _applied(command: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def labels_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """What --label was given as; raises UsageError."""
    return pairs_of(pairs, "label", "KEY=VALUE")


def pairs_of(pairs: tuple[str, ...], what: str, form: str = "NAME=VALUE") -> dict[str, str]:
    """Names and values that were given as words of this form; raises UsageError."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise click.UsageError(f"a {what} is written {form}, not {pair!r}")
        found[name] = value
    return found


def hardware_settings(
    *, meter: str | None, pue: float | None, hold_w: float | None, assumed_kw: float | None, proxy_emissions: bool
) -> dict[str, Any]:
    """The hardware options as settings; those not given are None."""
    if proxy_emissions and meter not in {None, "assumed"}:
        raise click.UsageError(f"--proxy-emissions measures nothing, --meter {meter} does: give one of them")
    return {
        "meter": "assumed" if proxy_emissions else meter,
        "pue": pue,
        "hold_w": hold_w,
        "assumed_w": None if assumed_kw is None else assumed_kw * 1000.0,
    }
