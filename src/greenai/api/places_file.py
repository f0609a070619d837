"""Places of the user's own, from a TOML or CSV file: the cluster in the cellar, or a cloud region with its price.

A name of the packaged table (aws:eu-west-2) keeps what that says; what the file states stands above it.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from greenai import _values as values
from greenai import wiring
from greenai.config import Settings
from greenai.errors import InputError
from greenai.model.intensity import Request
from greenai.model.place import Point, Site
from greenai.model.zone import Place


def _hardware(value: object, base: Path) -> frozenset[str]:
    """Names in a TOML list, or in one text parted by spaces or semicolons; in lower case."""
    parts = value if isinstance(value, list) else values.text(value, base).replace(";", " ").split()
    return frozenset(values.text(part, base).lower() for part in parts)


COLUMNS: Mapping[str, values.Read] = {
    "name": values.text,
    "zone": values.zone,
    "pue": values.number(1.0, 5.0),
    "wue": values.number(0.0, 100.0),
    "price_per_hour": values.number(0.0, 1e6),
    "currency": values.text,
    "hardware": _hardware,
    "country": values.text,
    "lat": values.number(-90.0, 90.0),
    "lon": values.number(-180.0, 180.0),
}
"""What may be stated of a place, and how each is read."""

EXAMPLE = 'write [[place]] with name = "cellar", zone = "DE" and so on, or a CSV with the columns name,zone,pue'


def read_places(path: Path, known: Sequence[Site], settings: Settings) -> tuple[Site, ...]:
    """The sites of a file, in its order.

    Raises:
        InputError: the file cannot be read, names a thing twice, or says what cannot be; names the place and the remedy.
    """
    body = text_of(path, settings)
    rows = _toml_rows(body, path) if path.suffix.lower() == ".toml" else _csv_rows(body)
    packaged = {site.name.lower(): site for site in known}
    sites = tuple(_site(row, f"{path.name}, place {number}", packaged) for number, row in enumerate(rows, start=1))
    if not sites:
        raise InputError(f"{path} has no places", hint=EXAMPLE)
    names = [site.name.lower() for site in sites]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path} has the place {twice!r} twice", hint="give each place its own name")
    return sites


def text_of(path: Path, settings: Settings) -> str:
    """A file's text through the door of files; raises InputError where it cannot be read."""
    url = f"file://{quote(str(path.absolute()))}"
    return wiring.sources_of(settings).door.fetch(Request(url=url)).body.decode("utf-8-sig")


def _toml_rows(body: str, path: Path) -> list[dict[str, Any]]:
    try:
        rows = tomllib.loads(body).get("place", [])
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}", hint=EXAMPLE) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"place in {path} is not a list of tables", hint=EXAMPLE)
    return rows


def _csv_rows(body: str) -> list[dict[str, Any]]:
    """The rows, empty cells left out: they state nothing."""
    return [
        {name.strip().lower(): cell for name, cell in row.items() if name and cell and cell.strip()}
        for row in csv.DictReader(body.splitlines())
    ]


def _site(row: Mapping[str, Any], where: str, packaged: Mapping[str, Site]) -> Site:
    said = dict(_read(row, where))
    if "name" not in said:
        raise InputError(f"{where} has no name", hint=EXAMPLE)
    base = packaged.get(said["name"].lower())
    if base is None and "zone" not in said:
        raise InputError(f"{where} ({said['name']}) has no grid zone", hint='add one like zone = "DE"; greenai zones lists them')
    if ("lat" in said) != ("lon" in said):
        raise InputError(f"{where} ({said['name']}) has half a point", hint="give both lat and lon")
    given = base or Site(name=said["name"], place=Place(zone=said["zone"]))
    moved = "zone" in said and said["zone"] != given.place.zone
    return replace(
        given,
        place=_place(given.place, said, where),
        country=said.get("country", "" if moved else given.country).upper(),
        point=Point(latitude_degrees=said["lat"], longitude_degrees=said["lon"]) if "lat" in said else given.point,
        price_per_h=said.get("price_per_hour"),
        currency=said.get("currency", "").upper(),
        hardware=said.get("hardware"),
    )


def _place(given: Place, said: Mapping[str, Any], where: str) -> Place:
    pue = {"pue": said["pue"], "pue_source": f"stated in {where}"} if "pue" in said else {}
    return replace(given, zone=said.get("zone", given.zone), wue_l_per_kwh=said.get("wue", given.wue_l_per_kwh), **pue)


def _read(row: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if key not in COLUMNS:
            raise InputError(f"{where} states an unknown {key!r}", hint=f"a place has {', '.join(COLUMNS)}")
        try:
            yield key, COLUMNS[key](value, Path())
        except InputError as error:
            raise InputError(f"{where}, {key}: {error}", hint=error.hint) from None
