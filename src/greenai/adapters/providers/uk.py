"""The carbon intensity service of Great Britain (NESO, CC BY 4.0): the nation and its 17 regions.

Half hours, forecast to about 96 h ahead, measured values (`actual`) for the
nation alone. Direct emissions of generation, imports and losses included.

A row [s, s+30 min) is returned when its END lies in [from, to]: asking from the
half hour itself brings the row before it. So every request starts one minute
after the half hour; rows are taken by their own times, never by position.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np

from greenai.adapters.providers._answers import listed
from greenai.errors import InputError, ProviderBadData, UnknownZone
from greenai.model.intensity import Access, Payload, Provider, Query, Request, source_of
from greenai.model.series import IntensitySeries
from greenai.model.units import ceil_to, floor_to, iso_utc, parse_iso_utc

BASE_URL = "https://api.carbonintensity.org.uk"

NATION = "GB"
REGIONS = MappingProxyType(
    {
        "GB-1": "North Scotland",
        "GB-2": "South Scotland",
        "GB-3": "North West England",
        "GB-4": "North East England",
        "GB-5": "Yorkshire",
        "GB-6": "North Wales and Merseyside",
        "GB-7": "South Wales",
        "GB-8": "West Midlands",
        "GB-9": "East Midlands",
        "GB-10": "East England",
        "GB-11": "South West England",
        "GB-12": "South England",
        "GB-13": "London",
        "GB-14": "South East England",
        "GB-15": "England",
        "GB-16": "Scotland",
        "GB-17": "Wales",
    }
)
"""Zone of each region id, as the service documents them."""

SLOT = timedelta(minutes=30)
AFTER_THE_EDGE = timedelta(minutes=1)
TWO_DAYS = timedelta(hours=48)
REACH = timedelta(hours=96)
LONGEST_RANGE = timedelta(days=14)

TONNE = 1e6
"""No grid emits a tonne per kWh: a number like that, or one too large for a float, is a mistake of the service."""


def covers(zone: str) -> bool:
    """The nation and anything that looks like one of its numbered regions."""
    return zone == NATION or (zone.startswith("GB-") and zone[3:].isdecimal())


def requests(query: Query, access: Access) -> Sequence[Request]:
    """The reads for a query; none when nothing of it can be published yet.

    Raises:
        UnknownZone: a region number the service does not have.
    """
    base = access.base_url.rstrip("/") or BASE_URL
    region = _region_id(query.zone)
    path = "/intensity" if region is None else "/regional/intensity"
    tail = "" if region is None else f"/regionid/{region}"
    start_at, end_at = floor_to(query.start_at, SLOT), _last_end(query)
    spans = list(_spans(start_at, end_at, cut_at_new_year=region is not None))
    if query.purpose == "forecast" and len(spans) == 1 and end_at <= start_at + TWO_DAYS:
        return (Request(url=f"{base}{path}/{_stamp(start_at + AFTER_THE_EDGE)}/fw48h{tail}"),)
    return tuple(Request(url=f"{base}{path}/{_stamp(a + AFTER_THE_EDGE)}/{_stamp(b)}{tail}") for a, b in spans)


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The longest gapless series that holds query.start_at.

    A forecast is made of `forecast` values alone, also for half hours that have
    passed; an observed series of the nation of `actual` values alone. Null is
    unknown, never 0. Of two values for one half hour the higher is taken: nobody
    can say which is right, and an account must not understate.

    Raises:
        ProviderBadData: not the documented shape, or no value for query.start_at.
    """
    if not payloads:
        raise ProviderBadData(f"nothing is published yet for {iso_utc(query.start_at)}")
    observed = query.purpose == "observed" and query.zone == NATION
    values: dict[datetime, float] = {}
    for start_at, g_per_kwh in _rows(payloads, query.zone, "actual" if observed else "forecast"):
        values[start_at] = max(g_per_kwh, values.get(start_at, g_per_kwh))
    starts = _gapless(sorted(values), floor_to(query.start_at, SLOT))
    source = source_of("uk", payloads)
    return IntensitySeries(
        start_at=starts[0],
        step=SLOT,
        values=np.array([values[start] for start in starts]),
        zone=query.zone,
        basis="average",
        scope="direct",
        kind="observed" if observed else "forecast",
        issued_at=None if observed else floor_to(source.fetched_at, SLOT),
        source=source,
    )


def _region_id(zone: str) -> int | None:
    """The service's number of a zone, None for the nation."""
    if zone == NATION:
        return None
    if zone not in REGIONS:
        regions = ", ".join(f"{key} {name}" for key, name in REGIONS.items())
        raise UnknownZone(f"there is no region {zone}", hint=f"GB is the nation; its regions are {regions}")
    return int(zone.removeprefix("GB-"))


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _last_end(query: Query) -> datetime:
    """The end of the last half hour worth asking for."""
    end_at = max(ceil_to(query.end_at, SLOT), floor_to(query.start_at, SLOT) + SLOT)
    if query.purpose == "observed":
        return min(end_at, floor_to(query.now_at, SLOT))
    return min(end_at, max(floor_to(query.now_at, SLOT), floor_to(query.start_at, SLOT)) + REACH)


def _spans(start_at: datetime, end_at: datetime, *, cut_at_new_year: bool) -> Iterator[tuple[datetime, datetime]]:
    """[start_at, end_at) in pieces the service answers: at most 14 days; regional ones end with the year."""
    while start_at < end_at:
        stop_at = min(end_at, start_at + LONGEST_RANGE)
        if cut_at_new_year:
            stop_at = min(stop_at, datetime(start_at.year + 1, 1, 1, tzinfo=UTC))
        yield start_at, stop_at
        start_at = stop_at


def _gapless(starts: Sequence[datetime], first_at: datetime) -> Sequence[datetime]:
    """The half hours from `first_at` on up to the first one missing."""
    coming = [start for start in starts if start >= first_at]
    if not coming or coming[0] != first_at:
        span = f"{iso_utc(starts[0])} to {iso_utc(starts[-1] + SLOT)}" if starts else "no half hour at all"
        raise ProviderBadData(f"no value for the half hour of {iso_utc(first_at)}; the answer has values for {span}")
    ends = (number for number, (one, next_one) in enumerate(pairwise(coming), start=1) if next_one - one != SLOT)
    return coming[: next(ends, len(coming))]


def _rows(payloads: Sequence[Payload], zone: str, field: str) -> Iterator[tuple[datetime, float]]:
    """Start and value of every half hour that has one."""
    for payload in payloads:
        for period in _periods(_data(payload), _region_id(zone)):
            start_at = _half_hour(period)
            g_per_kwh = _value(period, field)
            if g_per_kwh is not None:
                yield start_at, g_per_kwh


def _data(payload: Payload) -> Any:
    """What stands under "data"; the service's own words where it says something else."""
    body = payload.body.strip()
    if not body:
        raise ProviderBadData("the answer is empty")
    if body.startswith(b"<"):
        raise ProviderBadData("the answer is a web page, not JSON")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderBadData(f"the answer is not JSON, or cut off: {str(error)[:80]}") from None
    if not isinstance(document, dict) or "data" not in document:
        raise ProviderBadData(f"the answer has no data{_complaint(document)}")
    return document["data"]


def _complaint(document: Any) -> str:
    error = document.get("error") if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return f": {message[:200]}" if isinstance(message, str) and message.isprintable() else ""


def _periods(data: Any, region: int | None) -> Iterator[Mapping[str, Any]]:
    """The half hours of one zone, wherever the service put them.

    National: periods. Regional, one region asked: a region holding periods. Regional,
    all regions: periods holding regions. A list of one may come as the one itself.
    """
    for item in listed(data):
        if region is None:
            yield item
        elif "regions" in item:
            for found in listed(item["regions"]):
                if found.get("regionid") == region:
                    yield {**item, "intensity": found.get("intensity")}
        elif item.get("regionid") == region:
            yield from listed(item.get("data"))
        else:
            raise ProviderBadData(f"the answer is for region {item.get('regionid')!r}, not {region}")


def _half_hour(period: Mapping[str, Any]) -> datetime:
    """The start of a row, whose own times must be a whole half hour."""
    start, end = period.get("from"), period.get("to")
    try:
        start_at, end_at = parse_iso_utc(str(start)), parse_iso_utc(str(end))
    except InputError:
        raise ProviderBadData(f"a row runs from {start!r} to {end!r}, which are not two UTC times") from None
    if end_at - start_at != SLOT or floor_to(start_at, SLOT) != start_at:
        raise ProviderBadData(f"a row runs from {start} to {end}, which is not a half hour")
    return start_at


def _value(period: Mapping[str, Any], field: str) -> float | None:
    """g/kWh of a row, None where the service does not know it."""
    intensity = period.get("intensity")
    if intensity is None:
        return None
    if not isinstance(intensity, dict):
        raise ProviderBadData(f"the intensity of {period['from']} is {intensity!r}, not an object")
    value = intensity.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < TONNE:
        raise ProviderBadData(f"the {field} of {period['from']} is {str(value)[:40]!r}, not an intensity")
    return float(value)


provider = Provider(
    name="uk",
    title="Great Britain: Carbon Intensity API (NESO), nation and 17 regions, half-hourly",
    live=True,
    covers=covers,
    requests=requests,
    parse=parse,
)
