"""A forecast of greenai's own as a record: what it says, what it was made from, and how it mixes with a service's.

The record is one JSON document, archived like the answer of a service, so that a
plan made on it replays and evidence priced by it recomputes bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from greenai.errors import ProviderBadData
from greenai.logic.blending import ANCHOR_H, anchored, fair_share, lead_weights
from greenai.logic.forecasting import LPR_DAYS, Forecast
from greenai.logic.forecasting_lpr import rolling, rows_of
from greenai.logic.forecasting_profile import DAY, filled, log_of
from greenai.logic.history import EPOCH, HOUR, History, hourly
from greenai.logic.skill import came
from greenai.model.evidence import canonical, sha256_of
from greenai.model.intensity import OwnForecast, Payload
from greenai.model.series import FloatArray, IntensitySeries, Source
from greenai.model.units import floor_to, iso_utc, parse_iso_utc

SCHEMA = "greenai.own-forecast/1"
SCHEME = "forecast:"
"""How the address of such a record begins."""

LEARN_DAYS = 60
"""A service is judged by its forecasts of so many last days."""
REFIT_H = 7 * DAY
ENOUGH = 24
"""With fewer past forecasts nothing is learned worth the word: half and half."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """The share of a service by lead in hours, shape (leads,), and how many of its past forecasts taught it."""

    by_lead_share: FloatArray
    taught: int

    @property
    def words(self) -> str:
        """In one clause."""
        if self.taught < ENOUGH:
            return f"half and half, {self.taught} past forecasts are too few to learn from"
        low, high = float(self.by_lead_share.min()), float(self.by_lead_share.max())
        return f"the service weighs {low:.0%} to {high:.0%}, learned on {self.taught} past forecasts"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """A forecast by any method: of this package, of a plug-in (no interval), or mixed; `reason`: why not a better method."""

    series: IntensitySeries
    low: IntensitySeries | None = None
    high: IntensitySeries | None = None
    method: str
    reason: str = ""


def outlook_of(made: Forecast) -> Outlook:
    """One of this package's forecasts."""
    return Outlook(series=made.series, low=made.low, high=made.high, method=made.method, reason=made.reason)


def means_over(series: IntensitySeries, start_at: datetime, step: timedelta, count: int) -> FloatArray:
    """Mean g/kWh of `count` slots from `start_at` on, shape (count,); NaN where less than half of one is known."""
    offsets_s = series.offset_s(start_at) + np.arange(count + 1) * step.total_seconds()
    inside_s = np.clip(offsets_s, 0.0, series.step_s * len(series))
    known_h = np.diff(inside_s) / HOUR.total_seconds()
    enough = known_h >= 0.5 * (step / HOUR) - 1e-9
    grams = np.diff(series.cumulative_g_per_kw(inside_s))
    return np.where(enough, grams / np.where(enough, known_h, 1.0), np.nan)


def weights_of(history: History, said: Iterable[tuple[datetime, IntensitySeries]], leads: int) -> Weights:
    """What a service's forecasts have been worth beside LPR-A's of the same hours; `said` holds (when, forecast).

    Uses forecasts of hours in the history only, and of what came, what lies in it.
    """
    hours = hourly(history)
    log_g = log_of(hours.values_g_per_kwh)
    n, first = len(log_g), max(round(LPR_DAYS) * DAY, len(log_g) - LEARN_DAYS * DAY)
    by_row = {(at - EPOCH) // HOUR - hours.first_hour: (at, series) for at, series in said}
    rows = sorted(row for row in by_row if first <= row < n)
    if len(rows) < ENOUGH:
        return Weights(by_lead_share=np.full(leads, 0.5), taught=len(rows))
    table = rows_of(filled(log_g), hours.known, first_hour=hours.first_hour, leads=leads)
    own = rolling(table, list(range(first, n, REFIT_H)), n)
    service = np.array([_hours(*by_row[row], leads) for row in rows])
    then = came(log_g, leads)[rows]
    known = own[np.array(rows) - first], anchored(service, then[:, 0]), then
    shares = lead_weights(*known, prior=fair_share(*known))
    return Weights(by_lead_share=shares, taught=len(rows))


def _hours(at: datetime, series: IntensitySeries, leads: int) -> FloatArray:
    """A forecast made at a moment, by whole hours from its own on, in logarithms."""
    return log_of(means_over(series, floor_to(at, HOUR), HOUR, leads))


def mixed(own: Outlook, service: IntensitySeries, weights: Weights) -> Outlook:
    """Our forecast moved toward the service's by its weight per lead; where that says nothing, ours.

    The service's is anchored to ours at its first slot (the error there decays over
    6 h). The measured first slot stays; the interval moves along.
    """
    series = own.series
    told_log = log_of(means_over(service, series.start_at, series.step, len(series)))
    known = np.flatnonzero(np.isfinite(told_log))
    if not known.size:
        return own
    own_log = log_of(series.values)
    begun = (series.start_at - floor_to(series.start_at, HOUR)) / HOUR
    lead_h = begun + np.arange(len(series)) * (series.step / HOUR)
    first = int(known[0])
    told_log = told_log + (own_log[first] - told_log[first]) * np.exp(-(lead_h - lead_h[first]) / ANCHOR_H)
    share = weights.by_lead_share[np.minimum(lead_h.astype(np.int64), len(weights.by_lead_share) - 1)]
    moved = np.nan_to_num(share * (told_log - own_log))
    moved[0] = 0.0
    factor = np.exp(moved)
    low, high = (bound and _times(bound, factor) for bound in (own.low, own.high))
    method = f"blend({service.source.provider},{own.method})"
    return replace(own, series=_times(series, factor), low=low, high=high, method=method)


def _times(series: IntensitySeries, factor: FloatArray) -> IntensitySeries:
    return replace(series, values=series.values * factor)


def since(series: IntensitySeries, history: History, start_at: datetime) -> IntensitySeries:
    """The forecast from the slot that holds `start_at` on, measured values put before it where it begins later."""
    first, last = ((moment - history.start_at) // series.step for moment in (start_at, series.start_at))
    joins = series.start_at <= history.end_at
    before = history.values_g_per_kwh[first:last] if joins and 0 <= first < last else history.values_g_per_kwh[:0]
    whole = np.concatenate((before, series.values))
    begin_at = series.start_at - len(before) * series.step
    skip = max((start_at - begin_at) // series.step, 0)
    return replace(series, start_at=begin_at + skip * series.step, values=whole[skip:])


def payload_of(series: IntensitySeries, own: OwnForecast, *, asked: str, now_at: datetime) -> Payload:
    """The record of a forecast made at `now_at` by the forecaster `asked` for, as an answer to be archived."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "asked": asked,
        "method": own.method,
        "note": own.note,
        "zone": series.zone,
        "basis": series.basis,
        "scope": series.scope,
        "start_at": iso_utc(series.start_at),
        "step_s": series.step_s,
        "issued_at": iso_utc(now_at),
        "g_per_kwh": series.values.tolist(),
        "low_g_per_kwh": own.low.values.tolist() if own.low else None,
        "high_g_per_kwh": own.high.values.tolist() if own.high else None,
        "input_sha256s": list(own.input_sha256s),
    }
    body = canonical(document)
    return Payload(url=f"{SCHEME}{own.method}?zone={series.zone}", body=body, sha256=sha256_of(body), fetched_at=now_at)


def is_own(payloads: Sequence[Payload]) -> bool:
    """Whether the answer is a forecast of greenai's own."""
    return bool(payloads) and payloads[0].url.startswith(SCHEME)


def parsed(payload: Payload) -> tuple[IntensitySeries, OwnForecast, str]:
    """Series, how it was made and the forecaster asked for, out of a record; raises ProviderBadData for another shape."""
    try:
        document = json.loads(payload.body)
        values, low, high = (_series(document, payload, name) for name in ("g_per_kwh", "low_g_per_kwh", "high_g_per_kwh"))
        own = OwnForecast(
            method=document["method"], note=document["note"], low=low, high=high, input_sha256s=tuple(document["input_sha256s"])
        )
        asked = document["asked"]
    except (KeyError, TypeError, ValueError) as error:
        raise ProviderBadData(f"the record of an own forecast cannot be read: {error!r}") from None
    if values is None or document["schema"] != SCHEMA:
        raise ProviderBadData(f"the record of an own forecast is not a {SCHEMA}")
    return values, own, asked


def _series(document: dict[str, Any], payload: Payload, name: str) -> IntensitySeries | None:
    if document[name] is None:
        return None
    return IntensitySeries(
        start_at=parse_iso_utc(document["start_at"]),
        step=timedelta(seconds=document["step_s"]),
        values=np.array(document[name], dtype=np.float64),
        zone=document["zone"],
        basis=document["basis"],
        scope=document["scope"],
        kind="forecast",
        issued_at=parse_iso_utc(document["issued_at"]),
        source=Source(provider=document["method"], url=payload.url, fetched_at=payload.fetched_at, payload_sha256=payload.sha256),
    )
