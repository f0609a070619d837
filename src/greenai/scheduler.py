"""The prototype's gate, kept under its old path: may a job run now?"""

from __future__ import annotations

from typing import Any

from greenai.api.planning import forecast
from greenai.config import Settings
from greenai.errors import ProviderError
from greenai.model.units import iso_utc
from greenai.wiring import settings_with

PROTOTYPE_ZONE = "GB"
"""The prototype knew only Great Britain: taken when no zone was ever stated."""


def should_run(threshold_gco2_per_kwh: float = 200, *, settings: Settings | None = None) -> tuple[bool, dict[str, Any]]:
    """Whether the grid's intensity now is below a threshold in g/kWh, and on what that rests.

    The decision holds timestamp_utc, region, carbon_intensity (g/kWh) and
    threshold; a fifth key, fallback, only when the intensity is not a live one.

    Raises:
        ProviderError: nothing at all is known of the zone.
    """
    known = settings_with(settings)
    zone = known.zone if "zone" in known.origins and not known.origins["zone"].startswith(("from", "the")) else PROTOTYPE_ZONE
    reading = forecast(zone, settings=known)
    if reading.series is None:
        raise ProviderError(f"nothing is known of zone {zone}: {reading.fallback_reason}")
    intensity_g_per_kwh = reading.series.at(reading.query.now_at)
    decision: dict[str, Any] = {
        "timestamp_utc": iso_utc(reading.query.now_at),
        "region": zone,
        "carbon_intensity": intensity_g_per_kwh,
        "threshold": threshold_gco2_per_kwh,
    }
    if reading.step != "live":
        decision["fallback"] = f"{reading.step}: {reading.fallback_reason or 'no live service covers this zone'}"
    return intensity_g_per_kwh < threshold_gco2_per_kwh, decision
