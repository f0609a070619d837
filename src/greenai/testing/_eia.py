"""EIA version 2: the hourly mix of a grid, made so that its intensity is the recorded one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from greenai.testing._world import Asked, Reply, Row, World, actual_rows, shaped, slots

HOUR = timedelta(hours=1)
COAL, GAS, WIND = 1001.0, 486.0, 13.0
"""Factors of facts/fuel_factors.csv, g/kWh."""

TOTAL_MWH = 1000.0


def answer(asked: Asked, world: World) -> Reply:
    """The answer to GET /v2/electricity/rto/fuel-type-data/data/."""
    if asked.path != "/v2/electricity/rto/fuel-type-data/data/":
        return Reply(status=404, document={"error": "Not Found"})
    if not (asked.headers.get("x-api-key") or asked.one("api_key")):
        return Reply(status=403, document={"error": {"code": "API_KEY_MISSING", "message": "No api_key was supplied."}})
    try:
        first_at, last_at = (_hour(asked.one(name)) for name in ("start", "end"))
    except ValueError:
        return Reply(status=400, document={"error": "Invalid start or end", "code": 400})
    respondent = asked.one("facets[respondent][]")

    def shape(rows: list[Row]) -> dict[str, Any]:
        data = [line for row in reversed(rows) for line in _lines(row, respondent)]
        return {"response": {"total": str(len(data)), "dateFormat": 'YYYY-MM-DD"T"HH24', "data": data[:5000]}}

    rows = actual_rows(world, slots(first_at - HOUR, last_at, HOUR), HOUR)
    return shaped([row for row in rows if row["value"] is not None], shape)


def _hour(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)


def _lines(row: Row, respondent: str) -> list[dict[str, Any]]:
    """Coal, gas and wind that burn to the row's value; storage and a negative that must not count."""
    value = row["value"]
    mix = _mix(float(value)) if isinstance(value, int | float) else {"NG": value, "WND": value}
    return [
        {
            "period": f"{row['at'] + HOUR:%Y-%m-%dT%H}",
            "respondent": respondent,
            "fueltype": fuel,
            "value": str(mwh) if fuel == "WND" and isinstance(mwh, float) else mwh,
            "value-units": "megawatthours",
        }
        for fuel, mwh in {**mix, "BAT": -300, "PS": 200, "OIL": -2}.items()
    ]


def _mix(g_per_kwh: float) -> dict[str, float]:
    coal = max(0.0, (g_per_kwh - GAS) / (COAL - GAS)) * TOTAL_MWH
    gas = TOTAL_MWH - coal if coal else max(0.0, (g_per_kwh - WIND) / (GAS - WIND)) * TOTAL_MWH
    return {"COL": coal, "NG": gas, "WND": TOTAL_MWH - coal - gas}
