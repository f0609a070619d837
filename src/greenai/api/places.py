"""The verbs that look at places: plan_places chooses place and time together, regions lists the cloud regions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

from greenai import wiring
from greenai.api.asking import DEFAULT_SLACK, Asking, Moment, Span, job_of, moment_of, refuse_unknown, span_of
from greenai.api.places_file import read_places, text_of
from greenai.config import Settings
from greenai.engine.foresee import foresee
from greenai.engine.read import Sources, read_intensity
from greenai.errors import InputError, ProviderError, UnknownZone
from greenai.logic.beside import Beside, beside
from greenai.logic.moving import Known, Moving, PlaceLimits, Weights
from greenai.logic.regions import check_allowed, distance_km, is_allowed, near_first, site_named, sites_from_table
from greenai.logic.routing import Question, Routing, route
from greenai.logic.routing_document import routing_document, site_document
from greenai.model.intensity import Provider, Query, Reading, Request
from greenai.model.job import Job
from greenai.model.place import Point, Site, least_round_trip_ms
from greenai.model.series import Basis
from greenai.model.units import as_utc
from greenai.zones import WORLD

NOWHERE = "the world's mean is no place to compare with; say where the job runs otherwise with --home or --zone"

ASSUMED_KW = 1.0
"""Taken where nobody says what the job draws: all figures are then per kW."""


class Choosing(TypedDict, total=False):
    """What a place must keep, and what moving costs."""

    allow: str | Sequence[str] | None
    """Countries, EU or EEA, or beginnings of names (aws:eu-*): residency."""
    max_price: float | None
    """The most an hour may cost."""
    hardware: str | None
    """What the place must have."""
    near: str | tuple[float, float] | None
    """Latitude and longitude, from which distance and latency count; home's, if not given."""
    within_km: float | None
    """The greatest distance."""
    max_latency_ms: float | None
    """The longest round trip, by the time that light needs in fibre."""
    same_scope: bool
    """Refuse a place whose source counts other emissions (direct, lifecycle) than home's."""
    data_gb: float
    """Data that must be sent when the job moves, GB."""
    egress_price: float
    """What a GB of it costs."""
    restart_cost: Span | None
    """Work lost when the job moves, as run time."""
    cost_weight: float
    """Grams one would emit to save one unit of money."""
    water_weight: float
    """Grams one would emit to save one litre of water."""
    power_kw: float | None
    """What the job's hardware draws; without it 1 kW."""


class PlanPlaces(Asking, Choosing, total=False):
    """What `plan_places` may be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesAnswer:
    """The choice, the job it is about, and what each place's plan does on the other basis, by name of the place."""

    question: Question
    routing: Routing
    beside: Mapping[str, Beside]
    power_assumed: bool

    def document(self) -> dict[str, Any]:
        """The choice as JSON types; its schema is greenai/schemas/places.schema.json."""
        return routing_document(self.question, self.routing, self.beside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One cloud region. `g_per_kwh` is its country's yearly mean, `source` what is asked first, as things are set."""

    site: Site
    g_per_kwh: float | None
    source: str
    distance_km: float | None
    least_round_trip_ms: float | None

    def document(self) -> dict[str, Any]:
        """The region as JSON types."""
        point = self.site.point
        return {
            **site_document(self.site),
            "latitude_degrees": point.latitude_degrees if point else None,
            "longitude_degrees": point.longitude_degrees if point else None,
            "yearly_g_per_kwh": self.g_per_kwh,
            "source": self.source,
            "distance_km": self.distance_km,
            "least_round_trip_ms": self.least_round_trip_ms,
            "google_g_per_kwh": self.site.google_g_per_kwh,
            "google_cfe_share": self.site.google_cfe_share,
        }


def plan_places(
    places: str | Sequence[str] = (),
    *,
    places_file: str | os.PathLike[str] | None = None,
    home: str | None = None,
    at: Moment | None = None,
    series: str | Path | None = None,
    require_live: bool = False,
    tell: Callable[[str, int, int], None] | None = None,
    settings: Settings | None = None,
    **ask: Unpack[PlanPlaces],
) -> PlacesAnswer:
    """Where and when a job should run: `plan_places("aws:eu-north-1,gcp:europe-west1", duration="4h")`.

    `places` are names of `regions()` or of `places_file`, whose places are all
    meant if none is named. `home` is where the job runs otherwise: such a name, a
    grid zone, or by default the zone of the settings. `ask` holds the job's limits
    (`Asking`) and those of places (`Choosing`). `tell` hears what was read, how many
    grids are, and of how many, from several threads.

    Raises:
        NoFeasibleWindow: no place can be chosen; says why not, place by place.
        InputError: an unknown name, or an argument, setting or file that cannot be used.
    """
    refuse_unknown("plan_places", ask, PlanPlaces)
    if ask.get("duration") is None:
        raise InputError("a plan needs to know how long the job takes", hint="add --duration, for example --duration 2h")
    if ask.get("scaling") is not None:
        raise InputError("an elastic job is planned for one place only", hint="leave out --scaling, or the places")
    known = wiring.settings_with(settings, series=series)
    clock_at = wiring.system_clock().now()
    now_at = clock_at if at is None else as_utc(moment_of(at, clock_at), name="at")
    here, sites = _candidates(places, places_file, home, known)
    _refuse_one_for_all(sites, known)
    question = _question(ask, known, here, now_at)
    network = at is None or known.series is not None
    found = _read_all(sites, question, known, require_live=require_live, network=network, tell=tell)
    routing = route(question, found, wiring.policy_named(question.job.policy))
    besides = _beside_all(routing, question, known) if network else {}
    return PlacesAnswer(question=question, routing=routing, beside=besides, power_assumed=_power_kw(ask, known) is None)


def regions(
    cloud: str | None = None,
    *,
    near: str | tuple[float, float] | None = None,
    within_km: float | None = None,
    allow: str | Sequence[str] | None = None,
    settings: Settings | None = None,
) -> tuple[Region, ...]:
    """The known cloud regions, the nearest first where `near` (latitude, longitude) is given. Nothing is asked over the network.

    Raises:
        InputError: an unknown cloud or group of countries, or a distance without a point.
    """
    known = wiring.settings_with(settings)
    point, allowed = _point(near), _words(allow)
    check_allowed(allowed)
    if within_km is not None and point is None:
        raise InputError("a distance needs the point it is counted from", hint="add --near LAT,LON, for example --near 51.5,-0.1")
    sites = [site for site in _packaged(known, cloud) if not allowed or is_allowed(site, allowed)]
    sites = near_first(sites, point) if point else sites
    if within_km is not None:
        sites = [site for site in sites if (far := distance_km(site, point)) is not None and far <= within_km]
    zones = {site.place.zone for site in sites}
    asked, means = _first_sources(zones, known), _yearly_means(zones, known)
    return tuple(_region(site, point, asked[site.place.zone], means.get(site.place.zone)) for site in sites)


def _packaged(settings: Settings, cloud: str | None = None) -> tuple[Site, ...]:
    table = wiring.sources_of(settings).door.fetch(Request(url="package:cloud_regions.csv")).body.decode()
    sites = sites_from_table(table)
    if cloud is None:
        return sites
    clouds = sorted({site.cloud for site in sites})
    if cloud.lower() not in clouds:
        raise InputError(f"there is no cloud {cloud!r}", hint=f"known are {', '.join(clouds)}")
    return tuple(site for site in sites if site.cloud == cloud.lower())


def _region(site: Site, point: Point | None, asked: Provider | None, g_per_kwh: float | None) -> Region:
    far = distance_km(site, point)
    return Region(
        site=site,
        g_per_kwh=g_per_kwh,
        source=asked.name if asked else "none",
        distance_km=far,
        least_round_trip_ms=None if far is None else least_round_trip_ms(far),
    )


def _first_sources(zones: Iterable[str], settings: Settings) -> dict[str, Provider | None]:
    """What would be asked first for each zone, as things are set."""
    ready = [one for one in wiring.providers_of(settings) if not one.lacks(wiring.access_to(one.name, settings))]
    return {zone: next((one for one in ready if one.covers(zone)), None) for zone in zones}


def _yearly_means(zones: Iterable[str], settings: Settings) -> dict[str, float]:
    """The packaged yearly mean of each zone's country, where there is one."""
    annual = tuple(one for one in wiring.every_provider(settings) if one.name == "annual")
    sources = replace(wiring.sources_of(settings, network=False), providers=annual, archive=None)
    now_at = wiring.system_clock().now()
    found = {}
    for zone in zones:
        query = Query(zone=zone, start_at=now_at, end_at=now_at, now_at=now_at, purpose="forecast")
        reading = _read(query, sources, require_live=False)
        if isinstance(reading, Reading) and reading.series is not None:
            found[zone] = float(reading.series.values[0])
    return found


def _candidates(
    places: str | Sequence[str], places_file: str | os.PathLike[str] | None, home: str | None, settings: Settings
) -> tuple[Site, tuple[Site, ...]]:
    """Home, and every place to compare with home among them, each name once."""
    packaged = _packaged(settings)
    own = () if places_file is None else read_places(Path(places_file), packaged, settings)
    taken = {site.name for site in own}
    everywhere = (*own, *(site for site in packaged if site.name not in taken))
    names = _words(places)
    sites = [site_named(name, everywhere) for name in names] if names else list(own)
    if not sites:
        raise InputError("no places to choose among", hint="name some, like aws:eu-north-1,gcp:europe-west1; see greenai regions")
    here = _home(home, everywhere, settings)
    return here, tuple({site.name: site for site in (here, *sites)}.values())


def _refuse_one_for_all(sites: Sequence[Site], settings: Settings) -> None:
    """Raise InputError where the user gave the past or future of one grid and there are several."""
    zones = sorted({site.place.zone for site in sites})
    alone = [
        *(["one number"] if settings.constant_g_per_kwh is not None else []),
        *(path.name for path in (settings.series, settings.history) if path is not None and not _by_region(path, settings)),
    ]
    if len(zones) > 1 and alone:
        raise InputError(
            f"{alone[0]} cannot stand for several grids: {', '.join(zones)}",
            hint="give --series a table region,UTC_hour,carbon_intensity_gco2_per_kwh, or leave it to the services",
        )


def _by_region(path: Path, settings: Settings) -> bool:
    """Whether a series file tells grids apart."""
    head = text_of(path, settings).partition("\n")[0]
    return "region" in head.lower().split(",")


def _home(name: str | None, sites: Sequence[Site], settings: Settings) -> Site:
    """Where the job runs otherwise: a place by name, a grid zone, or the zone and building of the settings."""
    if name is None:
        return Site(name=settings.zone, place=wiring.place_of(settings), title="home")
    if any(site.name.lower() == name.strip().lower() for site in sites) or ":" in name:
        return site_named(name, sites)
    zone = wiring.settings_with(settings, zone=name).zone
    return Site(name=zone, place=replace(wiring.place_of(settings), zone=zone), title="home")


def _question(ask: PlanPlaces, settings: Settings, home: Site, now_at: datetime) -> Question:
    job = job_of((), ask, replace(settings, zone=home.place.zone), now_at=now_at, job_id="plan", slack=DEFAULT_SLACK)
    allowed = _words(ask.get("allow"))
    check_allowed(allowed)
    within_km, latency_ms = ask.get("within_km"), ask.get("max_latency_ms")
    limits = PlaceLimits(
        allowed=allowed,
        max_price_per_h=ask.get("max_price"),
        hardware=(ask.get("hardware") or "").strip(),
        near=_point(ask.get("near")) or home.point,
        within_km=within_km,
        max_round_trip_ms=latency_ms,
        same_scope=ask.get("same_scope", False),
    )
    restart = ask.get("restart_cost")
    moving = {"restart_cost": span_of(restart)} if restart is not None else {}
    return Question(
        job=job,
        now_at=now_at,
        home=home.name,
        power_kw=_power_kw(ask, settings) or ASSUMED_KW,
        limits=limits,
        moving=Moving(data_gb=ask.get("data_gb", 0.0), egress_price_per_gb=ask.get("egress_price", 0.0), **moving),
        weights=Weights(g_per_money=ask.get("cost_weight", 0.0), g_per_l=ask.get("water_weight", 0.0)),
    )


def _power_kw(ask: PlanPlaces, settings: Settings) -> float | None:
    """What the job draws, as asked or set; None where nobody says."""
    asked = ask.get("power_kw")
    if asked is not None:
        return asked
    return settings.assumed_w / 1000 if settings.assumed_w else None


def _words(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """The words of a list, or of one text parted by commas."""
    parts = given.split(",") if isinstance(given, str) else given or ()
    return tuple(part.strip() for part in parts if part.strip())


def _point(given: str | tuple[float, float] | None) -> Point | None:
    if given is None:
        return None
    try:
        latitude, longitude = (float(part) for part in (given.split(",") if isinstance(given, str) else given))
    except ValueError:
        raise InputError(f"{given!r} is not a point", hint="write latitude and longitude in degrees, like 51.5,-0.1") from None
    return Point(latitude_degrees=latitude, longitude_degrees=longitude)


def _query(zone: str, job: Job, now_at: datetime) -> Query:
    return Query(zone=zone, start_at=now_at, end_at=job.constraints.deadline_at, now_at=now_at, purpose="forecast")


def _read_all(
    sites: Sequence[Site],
    question: Question,
    settings: Settings,
    *,
    require_live: bool,
    network: bool,
    tell: Callable[[str, int, int], None] | None,
) -> tuple[Known, ...]:
    """What is known of each site's grid; each zone is read once, services beside each other, each service one zone at a time."""
    groups: dict[str, list[str]] = {}
    zones = dict.fromkeys(site.place.zone for site in sites if site.place.zone != WORLD)
    for zone, asked in _first_sources(zones, settings).items():
        groups.setdefault(asked.name if asked else "", []).append(zone)
    heard, of = list[str](), len(zones)

    def read(zones: list[str]) -> dict[str, Reading | str]:
        # Doors of its own for each thread. A service that counts its reads lets only the next in line wait.
        sources = wiring.sources_of(settings, network=network)
        found: dict[str, Reading | str] = {}
        for zone in zones:
            query = _query(zone, question.job, question.now_at)
            found[zone] = _read(query, sources, require_live=require_live, how=foresee)
            heard.append(zone)
            if tell is not None:
                tell(f"reading the grid of {zone}", len(heard), of)
        return found

    with ThreadPoolExecutor(max_workers=max(1, len(groups))) as pool:
        readings: dict[str, Reading | str] = {WORLD: NOWHERE}
        readings |= {zone: reading for part in pool.map(read, groups.values()) for zone, reading in part.items()}
    return tuple(_known(site, readings[site.place.zone]) for site in sites)


def _read(query: Query, sources: Sources, *, require_live: bool, how: Callable[..., Reading] = read_intensity) -> Reading | str:
    """The reading, or in words why there is none: one place without a source must not cost the others."""
    try:
        return how(query, sources=sources, require_live=require_live)
    except (UnknownZone, ProviderError) as error:
        return str(error)


def _known(site: Site, reading: Reading | str) -> Known:
    if isinstance(reading, str):
        return Known(site=site, series=None, step="none", why=reading)
    return Known(site=site, series=reading.series, step=reading.step, why=reading.fallback_reason or "")


def _beside_all(routing: Routing, question: Question, settings: Settings) -> dict[str, Beside]:
    """Each place's plan on the basis it was not made on, as far as a live source of that one can be asked."""
    series = routing.chosen.known.series
    basis: Basis = "marginal" if series is None or series.basis == "average" else "average"
    other = replace(settings, basis=basis, series=None, constant_g_per_kwh=None)
    sources = wiring.sources_of(other)
    planned = [offer for offer in routing.offers if offer.decision is not None]
    firsts = _first_sources(dict.fromkeys(offer.site.place.zone for offer in planned), other)
    asked = [zone for zone, first in firsts.items() if first is not None and first.live]
    answers = {zone: _read(_query(zone, question.job, question.now_at), sources, require_live=True) for zone in asked}
    found = {}
    for offer in planned:
        reading = answers.get(offer.site.place.zone)
        if offer.decision and isinstance(reading, Reading) and reading.series is not None:
            found[offer.site.name] = beside(offer.decision, reading.series, question.now_at)
    return {name: one for name, one in found.items() if one is not None}
