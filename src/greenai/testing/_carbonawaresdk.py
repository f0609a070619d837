"""The forecast of a Carbon Aware SDK web API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from greenai.model.units import floor_to, iso_utc, parse_iso_utc
from greenai.testing._world import Asked, Reply, Row, World, forecast_rows, shaped, slots

STEP = timedelta(minutes=5)
DAY = timedelta(days=1)


def answer(asked: Asked, world: World) -> Reply:
    """The answer to GET /emissions/forecasts/current."""
    if asked.path != "/emissions/forecasts/current":
        return Reply(status=404, document={"title": "Not Found"})
    location = asked.one("location")
    if not location:
        return Reply(status=400, document={"title": "Bad Request", "detail": "location is required"})
    now_at = floor_to(world.now_at, STEP)
    try:
        start_at = parse_iso_utc(asked.one("dataStartAt", iso_utc(now_at)))
        end_at = min(parse_iso_utc(asked.one("dataEndAt", iso_utc(now_at + DAY))), now_at + DAY)
    except ValueError:
        return Reply(status=400, document={"title": "Bad Request", "detail": "dataStartAt cannot be read"})

    def shape(rows: list[Row]) -> list[dict[str, Any]]:
        data = [
            {"location": location, "timestamp": iso_utc(row["at"]).replace("Z", "+00:00"), "duration": 5, "value": row["value"]}
            for row in rows
        ]
        about = {"generatedAt": iso_utc(now_at), "requestedAt": iso_utc(world.now_at), "location": location}
        return [{**about, "windowSize": 5, "optimalDataPoints": data[:1], "forecastData": data}]

    return shaped(forecast_rows(world, slots(start_at, end_at, STEP), STEP), shape)
