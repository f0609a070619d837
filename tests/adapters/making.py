"""Queries and payloads for the tests of doors and providers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from greenai.model.intensity import Payload, Purpose, Query

NOW = datetime(2026, 11, 24, 10, 37, tzinfo=UTC)
SLOT = timedelta(minutes=30)
PAYLOADS = Path(__file__).parent / "providers" / "payloads"


def payload(body: bytes | str, *, url: str = "https://grid.example/answer", fetched_at: datetime = NOW) -> Payload:
    """An answer as a door gives it."""
    content = body.encode() if isinstance(body, str) else body
    return Payload(url=url, body=content, sha256=hashlib.sha256(content).hexdigest(), fetched_at=fetched_at)


def recorded(name: str, **changes: datetime) -> Payload:
    """An answer of the UK service from payloads/uk."""
    return payload((PAYLOADS / "uk" / name).read_bytes(), **changes)


def query(
    zone: str = "GB",
    *,
    start_at: datetime = NOW,
    hours: float = 2.0,
    now_at: datetime = NOW,
    purpose: Purpose = "forecast",
) -> Query:
    """A question; by default what is expected in GB for the next two hours."""
    return Query(zone=zone, start_at=start_at, end_at=start_at + timedelta(hours=hours), now_at=now_at, purpose=purpose)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may do anything: step down for as long as permissions are tested."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
