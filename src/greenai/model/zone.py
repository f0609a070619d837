"""Where electricity is drawn: a grid zone, and the building around the machine."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from greenai.errors import InputError

ASSUMED_PUE = "assumed 1.0: no building overhead stated"
"""pue_source of a place whose building nobody described."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A grid zone with its building.

    `zone` is a key such as GB, GB-13, DE or US-CAL-CISO. PUE multiplies IT energy
    once; WUE is litres per kWh of IT energy. `pue_source` says who stated it.
    """

    zone: str
    cloud_region: str | None = None
    pue: float = 1.0
    pue_source: str = ASSUMED_PUE
    wue_l_per_kwh: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.pue < inf:
            raise InputError(f"a PUE is total over IT energy, so at least 1, not {self.pue}")
        if self.wue_l_per_kwh is not None and not 0 <= self.wue_l_per_kwh < inf:
            raise InputError(f"a WUE is litres per kWh, so at least 0, not {self.wue_l_per_kwh}")

    @property
    def pue_stated(self) -> bool:
        """Whether somebody stated the building's overhead."""
        return self.pue_source != ASSUMED_PUE


def country_of(zone: str) -> str:
    """ISO 3166 two-letter country of a zone key ("US-CAL-CISO" -> "US")."""
    return zone.split("-", 1)[0].upper()
