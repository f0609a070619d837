"""The grid zone a machine is probably in: the country of its time zone. No network is asked.

The tables are tzdata's: zone.tab names the country of each time zone, tzdata.zi
the current name behind each old one ("Asia/Calcutta"). A time zone of no
country, such as UTC, gives the world's mean, which is flat: nobody is told to
wait on a guess.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

WORLD: Final = "WORLD"

_NAMES_ANOTHER_COUNTRY = frozenset(
    {"CET", "EET", "EST", "HST", "MET", "MST", "WET", "Iceland", "Africa/Asmera", "Africa/Timbuktu", "America/Coral_Harbour"}
    | {"America/Virgin", "Antarctica/South_Pole", "Atlantic/Jan_Mayen", "Pacific/Ponape", "Pacific/Truk", "Pacific/Yap"}
)
"""Old names that tzdata points at a time zone of another country: "Iceland" at Africa/Abidjan, "EST" at America/Panama.

Found by comparing each link's name with zone1970.tab (tzdata 2026).
"""


def country_of_timezone(name: str) -> str | None:
    """ISO 3166 code of the country a time zone belongs to, None if it belongs to none: "Europe/London" -> "GB"."""
    countries = _countries()
    if name in countries:
        return countries[name]
    if name in _NAMES_ANOTHER_COUNTRY:
        return None
    return countries.get(_current_name(name))


def timezone_name(environ: Mapping[str, str]) -> str | None:
    """The IANA name of the machine's time zone: TZ if set, else the system's; None if it has no such name."""
    if "TZ" in environ:
        name = environ["TZ"].removeprefix(":")
        return "UTC" if not name else name if _zone(name) else None
    name = _asked_of_tzlocal("get_localzone_name")
    return name if name and _zone(name) else None


def local_timezone(environ: Mapping[str, str]) -> tzinfo:
    """The machine's time zone, for reading and showing times; UTC where TZ makes no sense, as the C library has it."""
    name = timezone_name(environ)
    if name:
        return _zone(name) or UTC
    # Without a name there may still be a rule in TZ, or an /etc/localtime that is a plain file.
    found: tzinfo | None = _zone_of_rule(environ["TZ"]) if "TZ" in environ else _asked_of_tzlocal("get_localzone")
    return found or UTC


def default_zone(environ: Mapping[str, str]) -> tuple[str, str]:
    """The grid zone when none is set, and the words that say where it comes from."""
    name = timezone_name(environ)
    if name is None:
        return WORLD, "the world's mean: the machine's time zone has no name"
    country = country_of_timezone(name)
    if country is None:
        return WORLD, f"the world's mean: no country is known for the time zone {name}"
    if country not in _metered_countries():
        return WORLD, f"the world's mean: no source knows {country}, the country of the time zone {name}"
    return country, f"from the time zone {name}"


def _countries() -> dict[str, str]:
    rows = (line.split("\t") for line in _lines("tzdata", "zoneinfo", "zone.tab") if not line.startswith("#"))
    return {row[2]: row[0] for row in rows}


def _metered_countries() -> frozenset[str]:
    """Countries of which at least the yearly mean is packaged."""
    rows = _lines("greenai.facts", "annual_intensity.csv")
    return frozenset(row.split(",", 1)[0] for row in rows[1:])


def _current_name(name: str) -> str:
    """What tzdata calls this time zone now; a name that is current or unknown stays."""
    ending = f" {name}"
    return next(
        (
            line.split()[1]
            for line in _lines("tzdata", "zoneinfo", "tzdata.zi")
            if line.startswith("L ") and line.endswith(ending)
        ),
        name,
    )


def _lines(package: str, *path: str) -> list[str]:
    from importlib.resources import files

    return files(package).joinpath(*path).read_text(encoding="utf-8").splitlines()


def _asked_of_tzlocal(question: str) -> Any:
    """What tzlocal knows of the system; None where it knows nothing."""
    import tzlocal

    with warnings.catch_warnings():
        # Without any configuration tzlocal warns and answers UTC: the answer says the same.
        warnings.simplefilter("ignore")
        try:
            return getattr(tzlocal, question)()
        except (LookupError, OSError, ValueError):
            return None


def _zone(name: str) -> ZoneInfo | None:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        return None


def _zone_of_rule(rule: str) -> ZoneInfo | None:
    """The time zone of a POSIX rule such as EST5EDT,M3.2.0,M11.1.0: the footer of an otherwise empty TZif file (RFC 8536)."""
    import io
    import struct
    from zoneinfo import ZoneInfo

    block = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbB", 0, 0, 0) + b"UTC\0"
    try:
        return ZoneInfo.from_file(io.BytesIO(block + block + b"\n" + rule.encode() + b"\n"), key=rule)
    except ValueError:
        return None
