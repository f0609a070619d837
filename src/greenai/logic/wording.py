"""Moments, spans, shares and intensities as the sentences of plans and errors have them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenai.model.intensity import ChainStep, Reading

LOUD: Mapping[ChainStep, str] = MappingProxyType(
    {
        "fresh-archive": "ARCHIVED",
        "old-archive": "ARCHIVED",
        "climatology": "MODELLED: the usual day of this season, not today's grid",
        "annual": "ANNUAL MEAN: flat, it can account but never justifies waiting",
        "none": "UNKNOWN: nothing is known of this grid",
    }
)
"""What must be known of a reading that is not live, by the step that gave it."""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def when(moment_at: datetime) -> str:
    """A moment in UTC: "Wed 25 Nov 03:00 UTC"."""
    return f"{moment_at:%a %d %b %H:%M} UTC"


def span_words(span: timedelta) -> str:
    """A span in its largest unit and the next, the rest dropped: "6 h 30 min"; what is said to fit does fit."""
    left_s = int(span.total_seconds())
    largest = next((place for place, (unit_s, _) in enumerate(_UNITS) if left_s >= unit_s), len(_UNITS) - 1)
    words = []
    for unit_s, unit in _UNITS[largest : largest + 2]:
        count, left_s = divmod(left_s, unit_s)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words) or "0 s"


def describe_span(span: timedelta) -> str:
    """A span in words that can be read back: "1 d 2 h", "1 h 30 min", "45 s"; whole seconds."""
    left_s = round(abs(span.total_seconds()))
    parts = []
    for unit, unit_s in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left_s = divmod(left_s, unit_s)
        if count:
            parts.append(f"{count} {unit}")
    return ("-" if span < timedelta(0) and parts else "") + (" ".join(parts) or "0 s")


def percent(share: float) -> str:
    """A share in percent: "31 %", "1.2 %"."""
    value = share * 100
    return f"{value:.0f} %" if abs(value) >= 9.95 else f"{value:.1f}".removesuffix(".0") + " %"


def g_per_kwh(value: float, *, unit: bool = True) -> str:
    """An intensity: whole grams from 10 on."""
    number = f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"
    return f"{number} g/kWh" if unit else number


def loud(reading: Reading) -> str:
    """What a person must know before trusting the numbers, and why; empty for a live reading."""
    if reading.step not in LOUD:
        return ""
    return f"{LOUD[reading.step]} ({reading.fallback_reason})" if reading.fallback_reason else LOUD[reading.step]
