"""Open-Meteo: hourly weather at any points, windier and brighter where the recorded grid is cleaner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from greenai.model.units import floor_to
from greenai.testing._world import Asked, Reply, World, minute_utc, slots

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
VARIABLES = ("wind_speed_10m", "cloud_cover", "temperature_2m", "relative_humidity_2m")
CALM_G_PER_KWH = 300.0


def answer(asked: Asked, world: World) -> Reply:
    """The answer to GET /v1/forecast: one object for one point, a list for several."""
    if asked.path != "/v1/forecast":
        return _refused("Not Found", status=404)
    latitudes = asked.one("latitude").split(",")
    names = asked.one("hourly").split(",")
    unknown = [name for name in names if name not in VARIABLES]
    if unknown:
        return _refused(f"Data corrupted at path ''. Cannot initialize Variable from invalid String value {unknown[0]}.")
    try:
        span = _span(asked, world)
        places = [_place(float(latitude), names, slots(*span, HOUR), world) for latitude in latitudes]
    except ValueError:
        return _refused("Parameter out of range")
    return Reply(document=places if len(places) > 1 else places[0])


def _refused(reason: str, *, status: int = 400) -> Reply:
    return Reply(status=status, document={"error": True, "reason": reason})


def _span(asked: Asked, world: World) -> tuple[datetime, datetime]:
    """Whole days: between two dates, or from so many days before today to so many after."""
    today = floor_to(world.now_at, DAY)
    if asked.one("start_date"):
        first, last = (datetime.fromisoformat(asked.one(name)).replace(tzinfo=UTC) for name in ("start_date", "end_date"))
        return first, last + DAY
    return today - int(asked.one("past_days", "0")) * DAY, today + int(asked.one("forecast_days", "7")) * DAY


def _place(latitude: float, names: Sequence[str], hours: Sequence[datetime], world: World) -> dict[str, Any]:
    return {
        "latitude": latitude,
        "utc_offset_seconds": 0,
        "timezone": "GMT",
        "hourly": {"time": [minute_utc(hour)[:-1] for hour in hours], **{name: _column(name, hours, world) for name in names}},
    }


def _column(name: str, hours: Sequence[datetime], world: World) -> list[float]:
    """Wind is that which would make the grid what it is; the rest goes with the time of day."""
    if name == "wind_speed_10m":
        known = [world.truth_g_per_kwh(hour) for hour in hours]
        return [round(20.0 if g is None else 45 * math.exp(-g / CALM_G_PER_KWH), 1) for g in known]
    wave = [math.cos(2 * math.pi * (hour.hour - 14) / 24) for hour in hours]
    middle, reach = {"cloud_cover": (50.0, -20.0), "temperature_2m": (10.0, 5.0)}.get(name, (70.0, -10.0))
    return [round(middle + reach * part, 1) for part in wave]
