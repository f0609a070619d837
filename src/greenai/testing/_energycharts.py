"""Energy-Charts: CO2 equivalents of a country, measured and forecast in parallel arrays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from greenai.model.units import as_utc, floor_to
from greenai.testing._world import Asked, Reply, Row, World, actual_rows, forecast_rows, shaped, slots

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
COUNTRIES = frozenset("at be bg ch cz de dk ee es fi fr gr hr hu it lt lu lv nl no pl pt ro se si sk".split())


def answer(asked: Asked, world: World) -> Reply:
    """The answer to GET /co2eq."""
    if asked.path not in {"/co2eq", "/v2/co2eq"}:
        return Reply(status=404, document={"detail": "Not Found"})
    country = asked.one("country", "de")
    if country not in COUNTRIES:
        words = f"'{country}' is not the code for an available country."
        return Reply(status=400, body=words.encode(), content_type="text/plain")
    today = floor_to(world.now_at, DAY)
    try:
        start_at, end_at = _time(asked.one("start"), today), _time(asked.one("end"), today + 2 * DAY)
    except ValueError:
        return Reply(status=400, body=b"start and end are dates or times", content_type="text/plain")
    starts = slots(start_at, end_at, QUARTER)
    known = {row["at"]: row["value"] for row in actual_rows(world, starts, QUARTER)}

    def shape(rows: list[Row]) -> dict[str, Any]:
        measured = [row["value"] if known.get(row["at"]) is not None else None for row in rows]
        expected = [None if known.get(row["at"]) is not None else row["value"] for row in rows]
        seconds = [int(row["at"].timestamp()) for row in rows]
        return {"unix_seconds": seconds, "co2eq": measured, "co2eq_forecast": expected, "deprecated": False}

    return shaped(forecast_rows(world, starts, QUARTER), shape)


def _time(text: str, default: datetime) -> datetime:
    return as_utc(datetime.fromisoformat(text)).astimezone(UTC) if text else default
