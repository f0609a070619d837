"""Open-Meteo: weather at the points of a zone, keyless for non-commercial use (data CC BY 4.0, open-meteo.com).

Two pure functions, as of a provider: the reads needed, and the weather in their
answers. The past comes from the archive of past forecasts, not from reanalysis:
what a forecaster learns from must have the errors of what it will be given.
A read counts as `weight` calls against 600 a minute and 10,000 a day; past
answers never change, forecasts every 1 to 6 h. The paid hosts take their key in
the URL, which is archived: reach them through a gateway named as base URL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import numpy as np

from greenai.adapters.weather import points as table
from greenai.errors import InputError, ProviderBadData, ProviderRefused
from greenai.model.intensity import Access, Payload, Request, source_of
from greenai.model.series import FloatArray
from greenai.model.units import floor_to, iso_utc, parse_iso_utc
from greenai.model.weather import HOUR, WeatherPoint, WeatherSeries, WeatherService

FORECAST_URL = "https://api.open-meteo.com"
PAST_URL = "https://historical-forecast-api.open-meteo.com"
VARIABLES = ("wind_speed_10m", "cloud_cover", "temperature_2m", "relative_humidity_2m")
DAY = timedelta(days=1)
LONGEST_READ = timedelta(days=364)
GRID = timedelta(days=28)
"""Reads of the past begin and end on a grid of four weeks: their addresses stay the same, and are asked once."""
RECENT_DAYS = 7
"""Days the forecast host is asked to look back: the archive of past forecasts may lag behind."""
MAX_DAYS_AHEAD = 16
BRIDGED_H = 3
"""Gaps up to so many hours are bridged by a straight line."""


def requests(points: Sequence[WeatherPoint], span: tuple[datetime, datetime], now_at: datetime, access: Access) -> list[Request]:
    """The reads that give the weather of `points` over [start, end): archived forecasts by year, and last the present one.

    The present read looks back to where the past ones end, 7 to 35 days.
    Raises InputError without points, or with a key (see above).
    """
    if not points:
        raise InputError("no weather points are known for this zone", hint="give a weather series file")
    if access.key:
        raise InputError("an Open-Meteo key would stand in the URL, which is archived", hint="name a gateway as base URL")
    start_at, end_at = span
    today_at = floor_to(now_at, DAY)
    place = {
        "latitude": ",".join(f"{point.latitude_degrees:g}" for point in points),
        "longitude": ",".join(f"{point.longitude_degrees:g}" for point in points),
        "hourly": ",".join(VARIABLES),
        "wind_speed_unit": "kmh",
        "timezone": "GMT",
    }
    past_at, recent_at = floor_to(start_at, GRID), floor_to(today_at - RECENT_DAYS * DAY, GRID)
    reads = []
    while past_at < recent_at:
        stop_at = min(past_at + LONGEST_READ, recent_at)
        dates = {"start_date": f"{past_at:%Y-%m-%d}", "end_date": f"{stop_at:%Y-%m-%d}"}
        reads.append(_request(access.base_url or PAST_URL, place | dates))
        past_at = stop_at
    days_ahead = min(max((end_at - today_at) // DAY + 1, 1), MAX_DAYS_AHEAD)
    recent = {"past_days": str((today_at - recent_at) // DAY), "forecast_days": str(days_ahead)}
    return [*reads, _request(access.base_url or FORECAST_URL, place | recent)]


def weight(points: int, days: float) -> float:
    """How many calls a read of all variables counts as: max(variables/10, 1) x max(days/14, 1) x locations."""
    return max(len(VARIABLES) / 10, 1.0) * max(days / 14, 1.0) * points


def parse(payloads: Sequence[Payload], points: Sequence[WeatherPoint]) -> WeatherSeries:
    """The newest gapless weather in the answers; of two values for an hour the later answer's is taken.

    Raises:
        ProviderRefused: the service's own reason (a limit reached, a bad request).
        ProviderBadData: not the documented shape, or no hour with all values.
    """
    by_hour: dict[datetime, FloatArray] = {}
    for payload in payloads:
        by_hour |= _hours(payload, len(points))
    starts = sorted(start for start, values in by_hour.items() if np.isfinite(values).all())
    if not starts:
        raise ProviderBadData("the weather answers hold no hour with all values")
    jumps = [place for place, (one, other) in enumerate(pairwise(starts), start=1) if other - one > (BRIDGED_H + 1) * HOUR]
    starts = starts[jumps[-1] if jumps else 0 :]
    table = _bridged(starts, np.array([by_hour[start] for start in starts]))
    wind, cloud, temperature, humidity = np.moveaxis(table, (1, 2, 0), (0, 1, 2))
    source = source_of("openmeteo", payloads)
    return WeatherSeries(
        zone=points[0].zone,
        start_at=starts[0],
        points=tuple(points),
        wind_km_per_h=wind,
        cloud_percent=cloud,
        temperature_c=temperature,
        humidity_percent=humidity,
        issued_at=source.fetched_at,
        source=source,
    )


def _request(base: str, parameters: Mapping[str, str]) -> Request:
    return Request(url=f"{base.rstrip('/')}/v1/forecast?{urlencode(parameters, safe=',')}")


def _hours(payload: Payload, points: int) -> dict[datetime, FloatArray]:
    """The values of each hour, shape (variables, points), NaN for null."""
    places = _places(payload)
    if len(places) != points:
        raise ProviderBadData(f"the answer is of {len(places)} places, not of {points}")
    columns = [[_column(place, name) for place in places] for name in VARIABLES]
    times = [_time(text) for text in _list(places[0], "time")]
    lengths = {len(values) for column in columns for values in column}
    if lengths != {len(times)}:
        raise ProviderBadData("the arrays of the weather answer differ in length")
    table = np.array(columns, dtype=np.float64)
    return {at: table[:, :, place] for place, at in enumerate(times)}


def _places(payload: Payload) -> list[Any]:
    """One object per point: a single point's answer is not in a list."""
    try:
        data = json.loads(payload.body)
    except ValueError:
        raise ProviderBadData("the weather answer is not JSON") from None
    if isinstance(data, dict) and data.get("error"):
        raise ProviderRefused(f"Open-Meteo refuses: {str(data.get('reason', 'no reason given'))[:200]}")
    return data if isinstance(data, list) else [data]


def _list(place: Any, name: str) -> list[Any]:
    values = place.get("hourly", {}).get(name) if isinstance(place, dict) and isinstance(place.get("hourly"), dict) else None
    if not isinstance(values, list):
        raise ProviderBadData(f"the weather answer has no hourly {name}")
    return values


def _column(place: Any, name: str) -> list[float]:
    values = [np.nan if value is None else value for value in _list(place, name)]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise ProviderBadData(f"hourly {name} holds something that is no number")
    return values


def _time(text: Any) -> datetime:
    """The answer's times are GMT and do not say so."""
    try:
        return parse_iso_utc(f"{text}Z")
    except InputError:
        raise ProviderBadData(f"{text!r} is not an hour of the weather answer") from None


def _bridged(starts: Sequence[datetime], values: FloatArray) -> FloatArray:
    """Every hour from first to last, short gaps on a straight line; (hours, variables, points)."""
    hours = np.array([(start - starts[0]) // HOUR for start in starts])
    if any((start - starts[0]) % HOUR for start in starts):
        raise ProviderBadData(f"the weather answer from {iso_utc(starts[0])} on is not hourly")
    every = np.arange(hours[-1] + 1)
    flat = values.reshape(len(starts), -1)
    lines = np.column_stack([np.interp(every, hours, column) for column in flat.T])
    out: FloatArray = lines.reshape(len(every), *values.shape[1:])
    return out


service = WeatherService(name="openmeteo", points=table.request, points_of=table.points_of, requests=requests, parse=parse)
