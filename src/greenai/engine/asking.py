"""Asking one provider: its log-in, its reads, what its key may read, and its refusals in better words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from greenai.errors import ProviderError, ProviderRefused
from greenai.model.intensity import Access, Payload, Provider, Query, Request
from greenai.ports import Door

LISTING_LIFE = timedelta(hours=1)
"""What a key may read is asked for again after so long: plans change."""

_Holder = tuple[str, Access]
"""Whose token or listing it is: a provider, at an address, with a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """What one process remembers of its log-ins, never written anywhere and in no repr.

    `tokens` with the moment they were given, `listings` of what a key may read.
    """

    tokens: dict[_Holder, tuple[str, datetime]] = field(default_factory=dict, repr=False)
    listings: dict[_Holder, Payload] = field(default_factory=dict, repr=False)


def answers_of(provider: Provider, query: Query, access: Access, *, door: Door, keyring: Keyring) -> tuple[Payload, ...]:
    """What the reads of one provider bring; raises ProviderError, refusals in the provider's own words."""
    _check_rights(provider, query, access, keyring)
    try:
        return _logged_in(provider, query, access, door=door, keyring=keyring)
    except ProviderRefused as error:
        raise _explained(error, provider, query, access, door=door, keyring=keyring) from None


def _logged_in(provider: Provider, query: Query, access: Access, *, door: Door, keyring: Keyring) -> tuple[Payload, ...]:
    """The reads, with a token where the provider wants one: kept for its life, renewed once where it is refused earlier."""
    if provider.login is None:
        return _reads(provider, query, access, door)
    holder = provider.name, access
    token, given_at = keyring.tokens.get(holder, ("", query.now_at))
    if token and timedelta(0) <= query.now_at - given_at < provider.login.life:
        try:
            return _reads(provider, query, replace(access, key=token), door)
        except ProviderRefused as error:
            if error.status != 401:
                raise
    token = provider.login.token(door.fetch(provider.login.request(access)))
    keyring.tokens[holder] = token, query.now_at
    return _reads(provider, query, replace(access, key=token), door)


def _reads(provider: Provider, query: Query, access: Access, door: Door) -> tuple[Payload, ...]:
    return tuple(_fetch(door, request) for request in provider.requests(query, access))


def _fetch(door: Door, request: Request) -> Payload:
    """One read, or the one that stands in where its address is not found."""
    try:
        return door.fetch(request)
    except ProviderRefused as error:
        if error.status != 404 or request.instead is None:
            raise
        return _fetch(door, request.instead)


def _check_rights(provider: Provider, query: Query, access: Access, keyring: Keyring) -> None:
    """Do not ask again for what this key was found not to cover."""
    listing = keyring.listings.get((provider.name, access))
    if provider.rights is None or listing is None or query.now_at - listing.fetched_at > LISTING_LIFE:
        return
    refused = provider.rights.missing(listing, query)
    if refused is not None:
        raise refused


def _explained(
    error: ProviderRefused, provider: Provider, query: Query, access: Access, *, door: Door, keyring: Keyring
) -> ProviderRefused:
    """The refusal in better words. Whether a 401 is about the key or about what it covers, the list of its rights tells."""
    if provider.rights is not None and error.status == 401:
        try:
            listing = _fetch(door, provider.rights.request(access))
        except ProviderError as other:
            if getattr(other, "status", None) == 401:
                return provider.rights.explain(error, None, query)
        else:
            keyring.listings[provider.name, access] = listing
            return provider.rights.explain(error, listing, query)
    return provider.refusal(error, query) if provider.refusal else error
