"""What the services' answers have in common: JSON that may be anything, times, numbers that may be null, holes.

Null is unknown and never 0; rows are taken by their own times; a series ends at
the first hole. Every refusal is one sentence that names the value.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from greenai.errors import InputError, ProviderBadData
from greenai.model.intensity import Payload, Query, slots_over
from greenai.model.series import FloatArray
from greenai.model.units import as_utc, floor_to, iso_utc, parse_iso_utc

Points = Mapping[datetime, float]
"""g/kWh by the start of the slot it holds in."""

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

LATEST_ANSWER = timedelta(seconds=15)
"""A service that answers of "now" reads its own clock: after ours by the way there, and by what the clocks differ."""

TONNE = 1e6
"""No grid emits a tonne per kWh: a number like that, or one too large for a float, is a mistake of the service."""

ENOUGH_DAYS = 3
"""A typical hour is the mean of at least so many days."""


def document_of(payload: Payload) -> Any:
    """The JSON of an answer.

    Raises:
        ProviderBadData: nothing, a web page, or bytes that are no JSON.
    """
    body = payload.body.strip()
    if not body:
        raise ProviderBadData("the answer is empty")
    if body.startswith(b"<"):
        raise ProviderBadData("the answer is a web page, not JSON")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderBadData(f"the answer is not JSON, or cut off: {str(error)[:80]}") from None


def object_of(payload: Payload) -> Mapping[str, Any]:
    """The JSON object of an answer; raises ProviderBadData for anything else."""
    found = document_of(payload)
    if not isinstance(found, dict):
        raise ProviderBadData("the answer is no JSON object")
    return found


def rows_at(document: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    """The rows under the first of these names that is there, in the service's words where it says something else."""
    name = next((name for name in names if name in document), None)
    if name is None:
        raise ProviderBadData(f"the answer has no {' or '.join(names)}{complaint(document)}")
    return listed(document[name])


def listed(found: Any) -> list[Mapping[str, Any]]:
    """A list of objects; one object alone is a list of one."""
    items = [found] if isinstance(found, dict) else found
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ProviderBadData("the answer is not made of rows")
    return items


def complaint(document: Mapping[str, Any]) -> str:
    """What the service says in place of data, short and printable; empty where it says nothing."""
    words = next((document[name] for name in ("message", "error", "detail") if name in document), "")
    return f": {words[:200]}" if isinstance(words, str) and words.isprintable() and words else ""


def moment_of(value: object) -> datetime:
    """A time with its zone, in UTC; one without is refused."""
    try:
        return parse_iso_utc(str(value))
    except InputError:
        raise ProviderBadData(f"{str(value)[:40]!r} is not a time with its zone") from None


def naive_utc(value: object) -> datetime:
    """A time the service documents as UTC though it does not write so."""
    try:
        return as_utc(datetime.fromisoformat(str(value)).replace(tzinfo=UTC))
    except ValueError:
        raise ProviderBadData(f"{str(value)[:40]!r} is not a time") from None


def number_of(value: object, what: str, *, least: float = 0.0) -> float | None:
    """A number of the service from `least` on, None where it does not know it."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < TONNE:
        raise ProviderBadData(f"{what} is {str(value)[:40]!r}, not a number from {least:g} on")
    return float(value)


def points_of(pairs: Iterable[tuple[datetime, float | None]]) -> dict[datetime, float]:
    """The known values by their times; of two for one time the higher: an account must not understate."""
    points: dict[datetime, float] = {}
    for start_at, value in pairs:
        if value is not None:
            points[start_at] = max(value, points.get(start_at, value))
    return points


def step_of(times: Iterable[datetime], usual: timedelta) -> timedelta:
    """The finest distance between two rows: the length of a slot; `usual` where there are not two."""
    ordered = sorted(set(times))
    return min((later - earlier for earlier, later in pairwise(ordered)), default=usual)


def answered_by(query: Query) -> datetime:
    """The latest moment at which an answer is made, by the clock of a service that answers of "now": a slot may end meanwhile."""
    return query.now_at + LATEST_ANSWER


def gapless(points: Points, step: timedelta, query: Query) -> tuple[datetime, FloatArray]:
    """Start and values of the slots from the one that holds query.start_at up to the first hole.

    Raises:
        ProviderBadData: no value holds at query.start_at.
    """
    first_at = max((start_at for start_at in points if start_at <= query.start_at < start_at + step), default=None)
    if first_at is None:
        known = sorted(points)
        span = f"{iso_utc(known[0])} to {iso_utc(known[-1] + step)}" if known else "no time at all"
        raise ProviderBadData(f"no value for {iso_utc(query.start_at)}; the answer has values for {span}")
    return first_at, np.array(list(_run(points, step, first_at)))


def _run(points: Points, step: timedelta, first_at: datetime) -> Iterator[float]:
    while first_at in points:
        yield points[first_at]
        first_at += step


def typical_day(points: Points, step: timedelta, query: Query) -> tuple[datetime, FloatArray]:
    """The span of the query, each slot the mean of the same time of day in `points`: a model, not a forecast.

    Raises:
        ProviderBadData: some time of day is known on fewer than three days.
    """
    at_time: dict[timedelta, list[float]] = defaultdict(list)
    for start_at, value in points.items():
        at_time[start_at - floor_to(start_at, DAY)].append(value)
    slots = slots_over(query, step)
    wanted = [at_time[slot - floor_to(slot, DAY)] for slot in slots]
    if any(len(values) < ENOUGH_DAYS for values in wanted):
        raise ProviderBadData(f"the answer has fewer than {ENOUGH_DAYS} days of every hour: no typical day can be made")
    return slots[0], np.array([sum(values) / len(values) for values in wanted])


def spans(start_at: datetime, end_at: datetime, longest: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """[start_at, end_at) in pieces no longer than the service answers at once."""
    while start_at < end_at:
        stop_at = min(end_at, start_at + longest)
        yield start_at, stop_at
        start_at = stop_at


def published(payloads: Sequence[Payload], query: Query) -> Sequence[Payload]:
    """The payloads; raises ProviderBadData where there was nothing to ask for yet."""
    if not payloads:
        raise ProviderBadData(f"nothing is published yet for {iso_utc(query.start_at)}")
    return payloads
