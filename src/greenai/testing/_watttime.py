"""WattTime version 3: log-in, forecast and history of marginal rates in lb/MWh."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from greenai.model.units import G_PER_LB, floor_to, iso_utc, parse_iso_utc
from greenai.testing._world import Asked, Reply, Row, World, forecast_rows, shaped, slots

STEP = timedelta(minutes=5)
TOKEN = "fake-token"  # noqa: S105  the fake service's own
LB_PER_MWH = 1000 / G_PER_LB


def answer(asked: Asked, world: World) -> Reply:
    """The answer to GET /login, /v3/forecast and /v3/historical."""
    authorization = asked.headers.get("authorization", "")
    if asked.path == "/login":
        good = authorization.startswith("Basic ")
        return Reply(document={"token": TOKEN}) if good else Reply(status=403, document={"message": "Bad log-in"})
    if authorization != f"Bearer {TOKEN}":
        return Reply(status=401, document={"message": "Token is not valid"})
    try:
        span = _forecast_span(asked, world) if asked.path == "/v3/forecast" else _past_span(asked)
    except ValueError:
        return Reply(status=422, document={"detail": [{"msg": "value is not a valid time or number"}]})
    return _answer(asked.one("region"), world, span)


def _forecast_span(asked: Asked, world: World) -> tuple[datetime, datetime]:
    now_at = floor_to(world.now_at, STEP)
    hours = int(asked.one("horizon_hours", "24"))
    if not 0 <= hours <= 72:
        raise ValueError("horizon_hours")
    return now_at, now_at + max(hours * timedelta(hours=1), STEP)


def _past_span(asked: Asked) -> tuple[datetime, datetime]:
    """Both ends included, 32 days at most."""
    span = parse_iso_utc(asked.one("start")), parse_iso_utc(asked.one("end")) + STEP
    if span[1] - span[0] > timedelta(days=32):
        raise ValueError("range")
    return span


def _answer(region: str, world: World, span: tuple[datetime, datetime]) -> Reply:
    def shape(rows: list[Row]) -> dict[str, Any]:
        data = [{"point_time": iso_utc(row["at"]).replace("Z", "+00:00"), "value": _lb(row["value"])} for row in rows]
        meta = {"data_point_period_seconds": 300, "region": region, "warnings": [], "signal_type": "co2_moer"}
        return {"data": data, "meta": {**meta, "units": "lbs_co2_per_mwh", "generated_at": iso_utc(world.now_at)}}

    return shaped(forecast_rows(world, slots(*span, STEP), STEP), shape)


def _lb(value: object) -> object:
    return value * LB_PER_MWH if isinstance(value, int | float) else value
