"""Energi Data Service (Energinet), without a key: the two price areas of Denmark, every 5 minutes.

Direct emissions of the electricity used, imports included. The forecast reaches
to the end of today, of tomorrow from about 15:00 on. Times are UTC though they
carry no Z; without `limit=0` only the newest 100 rows come.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from greenai.adapters.providers._answers import (
    gapless,
    naive_utc,
    number_of,
    object_of,
    points_of,
    published,
    rows_at,
)
from greenai.errors import ProviderBadData
from greenai.model.intensity import Access, Payload, Provider, Query, Request, source_of
from greenai.model.series import IntensitySeries
from greenai.model.units import ceil_to, floor_to

BASE_URL = "https://api.energidataservice.dk"
STEP = timedelta(minutes=5)
AREAS = {"DK-DK1": "DK1", "DK-DK2": "DK2"}


def covers(zone: str) -> bool:
    """West and east Denmark."""
    return zone in AREAS


def requests(query: Query, access: Access) -> Sequence[Request]:
    """Measured values up to now, the forecast for what is asked as a forecast; from the slot that holds the start on."""
    base = access.base_url.rstrip("/") or BASE_URL
    start_at = floor_to(query.start_at, STEP)
    end_at = max(ceil_to(query.end_at, STEP), start_at + STEP)
    if query.purpose == "observed":
        end_at = min(end_at, floor_to(query.now_at, STEP))
        return (_request(base, "CO2Emis", query, (start_at, end_at)),) if start_at < end_at else ()
    return (_request(base, "CO2EmisProg", query, (start_at, end_at)),)


def _request(base: str, dataset: str, query: Query, span: tuple[datetime, datetime]) -> Request:
    """The start is stated, not `now`: from `now` on the slot that has begun is left out."""
    arguments = {
        "start": f"{span[0]:%Y-%m-%dT%H:%M}",
        "end": f"{span[1]:%Y-%m-%dT%H:%M}",
        "filter": json.dumps({"PriceArea": [AREAS[query.zone]]}, separators=(",", ":")),
        "sort": "Minutes5UTC asc",
        "limit": "0",
        "timezone": "UTC",
    }
    return Request(url=f"{base}/dataset/{dataset}?{urlencode(arguments)}")


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """Five-minute values from query.start_at on.

    Raises:
        ProviderBadData: another area or dataset, not the documented shape, or no value for query.start_at.
    """
    observed = query.purpose == "observed"
    points = points_of(pair for payload in published(payloads, query) for pair in _pairs(payload, query))
    start_at, values = gapless(points, STEP, query)
    source = source_of("energidataservice", payloads)
    return IntensitySeries(
        start_at=start_at,
        step=STEP,
        values=values,
        zone=query.zone,
        basis="average",
        scope="direct",
        kind="observed" if observed else "forecast",
        issued_at=None if observed else floor_to(source.fetched_at, STEP),
        source=source,
    )


def _pairs(payload: Payload, query: Query) -> Iterator[tuple[datetime, float | None]]:
    document = object_of(payload)
    rows = rows_at(document, "records")
    wanted = "CO2Emis" if query.purpose == "observed" else "CO2EmisProg"
    if document.get("dataset", wanted) != wanted:
        raise ProviderBadData(f"the answer is of {document['dataset']!r}, not {wanted}")
    for row in rows:
        if row.get("PriceArea") != AREAS[query.zone]:
            raise ProviderBadData(f"the answer is of the area {row.get('PriceArea')!r}, not {AREAS[query.zone]}")
        yield naive_utc(row.get("Minutes5UTC")), number_of(row.get("CO2Emission"), f"the CO2Emission of {row.get('Minutes5UTC')}")


provider = Provider(
    name="energidataservice",
    title="Energi Data Service (Energinet): Denmark west and east, every 5 minutes",
    live=True,
    covers=covers,
    requests=requests,
    parse=parse,
)
