"""Typical days of 13 grids: the mean course of the intensity by month, weekday or weekend, and UTC hour.

value = ratio(month, weekend, hour) x mean. The ratios come from hourly records
of 2020 and 2021 and average to 1 over a year. The mean of a country is its
latest yearly one; a grid that is part of a country keeps the mean of its own
record, because the country's trend is not the grid's (facts/README.md).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from greenai.errors import UnknownZone
from greenai.model.intensity import Access, Payload, Provider, Query, Request, slots_over, source_of
from greenai.model.series import IntensitySeries
from greenai.model.zone import country_of

HOUR = timedelta(hours=1)
SATURDAY = 5

COUNTRIES = frozenset({"DE", "ES", "FR", "GB", "NL", "PL", "SE"})
PARTS = frozenset({"AU-QLD", "US-CAL-CISO", "US-MIDA-PJM", "US-NE-ISNE", "US-NY-NYIS", "US-TEX-ERCO"})
"""The grids there are ratios for: whole countries, and parts of one that stand for themselves alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A zone's mean, and whose and when it is."""

    g_per_kwh: float
    years: str


def grid_of(zone: str) -> str | None:
    """Whose typical days a zone has: its own, else its country's (GB-13 -> GB, DE-LU -> DE), else none."""
    if zone in COUNTRIES | PARTS:
        return zone
    return country_of(zone) if country_of(zone) in COUNTRIES else None


def covers(zone: str) -> bool:
    """The 13 grids, and the parts of those that are whole countries."""
    return grid_of(zone) is not None


def requests(_query: Query, _access: Access) -> Sequence[Request]:
    """The packaged ratios, the means of their records, and the countries' latest means."""
    names = ("climatology.csv", "climatology_sources.csv", "annual_intensity.csv")
    return tuple(Request(url=f"package:{name}") for name in names)


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The typical days over the whole span, hourly; the source names grid, mean and year."""
    grid = grid_of(query.zone)
    if grid is None:
        raise UnknownZone(f"no typical days are known for {query.zone}")
    ratios, means, annual = payloads
    level = _level(grid, means, annual)
    typical = _typical_days(grid, ratios)
    hours = slots_over(query, HOUR)
    return IntensitySeries(
        start_at=hours[0],
        step=HOUR,
        values=np.array([typical[_kind_of_hour(hour)] for hour in hours]) * level.g_per_kwh,
        zone=query.zone,
        basis="average",
        scope="lifecycle",
        kind="modelled",
        source=source_of("climatology", payloads, detail=f"grid={grid}&mean_g_per_kwh={level.g_per_kwh:g}&years={level.years}"),
    )


def _kind_of_hour(hour: datetime) -> tuple[int, int, int]:
    return hour.month, int(hour.weekday() >= SATURDAY), hour.hour


def _typical_days(grid: str, ratios: Payload) -> dict[tuple[int, int, int], float]:
    """Ratio to the yearly mean by (month, weekend, UTC hour)."""
    return {
        (int(row["month"]), int(row["weekend"]), int(row["hour_utc"])): float(row["ratio_mean"]) for row in _table(ratios, grid)
    }


def _level(grid: str, means: Payload, annual: Payload) -> Level:
    if grid in COUNTRIES:
        (row,) = _table(annual, grid)
        return Level(g_per_kwh=float(row["g_per_kwh"]), years=row["year"])
    (row,) = _table(means, grid)
    return Level(g_per_kwh=float(row["mean_g_per_kwh"]), years=row["years"])


def _table(payload: Payload, grid: str) -> Iterator[dict[str, str]]:
    """The rows of a packaged table that begin with the grid's key."""
    header, *lines = payload.body.decode("utf-8").splitlines()
    yield from csv.DictReader([header, *(line for line in lines if line.startswith(f"{grid},"))])


provider = Provider(
    name="climatology",
    title="Typical days of 13 grids by month, weekend and hour",
    live=False,
    covers=covers,
    requests=requests,
    parse=parse,
)
