"""Who used how much of the machine lately: of jobs that are equal otherwise, whoever had least goes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from greenai.logic.queue_room import HERE
from greenai.model.queue import Entry
from greenai.model.units import SECONDS_PER_HOUR

HALF_LIFE = timedelta(hours=24)
"""What was used a day ago counts half."""


class Shares:
    """Hours of the machine by user or label, the older ones fading.

    A job counts with the largest share of any resource that it takes (dominant
    resource fairness, Ghodsi et al. 2011).
    """

    def __init__(self, amounts: Mapping[str, float], ended: Iterable[Entry], now_at: datetime) -> None:
        self._amounts = amounts
        self._hours: dict[str, float] = {}
        self._seen_at = now_at
        for entry in ended:
            self._add(entry, entry.worked, faded=_fading(now_at - entry.changed_at))

    def used(self, running: Iterable[Entry], now_at: datetime) -> Mapping[str, float]:
        """The hours up to now, if these are the jobs that ran since the last time this was asked."""
        passed = max(timedelta(0), now_at - self._seen_at)
        self._seen_at = now_at
        self._hours = {name: hours * _fading(passed) for name, hours in self._hours.items()}
        for entry in running:
            self._add(entry, passed, faded=1.0)
        return self._hours

    def _add(self, entry: Entry, span: timedelta, *, faded: float) -> None:
        name = entry.submission.share_of
        self._hours[name] = self._hours.get(name, 0.0) + dominant(entry, self._amounts) * hours_of(span) * faded


def dominant(entry: Entry, amounts: Mapping[str, float]) -> float:
    """The largest part of any resource that a job takes, 0 to 1; 1 of what there is none of; 0 for one that runs elsewhere."""
    if entry.submission.executor != HERE:
        return 0.0
    parts = [amount / amounts[name] if amounts.get(name) else 1.0 for name, amount in entry.submission.demands.items() if amount]
    return min(1.0, max(parts, default=0.0))


def hours_of(span: timedelta) -> float:
    """A span in hours."""
    return span.total_seconds() / SECONDS_PER_HOUR


def _fading(age: timedelta) -> float:
    return float(0.5 ** max(0.0, age / HALF_LIFE))
