"""The forecast a plan rests on: the service's, greenai's own, or both mixed.

First the chain is read (engine/read.py). Where the service says nothing of the
hours asked for, or not of all of them, or the user wants it so, greenai
forecasts itself from the measured past, moved by the weather where the zone has
points, and mixed with the service's forecast by what that has been worth. The
forecast is archived as an answer of its own. Whatever is missing for it leaves
the chain's answer standing, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from greenai.engine.foresight import AUTO, LPR, SERVICE, WITH_SERVICE, WITH_WEATHER, Foresight
from greenai.engine.past import Past, measured_past
from greenai.engine.read import Sources, read_intensity
from greenai.engine.sky import Sky, read_weather
from greenai.errors import InputError, ProviderError, SeriesError, StoreError, UnknownZone
from greenai.logic import forecasting
from greenai.logic.foreseeing import LEARN_DAYS, Outlook, Weights, mixed, outlook_of, parsed, payload_of, since, weights_of
from greenai.logic.history import HOUR, History
from greenai.model.intensity import ChainStep, OwnForecast, Query, Reading
from greenai.model.series import IntensitySeries
from greenai.model.units import floor_to
from greenai.model.weather import WeatherSeries

DAY = timedelta(days=1)
SLOT = timedelta(minutes=30)
OWN = "greenai"
"""Under this name own forecasts are archived."""
OLDEST_PAST = timedelta(days=2)
"""A past that ended earlier says too little about today."""


def foresee(query: Query, *, sources: Sources, require_live: bool = False) -> Reading:
    """The best forecast for `query`; raises what `read_intensity` raises."""
    foresight = sources.foresight
    try:
        reading = _read(query, sources, require_live=require_live)
    except UnknownZone:
        if foresight.file is None or not query.looks_ahead or require_live:
            raise
        reading = _nothing(query)
    if foresight.forecaster == SERVICE or not query.looks_ahead or _suffices(reading, sources):
        return reading
    try:
        return _replayed(query, sources) or _own(reading, sources)
    except (ProviderError, SeriesError, StoreError) as error:
        if foresight.forecaster == AUTO and reading.step != "live":
            return reading
        return replace(reading, fallback_reason=_and(reading.fallback_reason, f"no forecast of our own: {error}"))


def at_hand(zone: str, sources: Sources, now_at: datetime) -> str:
    """What a forecast of our own would rest on, asking nobody: its history, and its weather, in words."""
    query = Query(zone=zone, start_at=now_at, end_at=now_at + DAY, now_at=now_at, purpose="forecast")
    sources = replace(sources, network=False)
    try:
        past = _history_words(measured_past(query, sources, ask=False).history)
    except SeriesError as error:
        past = str(error)
    sky = read_weather(query, sources)
    if sky.series is not None:
        return f"{past}; weather of {len(sky.series.points)} points"
    return f"{past}; {'weather is read when needed' if sky.reason else 'no weather points are known'}"


def _read(query: Query, sources: Sources, *, require_live: bool) -> Reading:
    """The chain's answer; nothing where a file is to be forecast from: what it holds beyond now must not be known."""
    return read_intensity(query, sources=sources, require_live=require_live) if sources.foresight.asks else _nothing(query)


def _nothing(query: Query) -> Reading:
    return Reading(series=None, step="none", fallback_reason=None, query=query)


def _and(*reasons: str | None) -> str | None:
    return "; ".join(reason for reason in reasons if reason) or None


def _suffices(reading: Reading, sources: Sources) -> bool:
    """Whether "auto" leaves it at the service's forecast: it reaches as far as is asked, and no past was given."""
    series, query = reading.series, reading.query
    if sources.foresight.forecaster != AUTO or sources.foresight.file is not None:
        return False
    return series is not None and series.kind == "forecast" and series.covers(query.start_at, query.end_at)


def _replayed(query: Query, sources: Sources) -> Reading | None:
    """The own forecast archived at this moment, where the network is left alone: a plan is replayed by what it was made on."""
    if sources.network or sources.archive is None:
        return None
    for asked, payloads in sources.archive.answers(OWN, query.zone, "forecast", query.now_at):
        if asked.now_at < floor_to(query.now_at, SLOT):
            return None
        series, own, forecaster = parsed(payloads[0])
        if forecaster == sources.foresight.forecaster and series.covers(query.start_at, min(query.end_at, asked.end_at)):
            return Reading(series=series, step="fresh-archive", fallback_reason=None, payloads=payloads[:1], query=query, own=own)
    return None


def _own(reading: Reading, sources: Sources) -> Reading:
    """The own forecast as a reading, archived; raises SeriesError where the past does not allow one."""
    query, foresight = reading.query, sources.foresight
    service = _service_forecast(reading) if foresight.forecaster in WITH_SERVICE else None
    preferred = reading.series.source.provider if reading.series else ""
    past = measured_past(query, sources, first=preferred, ask=sources.network and reading.step in {"live", "none"})
    history = past.history
    if query.now_at - history.end_at > OLDEST_PAST:
        raise SeriesError(f"what was measured in {query.zone} is known up to {history.end_at:%Y-%m-%dT%H:%MZ} only")
    sky = read_weather(query, sources) if foresight.forecaster in WITH_WEATHER else Sky()
    made = _made(history, min(query.end_at - history.end_at, forecasting.MAX_HORIZON), sky, sources)
    notes = [_history_words(history), made.reason, sky.reason]
    if service is not None:
        weights = _weights(history, service, sources)
        made, notes = mixed(made, service, weights), [*notes, weights.words]
    inputs = (*past.payloads, *sky.payloads, *(reading.payloads if service is not None else ()))
    low, high = (bound and since(bound, history, query.start_at) for bound in (made.low, made.high))
    own = OwnForecast(
        method=made.method,
        note="; ".join(note for note in notes if note),
        low=low,
        high=high,
        input_sha256s=tuple(dict.fromkeys(payload.sha256 for payload in inputs)),
    )
    known = Reading(
        series=since(made.series, history, query.start_at),
        step=_step(past, query),
        fallback_reason=_and(*past.reasons, sky.reason, made.reason),
        query=query,
        own=own,
    )
    return _archived(known, own, sources)


def _step(past: Past, query: Query) -> ChainStep:
    """How old the measurements are that the forecast stands on."""
    if past.fresh:
        return "live"
    return "fresh-archive" if query.now_at - past.history.end_at < DAY else "old-archive"


def _archived(reading: Reading, own: OwnForecast, sources: Sources) -> Reading:
    """The forecast as it reads from its own record; raises SeriesError where it does not hold the time asked about."""
    query, series, reason = reading.query, reading.series, reading.fallback_reason
    if series is None or not series.covers(query.start_at, query.start_at + timedelta.resolution):
        raise SeriesError(f"it does not hold {query.start_at:%Y-%m-%dT%H:%MZ}")
    payload = payload_of(series, own, asked=sources.foresight.forecaster, now_at=query.now_at)
    if sources.archive is not None:
        try:
            sources.archive.keep(OWN, query, (payload,))
        except StoreError as error:
            reason = _and(reason, f"archive: {error}")
    again, kept, _ = parsed(payload)
    return replace(reading, series=again, fallback_reason=reason, payloads=(payload,), own=kept)


def _service_forecast(reading: Reading) -> IntensitySeries | None:
    return reading.series if reading.series is not None and reading.series.kind == "forecast" else None


def _history_words(history: History) -> str:
    return f"{history.known_days:.0f} days of history, up to {history.end_at:%Y-%m-%d %H:%M} UTC"


def _made(history: History, horizon: timedelta, sky: Sky, sources: Sources) -> Outlook:
    """The forecast of the method asked for, by the model fitted today where it still serves."""
    foresight = sources.foresight
    if foresight.make is not None:
        return Outlook(series=foresight.make(history, horizon), method=foresight.forecaster)
    if sky.series is not None:
        return _weathered(history, horizon, sky.series, foresight)
    if forecasting.method_for(history)[0] != LPR:
        return outlook_of(forecasting.forecast(history, horizon))
    key = ("model", history.like.zone, floor_to(history.end_at, DAY))
    model = foresight.kept.get(key)
    if model is None or model.leads < forecasting.leads_for(history, horizon):
        foresight.kept[key] = model = forecasting.fit(history, horizon)
    return outlook_of(forecasting.forecast_with(model, history, horizon))


def _weathered(history: History, horizon: timedelta, weather: WeatherSeries, foresight: Foresight) -> Outlook:
    """The forecast with weather; the last one where no hour was measured and no weather said since."""
    known = (history.start_at, history.values_g_per_kwh.tobytes(), weather.source, horizon)
    kept: tuple[Any, Outlook] | None = foresight.kept.get(("weather", history.like.zone))
    if kept is not None and kept[0] == known:
        return kept[1]
    made = outlook_of(forecasting.forecast_with_weather(history, horizon, weather))
    foresight.kept["weather", history.like.zone] = (known, made)
    return made


def _weights(history: History, service: IntensitySeries, sources: Sources) -> Weights:
    """What the service has been worth, learned once a day."""
    leads = forecasting.leads_for(history, forecasting.MAX_HORIZON)
    key = ("weights", service.source.provider, service.zone, floor_to(history.end_at, DAY), leads)
    kept = sources.foresight.kept
    if key not in kept:
        kept[key] = weights_of(history, _said(history, service, sources), leads)
    weights: Weights = kept[key]
    return weights


def _said(history: History, service: IntensitySeries, sources: Sources) -> Iterator[tuple[datetime, IntensitySeries]]:
    """The archived forecasts of a service: one an hour, the newest of it."""
    providers = [one for one in sources.providers if one.name == service.source.provider]
    if sources.archive is None or not providers:
        return
    provider, last_at = providers[0], history.end_at + DAY
    for asked, payloads in sources.archive.answers(provider.name, service.zone, "forecast", history.end_at):
        if asked.now_at < history.end_at - LEARN_DAYS * DAY:
            return
        hour_at = floor_to(asked.now_at, HOUR)
        if hour_at < last_at and asked.end_at > asked.now_at:
            try:
                yield asked.now_at, provider.parse(payloads, asked)
            except (ProviderError, InputError):
                # Kept for the record, no forecast to judge.
                continue
            last_at = hour_at
