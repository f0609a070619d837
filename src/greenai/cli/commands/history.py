"""`greenai history`: what was measured, as a table or a series file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from greenai.model.intensity import Reading


@click.command(cls=Command)
@click.option("--from", "start", metavar="WHEN", required=True, help="From this moment: 2026-11-01, 'mon 18:00'.")
@click.option("--to", "end", metavar="WHEN", required=True, help="To this moment.")
@click.option("--out", metavar="FILE.csv", type=click.Path(dir_okay=False), help="Write a series file that --series reads.")
@pass_session
def history(session: Session, start: str, end: str, out: str | None) -> None:
    """What was measured in a grid over a time that has passed."""
    from greenai import api

    reading = api.history(start=start, end=end, out=out, settings=session.settings())
    if session.json:
        session.screen.document(history_document(reading, out))
    else:
        _show(session, reading, out)


def history_document(reading: Reading, out: str | None) -> dict[str, Any]:
    """The JSON of `history` (schemas/history.schema.json)."""
    from greenai.cli.commands.forecast import forecast_document

    return {**forecast_document(reading), "asked_until": _asked_until(reading), "out": out}


def _asked_until(reading: Reading) -> str:
    from greenai.model.units import iso_utc

    return iso_utc(reading.query.end_at)


def _show(session: Session, reading: Reading, out: str | None) -> None:
    from greenai.cli import words
    from greenai.cli.chart import chart
    from greenai.cli.screen import facts
    from greenai.cli.source import known_series, source_rows

    screen, zone, series = session.screen, session.local_zone, known_series(reading)
    span = f"{words.day_time(series.start_at, zone)} to {words.day_time(series.end_at, zone)}"
    screen.answer(f"{series.zone}: mean {words.intensity(float(series.values.mean()))} gCO2e/kWh, {span}")
    if series.end_at < reading.query.end_at:
        screen.warn(f"nothing is published from {words.day_time(series.end_at, zone)} on, or a value is missing there")
    screen.detail("", *chart(series, width=screen.width, zone=zone, unicode=screen.unicode), "")
    written = [("written", f"{len(series)} values to {out}; plan on them with --series {out}")] if out else []
    screen.detail(facts([*written, *source_rows(reading, "", zone, verbose=session.verbose)]))
