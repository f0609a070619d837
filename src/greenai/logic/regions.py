"""The packaged table of cloud regions as sites, and how they are named, allowed and found near a point."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Sequence
from typing import Final

from greenai.errors import InputError
from greenai.model.place import Point, Site
from greenai.model.zone import ASSUMED_PUE, Place

EU: Final = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())
"""Member states of the European Union since 2020 (ISO 3166 codes)."""

GROUPS: Final = {"EU": EU, "EEA": EU | {"IS", "LI", "NO"}}
"""Names that stand for several countries; EEA: the EU and Iceland, Liechtenstein, Norway."""


def sites_from_table(table: str) -> tuple[Site, ...]:
    """The sites of facts/cloud_regions.csv, in its order."""
    return tuple(_site(row) for row in csv.DictReader(table.splitlines()))


def _site(row: dict[str, str]) -> Site:
    name = f"{row['cloud']}:{row['region']}"
    return Site(
        name=name,
        title=row["name"],
        country=row["country"],
        place=Place(
            zone=row["zone"],
            cloud_region=name,
            pue=_number(row["pue"]) or 1.0,
            pue_source=_pue_source(row),
            wue_l_per_kwh=_number(row["wue_l_per_kwh"]),
        ),
        point=Point(latitude_degrees=float(row["lat"]), longitude_degrees=float(row["lon"])),
        google_g_per_kwh=_number(row["google_g_per_kwh"]),
        google_cfe_share=_number(row["google_cfe_share"]),
    )


def _pue_source(row: dict[str, str]) -> str:
    """Who states the PUE, and whether for this region or for all of the cloud."""
    stated = {"region": f"{row['cloud']} for this region, {row['pue_year']}", "fleet": f"{row['cloud']} fleet mean"}
    return stated.get(row["pue_kind"], ASSUMED_PUE)


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def site_named(name: str, sites: Sequence[Site]) -> Site:
    """The site of that name, in either case; raises InputError with the nearest names."""
    wanted = name.strip().lower()
    for site in sites:
        if site.name.lower() == wanted:
            return site
    near = nearest_names(wanted, sites)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"there is no place {name.strip()!r}", hint=f"{hint}greenai regions lists the cloud regions")


def nearest_names(wanted: str, sites: Sequence[Site]) -> list[str]:
    """Up to three names most like what was written; a region without its cloud is found under each that has it."""
    cloudless = [site.name for site in sites if site.name.lower().endswith(f":{wanted}")]
    by_lower = {site.name.lower(): site.name for site in sites}
    return cloudless[:3] or [by_lower[key] for key in difflib.get_close_matches(wanted, by_lower, n=3, cutoff=0.6)]


def check_allowed(allowed: Iterable[str]) -> None:
    """Raise InputError for a word that is neither a country, a group nor the beginning of place names."""
    for word in allowed:
        country = len(word) == 2 and word.isalpha()
        if not (country or word.upper() in GROUPS or word.endswith("*")):
            raise InputError(
                f"{word!r} is not a country or group of countries", hint="write EU, EEA, a code like DE, or names like aws:eu-*"
            )


def is_allowed(site: Site, allowed: Sequence[str]) -> bool:
    """Whether the site lies in one of the countries or groups, or its name begins as one of the words with a star does."""
    return any(_meets(site, word) for word in allowed)


def _meets(site: Site, word: str) -> bool:
    if word.endswith("*"):
        return site.name.lower().startswith(word[:-1].lower())
    return site.country in GROUPS.get(word.upper(), {word.upper()})


def near_first(sites: Iterable[Site], point: Point) -> list[Site]:
    """The sites whose point is known, the nearest first."""
    far = [(distance, site) for site in sites if (distance := distance_km(site, point)) is not None]
    return [site for _, site in sorted(far, key=lambda pair: pair[0])]


def distance_km(site: Site, point: Point | None) -> float | None:
    """How far the site is from the point, None where either is not known."""
    return site.point.distance_km(point) if site.point and point else None
