"""Electricity Maps (proprietary data; a key is needed): flow-traced lifecycle intensity of some 350 zones, hourly.

Version 4 of the interface, version 3 where a deployment does not have it. The
caller's network address is never used to find the zone. Forecasts reach 72 h.
The last hours of the past are estimates, revised later: an estimate is no
observation and is left out of observed series. Sandbox keys are answered with
made-up data, which is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from greenai.adapters.providers._answers import (
    DAY,
    HOUR,
    answered_by,
    gapless,
    moment_of,
    number_of,
    object_of,
    points_of,
    published,
    rows_at,
    spans,
    step_of,
)
from greenai.errors import ProviderBadData, ProviderRefused
from greenai.model.intensity import Access, Payload, Provider, Query, Request, Rights, source_of
from greenai.model.series import IntensitySeries, Kind
from greenai.model.units import ceil_to, floor_to, iso_utc

BASE_URL = "https://api.electricitymaps.com"
NO_CALLER = {"v4": ("disableCallerLookup", "true"), "v3": ("shouldUseFallbackCallerLookup", "false")}
"""Without it a zone that is not found is silently answered with the country of the caller's address."""

HORIZONS_H = (6, 24, 48, 72)
LONGEST_RANGE = timedelta(days=10)
SANDBOX = "SANDBOX"
SHOWN = 5
"""Names in one sentence."""


def covers(zone: str) -> bool:
    """Its zone keys are countries and their parts; the regions of GB and WORLD are others' keys."""
    return re.fullmatch(r"(?!GB-\d)[A-Z]{2}(-[A-Z0-9]+)*", zone) is not None


def requests(query: Query, access: Access) -> Sequence[Request]:
    """The past by history or ranges, the coming hours by a forecast long enough.

    The forecast begins when it is answered, so an hour that is about to end is asked of the past as well.
    """
    start_at, now_at = floor_to(query.start_at, HOUR), floor_to(query.now_at, HOUR)
    end_at = max(ceil_to(query.end_at, HOUR), start_at + HOUR)
    past_at = floor_to(answered_by(query), HOUR) if query.purpose == "forecast" else now_at
    found = list(_past(query, access, start_at, min(end_at, past_at)))
    if query.purpose == "forecast" and end_at > now_at:
        needed_h = (end_at - now_at) / HOUR
        horizon_h = next((hours for hours in HORIZONS_H if hours >= needed_h), HORIZONS_H[-1])
        found.append(_request(query, access, "forecast", {"horizonHours": str(horizon_h)}))
    return tuple(found)


def _past(query: Query, access: Access, start_at: datetime, end_at: datetime) -> Iterator[Request]:
    measured = {"disableEstimations": "true"} if query.purpose == "observed" else {}
    if start_at >= end_at:
        return
    if start_at >= floor_to(query.now_at, HOUR) - DAY + HOUR:
        yield _request(query, access, "history", measured)
        return
    for from_at, to_at in spans(start_at, end_at, LONGEST_RANGE):
        yield _request(query, access, "past-range", {"start": iso_utc(from_at), "end": iso_utc(to_at), **measured})


def _request(query: Query, access: Access, what: str, extra: Mapping[str, str]) -> Request:
    """One read by version 4, and by version 3 where that is not found; a base URL that names a version keeps to it."""
    base = access.base_url.rstrip("/") or BASE_URL
    stated = base.rpartition("/")[2]
    versions = [(base, stated)] if stated in NO_CALLER else [(f"{base}/{version}", version) for version in ("v3", "v4")]
    request: Request | None = None
    for root, version in versions:
        name, value = NO_CALLER[version]
        arguments = {"zone": query.zone, "emissionFactorType": "lifecycle", name: value, **extra}
        url = f"{root}/carbon-intensity/{what}?{urlencode(arguments)}"
        request = Request(url=url, headers={"auth-token": access.key}, instead=request)
    if request is None:
        raise ProviderBadData("there is no version to ask")
    return request


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The hours from query.start_at on; estimates of the past only where a forecast was asked.

    Raises:
        ProviderRefused: a sandbox key: the data are made up.
        ProviderBadData: another zone, other factors, not the documented shape, or no value for query.start_at.
    """
    observed = query.purpose == "observed"
    points = points_of(pair for payload in published(payloads, query) for pair in _pairs(payload, query, measured=observed))
    step = step_of(points, HOUR)
    start_at, values = gapless(points, step, query)
    past: Kind = "observed" if observed else "modelled"
    kind: Kind = "forecast" if query.looks_ahead else past
    source = source_of("electricitymaps", payloads)
    return IntensitySeries(
        start_at=start_at,
        step=step,
        values=values,
        zone=query.zone,
        basis="average",
        scope="lifecycle",
        kind=kind,
        issued_at=floor_to(source.fetched_at, HOUR) if kind == "forecast" else None,
        source=source,
    )


def _pairs(payload: Payload, query: Query, *, measured: bool) -> Iterator[tuple[datetime, float | None]]:
    document = object_of(payload)
    if SANDBOX in str(document.get("_disclaimer", "")).upper():
        raise _sandbox()
    rows = rows_at(document, "forecast", "history", "data")
    if document.get("zone") != query.zone:
        raise ProviderBadData(f"the answer is for the zone {document.get('zone')!r}, not {query.zone}")
    for row in rows:
        _check_nature({**document, **row})
        estimated = row.get("isEstimated") is True or row.get("estimationMethod") is not None
        value = None if measured and estimated else row.get("carbonIntensity")
        yield moment_of(row.get("datetime")), number_of(value, f"the carbonIntensity of {row.get('datetime')}")


def _check_nature(row: Mapping[str, Any]) -> None:
    if SANDBOX in str(row.get("estimationMethod")).upper():
        raise _sandbox()
    factors = row.get("emissionFactorType", "lifecycle")
    if factors != "lifecycle":
        raise ProviderBadData(f"the answer is made with {factors} factors, lifecycle was asked")


def _sandbox() -> ProviderRefused:
    return ProviderRefused(
        "this is a sandbox key: the service answers it with made-up data", hint="set GREENAI_ELECTRICITYMAPS_KEY to a real key"
    )


def refusal(error: ProviderRefused, query: Query) -> ProviderRefused:
    """401 told apart by its words, where the list of rights cannot be had: a bad key, or a plan that does not cover this."""
    if error.status != 401:
        return error
    words = str(error)
    return uncovered(query, words) if "access" in words.lower() or "zoneKey" in words else bad_key(words)


def bad_key(words: str) -> ProviderRefused:
    """The service does not know the key."""
    return ProviderRefused(f"the key is not accepted: {words}", hint="check GREENAI_ELECTRICITYMAPS_KEY", status=401)


def uncovered(query: Query, words: str) -> ProviderRefused:
    """The key is good, and not for this."""
    hint = "choose the zone in the service's portal, or a plan that covers it; leave the key unset to use other sources"
    return ProviderRefused(f"the plan of this key does not cover {query.zone}: {words}", hint=hint, status=401)


def rights_request(access: Access) -> Request:
    """The read that says what a key may ask."""
    base = access.base_url.rstrip("/") or BASE_URL
    root = base if base.rpartition("/")[2] in NO_CALLER else f"{base}/v4"
    instead = None if root == base else Request(url=f"{base}/v3/zones", headers={"auth-token": access.key})
    return Request(url=f"{root}/zones", headers={"auth-token": access.key}, instead=instead)


def rights_of(payload: Payload) -> Mapping[str, frozenset[str]]:
    """What the key may ask of each zone the list says it of (it can promise too much): {"DE": {"carbon-intensity/forecast"}}."""
    found = object_of(payload)
    return {
        zone: frozenset(str(right) for right in about["access"])
        for zone, about in found.items()
        if isinstance(about, dict) and isinstance(about.get("access"), list)
    }


def missing(listing: Payload, query: Query) -> ProviderRefused | None:
    """The refusal to expect by the list; None where it says nothing, or that the key may."""
    rights = _rights_or_none(listing)
    wanted = {f"carbon-intensity/{_what(request)}" for request in requests(query, Access())}
    granted = rights.get(query.zone, frozenset())
    if not rights or granted & {"*", "carbon-intensity/*"} or wanted <= granted:
        return None
    if not granted:
        return uncovered(query, f"it covers {_some(sorted(rights))}")
    return uncovered(query, f"it may read {_some(sorted(granted))} there, not {_some(sorted(wanted - granted))}")


def explain(error: ProviderRefused, listing: Payload | None, query: Query) -> ProviderRefused:
    """A refusal told apart: a key that cannot read its own rights is bad, one that can does not cover what was asked."""
    if listing is None:
        return bad_key(str(error))
    if not _rights_or_none(listing):
        return refusal(error, query)
    return missing(listing, query) or uncovered(query, str(error))


def _rights_or_none(listing: Payload) -> Mapping[str, frozenset[str]]:
    """The rights, none where the list is not one: it must not hide the refusal it was read for."""
    try:
        return rights_of(listing)
    except ProviderBadData:
        return {}


def _what(request: Request) -> str:
    return request.url.partition("?")[0].rpartition("/")[2]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


provider = Provider(
    name="electricitymaps",
    title="Electricity Maps: 350 zones, hourly, 72 h ahead",
    live=True,
    covers=covers,
    requests=requests,
    parse=parse,
    needs="key",
    refusal=refusal,
    rights=Rights(request=rights_request, missing=missing, explain=explain),
)
