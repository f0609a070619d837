"""What the archive holds of a zone for judging forecasts: what was said, and what came; what is missing is read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from greenai.engine.foresee import OWN
from greenai.engine.read import Sources, read_intensity
from greenai.errors import ProviderError, ProviderRefused, SeriesError
from greenai.logic.foreseeing import parsed
from greenai.logic.history import History, history_of
from greenai.model.intensity import Access, OwnForecast, Payload, Provider, Query
from greenai.model.series import IntensitySeries

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LAG = timedelta(hours=2)
"""Measured values may be published so late: an end nearer to now is not asked for again."""
LAST_DAY = timedelta(hours=23)
"""What a plan that sells no history still gives (Electricity Maps)."""
LONGEST_SKIP = timedelta(hours=24)

Issue = tuple[datetime, IntensitySeries]
"""When a forecast was read, and what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """One provider's past of a zone: its forecasts, and what it published of what came (None: nothing, for this `reason`)."""

    provider: Provider
    issues: tuple[Issue, ...] = ()
    truth: History | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What greenai forecast itself for plans, by one method: forecasts with their 10th and 90th percentile, where it gave any."""

    method: str
    issues: tuple[Issue, ...]
    lows: tuple[Issue, ...]
    highs: tuple[Issue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The hours to judge, [judged_from_at, now_at), and how much further back own forecasters learn from."""

    zone: str
    learn_from_at: datetime
    judged_from_at: datetime
    now_at: datetime


def pasts_of(sources: Sources, span: Span) -> list[Archived]:
    """Every live provider that has something to say of the zone: archived forecasts, or measured values.

    Providers with archived forecasts are asked for what they measured; where there are none, the first that measures is.
    """
    live = [one for one in sources.providers if one.live and one.covers(span.zone)]
    said = {one.name: tuple(issues_of(sources, one, span)) for one in live}
    found = []
    for provider in live:
        wanted = bool(said[provider.name]) or not any(said.values())
        past = _past(sources, provider, span, wanted=wanted)
        found.append(replace(past, issues=said[provider.name]))
        if past.truth is not None and not any(said.values()):
            break
    return [one for one in found if one.issues or one.truth is not None or one.reason]


def issues_of(sources: Sources, provider: Provider, span: Span) -> Iterator[Issue]:
    """Forecasts that the archive holds, newest first, each from the moment it was read, whatever it was asked as of."""
    if sources.archive is None:
        return
    for asked, payloads in sources.archive.answers(provider.name, span.zone, "forecast", span.now_at):
        issued_at = max((payload.fetched_at for payload in payloads), default=asked.now_at)
        if issued_at < span.judged_from_at:
            return
        try:
            series = provider.parse(payloads, asked)
        except (ProviderError, SeriesError):
            # An answer that was of no use then is none now.
            continue
        if series.end_at > issued_at:
            yield issued_at, series


def planned_of(sources: Sources, span: Span) -> list[Planned]:
    """The forecasts of greenai's own that plans rested on, by method; a record that cannot be read is passed over."""
    if sources.archive is None:
        return []
    found: dict[str, list[tuple[datetime, IntensitySeries, OwnForecast]]] = {}
    for _, payloads in sources.archive.answers(OWN, span.zone, "forecast", span.now_at):
        made_at = payloads[0].fetched_at
        if made_at < span.judged_from_at:
            break
        try:
            series, own, _ = parsed(payloads[0])
        except ProviderError:
            continue
        found.setdefault(own.method, []).append((made_at, series, own))
    return [
        Planned(
            method=method,
            issues=tuple((at, series) for at, series, _ in made),
            lows=tuple((at, own.low) for at, _, own in made if own.low is not None),
            highs=tuple((at, own.high) for at, _, own in made if own.high is not None),
        )
        for method, made in sorted(found.items())
    ]


def _past(sources: Sources, provider: Provider, span: Span, *, wanted: bool) -> Archived:
    """What a provider measured: from the archive, and where that lacks a part and `wanted`, read now."""
    truth = _archived_truth(sources, provider, span)
    missing_at = _missing_from(truth, span)
    if missing_at is None or not wanted or provider.lacks(sources.access.get(provider.name, Access())):
        return Archived(provider=provider, truth=truth)
    reason = _read(sources, provider, span, missing_at)
    return Archived(provider=provider, truth=_archived_truth(sources, provider, span), reason=reason)


def _read(sources: Sources, provider: Provider, span: Span, from_at: datetime) -> str:
    """Read, and so archive, what was measured from `from_at` on; why it was not to be had, else empty.

    A refusal is followed by a try for the last day alone: some plans sell no more.
    """
    reason = ""
    for start_at in dict.fromkeys((from_at, max(from_at, span.now_at - LAST_DAY))):
        query = Query(zone=span.zone, start_at=start_at, end_at=span.now_at, now_at=span.now_at, purpose="observed")
        try:
            read_intensity(query, sources=replace(sources, providers=(provider,)), require_live=True)
        except ProviderRefused as error:
            reason = reason or str(error)
        except ProviderError as error:
            return reason or str(error)
        else:
            return reason
    return reason


def _missing_from(truth: History | None, span: Span) -> datetime | None:
    """From where on measured values are missing; None where there are enough. Holes in the middle were asked for once."""
    if truth is None or truth.start_at > span.learn_from_at + DAY:
        return span.learn_from_at
    return truth.end_at if truth.end_at < span.now_at - LAG else None


def _archived_truth(sources: Sources, provider: Provider, span: Span) -> History | None:
    """What the archive holds of what came, answers of the same nature as the newest one."""
    if sources.archive is None:
        return None
    # What was read a moment ago is there too, later than the moment this began.
    answers = list(sources.archive.answers(provider.name, span.zone, "observed", span.now_at + DAY))
    pieces = [
        piece
        for asked, payloads in reversed(answers)
        if asked.end_at > span.learn_from_at
        for piece in pieces_of(provider, payloads, asked)
        if piece.kind == "observed" or provider.basis == "marginal"
    ]
    alike = [piece for piece in pieces if _nature(piece) == _nature(pieces[-1])]
    return history_of(*alike) if alike else None


def _nature(piece: IntensitySeries) -> tuple[object, ...]:
    """What the parts of one past must agree in."""
    into = (piece.start_at - datetime.min.replace(tzinfo=piece.start_at.tzinfo)) % piece.step
    return piece.basis, piece.scope, piece.step, into


def pieces_of(provider: Provider, payloads: Sequence[Payload], asked: Query) -> Iterator[IntensitySeries]:
    """Every gapless piece that an answer holds of what was asked: a series ends at a hole, the next begins behind it."""
    at, skip = asked.start_at, HOUR
    while at < asked.end_at:
        try:
            series = provider.parse(payloads, replace(asked, start_at=at))
        except (ProviderError, SeriesError):
            at, skip = at + skip, min(2 * skip, LONGEST_SKIP)
        else:
            yield series
            at, skip = series.end_at, HOUR
