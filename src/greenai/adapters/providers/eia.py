"""US Energy Information Administration, version 2 (public domain; a free key is needed): the hourly mix of US grids.

No intensity and no forecast are published. The intensity of an hour is the
generation of each fuel times its lifecycle factor (facts/fuel_factors.csv),
over the sum; storage is left out, because its energy was counted where it was
generated; small negatives are a plant's own use and count as 0. `period` is the
END of an hour. What comes of it for the coming hours is the mean day of the last
eight: a model, and labelled so.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from greenai.adapters.providers._answers import (
    HOUR,
    TONNE,
    complaint,
    gapless,
    naive_utc,
    number_of,
    object_of,
    published,
    rows_at,
    spans,
    typical_day,
)
from greenai.errors import ProviderBadData, ProviderRefused
from greenai.model.intensity import Access, Payload, Provider, Query, Request, source_of
from greenai.model.series import IntensitySeries
from greenai.model.units import ceil_to, floor_to

BASE_URL = "https://api.eia.gov"
PATH = "/v2/electricity/rto/fuel-type-data/data/"
MOST_ROWS = 5000
LONGEST_RANGE = timedelta(days=12)
"""17 fuels x 24 h x 12 days stay below the 5,000 rows of one answer."""

LOOK_BACK = timedelta(days=8)
OWN_USE_SHARE = 0.05
"""Negative generation up to this share of an hour's sum is own use; more is a mistake of the record."""

GRIDS = frozenset(
    "AECI AVA AZPS BANC BPAT CHPD CISO CPLE CPLW DOPD DUK EPE ERCO FMPP FPC FPL GCPD GVL HST IID IPCO ISNE JEA LDWP LGEE "
    "MISO NEVP NWMT NYIS PACE PACW PGE PJM PNM PSCO PSEI SC SCEG SCL SEC SOCO SPA SRP SWPP TAL TEC TEPC TIDC TPWR TVA "
    "WACM WALC WAUW".split()
)
"""Balancing authorities of form EIA-930 that report generation by fuel."""


def respondent_of(zone: str) -> str | None:
    """The service's key of a zone: the authority at its end (US-CAL-CISO -> CISO), US48 for the US, else none."""
    if zone == "US":
        return "US48"
    last = zone.rpartition("-")[2]
    return last if zone.startswith("US-") and last in GRIDS else None


def covers(zone: str) -> bool:
    """The US and its balancing authorities."""
    return respondent_of(zone) is not None


def requests(query: Query, access: Access) -> Sequence[Request]:
    """The mix over the span asked for, or of the last eight days to make a typical day of; the factors last."""
    start_at, end_at = floor_to(query.start_at, HOUR), min(ceil_to(query.end_at, HOUR), floor_to(query.now_at, HOUR))
    if query.looks_ahead:
        end_at = floor_to(query.now_at, HOUR)
        start_at = end_at - LOOK_BACK
    pieces = [_request(query, access, span) for span in spans(start_at, end_at, LONGEST_RANGE)]
    return (*pieces, Request(url="package:fuel_factors.csv")) if pieces else ()


def _request(query: Query, access: Access, span: tuple[datetime, datetime]) -> Request:
    """Hours by their ends, so from one hour after the start; the key goes into a header, the address is archived."""
    arguments = [
        ("frequency", "hourly"),
        ("data[]", "value"),
        ("facets[respondent][]", str(respondent_of(query.zone))),
        ("start", f"{span[0] + HOUR:%Y-%m-%dT%H}"),
        ("end", f"{span[1]:%Y-%m-%dT%H}"),
        ("sort[0][column]", "period"),
        ("sort[0][direction]", "desc"),
        ("offset", "0"),
        ("length", str(MOST_ROWS)),
    ]
    base = access.base_url.rstrip("/") or BASE_URL
    return Request(url=f"{base}{PATH}?{urlencode(arguments, safe='[]:')}", headers={"X-Api-Key": access.key})


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The hours that are published whole, or the mean day of them for hours to come.

    Raises:
        ProviderBadData: another grid, a fuel without a factor, rows cut off, or no value for query.start_at.
    """
    *answers, factors = published(payloads, query)
    points = _intensities(answers, _factors(factors), str(respondent_of(query.zone)))
    start_at, values = typical_day(points, HOUR, query) if query.looks_ahead else gapless(points, HOUR, query)
    detail = "model=mean day of the last 8&factors=fuel_factors.csv" if query.looks_ahead else "factors=fuel_factors.csv"
    return IntensitySeries(
        start_at=start_at,
        step=HOUR,
        values=values,
        zone=query.zone,
        basis="average",
        scope="lifecycle",
        kind="modelled" if query.looks_ahead else "observed",
        source=source_of("eia", payloads, detail=detail),
    )


def _factors(table: Payload) -> Mapping[str, float | None]:
    """g/kWh by fuel, None for storage."""
    rows = csv.DictReader(io.StringIO(table.body.decode("utf-8")))
    return {row["eia_fueltype"]: float(row["lifecycle_g_per_kwh"]) if row["lifecycle_g_per_kwh"] else None for row in rows}


def _intensities(answers: Sequence[Payload], factors: Mapping[str, float | None], respondent: str) -> dict[datetime, float]:
    """g/kWh of every hour all of whose usual fuels are known."""
    mixes: dict[datetime, dict[str, float | None]] = defaultdict(dict)
    for answer in answers:
        for row in _rows(answer):
            if row.get("respondent") != respondent:
                raise ProviderBadData(f"the answer is of {row.get('respondent')!r}, not {respondent}")
            fuel = str(row.get("fueltype"))
            if fuel not in factors:
                raise ProviderBadData(f"the answer has the fuel {fuel!r}, for which no factor is known")
            if factors[fuel] is not None:
                mixes[naive_utc(row.get("period")) - HOUR][fuel] = _mwh(row)
    usual = _usual_fuels(mixes)
    found = ((hour, _intensity(mix, factors)) for hour, mix in mixes.items() if usual <= mix.keys())
    return {hour: value for hour, value in found if value is not None}


def _rows(answer: Payload) -> Iterator[Mapping[str, Any]]:
    document = object_of(answer)
    response = document.get("response")
    if not isinstance(response, dict):
        raise ProviderBadData(f"the answer has no response{complaint(document)}")
    rows = rows_at(response, "data")
    if len(rows) >= MOST_ROWS:
        raise ProviderBadData(f"the answer is cut off at {MOST_ROWS} rows")
    yield from rows


def _mwh(row: Mapping[str, Any]) -> float | None:
    """Generation in an hour; the service writes numbers, numbers in quotes, and null."""
    value = row.get("value")
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = value
    return number_of(number, f"the value of {row.get('period')} {row.get('fueltype')}", least=-TONNE)


def _usual_fuels(mixes: Mapping[datetime, Mapping[str, float | None]]) -> set[str]:
    """The fuels of at least half the hours: the newest hour is published fuel by fuel."""
    seen = Counter(fuel for mix in mixes.values() for fuel in mix)
    return {fuel for fuel, count in seen.items() if 2 * count >= len(mixes)}


def _intensity(mix: Mapping[str, float | None], factors: Mapping[str, float | None]) -> float | None:
    """g/kWh of an hour; None where a fuel is unknown, nothing was generated, or the negatives are no own use."""
    amounts = {fuel: mwh for fuel, mwh in mix.items() if mwh is not None}
    total = sum(max(mwh, 0.0) for mwh in amounts.values())
    negative = sum(min(mwh, 0.0) for mwh in amounts.values())
    if len(amounts) < len(mix) or total <= 0 or -negative > OWN_USE_SHARE * total:
        return None
    return sum(max(mwh, 0.0) * (factors[fuel] or 0.0) for fuel, mwh in amounts.items()) / total


def refusal(error: ProviderRefused, _query: Query) -> ProviderRefused:
    """403 is always the key."""
    if error.status != 403:
        return error
    hint = "check GREENAI_EIA_KEY; a free key comes from www.eia.gov/opendata"
    return ProviderRefused(f"the key is not accepted: {error}", hint=hint, status=403)


provider = Provider(
    name="eia",
    title="US EIA: hourly mix of US grids, made intensity with NREL factors",
    live=True,
    covers=covers,
    requests=requests,
    parse=parse,
    needs="key",
    forecasts=False,
    refusal=refusal,
)
