"""`greenai forecast`: the coming hours of the grid, drawn."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import click

from greenai.cli.bar import progress
from greenai.cli.blas import one_thread
from greenai.cli.command import Command, Session, pass_session
from greenai.cli.options import REQUIRE, SERIES, foreseeing

if TYPE_CHECKING:
    from greenai.config import Settings
    from greenai.model.intensity import Reading


@click.command(cls=Command)
@click.option("--hours", metavar="H", type=click.FloatRange(min=0.5, max=96), help="How far ahead.  [default: 48]")
@SERIES
@REQUIRE
@foreseeing
@pass_session
def forecast(session: Session, hours: float | None, series: str | None, require: str | None) -> None:
    """The next hours of the grid, drawn."""
    one_thread()
    from greenai import api

    settings = session.settings(forecast_hours=hours)
    live = require == "live"
    with progress(session) as tell:
        reading = api.forecast(hours=settings.forecast_hours, require_live=live, series=series, tell=tell, settings=settings)
    if session.json:
        session.screen.document(forecast_document(reading))
    else:
        _show(session, reading, settings)


def forecast_document(reading: Reading) -> dict[str, Any]:
    """The JSON of `forecast` (schemas/forecast.schema.json)."""
    from greenai.cli.source import known_series, source_document
    from greenai.model.units import iso_utc

    series, own = known_series(reading), reading.own
    bounds = zip(own.low.values, own.high.values, strict=True) if own and own.low and own.high else repeat(None)
    starts = [series.start_at + series.step * place for place in range(len(series))]
    return {
        "zone": series.zone,
        "made_at": iso_utc(reading.query.now_at),
        "step_s": series.step_s,
        "lowest_g_per_kwh": float(series.values.min()),
        "highest_g_per_kwh": float(series.values.max()),
        "mean_g_per_kwh": float(series.values.mean()),
        "slots": [
            {"start_at": iso_utc(start), "end_at": iso_utc(start + series.step), "g_per_kwh": float(value), **_interval(bound)}
            for start, value, bound in zip(starts, series.values, bounds, strict=False)
        ],
        "source": source_document(reading),
    }


def _interval(bound: tuple[float, float] | None) -> dict[str, float]:
    """The 10th and 90th percentile of a forecast made here."""
    return {} if bound is None else {"low_g_per_kwh": float(bound[0]), "high_g_per_kwh": float(bound[1])}


def _show(session: Session, reading: Reading, settings: Settings) -> None:
    from greenai.cli import words
    from greenai.cli.chart import chart
    from greenai.cli.screen import facts
    from greenai.cli.source import known_series, loud_words, source_rows

    screen, zone, series = session.screen, session.local_zone, known_series(reading)
    low, high = words.intensity(float(series.values.min())), words.intensity(float(series.values.max()))
    lowest_at = series.start_at + series.step * int(series.values.argmin())
    hours = words.about(series.end_at - series.start_at)
    screen.answer(f"{series.zone}: {low} to {high} gCO2e/kWh in the next {hours}, lowest {words.clock_time(lowest_at, zone)}")
    screen.detail(loud_words(reading), "", *chart(series, width=screen.width, zone=zone, unicode=screen.unicode), "")
    screen.detail(facts(source_rows(reading, settings.origins.get("zone", ""), zone, verbose=session.verbose)))
