"""Numbers and times as people read them: three digits, a unit, never an exponent."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo

from greenai.logic.wording import describe_span, percent
from greenai.model.units import J_PER_KWH

UNKNOWN = "unknown"

share = percent
"""A share in percent: 67 %, 2.3 %, -4.1 %."""

Units = tuple[tuple[float, float, str], ...]
"""From which value on, what to multiply by, the unit; zero is written in the middle one."""

GRAMS: Units = ((1000.0, 0.001, "kg"), (0.001, 1.0, "g"), (0.0, 1000.0, "mg"))
ENERGIES: Units = ((0.1, 1.0, "kWh"), (0.0001, 1000.0, "Wh"), (0.0, J_PER_KWH, "J"))


def number(value: float, digits: int = 3) -> str:
    """A number in fixed point with that many significant digits: 1,234 / 56.7 / 0.000940."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def intensity(g_per_kwh: float | None) -> str:
    """An intensity without its unit, for a table whose head names it."""
    if g_per_kwh is None:
        return UNKNOWN
    return f"{g_per_kwh:.0f}" if g_per_kwh >= 9.95 else number(g_per_kwh, 2)


def grams(value_g: float | None, low_g: float | None = None, high_g: float | None = None) -> str:
    """A mass in kg, g or mg, with its interval if given, in the same unit."""
    return _measure((value_g, low_g, high_g), GRAMS)


def energy(value_kwh: float | None, low_kwh: float | None = None, high_kwh: float | None = None) -> str:
    """An energy in kWh, Wh or J, with its interval if given, in the same unit."""
    return _measure((value_kwh, low_kwh, high_kwh), ENERGIES)


def energy_of_j(value_j: float | None) -> str:
    """An energy given in joules, in the unit a person would choose."""
    return energy(None if value_j is None else value_j / J_PER_KWH)


def _measure(known: tuple[float | None, float | None, float | None], units: Units) -> str:
    """Value and interval in the unit that suits the value; an interval that is only the value is left out."""
    value, low, high = known
    if value is None:
        return UNKNOWN
    factor, unit = units[1][1:] if value == 0 else next(unit[1:] for unit in units if abs(value) >= unit[0])
    text = f"{number(value * factor)} {unit}"
    if low is None or high is None or low == high == value:
        return text
    return f"{text} [{number(low * factor)} to {number(high * factor)}]"


def elapsed(duration: timedelta) -> str:
    """A length of time; below a minute with a tenth of a second."""
    seconds = duration.total_seconds()
    return f"{seconds:.1f} s" if 0 < seconds < 60 else describe_span(duration)


def about(duration: timedelta) -> str:
    """A length of time in its two largest units: 6 h 14 min, 2 d 3 h, 45 s."""
    return " ".join(describe_span(duration).split(" ")[:4])


def age(moment_at: datetime | None, now_at: datetime) -> str:
    """How long ago: "12 min ago"; "just now" below five seconds."""
    if moment_at is None:
        return "at an unknown time"
    passed = now_at - moment_at
    if passed < timedelta(seconds=5):
        return "just now"
    return f"{about(passed).split(' s')[0]} s ago" if passed < timedelta(minutes=1) else f"{_coarse(passed)} ago"


def _coarse(passed: timedelta) -> str:
    step = timedelta(minutes=1) if passed < timedelta(days=2) else timedelta(hours=1)
    return about(passed // step * step)


def is_utc(zone: tzinfo, moment_at: datetime) -> bool:
    """Whether clocks in `zone` show the same as UTC at that moment, as London's do in winter."""
    return moment_at.astimezone(zone).utcoffset() == timedelta(0)


def clock_time(moment_at: datetime, zone: tzinfo) -> str:
    """Weekday and time, local with UTC beside it: "Wed 04:00 CET (03:00 UTC)"."""
    local, utc = moment_at.astimezone(zone), moment_at.astimezone(UTC)
    if is_utc(zone, moment_at):
        return f"{utc:%a %H:%M} UTC"
    day = "" if local.date() == utc.date() else f"{utc:%a} "
    return f"{local:%a %H:%M} {local.tzname()} ({day}{utc:%H:%M} UTC)"


def day_time(moment_at: datetime, zone: tzinfo) -> str:
    """The same with the date: "Wed 25 Nov 2026 04:00 CET (03:00 UTC)"."""
    local, utc = moment_at.astimezone(zone), moment_at.astimezone(UTC)
    if is_utc(zone, moment_at):
        return f"{utc:%a %d %b %Y %H:%M} UTC"
    day = "" if local.date() == utc.date() else f"{utc:%a %d %b} "
    return f"{local:%a %d %b %Y %H:%M} {local.tzname()} ({day}{utc:%H:%M} UTC)"
