"""Where electricity is drawn: a grid zone, and the building around the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A grid zone with its building.

    `zone` is a key such as GB, GB-13, DE or US-CAL-CISO. PUE multiplies IT energy
    once; WUE is litres per kWh of IT energy. `pue_source` says who stated it.
    """

    zone: str
    cloud_region: str | None = None
    pue: float = 1.0
    pue_source: str = "assumed 1.0: no building overhead stated"
    wue_l_per_kwh: float | None = None


def country_of(zone: str) -> str:
    """ISO 3166 two-letter country of a zone key ("US-CAL-CISO" -> "US")."""
    return zone.split("-", 1)[0].upper()
