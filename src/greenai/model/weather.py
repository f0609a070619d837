"""Weather over a grid: hourly values at a few points, each weighted by what stands there.

The past part is what was forecast for each hour shortly before it (or what
happened), the part after `issued_at` is the forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from greenai.errors import SeriesError
from greenai.model.intensity import Access, Payload, Request
from greenai.model.series import FloatArray, Source
from greenai.model.units import as_utc

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherPoint:
    """A place whose weather matters to a zone, and its share of the zone's wind power, solar power and demand."""

    zone: str
    name: str
    latitude_degrees: float
    longitude_degrees: float
    wind_share: float
    solar_share: float
    demand_share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeatherSeries:
    """Hourly weather of a zone's points; each array has shape (points, n), finite; slot i starts at start_at + i hours.

    `wind_km_per_h` at 10 m, `cloud_percent`, `temperature_c`, `humidity_percent`
    (relative). `points` carry the weights; a single city counts for all.
    """

    zone: str
    start_at: datetime
    points: tuple[WeatherPoint, ...]
    wind_km_per_h: FloatArray
    cloud_percent: FloatArray
    temperature_c: FloatArray
    humidity_percent: FloatArray
    issued_at: datetime | None = None
    source: Source

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_at", as_utc(self.start_at, name="start_at"))
        shape = (len(self.points), np.shape(self.wind_km_per_h)[-1])
        for name in ("wind_km_per_h", "cloud_percent", "temperature_c", "humidity_percent"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape != shape or not values.size:
                raise SeriesError(f"weather of {self.zone}: {name} has shape {values.shape}, not {shape}")
            if not np.isfinite(values).all():
                raise SeriesError(f"weather of {self.zone}: {name} holds a value that is no number")
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return int(self.wind_km_per_h.shape[1])

    @property
    def end_at(self) -> datetime:
        """First moment no longer covered."""
        return self.start_at + HOUR * len(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherService:
    """A source of weather: two pure functions, and the table of points it is asked for.

    `points_of(payload, zone)` reads the points of a zone from the answer to
    `points`. `requests(points, span, now_at, access)` gives the reads in order:
    the last one is of the present, the answers to those before it never change.
    """

    name: str
    points: Request
    points_of: Callable[[Payload, str], tuple[WeatherPoint, ...]]
    requests: Callable[[Sequence[WeatherPoint], tuple[datetime, datetime], datetime, Access], Sequence[Request]]
    parse: Callable[[Sequence[Payload], Sequence[WeatherPoint]], WeatherSeries]
