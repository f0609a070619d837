"""Energi Data Service: CO2Emis and CO2EmisProg of the Danish price areas."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from greenai.model.units import floor_to
from greenai.testing._world import Asked, Reply, Row, World, actual_rows, forecast_rows, shaped, slots

STEP = timedelta(minutes=5)
DAY = timedelta(days=1)
PUBLISHED_AT_HOUR = 14
"""Tomorrow's forecast is there from about 15:00 Danish time."""


def answer(asked: Asked, world: World) -> Reply:
    """The answer to GET /dataset/CO2Emis and /dataset/CO2EmisProg: 100 rows unless limit=0, newest first unless sorted."""
    dataset = asked.path.removeprefix("/dataset/")
    if dataset not in {"CO2Emis", "CO2EmisProg"}:
        return Reply(status=404, document={"message": "Dataset not found"})
    end = floor_to(world.now_at, DAY) + (2 if world.now_at.hour >= PUBLISHED_AT_HOUR else 1) * DAY
    try:
        areas = json.loads(asked.one("filter", '{"PriceArea": ["DK1"]}'))["PriceArea"]
        span = _time(asked.one("start"), world), min(end, _time(asked.one("end"), world) if asked.one("end") else end)
    except (ValueError, KeyError, TypeError):
        return Reply(status=400, document={"message": "start, end or filter cannot be read"})
    make = forecast_rows if dataset == "CO2EmisProg" else actual_rows
    rows = [row for row in make(world, slots(*span, STEP), STEP) if row["value"] is not None]
    newest_first = asked.one("sort") != "Minutes5UTC asc"
    limit = int(asked.one("limit", "100"))

    def shape(rows: list[Row]) -> dict[str, Any]:
        ordered = rows[::-1] if newest_first else rows
        kept = ordered[:limit] if limit else ordered
        records = [
            {"Minutes5UTC": f"{row['at']:%Y-%m-%dT%H:%M:%S}", "PriceArea": area, "CO2Emission": row["value"]}
            for row in kept
            for area in areas
        ]
        return {"total": len(rows), "limit": limit, "dataset": dataset, "records": records}

    return shaped(rows, shape)


def _time(text: str, world: World) -> datetime:
    return world.now_at if text in {"", "now"} else datetime.fromisoformat(text).replace(tzinfo=UTC)
