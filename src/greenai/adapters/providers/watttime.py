"""WattTime version 3 (separately licensed data; an account is needed): marginal operating emissions, every 5 minutes.

Marginal, so never in one chain with average sources: it is chosen by
basis = "marginal". The rate is modelled and cannot be observed: its past is
called modelled, and no saving is claimable on it. Unit lb/MWh, converted by
0.45359237 to g/kWh. A free account reads CAISO_NORTH alone, which stands for
US-CAL-CISO.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from urllib.parse import urlencode

from greenai.adapters.providers._answers import (
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
)
from greenai.errors import ProviderBadData, ProviderRefused
from greenai.model.intensity import Access, Login, Payload, Provider, Query, Request, source_of
from greenai.model.series import IntensitySeries
from greenai.model.units import G_PER_LB, ceil_to, floor_to, iso_utc

BASE_URL = "https://api.watttime.org"
SIGNAL = "co2_moer"
UNITS = "lbs_co2_per_mwh"
G_PER_KWH = G_PER_LB / 1000
"""g/kWh for one lb/MWh."""

STEP = timedelta(minutes=5)
TOKEN_LIFE = timedelta(minutes=25)
"""A token is good for 30 minutes; it is renewed before."""
LONGEST_HORIZON_H = 72
LONGEST_RANGE = timedelta(days=31)
"""The service allows 32 days, both ends included."""

REGIONS = MappingProxyType(
    {
        "US-CAL-CISO": "CAISO_NORTH",
        "US-CAL-LDWP": "LDWP",
        "US-NW-BPAT": "BPA",
        "US-NW-PACE": "PACE",
        "US-NW-NEVP": "NEVP",
        "US-SW-AZPS": "AZPS",
        "US-SE-SOCO": "SOCO",
        "US-MIDA-PJM": "PJM_DC",
        "US-TEX-ERCO": "ERCOT_NORTHCENTRAL",
        "US-MIDW-MISO": "MISO_MASON_CITY",
        "AU-NSW": "NEM_NSW",
        "AU-VIC": "NEM_VIC",
        "CA-QC": "HQ",
        "GB": "UK",
        "DE": "DE",
        "FR": "FR",
        "ES": "ES",
        "IE": "IE",
        "PL": "PL",
        "NL": "NL",
        "BE": "BE",
        "AT": "AT",
        "CH": "CH",
        "FI": "FI",
        "GR": "GR",
        "IT": "IT",
        "SE": "SE",
        "DK": "DK",
        "ZA": "ZAF",
        "SG": "SGP",
        "KR": "KOR",
        "TW": "TWN",
        "NZ": "NZL",
        "IL": "ISR",
    }
)
"""The service's region for a zone; where it has several, one that holds data centres (Green Software Foundation, Cloud
Region Metadata). Marginal rates differ within a zone: the region is named in the series' source."""


def covers(zone: str) -> bool:
    """The zones it has a region for."""
    return zone in REGIONS


def login_request(access: Access) -> Request:
    """The read that exchanges user:password for a token of 30 minutes."""
    basic = base64.b64encode(access.key.encode()).decode()
    return Request(url=f"{_base(access)}/login", headers={"Authorization": f"Basic {basic}"})


def token_of(payload: Payload) -> str:
    """The token of a log-in."""
    token = object_of(payload).get("token")
    if not isinstance(token, str) or not token:
        raise ProviderBadData("the log-in was answered without a token")
    return token


def requests(query: Query, access: Access) -> Sequence[Request]:
    """The past by ranges, the coming hours by the newest forecast; `access.key` holds the token.

    The forecast begins when it is answered, so a slot that is about to end is asked of the past as well.
    """
    start_at, now_at = floor_to(query.start_at, STEP), floor_to(query.now_at, STEP)
    end_at = max(ceil_to(query.end_at, STEP), start_at + STEP)
    past_at = floor_to(answered_by(query), STEP) if query.purpose == "forecast" else now_at
    found = [
        # Both ends are included, so the last one is left out.
        _request(query, access, "historical", {"start": iso_utc(from_at), "end": iso_utc(to_at - STEP)})
        for from_at, to_at in spans(start_at, min(end_at, past_at), LONGEST_RANGE)
    ]
    if query.purpose == "forecast" and end_at > now_at:
        hours = min(int(ceil_to(end_at, HOUR).timestamp() - now_at.timestamp()) // 3600 + 1, LONGEST_HORIZON_H)
        found.append(_request(query, access, "forecast", {"horizon_hours": str(hours)}))
    return tuple(found)


def _request(query: Query, access: Access, what: str, extra: Mapping[str, str]) -> Request:
    arguments = {"region": REGIONS[query.zone], "signal_type": SIGNAL, **extra}
    headers = {"Authorization": f"Bearer {access.key}"}
    return Request(url=f"{_base(access)}/v3/{what}?{urlencode(arguments, safe=':')}", headers=headers)


def _base(access: Access) -> str:
    return access.base_url.rstrip("/") or BASE_URL


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """Five-minute marginal rates from query.start_at on.

    Raises:
        ProviderBadData: another region or unit, not the documented shape, or no value for query.start_at.
    """
    pairs = (pair for payload in published(payloads, query) for pair in _pairs(payload, REGIONS[query.zone]))
    points = points_of(pairs)
    start_at, values = gapless(points, STEP, query)
    source = source_of("watttime", payloads, detail=f"region={REGIONS[query.zone]}")
    return IntensitySeries(
        start_at=start_at,
        step=STEP,
        values=values,
        zone=query.zone,
        basis="marginal",
        scope="direct",
        kind="forecast" if query.looks_ahead else "modelled",
        issued_at=floor_to(source.fetched_at, STEP) if query.looks_ahead else None,
        source=source,
    )


def _pairs(payload: Payload, region: str) -> Iterator[tuple[datetime, float | None]]:
    document = object_of(payload)
    rows = rows_at(document, "data")
    meta = document.get("meta")
    about = meta if isinstance(meta, dict) else {}
    for name, wanted in (("region", region), ("units", UNITS), ("signal_type", SIGNAL)):
        if about.get(name, wanted) != wanted:
            raise ProviderBadData(f"the answer is of {name} {json.dumps(about[name])[:40]}, not {wanted}")
    for row in rows:
        value = number_of(row.get("value"), f"the value of {row.get('point_time')}")
        yield moment_of(row.get("point_time")), None if value is None else value * G_PER_KWH


def refusal(error: ProviderRefused, query: Query) -> ProviderRefused:
    """A log-in that failed, and an account that may not read the region, told apart by where they happen."""
    words = str(error)
    if error.status == 403 and "scope" in words.lower():
        hint = "a free account reads US-CAL-CISO (CAISO_NORTH) alone"
        return ProviderRefused(f"the account does not cover {REGIONS[query.zone]}: {words}", hint=hint, status=403)
    if error.status in {401, 403}:
        hint = "check GREENAI_WATTTIME_KEY, written user:password"
        return ProviderRefused(f"the log-in is not accepted: {words}", hint=hint, status=error.status)
    return error


provider = Provider(
    name="watttime",
    title="WattTime: marginal rates, every 5 minutes, 72 h ahead",
    live=True,
    covers=covers,
    requests=requests,
    parse=parse,
    basis="marginal",
    needs="key",
    login=Login(request=login_request, token=token_of, life=TOKEN_LIFE),
    refusal=refusal,
)
