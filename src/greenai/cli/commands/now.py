"""`greenai now`: the intensity at this moment, and how it compares with the coming day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from greenai.model.intensity import Reading


LOOK_AHEAD_H = 24.0
SECOND = timedelta(seconds=1)


@click.command(cls=Command)
@click.option("--series", metavar="FILE", type=click.Path(), help="Read a series file instead of a grid service.")
@click.option("--require", type=click.Choice(["live"]), help="Refuse anything but a live answer (exit 4).")
@pass_session
def now(session: Session, series: str | None, require: str | None) -> None:
    """How clean is the grid at this moment?"""
    from greenai import api

    settings = session.settings()
    reading = api.forecast(hours=LOOK_AHEAD_H, require_live=require == "live", series=series, settings=settings)
    document = now_document(reading)
    if session.json:
        session.screen.document(document)
    else:
        _show(session, reading, document, settings.origins.get("zone", ""))


def now_document(reading: Reading) -> dict[str, Any]:
    """The JSON of `now` (schemas/now.schema.json)."""
    from greenai.cli.source import known_series, source_document
    from greenai.model.units import floor_to, iso_utc

    series, at = known_series(reading), reading.query.now_at
    start_at = series.start_at + (at - series.start_at) // series.step * series.step
    ahead = series.between(at, series.end_at)
    here = series.at(at)
    return {
        "zone": series.zone,
        "at": iso_utc(floor_to(at, SECOND)),
        "g_per_kwh": here,
        "slot": {"start_at": iso_utc(start_at), "end_at": iso_utc(start_at + series.step)},
        "ahead": {
            "until_at": iso_utc(ahead.end_at),
            "lowest_g_per_kwh": float(ahead.values.min()),
            "highest_g_per_kwh": float(ahead.values.max()),
            "mean_g_per_kwh": float(ahead.values.mean()),
            "cleaner_than": float((ahead.values > here).mean()),
            "dirtier_than": float((ahead.values < here).mean()),
        },
        "source": source_document(reading),
    }


def _show(session: Session, reading: Reading, document: dict[str, Any], origin: str) -> None:
    from greenai.cli import words
    from greenai.cli.chart import sparkline
    from greenai.cli.screen import facts
    from greenai.cli.source import known_series, loud_words, source_rows

    screen, zone, ahead = session.screen, session.local_zone, document["ahead"]
    series = known_series(reading)
    coming = series.between(reading.query.now_at, series.end_at)
    screen.answer(f"{words.intensity(document['g_per_kwh'])} gCO2e/kWh now in {document['zone']}")
    span = f"{words.intensity(ahead['lowest_g_per_kwh'])} to {words.intensity(ahead['highest_g_per_kwh'])} g/kWh"
    until = words.clock_time(coming.end_at, zone)
    screen.detail(
        loud_words(reading),
        facts(
            [
                ("range", f"{span} until {until}; {_rank(ahead)}"),
                ("ahead", sparkline(coming, max(12, screen.width - 12), unicode=screen.unicode)),
                *source_rows(reading, origin, zone, verbose=session.verbose),
            ]
        ),
    )


def _rank(ahead: dict[str, Any]) -> str:
    """How now compares with the coming day."""
    from greenai.cli.words import share

    cleaner, dirtier = ahead["cleaner_than"], ahead["dirtier_than"]
    if not cleaner and not dirtier:
        return "it stays as it is now"
    return f"now is cleaner than {share(cleaner)} of it" if cleaner >= dirtier else f"now is dirtier than {share(dirtier)} of it"
