"""The way out for one request: the door that its URL's scheme names."""

from __future__ import annotations

from collections.abc import Mapping

from greenai.errors import InputError
from greenai.model.intensity import Payload, Request
from greenai.ports import Door


class SchemeDoor:
    """Implements `greenai.ports.Door` by passing each request on: {"https": network, "file": files, ...}."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self._doors = doors

    def fetch(self, request: Request) -> Payload:
        """Read through the door of the URL's scheme.

        Raises:
            InputError: no door has this scheme.
            ProviderError, InputError: as that door says.
        """
        scheme, colon, _ = request.url.partition(":")
        door = self._doors.get(scheme.lower()) if colon else None
        if door is None:
            raise InputError(f"{request.url[:80]!r} cannot be read", hint=f"an address begins with {': or '.join(self._doors)}:")
        return door.fetch(request)
