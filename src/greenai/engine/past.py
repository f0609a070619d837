"""The measured past of a grid: from a file, the archive, and the service, as little of it as is not yet known.

What was asked before is not asked again: an archived answer stands for the time
it was asked about, but for its last day, which services still revise. Gaps are
tolerated. With the network left alone the archive answers alone, so that a
moment is replayed as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from greenai.engine.read import Sources, access_of, fetch_and_keep
from greenai.errors import InputError, MixedSeries, ProviderError, SeriesError, StoreError
from greenai.logic.history import History, history_of, until
from greenai.model.intensity import Payload, Provider, Query
from greenai.model.series import IntensitySeries
from greenai.model.units import floor_to

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LOOK_BACK = timedelta(days=365)
SPACED_LOOK_BACK = timedelta(days=84)
"""Of a service that wants seconds between two reads: what three reads bring. The archive makes it more day by day."""
LONGEST_ASKED = timedelta(days=28)
ARCHIVED = timedelta(days=1096)
REVISED = timedelta(days=1)
"""Services still correct what they published so long ago."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A measured past up to now, the answers it was read from, whether the service was read just now, and what went wrong."""

    history: History
    payloads: tuple[Payload, ...]
    fresh: bool
    reasons: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True, frozen=True)
class _Found:
    """What is known of one service's past: gapless pieces, the answers that hold them, and the time asked about."""

    pieces: list[IntensitySeries] = field(default_factory=list)
    payloads: list[Payload] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def add(self, other: _Found) -> None:
        """Take in what another holds."""
        self.pieces.extend(other.pieces)
        self.payloads.extend(other.payloads)
        self.spans.extend(other.spans)


def measured_past(query: Query, sources: Sources, *, first: str = "", ask: bool) -> Past:
    """The past of the query's zone up to its `now_at`; the provider named `first` is preferred.

    `ask` False: no service is asked. Raises SeriesError where nothing is known.
    """
    reasons: list[str] = []
    given, payloads = _of_file(query, sources)
    for provider in _candidates(query, sources, first):
        found, news = _Found(), _Found()
        kept = _remembered(provider, query, sources, reasons)
        found.add(kept)
        if ask:
            _ask(provider, query, sources, kept=kept, news=news, reasons=reasons)
        if found.pieces or news.pieces:
            parts = (*payloads, *found.payloads, *news.payloads)
            history = _joined([*given, *found.pieces, *news.pieces], query, reasons)
            return Past(history=history, payloads=parts, fresh=bool(news.pieces), reasons=tuple(reasons))
    if not given:
        why = f": {'; '.join(reasons)}" if reasons else ""
        raise SeriesError(f"no measured past of {query.zone} is at hand{why}", hint="give one with --history FILE")
    alone = not sources.foresight.asks
    return Past(history=_joined(given, query, reasons), payloads=payloads, fresh=alone, reasons=tuple(reasons))


def stretches(provider: Provider, query: Query, payloads: Sequence[Payload]) -> Iterator[IntensitySeries]:
    """The gapless measured pieces in an answer.

    After a hole the next piece is felt for in growing steps of up to a day, then
    its beginning, to the hour, by halving the last step.
    """
    start_at, jump = query.start_at, HOUR
    while start_at < query.end_at:
        series = _piece(provider, replace(query, start_at=start_at), payloads)
        if series is None:
            start_at, jump = start_at + jump, min(2 * jump, DAY)
            continue
        blank_at = max(query.start_at, start_at - jump)
        while start_at - blank_at > HOUR:
            middle_at = blank_at + (start_at - blank_at) // HOUR // 2 * HOUR
            earlier = _piece(provider, replace(query, start_at=middle_at), payloads)
            start_at, blank_at, series = (start_at, middle_at, series) if earlier is None else (middle_at, blank_at, earlier)
        yield series
        start_at, jump = max(series.end_at, start_at + HOUR), HOUR


def _piece(provider: Provider, query: Query, payloads: Sequence[Payload]) -> IntensitySeries | None:
    """What was measured from the query's start on, None where nothing was."""
    try:
        series = provider.parse(payloads, query)
    except (ProviderError, InputError):
        return None
    return series if series.kind == "observed" else None


def missing(known: Iterable[Span], start_at: datetime, end_at: datetime) -> list[Span]:
    """The parts of [start, end) that no known span holds, in order."""
    parts = []
    for begin_at, stop_at in sorted(known):
        if begin_at > start_at:
            parts.append((start_at, min(begin_at, end_at)))
        start_at = max(start_at, stop_at)
        if start_at >= end_at:
            break
    parts.append((start_at, end_at))
    return [(begin_at, stop_at) for begin_at, stop_at in parts if begin_at < stop_at]


def _of_file(query: Query, sources: Sources) -> tuple[Sequence[IntensitySeries], tuple[Payload, ...]]:
    """The pieces of the user's file, archived with the rest; read once a day."""
    foresight = sources.foresight
    if foresight.file is None:
        return (), ()
    key = ("file", query.zone, floor_to(query.now_at, DAY))
    if key not in foresight.kept:
        payload = sources.door.fetch(foresight.file)
        pieces = foresight.read_file(payload, query.zone)
        _keep_file(query, sources, payload)
        foresight.kept[key] = (pieces, (payload,))
    found: tuple[Sequence[IntensitySeries], tuple[Payload, ...]] = foresight.kept[key]
    return found


def _keep_file(query: Query, sources: Sources, payload: Payload) -> None:
    if sources.archive is not None:
        try:
            sources.archive.keep("history", query, (payload,))
        except StoreError:
            # A broken archive never costs the answer; the chain has said what is wrong with it.
            return


def _candidates(query: Query, sources: Sources, first: str) -> list[Provider]:
    """The live sources of the zone that may be asked, the preferred one first."""
    able = [
        provider
        for provider in sources.providers
        if sources.foresight.asks
        and provider.live
        and provider.covers(query.zone)
        and not provider.lacks(access_of(provider, sources))
    ]
    return sorted(able, key=lambda provider: provider.name != first)


def _remembered(provider: Provider, query: Query, sources: Sources, reasons: list[str]) -> _Found:
    """What the archive holds of a provider's measurements, newest first, read once a day."""
    key = ("past", provider.name, query.zone, floor_to(query.now_at, DAY))
    kept = sources.foresight.kept
    if key not in kept:
        kept[key] = found = _Found()
        try:
            _read_archive(provider, query, sources, found)
        except StoreError as error:
            reasons.append(f"archive: {error}")
    remembered: _Found = kept[key]
    return remembered


def _read_archive(provider: Provider, query: Query, sources: Sources, found: _Found) -> None:
    archive, from_at = sources.archive, query.now_at - ARCHIVED
    if archive is None:
        return
    seen: list[Span] = []
    answers: list[_Found] = []
    for asked, payloads in archive.answers(provider.name, query.zone, "observed", query.now_at):
        # What was read later says all that an earlier answer says of the same time.
        if asked.end_at > from_at and missing(seen, max(asked.start_at, from_at), asked.end_at):
            answers.append(_found_in(provider, asked, payloads))
            seen.append((asked.start_at, asked.end_at))
        if not missing(seen, from_at, query.now_at - REVISED):
            break
    for answer in reversed(answers):
        found.add(answer)


def _found_in(provider: Provider, asked: Query, payloads: Sequence[Payload]) -> _Found:
    pieces = list(stretches(provider, asked, payloads))
    span = (asked.start_at, min(asked.end_at, _fetched_at(payloads, asked) - REVISED))
    return _Found(pieces=pieces, payloads=list(payloads) if pieces else [], spans=[span])


def _fetched_at(payloads: Sequence[Payload], query: Query) -> datetime:
    """When the last part of an answer was read."""
    return max((payload.fetched_at for payload in payloads), default=query.now_at)


def _ask(provider: Provider, query: Query, sources: Sources, *, kept: _Found, news: _Found, reasons: list[str]) -> None:
    """Put into `news` what the service says of the time not in `kept`, the newest part first; all but the last days are kept too.

    The first failure ends the asking.
    """
    wanted = _wanted(provider, query, sources, tuple(kept.spans))
    for done, (begin_at, stop_at) in enumerate(wanted):
        if len(wanted) > 1:
            sources.foresight.tell(f"reading the past of {query.zone} from {provider.name}", done, len(wanted))
        piece = Query(zone=query.zone, start_at=begin_at, end_at=stop_at, now_at=query.now_at, purpose="observed")
        try:
            found = _found_in(provider, piece, fetch_and_keep(piece, provider, sources))
        except ProviderError as error:
            reasons.append(f"history of {provider.name}: {error}")
            return
        news.add(found)
        if begin_at < query.now_at - 3 * REVISED:
            kept.add(found)


def _wanted(provider: Provider, query: Query, sources: Sources, known: Sequence[Span]) -> list[Span]:
    """The time to ask about, in pieces of at most four weeks, the newest first."""
    now_at = query.now_at
    tried = Query(zone=query.zone, start_at=now_at - LONGEST_ASKED, end_at=now_at, now_at=now_at, purpose="observed")
    spaced = any(request.spacing_s for request in provider.requests(tried, access_of(provider, sources)))
    from_at = floor_to(now_at, DAY) - (SPACED_LOOK_BACK if spaced else LOOK_BACK)
    pieces: list[Span] = []
    for begin_at, stop_at in missing(known, from_at, now_at):
        count = -((begin_at - stop_at) // LONGEST_ASKED)
        edges = [begin_at, *(stop_at - LONGEST_ASKED * number for number in range(count - 1, 0, -1)), stop_at]
        pieces += pairwise(edges)
    return sorted(pieces, reverse=True)


def _joined(pieces: Sequence[IntensitySeries], query: Query, reasons: list[str]) -> History:
    """All pieces that can be one past with the newest, cut at now; later given ones win where they overlap."""
    newest = max(pieces, key=lambda piece: piece.end_at)
    alike = []
    for piece in pieces:
        # A file rarely says its scope: it is the user's word that it is this grid's history.
        same = replace(piece, scope=newest.scope) if piece.scope == "unstated" else piece
        try:
            history_of(same, newest)
        except MixedSeries as error:
            if str(error) not in reasons:
                reasons.append(str(error))
            continue
        alike.append(same)
    return until(history_of(*alike), query.now_at)
