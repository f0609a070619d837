"""A Carbon Aware SDK web API of the user's (Green Software Foundation), as a source: whatever it is set up to read.

Its answers do not say whether they are average or marginal, so the name of the
setting does: `carbonawaresdk_url` for a gateway to average data,
`carbonawaresdk_marginal_url` for one to marginal data. What the values include
is not said either: the scope stays unstated. It forecasts; its past may be
estimates of any sort, and is not taken for observations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from urllib.parse import urlencode

from greenai.adapters.providers._answers import (
    document_of,
    gapless,
    listed,
    moment_of,
    number_of,
    points_of,
    published,
    step_of,
)
from greenai.errors import ProviderBadData
from greenai.model.intensity import Access, Payload, Provider, Query, Request, source_of
from greenai.model.series import Basis, IntensitySeries
from greenai.model.units import ceil_to, floor_to, iso_utc

FIVE_MINUTES = timedelta(minutes=5)
HALF_HOUR = timedelta(minutes=30)

LOCATIONS = MappingProxyType(
    {
        "AT": "austriaeast",
        "AU-NSW": "australiaeast",
        "AU-VIC": "australiasoutheast",
        "BR-CS": "brazilsouth",
        "CA-ON": "canadacentral",
        "CA-QC": "canadaeast",
        "CH": "switzerlandnorth",
        "DE": "germanywestcentral",
        "DK-DK2": "denmarkeast",
        "ES": "spaincentral",
        "FR": "francecentral",
        "GB": "uksouth",
        "GR": "greececentral",
        "HK": "eastasia",
        "IE": "northeurope",
        "IL": "israelcentral",
        "IN-WE": "centralindia",
        "IT-NO": "italynorth",
        "JP-KN": "japanwest",
        "JP-TK": "japaneast",
        "KR": "koreacentral",
        "NL": "westeurope",
        "NO-NO1": "norwayeast",
        "NO-NO2": "norwaywest",
        "PL": "polandcentral",
        "QA": "qatarcentral",
        "SE-SE3": "swedencentral",
        "SG": "southeastasia",
        "TW": "taiwannorth",
        "US-CAL-CISO": "westus",
        "US-MIDA-PJM": "eastus",
        "US-MIDW-MISO": "centralus",
        "US-NW-BPAT": "westus2",
        "US-NW-PACE": "westcentralus",
        "US-SW-AZPS": "westus3",
        "US-TEX-ERCO": "southcentralus",
        "ZA": "southafricanorth",
    }
)
"""An Azure region in each zone, the names the SDK knows from the start; any other zone is asked for by its own key."""


def covers(zone: str) -> bool:
    """Any zone: the gateway's operator can add locations."""
    return zone != "WORLD"


def requests(query: Query, access: Access) -> Sequence[Request]:
    """The forecast of the location; none for what was measured."""
    if query.purpose == "observed":
        return ()
    start_at = max(query.start_at, query.now_at)
    arguments = {
        "location": LOCATIONS.get(query.zone, query.zone),
        "dataStartAt": iso_utc(floor_to(start_at, FIVE_MINUTES)),
        "dataEndAt": iso_utc(ceil_to(max(query.end_at, start_at + FIVE_MINUTES), FIVE_MINUTES)),
    }
    return (Request(url=f"{access.base_url.rstrip('/')}/emissions/forecasts/current?{urlencode(arguments, safe=':')}"),)


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The forecast of an average gateway; raises ProviderBadData for anything else."""
    return _series(payloads, query, "average")


def parse_marginal(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The forecast of a marginal gateway; raises ProviderBadData for anything else."""
    return _series(payloads, query, "marginal")


def _series(payloads: Sequence[Payload], query: Query, basis: Basis) -> IntensitySeries:
    pairs = [pair for payload in published(payloads, query) for pair in _pairs(payload, query)]
    step = step_of((start_at for start_at, _ in pairs), FIVE_MINUTES)
    start_at, values = gapless(_from_start(points_of(pairs), step, query), step, query)
    source = source_of("carbonawaresdk" if basis == "average" else "carbonawaresdk_marginal", payloads)
    return IntensitySeries(
        start_at=start_at,
        step=step,
        values=values,
        zone=query.zone,
        basis=basis,
        scope="unstated",
        kind="forecast",
        issued_at=floor_to(source.fetched_at, FIVE_MINUTES),
        source=source,
    )


def _from_start(points: dict[datetime, float], step: timedelta, query: Query) -> dict[datetime, float]:
    """The points, and before the first of them, for what has passed of the half hour asked from, its value again.

    A forecast begins now; no decision rests on minutes that have passed.
    """
    first_at = min(points, default=query.start_at)
    if not query.start_at < first_at <= min(query.now_at + step, query.start_at + HALF_HOUR):
        return points
    count = -((query.start_at - first_at) // step)
    return {**{first_at - step * number: points[first_at] for number in range(1, count + 1)}, **points}


def _pairs(payload: Payload, query: Query) -> Iterator[tuple[datetime, float | None]]:
    location = LOCATIONS.get(query.zone, query.zone)
    for forecast in listed(document_of(payload)):
        if str(forecast.get("location", location)).lower() != location.lower():
            raise ProviderBadData(f"the answer is of the location {forecast['location']!r}, not {location}")
        if "forecastData" not in forecast:
            raise ProviderBadData("the answer has no forecastData")
        for row in listed(forecast["forecastData"]):
            yield moment_of(row.get("timestamp")), number_of(row.get("value"), f"the value of {row.get('timestamp')}")


provider = Provider(
    name="carbonawaresdk",
    title="A Carbon Aware SDK web API of yours with average data",
    live=True,
    covers=covers,
    requests=requests,
    parse=parse,
    needs="url",
)

marginal_provider = Provider(
    name="carbonawaresdk_marginal",
    title="A Carbon Aware SDK web API of yours with marginal data",
    live=True,
    covers=covers,
    requests=requests,
    parse=parse_marginal,
    basis="marginal",
    needs="url",
)
