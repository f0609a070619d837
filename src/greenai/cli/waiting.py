"""The prototype's words for when to run, and what they mean here; shared by the commands that may wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from greenai.cli.options import hardware_settings

if TYPE_CHECKING:
    from greenai.cli.command import Session
    from greenai.config import Settings

F = TypeVar("F", bound=Callable[..., Any])

PLAN_ONLY = ("interruptible", "min_chunk", "resume_cost", "max_segments")
HARDWARE_NAMES = ("meter", "pue", "hold_w", "assumed_kw", "proxy_emissions")
PROTOTYPE_ZONE = "GB"
NO_COUNTRY = "WORLD"

_WAITING = (
    click.option("--max-wait-seconds", metavar="N", type=click.FloatRange(min=0), help="Longest wait before the start."),
    click.option("--defer-seconds", metavar="N", type=click.FloatRange(min=0), help="The same; --max-wait-seconds wins."),
    click.option(
        "--horizon-hours", metavar="H", type=click.FloatRange(min=0), help="The same in hours: the best start within H; 0 is now."
    ),
    click.option(
        "--ci", type=click.Choice(["live", "csv"]), help="live: the zone's grid service (GB if no zone is set). csv: --ci-csv."
    ),
    click.option("--ci-csv", metavar="FILE", type=click.Path(), help="Series or hour-of-day table for --ci csv."),
)


def waiting(command: F) -> F:
    """--max-wait-seconds, --defer-seconds, --horizon-hours, --ci and --ci-csv."""
    for option in reversed(_WAITING):
        command = option(command)
    return command


def placed(session: Session, asked: dict[str, Any]) -> Settings:
    """The settings; what `asked` says of waiting becomes `max_wait`, `series` and `require_live`."""
    _refuse(asked)
    settings = session.settings(**hardware_settings(**{name: asked.pop(name) for name in HARDWARE_NAMES}))
    settings = _prototype_zone(session, settings, asked)
    asked["require_live"] = asked.pop("require") == "live"
    asked["max_wait"] = _max_wait(asked.pop("max_wait_seconds"), asked.pop("defer_seconds"), asked.pop("horizon_hours"))
    return settings


def with_series(settings: Settings, asked: dict[str, Any]) -> Settings:
    """The settings with the series file that was asked for; where the zone comes from stays known."""
    from dataclasses import replace

    from greenai.wiring import settings_with

    return replace(settings_with(settings, series=asked.pop("series")), origins=settings.origins)


def has_slack(asked: dict[str, Any]) -> bool:
    """Whether any limit allows a wait."""
    return any(asked[name] is not None for name in ("finish_by", "deadline", "max_wait"))


def _refuse(asked: dict[str, Any]) -> None:
    """What cannot be meant, before anything is read or started."""
    pausing = [name for name in PLAN_ONLY if asked.pop(name)]
    if pausing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in pausing)
        raise click.UsageError(f"run cannot plan pauses: {options} is for greenai plan and greenai submit")
    if asked["ci"] == "csv" and not (asked["ci_csv"] or asked["series"]):
        raise click.UsageError("--ci csv needs the file: add --ci-csv FILE")
    if asked["ci"] == "live" and (asked["ci_csv"] or asked["series"]):
        raise click.UsageError("--ci live reads the grid service, not a file: leave one of them out")


def _prototype_zone(session: Session, settings: Settings, asked: dict[str, Any]) -> Settings:
    """--ci where no zone was stated, as the prototype meant it: live is the GB service; csv the region its table is of."""
    from dataclasses import replace

    from greenai.cli.source import is_guessed

    ci, ci_csv = asked.pop("ci"), asked.pop("ci_csv")
    asked["series"] = asked["series"] or ci_csv
    if ci is None or not is_guessed(settings.origins.get("zone", "")):
        return settings
    zone = PROTOTYPE_ZONE if ci == "live" else _region_of(asked["series"], settings.zone)
    if zone != settings.zone:
        session.screen.note(f"--ci {ci} without a zone means {zone} here; set another with --zone or GREENAI_ZONE")
    return replace(settings, zone=zone, origins={**settings.origins, "zone": f"from --ci {ci}"})


def _region_of(path: str, guessed: str) -> str:
    """The guessed zone if the table has it or names no regions, else GB if it has that, else its only one."""
    import csv

    from greenai.errors import InputError

    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            regions = {row["region"].strip() for row in csv.DictReader(file) if row.get("region")}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if guessed in regions or not regions:
        return PROTOTYPE_ZONE if guessed == NO_COUNTRY else guessed
    if PROTOTYPE_ZONE in regions:
        return PROTOTYPE_ZONE
    if len(regions) > 1:
        known = ", ".join(sorted(regions))
        raise InputError(f"{path} has no region {guessed}", hint=f"it has {known}: choose one with --zone or GREENAI_ZONE")
    return regions.pop()


def _max_wait(max_wait_s: float | None, defer_s: float | None, horizon_h: float | None) -> Any:
    """The longest wait: --max-wait-seconds wins over --defer-seconds, and that over --horizon-hours."""
    from datetime import timedelta

    horizon_s = None if horizon_h is None else horizon_h * 3600
    seconds = next((given for given in (max_wait_s, defer_s, horizon_s) if given is not None), None)
    return None if seconds is None else timedelta(seconds=seconds)
