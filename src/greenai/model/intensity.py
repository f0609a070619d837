"""What is asked of the grid and what comes back: the nouns between the chain, the doors and the providers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from greenai.errors import ProviderRefused
from greenai.model.series import Basis, IntensitySeries, Source
from greenai.model.units import ceil_to, floor_to

Purpose = Literal["forecast", "observed"]
Need = Literal["", "key", "url"]
ChainStep = Literal["live", "fresh-archive", "old-archive", "climatology", "annual", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The intensity of `zone` over [start_at, end_at), as seen at `now_at`.

    purpose "forecast": what is expected, for planning. "observed": what was
    measured, for settling; a provider answers only with what has been published.
    """

    zone: str
    start_at: datetime
    end_at: datetime
    now_at: datetime
    purpose: Purpose

    @property
    def looks_ahead(self) -> bool:
        """Whether hours to come are asked for."""
        return self.purpose == "forecast" and self.end_at > self.now_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Base URL and secret of one service, from settings. The key never shows in a repr."""

    base_url: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One read of the outside world. The URL's scheme names the door.

    http, https: the network door; file: a file on this machine; package: a
    packaged fact (package:climatology.csv); data: the payload itself.
    Headers may hold secrets and are never archived. `instead` is asked where
    this address is not found (404). `spacing_s` is the least time between two
    reads of this host, one at a time, for services that count.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    instead: Request | None = None
    spacing_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One answer of the outside world, as archived."""

    url: str
    body: bytes = field(repr=False)
    sha256: str
    fetched_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a service that wants a token gives one out: the read that asks for it, and where in the answer it stands.

    The token takes the place of the key for the reads of `life`, kept in memory
    alone. The answer that holds it is never archived.
    """

    request: Callable[[Access], Request]
    token: Callable[[Payload], str]
    life: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """How a service that refuses a bad key and a small plan alike (401) says what a key may read.

    `request(access)` reads the list; `missing(listing, query)` is the refusal to
    expect, None where the list does not exclude it; `explain(error, listing,
    query)` puts a refusal into words, without a listing where the key cannot even read that.
    """

    request: Callable[[Access], Request]
    missing: Callable[[Payload, Query], ProviderRefused | None]
    explain: Callable[[ProviderRefused, Payload | None, Query], ProviderRefused]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A source of intensity: two pure functions and what it covers.

    `covers(zone)`; `requests(query, access)` gives the reads needed, in order;
    `parse(payloads, query)` gives the longest gapless series that holds
    query.start_at, and raises ProviderBadData when there is none.
    `live` is False for packaged facts: they never need the network. A file or a
    number the user gives is live: it is what was asked for, read where it stands.
    Secrets go into a request's headers, never into its URL, which is archived.

    `basis` is that of all its series: a chain holds sources of one basis.
    `needs` names the setting without which it is not asked. `forecasts` False: it
    publishes the past alone, and stands behind those that forecast. An answer
    read in the same `reuse_for` of the day as now is as good as a new one.
    `refusal` puts what the service refuses with into better words; `rights` says
    what a key may read.
    """

    name: str
    title: str
    live: bool
    covers: Callable[[str], bool]
    requests: Callable[[Query, Access], Sequence[Request]]
    parse: Callable[[Sequence[Payload], Query], IntensitySeries]
    basis: Basis = "average"
    needs: Need = ""
    forecasts: bool = True
    reuse_for: timedelta = timedelta(0)
    login: Login | None = None
    refusal: Callable[[ProviderRefused, Query], ProviderRefused] | None = None
    rights: Rights | None = None

    def lacks(self, access: Access) -> Need:
        """The setting that is missing for it to be asked, empty where nothing is."""
        given = {"": True, "key": bool(access.key), "url": bool(access.base_url)}
        return "" if given[self.needs] else self.needs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnForecast:
    """How greenai made a forecast itself.

    `method` is also the provider its series names; `note` says in one line what it
    rests on. `low` and `high` are its 80 % interval on the same slots, None where
    the method gives none. `input_sha256s` are the archived answers it was made from.
    """

    method: str
    note: str
    low: IntensitySeries | None = None
    high: IntensitySeries | None = None
    input_sha256s: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A series, the step of the fallback chain that gave it, and why the steps before it did not.

    `series` is None only at the last step: nothing known, run now. `own` is there
    where greenai made the forecast itself.
    """

    series: IntensitySeries | None
    step: ChainStep
    fallback_reason: str | None
    payloads: tuple[Payload, ...] = ()
    query: Query
    own: OwnForecast | None = None


def source_of(provider: str, payloads: Sequence[Payload], *, detail: str = "") -> Source:
    """Where a series came from, its payloads taken together.

    The hash of one payload is its own; of several, the SHA-256 of their hex
    digests in order. `detail` becomes the URL's fragment: what was used of it.
    """
    digests = [payload.sha256 for payload in payloads]
    return Source(
        provider=provider,
        url=f"{payloads[0].url}#{detail}" if detail else payloads[0].url,
        fetched_at=max(payload.fetched_at for payload in payloads),
        payload_sha256=digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest(),
    )


def slots_over(query: Query, step: timedelta) -> list[datetime]:
    """Starts of the whole slots, aligned to `step` since the epoch, that touch the query's span; at least one."""
    first = floor_to(query.start_at, step)
    last = max(ceil_to(query.end_at, step), first + step)
    return [first + step * number for number in range((last - first) // step)]
