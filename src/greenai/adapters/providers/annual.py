"""The yearly mean of a country, flat: it can account for a run, it can never justify waiting.

Ember (2026) as processed by Our World in Data, CC BY 4.0, lifecycle emissions;
the row WORLD is the IEA's mean for 2019 (facts/README.md).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Container, Sequence
from datetime import timedelta

import numpy as np

from greenai.errors import UnknownZone
from greenai.model.intensity import Access, Payload, Provider, Query, Request, slots_over, source_of
from greenai.model.series import IntensitySeries
from greenai.model.zone import country_of

HOUR = timedelta(hours=1)
OTHER_NAMES = {"UK": "GB", "EL": "GR"}
"""Codes in use that ISO 3166 does not have."""


def covers(zone: str) -> bool:
    """WORLD, and every key that begins with a country; the table says which of them it has."""
    return re.fullmatch(r"WORLD|[A-Z]{2}(-[A-Z0-9]+)*", zone) is not None


def requests(_query: Query, _access: Access) -> Sequence[Request]:
    """The packaged table."""
    return (Request(url="package:annual_intensity.csv"),)


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The latest mean of the zone's country over the whole span; the source names country and year.

    Raises:
        UnknownZone: a country the table does not have, with the one probably meant.
    """
    table = {row["country_iso2"]: row for row in csv.DictReader(io.StringIO(payloads[0].body.decode("utf-8")))}
    country = country_of(query.zone)
    if country not in table:
        raise UnknownZone(f"no yearly mean is known for {country!r}", hint=_suggestion(country, table))
    hours = slots_over(query, HOUR)
    return IntensitySeries(
        start_at=hours[0],
        step=HOUR,
        values=np.full(len(hours), float(table[country]["g_per_kwh"])),
        zone=query.zone,
        basis="average",
        scope="lifecycle",
        kind="modelled",
        source=source_of("annual", payloads, detail=f"country={country}&year={table[country]['year']}"),
    )


def _suggestion(country: str, known: Container[str]) -> str:
    """The country that was probably meant: by another of its names, or with its letters swapped."""
    meant = OTHER_NAMES.get(country, country[::-1])
    question = f"did you mean {meant}? " if meant in known else ""
    return f"{question}A zone begins with an ISO 3166 code, like DE; WORLD is the world's mean"


provider = Provider(
    name="annual", title="Yearly mean of any country, flat", live=False, covers=covers, requests=requests, parse=parse
)
