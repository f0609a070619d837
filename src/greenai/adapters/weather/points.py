"""The packaged weather points of each zone (package:weather_points.csv)."""

from __future__ import annotations

import csv

from greenai.errors import ProviderBadData
from greenai.model.intensity import Payload, Request
from greenai.model.weather import WeatherPoint

ALSO = {"DE": "DE-LU"}
"""A zone whose points stand under another's name: services cut the same grid differently."""

request = Request(url="package:weather_points.csv")


def points_of(payload: Payload, zone: str) -> tuple[WeatherPoint, ...]:
    """The points of a zone with their shares, none where the table has none; raises ProviderBadData for a broken table."""
    try:
        rows = [row for row in csv.DictReader(payload.body.decode().splitlines()) if row["zone"] == ALSO.get(zone, zone)]
        return tuple(
            WeatherPoint(
                zone=zone,
                name=row["name"],
                latitude_degrees=float(row["lat"]),
                longitude_degrees=float(row["lon"]),
                wind_share=float(row["wind_share"]),
                solar_share=float(row["solar_share"]),
                demand_share=float(row["demand_share"]),
            )
            for row in rows
        )
    except (KeyError, ValueError) as error:
        raise ProviderBadData(f"the table of weather points is broken: {error}") from None
