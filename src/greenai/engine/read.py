"""Reading the grid: the fallback chain from a live answer to a yearly mean.

live -> fresh archive -> older archive -> climatology -> annual -> none. The
sources are asked live first, always; the archive answers only when they fail.
Which step answered, and why the ones before it did not, is part of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from greenai.engine.asking import Keyring, answers_of
from greenai.engine.foresight import Foresight, Tell
from greenai.errors import (
    InputError,
    ProviderBadData,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SeriesError,
    StoreError,
    UnknownZone,
)
from greenai.model.intensity import Access, ChainStep, Payload, Provider, Query, Reading, Request
from greenai.model.series import IntensitySeries
from greenai.model.units import floor_to, iso_utc
from greenai.ports import Archive, Door

FRESH = timedelta(minutes=30)
"""Grid services publish each half hour: an answer of the same half hour is as good as a new one."""

DAY_AHEAD = timedelta(hours=24)
"""An older forecast must still show this much, or all that is asked: with every hour of the day in
view a plan can choose; below that, typical days show hours the old forecast does not."""

FORECAST_LIFE = timedelta(days=7)
"""No archived forecast reaches further: older answers need not be opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the chain may ask, in order of preference.

    `access` holds base URL and key by provider name. `network` False: nothing is
    asked over the network; files, packaged facts and the archive still answer.
    `foresight` says how greenai forecasts itself (engine/foresee.py); the chain does not.
    `keyring` remembers log-ins.
    """

    providers: tuple[Provider, ...]
    access: Mapping[str, Access] = field(default_factory=dict)
    door: Door
    archive: Archive | None = None
    network: bool = True
    foresight: Foresight = field(default_factory=Foresight)
    keyring: Keyring = field(default_factory=Keyring)


def telling(sources: Sources, tell: Tell) -> Sources:
    """The same sources; `tell` hears of long reads."""
    return replace(sources, foresight=replace(sources.foresight, tell=tell))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    """One walk along the chain: the question, what may be asked, and why each step so far gave nothing."""

    query: Query
    sources: Sources
    reasons: list[str] = field(default_factory=list)
    failures: list[ProviderError] = field(default_factory=list)

    def reading(self, series: IntensitySeries | None, step: ChainStep, payloads: Sequence[Payload] = ()) -> Reading:
        reason = "; ".join(self.reasons) or None
        return Reading(series=series, step=step, fallback_reason=reason, payloads=tuple(payloads), query=self.query)


def read_intensity(query: Query, *, sources: Sources, require_live: bool = False) -> Reading:
    """The best series known for `query`, with the step that gave it.

    A live forecast may end before `query.end_at`; an archived one must still
    show a day, or all that is asked. A span that has passed must be covered whole.

    Raises:
        UnknownZone: no source covers the zone.
        ProviderError: with `require_live`, when no live source gave a usable answer.
        InputError: what the user gave (a file, a number) cannot be used; nothing stands in for it.
    """
    chain = _Chain(query=query, sources=sources)
    covering = [provider for provider in sources.providers if provider.covers(query.zone)]
    live = [provider for provider in covering if provider.live and not provider.lacks(_access(chain, provider))]
    locked = [provider for provider in covering if provider.live and provider.lacks(_access(chain, provider)) == "key"]
    packaged = [provider for provider in covering if not provider.live]
    reading = _live(chain, live) or _archived_unless(chain, live, locked, require_live=require_live)
    try:
        return reading or _packaged(chain, packaged)
    except UnknownZone:
        if live:
            # A live source knows the zone: the grid is there, only unknown at this moment.
            return chain.reading(None, "none")
        raise


def reparse(query: Query, payloads: Sequence[Payload], *, providers: Sequence[Provider], provider_name: str) -> IntensitySeries:
    """The series that archived payloads gave for `query`: the same, bit for bit, as when they were read.

    A forecast of greenai's own is read from its record: its name is that of its method.

    Raises:
        InputError: no provider of this name.
        ProviderError, InputError: the payloads do not hold the series.
    """
    # What forecasts is loaded where a forecast of ours is read again: most readers never do.
    from greenai.logic.foreseeing import is_own, parsed

    if is_own(payloads):
        return parsed(payloads[0])[0]
    for provider in providers:
        if provider.name == provider_name:
            return provider.parse(payloads, query)
    raise InputError(f"there is no provider named {provider_name!r}", hint="greenai plugins lists the providers")


def _live(chain: _Chain, providers: Sequence[Provider]) -> Reading | None:
    for provider in providers:
        try:
            series, payloads = _reused(chain, provider) or _ask(chain, provider)
        except ProviderError as error:
            chain.failures.append(error)
            chain.reasons.append(f"{provider.name}: {error}")
        else:
            return chain.reading(series, "live", payloads)
    return None


def _archived_unless(
    chain: _Chain, live: Sequence[Provider], locked: Sequence[Provider], *, require_live: bool
) -> Reading | None:
    """The archive's answer, after it is said what else might have been asked; raises ProviderError where only live will do."""
    chain.reasons.extend(f"{provider.name}: not asked, set {setting_of(provider)}" for provider in locked)
    if require_live:
        raise _no_substitute(chain.failures[0]) if chain.failures else _no_live_source(chain.query.zone, locked)
    return _archived(chain, live)


def _no_substitute(failure: ProviderError) -> ProviderError:
    """The failure of the source that comes first, with what to do where it does not say that itself."""
    failure.hint = failure.hint or "try again later, or leave out --require live to plan on what is archived or typical"
    return failure


def setting_of(provider: Provider) -> str:
    """The variable that sets what the provider needs."""
    return f"GREENAI_{provider.name}_{provider.needs}".upper()


def _no_live_source(zone: str, locked: Sequence[Provider]) -> ProviderRefused:
    if locked:
        settings = " or ".join(setting_of(provider) for provider in locked)
        return ProviderRefused(f"no live source of the zone {zone} can be asked without a key", hint=f"set {settings}")
    return ProviderRefused(f"no live source covers the zone {zone}", hint="give --series FILE, or leave out --require live")


def _access(chain: _Chain, provider: Provider) -> Access:
    return access_of(provider, chain.sources)


def access_of(provider: Provider, sources: Sources) -> Access:
    """Base URL and key of a provider, as far as they are set."""
    return sources.access.get(provider.name, Access())


def fetch_and_keep(query: Query, provider: Provider, sources: Sources) -> tuple[Payload, ...]:
    """One answer of one provider, archived as far as that can be, not yet believed; raises ProviderError or InputError."""
    chain = _Chain(query=query, sources=sources)
    payloads = _answers(chain, provider)
    _keep(chain, provider, payloads)
    return payloads


def _reused(chain: _Chain, provider: Provider) -> tuple[IntensitySeries, tuple[Payload, ...]] | None:
    """The newest archived answer, where the provider says that one so young is as good as a new one."""
    archive, now_at = chain.sources.archive, chain.query.now_at
    if archive is None or not provider.reuse_for:
        return None
    try:
        found = next(_old_answers(chain, provider, archive), None)
    except StoreError as error:
        _say_once(chain, f"archive: {error}")
        return None
    if found is None or floor_to(found[0].source.fetched_at, provider.reuse_for) != floor_to(now_at, provider.reuse_for):
        return None
    return found


def _ask(chain: _Chain, provider: Provider) -> tuple[IntensitySeries, tuple[Payload, ...]]:
    """One answer of one provider, archived before it is believed; raises ProviderError or InputError."""
    query = chain.query
    payloads = _answers(chain, provider)
    _keep(chain, provider, payloads)
    series = provider.parse(payloads, query)
    until_at = max(_must_reach(query, at_least=query.start_at), query.start_at + timedelta.resolution)
    if not series.covers(query.start_at, until_at):
        raise ProviderBadData(f"the answer covers {iso_utc(series.start_at)} to {iso_utc(series.end_at)}, not what is asked")
    return series, payloads


def _answers(chain: _Chain, provider: Provider) -> tuple[Payload, ...]:
    """What the reads of one provider bring, if the network may be used for them."""
    query, sources = chain.query, chain.sources
    access = _access(chain, provider)
    if not sources.network and any(_over_network(request) for request in provider.requests(query, access)):
        raise ProviderUnavailable("not asked, the network is left alone here")
    return answers_of(provider, query, access, door=sources.door, keyring=sources.keyring)


def _over_network(request: Request) -> bool:
    return request.url.startswith(("http:", "https:"))


def _must_reach(query: Query, *, at_least: datetime) -> datetime:
    """How far a series must reach: a past span to its end, there is nothing left to wait for; a forecast to `at_least`."""
    past = query.purpose == "forecast" and query.end_at <= query.now_at
    return query.end_at if past else min(query.end_at, at_least)


def _keep(chain: _Chain, provider: Provider, payloads: tuple[Payload, ...]) -> None:
    """Archive an answer; a broken archive never costs the answer, but it is said."""
    if chain.sources.archive is None or not payloads:
        return
    try:
        chain.sources.archive.keep(provider.name, chain.query, payloads)
    except StoreError as error:
        _say_once(chain, f"archive: {error}")


def _say_once(chain: _Chain, reason: str) -> None:
    if reason not in chain.reasons:
        chain.reasons.append(reason)


def _archived(chain: _Chain, providers: Sequence[Provider]) -> Reading | None:
    """The newest archived answer that still covers the need, read again for this query."""
    if chain.sources.archive is None or not providers:
        return None
    try:
        for provider in providers:
            for series, payloads in _old_answers(chain, provider, chain.sources.archive):
                return chain.reading(series, _age(series, chain.query.now_at), payloads)
    except StoreError as error:
        _say_once(chain, f"archive: {error}")
        return None
    chain.reasons.append("archive: nothing that covers the need")
    return None


def _age(series: IntensitySeries, now_at: datetime) -> ChainStep:
    fresh = floor_to(series.source.fetched_at, FRESH) == floor_to(now_at, FRESH)
    return "fresh-archive" if fresh else "old-archive"


def _old_answers(chain: _Chain, provider: Provider, archive: Archive) -> Iterator[tuple[IntensitySeries, tuple[Payload, ...]]]:
    """What archived answers of one provider say about the query, newest first, as far as they cover the need."""
    query = chain.query
    until_at = query.end_at if query.purpose == "observed" else _must_reach(query, at_least=query.start_at + DAY_AHEAD)
    for asked, payloads in archive.answers(provider.name, query.zone, query.purpose, query.now_at):
        if query.purpose == "forecast" and asked.now_at < query.start_at - FORECAST_LIFE:
            return
        try:
            series = provider.parse(payloads, query)
        except (ProviderError, SeriesError):
            # Kept for the record, of no use for this question.
            continue
        if series.covers(query.start_at, until_at):
            yield series, payloads


def _packaged(chain: _Chain, providers: Sequence[Provider]) -> Reading:
    """What is known without asking anyone; raises UnknownZone when that is nothing."""
    zone = chain.query.zone
    unknown = UnknownZone(f"no source covers the zone {zone}", hint="write it like GB, GB-13, DE, US-CAL-CISO or WORLD")
    for provider in providers:
        try:
            series, payloads = _ask(chain, provider)
        except (ProviderError, UnknownZone) as error:
            chain.reasons.append(f"{provider.name}: {error}")
            unknown = error if isinstance(error, UnknownZone) else unknown
        else:
            return chain.reading(series, "annual" if provider.name == "annual" else "climatology", payloads)
    raise unknown
