"""The weather over a zone: a year of past forecasts, asked once, and the hours ahead, asked again each hour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from greenai.engine.past import LOOK_BACK
from greenai.engine.read import Sources
from greenai.errors import InputError, ProviderError, ProviderUnavailable, StoreError
from greenai.model.intensity import Access, Payload, Query, Request
from greenai.model.units import floor_to
from greenai.model.weather import WeatherSeries

SAME = timedelta(hours=1)
"""Weather runs change every 1 to 6 h: an answer of this hour is as good as a new one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sky:
    """The weather read, or why there is none; of a zone without points neither."""

    series: WeatherSeries | None = None
    payloads: tuple[Payload, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One read: whose, and whether its answer changes with time."""

    service: str
    request: Request
    changes: bool


def read_weather(query: Query, sources: Sources) -> Sky:
    """The weather that a forecast for `query` may use; trouble with the service is a reason, never an error."""
    service = sources.foresight.weather
    if service is None:
        return Sky()
    try:
        points = service.points_of(sources.door.fetch(service.points), query.zone)
        if not points:
            return Sky()
        span = (query.now_at - LOOK_BACK, query.end_at)
        access = sources.access.get(service.name, Access())
        *past, present = service.requests(points, span, query.now_at, access)
        asked = [_Asked(service=service.name, request=request, changes=False) for request in past]
        asked.append(_Asked(service=service.name, request=present, changes=True))
        payloads = tuple(_answers(asked, query, sources))
        return Sky(series=service.parse(payloads, points), payloads=payloads)
    except (ProviderError, InputError, StoreError) as error:
        return Sky(reason=f"without weather: {service.name}: {error}")


def _answers(asked: list[_Asked], query: Query, sources: Sources) -> Iterator[Payload]:
    """Each read's answer, the archived one where it is as good as a new one; raises ProviderError, StoreError."""
    for done, one in enumerate(asked):
        since_at = floor_to(query.now_at, SAME) if one.changes and sources.network else None
        known = _archived(one, since_at, query, sources)
        if known is None and not one.changes:
            sources.foresight.tell(f"reading the weather of {query.zone} from {one.service}", done, len(asked))
        yield known or _fetched(one, query, sources)


def _archived(asked: _Asked, since_at: datetime | None, query: Query, sources: Sources) -> Payload | None:
    """The newest archived answer to the same read, of `since_at` or later if that is given."""
    if sources.archive is None:
        return None
    for _query, payloads in sources.archive.answers(asked.service, query.zone, "forecast", query.now_at):
        if since_at is not None and payloads[0].fetched_at < since_at:
            return None
        if payloads[0].url == asked.request.url:
            return payloads[0]
    return None


def _fetched(asked: _Asked, query: Query, sources: Sources) -> Payload:
    if not sources.network:
        raise ProviderUnavailable("not asked, the network is left alone here")
    payload = sources.door.fetch(asked.request)
    if sources.archive is not None:
        sources.archive.keep(asked.service, query, (payload,))
    return payload
