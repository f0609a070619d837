"""Open Electricity version 4: emissions and energy of the Australian regions by the hour."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from greenai.testing._world import Asked, Reply, Row, World, actual_rows, shaped, slots

HOUR = timedelta(hours=1)
CLOCKS = {"NEM": timezone(timedelta(hours=10)), "WEM": timezone(timedelta(hours=8))}
ENERGY_MWH = 8000.0


def answer(asked: Asked, world: World) -> Reply:
    """The answer to GET /v4/data/network/{NEM,WEM}."""
    network = asked.path.removeprefix("/v4/data/network/")
    if network not in CLOCKS:
        return Reply(status=404, document={"success": False, "error": "Not Found"})
    if not asked.headers.get("authorization", "").startswith("Bearer "):
        return Reply(status=401, document={"success": False, "error": "Not authenticated"})
    try:
        span = tuple(_local(asked.one(name), CLOCKS[network]) for name in ("date_start", "date_end"))
    except ValueError:
        return Reply(status=400, document={"success": False, "error": "Date must be naive network local time"})
    rows = [row for row in actual_rows(world, slots(span[0], span[1], HOUR), HOUR) if row["value"] is not None]
    region, clock = asked.one("network_region"), CLOCKS[network]

    def shape(rows: list[Row]) -> dict[str, Any]:
        stamps = [row["at"].astimezone(clock).isoformat() for row in rows]
        tonnes = [_tonnes(row["value"]) for row in rows]
        return {
            "data": [
                _block("emissions", "t", region, list(zip(stamps, tonnes, strict=True))),
                _block("energy", "MWh", region, [(stamp, ENERGY_MWH) for stamp in stamps]),
            ]
        }

    return shaped(rows, shape)


def _local(text: str, clock: timezone) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError(text)
    return moment.replace(tzinfo=clock)


def _tonnes(value: object) -> object:
    return value * ENERGY_MWH / 1000 if isinstance(value, int | float) else value


def _block(metric: str, unit: str, region: str, cells: list[tuple[str, object]]) -> dict[str, Any]:
    return {"metric": metric, "unit": unit, "results": [{"columns": {"network_region": region}, "data": cells}]}
