"""A weather series from a file: hourly CSV of one place, its past and, if it goes on beyond now, its forecast.

Columns `start_utc` (or `start_at`), `temp_c`, `rh_pct`, `cloud_pct`, `wind_10m_km_per_h`; others are left alone.
A missing hour or value is an error with its line: a file is what was asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise

import numpy as np

from greenai.errors import InputError, SeriesGap
from greenai.model.intensity import Payload, source_of
from greenai.model.units import iso_utc, parse_iso_utc
from greenai.model.weather import HOUR, WeatherPoint, WeatherSeries

COLUMNS = ("wind_10m_km_per_h", "cloud_pct", "temp_c", "rh_pct")


def parse(payload: Payload, zone: str) -> WeatherSeries:
    """The weather of a file; raises InputError for a column, time or number that is missing, SeriesGap for an hour."""
    reader = csv.DictReader(payload.body.decode("utf-8-sig").splitlines())
    named = set(reader.fieldnames or ())
    missing = [name for name in COLUMNS if name not in named]
    if missing or not named & {"start_utc", "start_at"}:
        raise InputError(f"the weather file has no column {', '.join(missing) or 'start_utc'}")
    rows = [_row(row, line) for line, row in enumerate(reader, start=2)]
    if not rows:
        raise InputError("the weather file holds no hour")
    for (one, _), (other, _) in pairwise(rows):
        if other - one != HOUR:
            raise SeriesGap(f"the weather file is not hourly between {iso_utc(one)} and {iso_utc(other)}")
    wind, cloud, temperature, humidity = np.array([values for _, values in rows]).T[:, None, :]
    here = WeatherPoint(
        zone=zone,
        name="file",
        latitude_degrees=0.0,
        longitude_degrees=0.0,
        wind_share=1.0,
        solar_share=1.0,
        demand_share=1.0,
    )
    return WeatherSeries(
        zone=zone,
        start_at=rows[0][0],
        points=(here,),
        wind_km_per_h=wind,
        cloud_percent=cloud,
        temperature_c=temperature,
        humidity_percent=humidity,
        source=source_of("file", (payload,)),
    )


def _row(row: Mapping[str, str], line: int) -> tuple[datetime, list[float]]:
    text = row.get("start_utc") or row.get("start_at") or ""
    try:
        return parse_iso_utc(text), [float(row[name]) for name in COLUMNS]
    except (TypeError, ValueError):
        raise InputError(f"line {line} of the weather file holds no hour with four numbers: {text}") from None
