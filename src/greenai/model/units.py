"""Constants and conversions, each with its source.

Outside: kWh, g, L, seconds. Inside meters: joules.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from greenai.errors import InputError

J_PER_KWH = 3_600_000.0
"""1 kWh = 3.6 MJ (SI brochure, 9th edition, table 8)."""

G_PER_LB = 453.59237
"""International avoirdupois pound (exact, 1959 agreement)."""

SECONDS_PER_HOUR = 3600.0


def kwh_from_j(energy_j: float) -> float:
    """Joules to kilowatt-hours."""
    return energy_j / J_PER_KWH


def as_utc(moment: datetime, *, name: str = "time") -> datetime:
    """The same moment in UTC; a naive datetime is refused, never guessed."""
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise InputError(
            f"{name} {moment.isoformat()} has no time zone", hint="give an aware datetime, for example with tzinfo=UTC"
        )
    return moment.astimezone(UTC)


def floor_to(moment: datetime, step: timedelta) -> datetime:
    """The last multiple of `step` since the epoch that is not after `moment`."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((moment - epoch) // step) * step


def ceil_to(moment: datetime, step: timedelta) -> datetime:
    """The first multiple of `step` since the epoch that is not before `moment`."""
    floored = floor_to(moment, step)
    return floored if floored == moment else floored + step


@lru_cache(maxsize=8192)
def iso_utc(moment: datetime) -> str:
    """RFC 3339 in UTC with a Z, microseconds only when there are any. Kept: thousands of jobs wait for the same moments."""
    return as_utc(moment).isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=8192)
def parse_iso_utc(text: str) -> datetime:
    """Read an RFC 3339 timestamp; without an offset it is refused. Jobs of one array have the same ones: they are kept."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is not an ISO 8601 time", hint="write it like 2026-11-24T09:00Z") from None
    return as_utc(moment, name=repr(text))
