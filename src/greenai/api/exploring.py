"""The verbs that look around: which source covers which zone, and what a grid was like."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from greenai import wiring
from greenai.api.asking import Moment, moment_of
from greenai.api.planning import PlanAnswer
from greenai.config import Settings
from greenai.engine.read import read_intensity, setting_of
from greenai.errors import InputError, ProviderError, UnknownZone
from greenai.logic.beside import Beside, beside
from greenai.model.intensity import Provider, Query, Reading, Request
from greenai.model.series import Basis
from greenai.model.units import as_utc, iso_utc

Offers = Literal["forecast", "typical day of its past", "modelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """One source of one zone. `needs` is the variable it wants, `ready` whether it would be asked as things are set."""

    zone: str
    name: str
    provider: str
    title: str
    basis: Basis
    offers: Offers
    needs: str
    ready: bool


def zones(query: str = "", *, settings: Settings | None = None) -> tuple[Covered, ...]:
    """Each known zone that `query` names (a key, its beginning, or part of a name), with its sources in order of preference.

    Raises:
        UnknownZone: nothing is known by that name.
    """
    known = wiring.settings_with(settings)
    sources = wiring.every_provider(known)
    found = tuple(
        _covered(zone, name, provider, known)
        for zone, name in _matching(query, known)
        for provider in sources
        if provider.covers(zone)
    )
    if not found:
        raise UnknownZone(f"no zone is known by {query!r}", hint="write a key like DE or US-CAL-CISO, or part of a name")
    return found


def _matching(query: str, settings: Settings) -> Iterator[tuple[str, str]]:
    """The zones of the packaged table that are meant; a whole key means itself and its parts alone."""
    table = [(row["zone"], row["name"]) for row in csv.DictReader(io.StringIO(_fact("zones.csv", settings)))]
    key = query.strip().upper()
    if any(zone == key for zone, _ in table):
        return ((zone, name) for zone, name in table if zone == key or zone.startswith(f"{key}-"))
    return ((zone, name) for zone, name in table if key in zone or query.strip().lower() in name.lower())


def _fact(name: str, settings: Settings) -> str:
    return wiring.sources_of(settings).door.fetch(Request(url=f"package:{name}")).body.decode()


def _covered(zone: str, name: str, provider: Provider, settings: Settings) -> Covered:
    offers: Offers = "modelled" if not provider.live else "forecast" if provider.forecasts else "typical day of its past"
    return Covered(
        zone=zone,
        name=name,
        provider=provider.name,
        title=provider.title,
        basis=provider.basis,
        offers=offers,
        needs=setting_of(provider) if provider.needs else "",
        ready=not provider.lacks(wiring.access_to(provider.name, settings)) and provider.basis == settings.basis,
    )


def history(
    zone: str | None = None,
    *,
    start: Moment,
    end: Moment,
    out: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
) -> Reading:
    """What was measured in a zone over [start, end); with `out`, written as a series file too.

    It may end before `end`, where nothing is published yet.

    Raises:
        ProviderError: no source publishes measured values, or none can be asked.
        InputError: a span that cannot be, or a file that is there already.
    """
    known = wiring.settings_with(settings, zone=zone)
    now_at = wiring.system_clock().now()
    start_at, end_at = (as_utc(moment_of(_with_hour(moment), now_at), name="time") for moment in (start, end))
    if not start_at < min(end_at, now_at):
        raise InputError(
            f"nothing was measured from {iso_utc(start_at)} to {iso_utc(end_at)}", hint="give a span that has passed"
        )
    path = None if out is None else Path(out)
    if path is not None:
        wiring.check_series_file(path)
    query = Query(zone=known.zone, start_at=start_at, end_at=min(end_at, now_at), now_at=now_at, purpose="observed")
    reading = read_intensity(query, sources=wiring.sources_of(known))
    if reading.series is None or reading.series.kind != "observed":
        raise ProviderError(_unmeasured(reading), hint="greenai zones lists the sources of each zone and the keys they want")
    if path is not None:
        wiring.write_series_file(path, reading.series)
    return reading


def probe(service: str, *, settings: Settings | None = None) -> Reading | None:
    """The next day of the zone as one service alone says it, None where it does not cover the zone.

    Raises:
        ProviderError: what the service said in place of a usable answer.
    """
    known = wiring.settings_with(settings)
    one = tuple(provider for provider in wiring.every_provider(known) if provider.name == service and provider.covers(known.zone))
    if not one:
        return None
    now_at = wiring.system_clock().now()
    query = Query(zone=known.zone, start_at=now_at, end_at=now_at + timedelta(hours=24), now_at=now_at, purpose="forecast")
    return read_intensity(query, sources=replace(wiring.sources_of(known), providers=one), require_live=True)


def other_basis(answer: PlanAnswer, *, settings: Settings | None = None) -> Beside | None:
    """What a plan does on the basis it was not made on (average, marginal); None where no source of that one can be asked.

    Raises:
        ProviderError: such a source is set and gave no usable answer.
    """
    known = wiring.settings_with(settings)
    other: Basis = "marginal" if known.basis == "average" else "average"
    sources = wiring.sources_of(replace(known, basis=other, series=None, constant_g_per_kwh=None))
    query = answer.reading.query
    ready = [one for one in sources.providers if one.live and one.covers(query.zone)]
    if not any(not one.lacks(wiring.access_to(one.name, known)) for one in ready):
        return None
    reading = read_intensity(query, sources=sources, require_live=True)
    return None if reading.series is None else beside(answer.decision, reading.series, query.now_at)


def _with_hour(moment: Moment) -> Moment:
    """A day alone means its midnight, local time."""
    alone = isinstance(moment, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", moment.strip())
    return f"{moment} 00:00" if alone else moment


def _unmeasured(reading: Reading) -> str:
    why = f": {reading.fallback_reason}" if reading.fallback_reason else ""
    return f"no measured intensities of {reading.query.zone} can be had{why}"
