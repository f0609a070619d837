"""Energy-Charts (Fraunhofer ISE, CC BY 4.0), without a key: European countries, today and tomorrow.

CO2 equivalents of generation in a country; which factors is not said by the
answer, so the scope stays unstated. Parallel arrays: a measured value, else the
forecast of the same time. The service counts reads strictly: they go out one at
a time, 10 s apart, and an answer of the same quarter hour is used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from greenai.adapters.providers._answers import (
    DAY,
    answered_by,
    complaint,
    gapless,
    number_of,
    object_of,
    points_of,
    published,
    spans,
    step_of,
)
from greenai.errors import ProviderBadData
from greenai.model.intensity import Access, Payload, Provider, Query, Request, source_of
from greenai.model.series import IntensitySeries
from greenai.model.units import ceil_to, floor_to

BASE_URL = "https://api.energy-charts.info"
QUARTER = timedelta(minutes=15)
SPACING_S = 10.0
LONGEST_RANGE = timedelta(days=31)
SECONDS_LIMIT = 4e9

COUNTRIES = frozenset(
    "AL AT BA BE BG CH CY CZ DE DK EE ES FI FR GE GR HR HU IE IT LT LU LV MD ME MK MT NL NO PL PT RO RS SE SI SK UA XK".split()
)
"""As the service documents them, Great Britain aside: NESO's own service is nearer to the source."""


def covers(zone: str) -> bool:
    """Whole countries."""
    return zone in COUNTRIES


def requests(query: Query, access: Access) -> Sequence[Request]:
    """Today and tomorrow by one address that all share; the past by ranges."""
    base = access.base_url.rstrip("/") or BASE_URL
    start_at = floor_to(query.start_at, QUARTER)
    if query.purpose == "forecast" and start_at >= floor_to(answered_by(query), DAY):
        return (_request(base, {"country": query.zone.lower()}),)
    end_at = max(ceil_to(query.end_at, QUARTER), start_at + QUARTER)
    if query.purpose == "observed":
        end_at = min(end_at, floor_to(query.now_at, QUARTER))
    return tuple(
        _request(base, {"country": query.zone.lower(), "start": _stamp(from_at), "end": _stamp(to_at)})
        for from_at, to_at in spans(start_at, end_at, LONGEST_RANGE)
    )


def _request(base: str, arguments: dict[str, str]) -> Request:
    return Request(url=f"{base}/co2eq?{urlencode(arguments, safe=':')}", spacing_s=SPACING_S)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """Measured values, and for a forecast the forecast where there are none yet.

    The length of a slot is that of the data: an hour in some countries, a quarter in others.

    Raises:
        ProviderBadData: not the documented shape, or no value for query.start_at.
    """
    observed = query.purpose == "observed"
    pairs = [pair for payload in published(payloads, query) for pair in _pairs(payload, measured=observed)]
    points = points_of(pairs)
    step = step_of((start_at for start_at, _ in pairs), QUARTER)
    start_at, values = gapless(points, step, query)
    source = source_of("energycharts", payloads)
    return IntensitySeries(
        start_at=start_at,
        step=step,
        values=values,
        zone=query.zone,
        basis="average",
        scope="unstated",
        kind="observed" if observed else "forecast",
        issued_at=None if observed else floor_to(source.fetched_at, QUARTER),
        source=source,
    )


def _pairs(payload: Payload, *, measured: bool) -> Iterator[tuple[datetime, float | None]]:
    document = object_of(payload)
    if "unix_seconds" not in document or "co2eq" not in document:
        raise ProviderBadData(f"the answer has no unix_seconds and co2eq{complaint(document)}")
    seconds, known = _array(document, "unix_seconds"), _array(document, "co2eq")
    expected = [None] * len(seconds) if measured else _array(document, "co2eq_forecast", empty=len(seconds))
    if not len(seconds) == len(known) == len(expected):
        raise ProviderBadData(f"the answer has {len(seconds)} times for {len(known)} and {len(expected)} values")
    for second, value, forecast in zip(seconds, known, expected, strict=True):
        start_at = _moment(second)
        yield start_at, number_of(forecast if value is None else value, f"the co2eq of {_stamp(start_at)}")


def _array(document: Any, name: str, *, empty: int = 0) -> list[Any]:
    found = document.get(name)
    if found is None:
        return [None] * empty
    if not isinstance(found, list):
        raise ProviderBadData(f"{name} is no list")
    return found


def _moment(second: object) -> datetime:
    if isinstance(second, bool) or not isinstance(second, int | float) or not 0 <= second < SECONDS_LIMIT:
        raise ProviderBadData(f"{str(second)[:40]!r} is not a time in seconds since 1970")
    return datetime.fromtimestamp(second, UTC)


provider = Provider(
    name="energycharts",
    title="Energy-Charts (Fraunhofer ISE): European countries, today and tomorrow",
    live=True,
    covers=covers,
    requests=requests,
    parse=parse,
    reuse_for=QUARTER,
)
