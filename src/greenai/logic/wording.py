"""Moments, spans, shares and intensities as the sentences of plans and errors have them."""

from __future__ import annotations

from datetime import datetime, timedelta

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


def percent(share: float) -> str:
    """A share in percent: "31 %", "1.2 %"."""
    value = share * 100
    return f"{value:.0f} %" if abs(value) >= 9.95 else f"{value:.1f}".removesuffix(".0") + " %"


def g_per_kwh(value: float, *, unit: bool = True) -> str:
    """An intensity: whole grams from 10 on."""
    number = f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"
    return f"{number} g/kWh" if unit else number
