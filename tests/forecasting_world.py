"""Made-up grids: a daily wave, weather-like noise, and what tests need to build them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from greenai.model.series import IntensitySeries, Source
from greenai.model.weather import WeatherPoint, WeatherSeries

START = datetime(2022, 1, 1, tzinfo=UTC)
FIRST_HOUR = int(START.timestamp() // 3600)
HOUR = timedelta(hours=1)
SOURCE = Source(provider="test", url="test:", fetched_at=START, payload_sha256="0" * 64)
POINT = WeatherPoint(
    zone="GB", name="here", latitude_degrees=52.0, longitude_degrees=0.0, wind_share=1.0, solar_share=1.0, demand_share=1.0
)


def slow_noise(hours: int, seed: int) -> np.ndarray:
    """Noise that fades over half a day."""
    rng = np.random.default_rng(seed)
    out = np.zeros(hours)
    for hour in range(1, hours):
        out[hour] = 0.92 * out[hour - 1] + rng.normal()
    return out


def grid(hours: int, *, seed: int = 1, wind: np.ndarray | None = None) -> np.ndarray:
    """Intensities in g/kWh: a day's wave times what noise, and wind if given, make of it."""
    wave = 0.3 * np.sin(2 * np.pi * np.arange(hours) / 24)
    noise = 0.06 * slow_noise(hours, seed)
    return 200 * np.exp(wave + noise - (0.08 * wind if wind is not None else 0.0))


def series(values: np.ndarray, *, step: timedelta = HOUR, start_at: datetime = START) -> IntensitySeries:
    """A measured series."""
    return IntensitySeries(start_at=start_at, step=step, values=values, zone="GB", source=SOURCE)


def weather(wind: np.ndarray, *, start_at: datetime = START) -> WeatherSeries:
    """Weather in which only the wind changes; `wind` around 0 is laid around 20 km/h."""
    flat = np.full((1, len(wind)), 10.0)
    return WeatherSeries(
        zone="GB",
        start_at=start_at,
        points=(POINT,),
        wind_km_per_h=(20 + 3 * wind)[None],
        cloud_percent=flat,
        temperature_c=flat,
        humidity_percent=flat,
        source=SOURCE,
    )
