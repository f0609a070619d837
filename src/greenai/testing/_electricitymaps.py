"""Electricity Maps, versions 3 and 4: carbon intensity, and the zones a key may ask."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from greenai.model.units import floor_to, parse_iso_utc
from greenai.testing._world import Asked, Reply, Row, World, actual_rows, forecast_rows, shaped, slots

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
HORIZONS = ("6", "24", "48", "72")
RIGHTS = ("carbon-intensity/latest", "carbon-intensity/history", "carbon-intensity/forecast", "carbon-intensity/past-range")


def answer(asked: Asked, world: World) -> Reply:
    """The answer to GET /{v3,v4}/zones and /{v3,v4}/carbon-intensity/{history,forecast,past-range}."""
    match = re.fullmatch(r"/v[34]/(zones|carbon-intensity/(history|forecast|past-range))", asked.path)
    if match is None:
        return Reply(status=404, document={"error": "Not Found"})
    if not asked.headers.get("auth-token"):
        return Reply(status=401, document={"error": "Invalid auth-token"})
    if match[1] == "zones":
        return Reply(document={"DE": {"zoneName": "Germany", "access": list(RIGHTS)}})
    if not asked.one("zone"):
        return Reply(status=400, document={"error": 'Missing arguments "zone"'})
    return {"history": _history, "forecast": _forecast, "past-range": _past_range}[match[2]](asked, world)


def _forecast(asked: Asked, world: World) -> Reply:
    horizon = asked.one("horizonHours", "24")
    if horizon not in HORIZONS:
        return Reply(status=400, document={"error": "Invalid horizonHours"})
    now_at = floor_to(world.now_at, HOUR)
    rows = forecast_rows(world, slots(now_at, now_at + (int(horizon) + 1) * HOUR, HOUR), HOUR)

    def shape(rows: list[Row]) -> dict[str, Any]:
        points = [{"carbonIntensity": row["value"], "datetime": _stamp(row["at"])} for row in rows]
        return {"zone": asked.one("zone"), "forecast": points, "updatedAt": _stamp(now_at), "temporalGranularity": "hourly"}

    return shaped(rows, shape)


def _history(asked: Asked, world: World) -> Reply:
    now_at = floor_to(world.now_at, HOUR)
    return _rows(asked, world, (now_at - DAY + HOUR, now_at + HOUR), "history")


def _past_range(asked: Asked, world: World) -> Reply:
    try:
        span = parse_iso_utc(asked.one("start")), parse_iso_utc(asked.one("end"))
    except ValueError:
        return Reply(status=400, document={"error": 'Missing or invalid date parameter "start"'})
    if span[1] - span[0] > 10 * DAY:
        return Reply(status=400, document={"error": "The range is longer than 10 days"})
    return _rows(asked, world, span, "data")


def _rows(asked: Asked, world: World, span: tuple[datetime, datetime], name: str) -> Reply:
    """Measured hours; what is not measured yet is estimated, or null where estimates are not wanted."""
    starts = slots(*span, HOUR)
    estimates = {row["at"]: row["value"] for row in forecast_rows(world, starts, HOUR)}
    wanted = asked.one("disableEstimations") != "true"

    def shape(rows: list[Row]) -> dict[str, Any]:
        return {"zone": asked.one("zone"), name: [_point(row, estimates[row["at"]] if wanted else None) for row in rows]}

    return shaped(actual_rows(world, starts, HOUR), shape)


def _point(row: Row, estimate: float | None) -> dict[str, Any]:
    measured = row["value"] is not None
    return {
        "carbonIntensity": row["value"] if measured else estimate,
        "datetime": _stamp(row["at"]),
        "emissionFactorType": "lifecycle",
        "isEstimated": not measured,
        "estimationMethod": None if measured else "FORECASTS_HIERARCHY",
    }


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
