"""Open Electricity version 4 (a free key is needed): the Australian grids, hourly, as they were.

Intensity of an hour = emissions (tCO2) / energy (MWh) of generation within the
region. Times are asked for in the network's own time without daylight saving.
No forecast is published: the coming hours are the mean day of the last eight,
labelled as a model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from greenai.adapters.providers._answers import (
    HOUR,
    TONNE,
    gapless,
    listed,
    moment_of,
    number_of,
    object_of,
    published,
    rows_at,
    spans,
    typical_day,
)
from greenai.errors import ProviderBadData
from greenai.model.intensity import Access, Payload, Provider, Query, Request, source_of
from greenai.model.series import IntensitySeries
from greenai.model.units import ceil_to, floor_to

BASE_URL = "https://api.openelectricity.org.au"
LONGEST_RANGE = timedelta(days=30)
LOOK_BACK = timedelta(days=8)
G_PER_KWH = 1000.0
"""g/kWh for one tCO2/MWh."""

UNITS = {"emissions": "t", "energy": "MWh"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where a zone stands in the service."""

    network: str
    name: str
    clock: timezone


_NEM = timezone(timedelta(hours=10))
_WEM = timezone(timedelta(hours=8))
REGIONS: Mapping[str, Region] = MappingProxyType(
    {
        **{f"AU-{state}": Region(network="NEM", name=f"{state}1", clock=_NEM) for state in ("NSW", "QLD", "SA", "TAS", "VIC")},
        "AU-WA": Region(network="WEM", name="WEM", clock=_WEM),
    }
)


def covers(zone: str) -> bool:
    """The states of the two markets."""
    return zone in REGIONS


def requests(query: Query, access: Access) -> Sequence[Request]:
    """Emissions and energy over the span asked for, or of the last eight days to make a typical day of."""
    now_at = floor_to(query.now_at, HOUR)
    start_at, end_at = floor_to(query.start_at, HOUR), min(ceil_to(query.end_at, HOUR), now_at)
    if query.looks_ahead:
        start_at, end_at = now_at - LOOK_BACK, now_at
    return tuple(_request(query, access, span) for span in spans(start_at, end_at, LONGEST_RANGE))


def _request(query: Query, access: Access, span: tuple[datetime, datetime]) -> Request:
    region = REGIONS[query.zone]
    start_at, end_at = (moment.astimezone(region.clock) for moment in span)
    arguments = [
        ("metrics", "emissions"),
        ("metrics", "energy"),
        ("interval", "1h"),
        ("date_start", f"{start_at:%Y-%m-%dT%H:%M:%S}"),
        ("date_end", f"{end_at:%Y-%m-%dT%H:%M:%S}"),
        ("network_region", region.name),
        ("primary_grouping", "network_region"),
    ]
    base = access.base_url.rstrip("/") or BASE_URL
    url = f"{base}/v4/data/network/{region.network}?{urlencode(arguments, safe=':')}"
    return Request(url=url, headers={"Authorization": f"Bearer {access.key}"})


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The hours for which both emissions and energy are known, or the mean day of them for hours to come.

    Raises:
        ProviderBadData: another region or unit, not the documented shape, or no value for query.start_at.
    """
    points = _intensities(published(payloads, query), REGIONS[query.zone])
    start_at, values = typical_day(points, HOUR, query) if query.looks_ahead else gapless(points, HOUR, query)
    return IntensitySeries(
        start_at=start_at,
        step=HOUR,
        values=values,
        zone=query.zone,
        basis="average",
        scope="direct",
        kind="modelled" if query.looks_ahead else "observed",
        source=source_of("openelectricity", payloads, detail="model=mean day of the last 8" if query.looks_ahead else ""),
    )


def _intensities(payloads: Sequence[Payload], region: Region) -> dict[datetime, float]:
    sums: dict[str, dict[datetime, float]] = {"emissions": defaultdict(float), "energy": defaultdict(float)}
    unknown: set[datetime] = set()
    for payload in payloads:
        for metric, start_at, value in _cells(payload, region):
            if value is None:
                unknown.add(start_at)
            else:
                sums[metric][start_at] += value
    tonnes, mwh = sums["emissions"], sums["energy"]
    hours = [hour for hour in tonnes.keys() & mwh.keys() if hour not in unknown and mwh[hour] > 0]
    return {hour: max(tonnes[hour], 0.0) / mwh[hour] * G_PER_KWH for hour in hours}


def _cells(payload: Payload, region: Region) -> Iterator[tuple[str, datetime, float | None]]:
    """(metric, start, value) of every cell of an answer."""
    for block in rows_at(object_of(payload), "data"):
        metric = str(block.get("metric"))
        if metric not in UNITS:
            continue
        if block.get("unit", UNITS[metric]) != UNITS[metric]:
            raise ProviderBadData(f"{metric} are given in {block['unit']!r}, not {UNITS[metric]}")
        for result in listed(block.get("results")):
            _check_region(result.get("columns"), region)
            yield from ((metric, *_cell(cell, metric)) for cell in _array(result.get("data")))


def _check_region(columns: Any, region: Region) -> None:
    about = columns if isinstance(columns, dict) else {}
    name = about.get("network_region", about.get("region", region.name))
    if name != region.name:
        raise ProviderBadData(f"the answer is of the region {name!r}, not {region.name}")


def _array(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise ProviderBadData("the answer is not made of rows")
    return found


def _cell(cell: Any, metric: str) -> tuple[datetime, float | None]:
    if not isinstance(cell, list) or len(cell) != 2:
        raise ProviderBadData("a row is not a time and a value")
    return moment_of(cell[0]), number_of(cell[1], f"the {metric} of {cell[0]}", least=-TONNE)


provider = Provider(
    name="openelectricity",
    title="Open Electricity: the Australian states, hourly, as they were",
    live=True,
    covers=covers,
    requests=requests,
    parse=parse,
    needs="key",
    forecasts=False,
)
