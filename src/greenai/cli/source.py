"""Where an intensity comes from, in words and as JSON: source, kind, age, and loudly when it is not a live forecast."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from rich.text import Text

from greenai.cli.screen import WARN
from greenai.cli.words import age, clock_time, day_time
from greenai.errors import ProviderError
from greenai.logic.plan_document import own_document
from greenai.logic.wording import loud
from greenai.model.intensity import Reading
from greenai.model.series import IntensitySeries
from greenai.model.units import iso_utc

GUESSED_ZONE: Final = ("from the time zone", "the world's mean")
"""How the words begin that config gives as the origin of a zone nobody stated."""

PACKAGED: Final = ("climatology", "annual")

GIVEN: Final = {"csv": "file", "constant": "given number"}
"""What the user gave, by the provider that reads it: nothing that could be live."""


def known_series(reading: Reading) -> IntensitySeries:
    """The series of a reading; raises ProviderError where nothing at all is known."""
    if reading.series is None:
        raise ProviderError(
            f"no source knows the intensity of zone {reading.query.zone}: {reading.fallback_reason or 'none covers it'}",
            hint="choose another --zone, or give a file with --series",
        )
    return reading.series


def source_document(reading: Reading) -> dict[str, Any]:
    """The `source` object of the JSON documents."""
    series = reading.series
    return {
        "provider": series.source.provider if series else None,
        "step": reading.step,
        "kind": series.kind if series else None,
        "basis": series.basis if series else None,
        "scope": series.scope if series else None,
        "issued_at": iso_utc(series.issued_at) if series and series.issued_at else None,
        "fetched_at": iso_utc(series.source.fetched_at) if series else None,
        "fallback_reason": reading.fallback_reason,
        **({"own_forecast": own_document(reading.own)} if reading.own else {}),
    }


def source_words(reading: Reading, now_at: datetime, zone: tzinfo) -> str:
    """Provider, kind, basis, scope and age in one line."""
    series = reading.series
    if series is None:
        return "none"
    scope = "" if series.scope == "unstated" else f", {series.scope} emissions"
    issued = f", issued {_when(series.issued_at, now_at, zone)}" if series.issued_at else ""
    given = GIVEN.get(series.source.provider)
    named = given or (f"{series.source.provider} (live)" if reading.step == "live" else series.source.provider)
    packaged = reading.step in PACKAGED
    read = "packaged with greenai" if packaged else f"read {age(series.source.fetched_at, now_at)}"
    return f"{named}: {series.kind}, {series.basis}{scope}{issued}, {read}"


def forecast_words(reading: Reading) -> str:
    """Which forecast is used and what it rests on, in one line; empty where nothing is forecast."""
    series = reading.series
    if reading.own is not None:
        return f"{reading.own.method}, made here; {reading.own.note}"
    return f"that of {series.source.provider}" if series is not None and series.kind == "forecast" else ""


def _when(moment_at: datetime, now_at: datetime, zone: tzinfo) -> str:
    """A time of the last day without its date."""
    recent = abs(now_at - moment_at) < timedelta(days=1)
    return clock_time(moment_at, zone) if recent else day_time(moment_at, zone)


def loud_words(reading: Reading) -> Text | None:
    """What a person must know before trusting the numbers; None for a live reading."""
    said = loud(reading)
    return Text(said, style=WARN) if said else None


def is_guessed(origin: str) -> bool:
    """Whether the zone comes from the machine's time zone: nobody stated it."""
    return origin.startswith(GUESSED_ZONE)


def zone_words(zone: str, origin: str) -> str:
    """The zone, and how to change it where it was guessed."""
    if not is_guessed(origin):
        return f"{zone} ({origin})" if origin else zone
    return f"{zone}, {origin}; set another with --zone or GREENAI_ZONE"


def source_rows(reading: Reading, origin: str, zone: tzinfo, *, verbose: int = 0) -> list[tuple[str, str | Text]]:
    """The lines under an answer: zone, source and, with -v, what would be needed to read it again."""
    rows: list[tuple[str, str | Text]] = [
        ("zone", zone_words(reading.query.zone, origin)),
        ("source", source_words(reading, reading.query.now_at, zone)),
        ("forecast", forecast_words(reading)),
    ]
    if verbose and reading.series is not None:
        rows += [("url", reading.series.source.url), ("sha256", reading.series.source.payload_sha256)]
    return rows
