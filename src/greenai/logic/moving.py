"""What it costs to run elsewhere: the data that is moved, the work that is lost, and the limits a place must keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenai.errors import InputError
from greenai.logic.regions import distance_km, is_allowed
from greenai.model.footprint import Estimate
from greenai.model.place import Point, Site, least_round_trip_ms
from greenai.model.series import IntensitySeries
from greenai.model.zone import Place

TRANSFER_KWH_PER_GB = Estimate(value=0.001, low=0.001, high=0.06)
"""Energy of the network for a gigabyte. Value and low: Cloud Carbon Footprint's coefficient between data centres (Apache-2.0).
High: Aslan et al. 2018 (doi:10.1111/jiec.12630), fixed-line internet with its access networks in 2015; they find that it halves
every two years, so that it is an upper bound today."""

UNSTATED_PUE_AWAY = 1.58
"""Taken for a building elsewhere that nobody described: the industry's mean of 2018 (Strubell et al. 2019). At home 1.0 is
taken: what is not known must never argue for moving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLimits:
    """What rules a place out. `allowed` holds countries, groups or beginnings of names; empty: everywhere."""

    allowed: tuple[str, ...] = ()
    max_price_per_h: float | None = None
    hardware: str = ""
    near: Point | None = None
    within_km: float | None = None
    max_round_trip_ms: float | None = None
    same_scope: bool = False

    def __post_init__(self) -> None:
        if self.near is None and (self.within_km is not None or self.max_round_trip_ms is not None):
            raise InputError(
                "a distance or latency needs the point it is counted from",
                hint="add --near LAT,LON, for example --near 51.5,-0.1",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """What running away from home brings with it: data sent, work redone as extra run time, and what a GB costs to send."""

    data_gb: float = 0.0
    restart_cost: timedelta = timedelta(0)
    egress_price_per_gb: float = 0.0

    def __post_init__(self) -> None:
        if min(self.data_gb, self.egress_price_per_gb) < 0 or self.restart_cost < timedelta(0):
            raise InputError("data, its price and the restart cost cannot be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Grams one would emit to save one unit of money, and one litre of water: what makes three sums one objective."""

    g_per_money: float = 0.0
    g_per_l: float = 0.0

    def __post_init__(self) -> None:
        if min(self.g_per_money, self.g_per_l) < 0:
            raise InputError("a weight cannot be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A site and what was found out about its grid: `why` holds the reason where the first source did not answer."""

    site: Site
    series: IntensitySeries | None
    step: str
    why: str = field(default="")


def broken(site: Site, limits: PlaceLimits) -> Iterator[str]:
    """Which limits the site breaks by what is stated of it, in words."""
    if limits.allowed and not is_allowed(site, limits.allowed):
        yield f"{site.country} is not allowed ({', '.join(limits.allowed)})"
    price, most = site.price_per_h, limits.max_price_per_h
    if most is not None and price is not None and price > most:
        yield f"it costs {price:g} {site.currency} an hour, more than {most:g}"
    if limits.hardware and site.hardware is not None and limits.hardware.lower() not in site.hardware:
        yield f"it has no {limits.hardware}"
    far = distance_km(site, limits.near)
    if far is not None:
        yield from _too_far(far, limits)


def _too_far(far_km: float, limits: PlaceLimits) -> Iterator[str]:
    if limits.within_km is not None and far_km > limits.within_km:
        yield f"it is {far_km:.0f} km away, more than {limits.within_km:g}"
    trip_ms, most_ms = least_round_trip_ms(far_km), limits.max_round_trip_ms
    if most_ms is not None and trip_ms > most_ms:
        yield f"light needs {trip_ms:.0f} ms there and back, more than {most_ms:g}"


def unstated(site: Site, limits: PlaceLimits) -> Iterator[str]:
    """What the limits ask and nobody stated of the site: no reason to leave home, every reason not to go elsewhere."""
    if limits.max_price_per_h is not None and site.price_per_h is None:
        yield "its price is not stated"
    if limits.hardware and site.hardware is None:
        yield "what hardware it has is not stated"
    if site.point is None and (limits.within_km is not None or limits.max_round_trip_ms is not None):
        yield "where it stands is not stated"


def pue_taken(place: Place, *, at_home: bool) -> float:
    """The PUE that is reckoned with, as stated or as assumed against moving."""
    return place.pue if place.pue_stated or at_home else UNSTATED_PUE_AWAY


def transfer_g(data_gb: float, ends: tuple[IntensitySeries | None, IntensitySeries], span: tuple[datetime, datetime]) -> Estimate:
    """Grams of sending the data: GB x kWh/GB x the mean intensity of both ends over the time in which it may be sent.

    The mean does not depend on the start that is chosen, as when the data moves is
    nobody's decision here. Where home is not known, or of another basis, the other end stands for both.
    """
    away = ends[1]
    means = [_mean(end, span) for end in ends if end is not None and end.basis == away.basis]
    return TRANSFER_KWH_PER_GB.scaled(data_gb * sum(means) / len(means))


def _mean(series: IntensitySeries, span: tuple[datetime, datetime]) -> float:
    """Mean over what the series has of the span, g/kWh."""
    return series.mean_g_per_kwh(max(span[0], series.start_at), min(span[1], series.end_at))
