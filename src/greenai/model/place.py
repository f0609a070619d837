"""A place a job could run at: a grid zone with its building, where it stands, what it costs and what it has."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, hypot, inf, radians, sin, sqrt

from greenai.errors import InputError
from greenai.model.zone import Place, country_of

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""

LIGHT_IN_FIBRE_KM_PER_MS = 200.0
"""Two thirds of the speed of light in vacuum: a refractive index of about 1.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where on Earth, in degrees north and east."""

    latitude_degrees: float
    longitude_degrees: float

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude_degrees <= 90 and -180 <= self.longitude_degrees <= 180):
            raise InputError(
                f"{self.latitude_degrees:g},{self.longitude_degrees:g} is no point on Earth",
                hint="write latitude and longitude in degrees, like 51.5,-0.1",
            )

    def distance_km(self, other: Point) -> float:
        """Great-circle distance (haversine formula)."""
        here, there = radians(self.latitude_degrees), radians(other.latitude_degrees)
        across = sin(radians(other.longitude_degrees - self.longitude_degrees) / 2) * sqrt(cos(here) * cos(there))
        return 2 * EARTH_RADIUS_KM * asin(min(1.0, hypot(sin((there - here) / 2), across)))


def least_round_trip_ms(distance_km: float) -> float:
    """The shortest time there and back that light in a straight fibre would need: no network is faster."""
    return 2 * distance_km / LIGHT_IN_FIBRE_KM_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place by name, with what may rule it in or out. What nobody stated is None: unknown is not zero, and not "yes".

    `price_per_h` is what an hour of the job's hardware costs, in `currency`.
    `hardware` names what it has. `google_g_per_kwh` and `google_cfe_share` are
    Google's yearly grid intensity and share of carbon-free energy, the latter
    counting contracts: shown, never used to choose.
    """

    name: str
    place: Place
    title: str = ""
    country: str = ""
    point: Point | None = None
    price_per_h: float | None = None
    currency: str = ""
    hardware: frozenset[str] | None = None
    google_g_per_kwh: float | None = None
    google_cfe_share: float | None = None

    def __post_init__(self) -> None:
        if self.price_per_h is not None and not 0 <= self.price_per_h < inf:
            raise InputError(f"the price of {self.name} must be 0 or more an hour, not {self.price_per_h}")
        if self.price_per_h is not None and not self.currency:
            raise InputError(f"the price of {self.name} has no currency", hint='add one, for example currency = "EUR"')
        if not self.country:
            object.__setattr__(self, "country", country_of(self.place.zone))

    @property
    def cloud(self) -> str:
        """The cloud it belongs to, empty for a place of the user's own: "aws" of aws:eu-west-2."""
        return self.name.partition(":")[0] if self.place.cloud_region else ""
