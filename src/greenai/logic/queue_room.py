"""What a machine has for queued jobs, and what of it is free at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from greenai.logic.queue_times import left_at
from greenai.model.plan import Window
from greenai.model.queue import Entry

HERE = "local"
"""The executor of this machine."""

POWER = "power (W)"
EPSILON = 1e-9

NOMINAL_W = 300.0
"""The load of a job that never said its own: only the ratio to other jobs matters, for who gets the cleanest slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What queued jobs may take of this machine together: amounts by resource, watts, and grams of CO2e in a UTC day."""

    amounts: Mapping[str, float]
    power_cap_w: float | None = None
    carbon_budget_g_per_day: float | None = None

    @property
    def caps(self) -> dict[str, float]:
        """The amounts, and the watts as one more of them."""
        return {**self.amounts, **({} if self.power_cap_w is None else {POWER: self.power_cap_w})}

    def needs(self, entry: Entry) -> dict[str, float]:
        """What a job takes of each; nothing of what it does not name. A load that nobody said is taken to be within the cap.

        A job that another scheduler runs takes nothing here: that one knows what it has.
        """
        if entry.submission.executor != HERE:
            return {}
        demands = {name: amount for name, amount in entry.submission.demands.items() if amount > 0}
        if self.power_cap_w is None:
            return demands
        return {**demands, POWER: entry.submission.job.power_w or min(NOMINAL_W, self.power_cap_w)}

    def lacks(self, entry: Entry) -> str:
        """In words what a job asks for and there never is; empty if it can run."""
        caps = self.caps
        short = [
            f"{amount:g} {name}, and there are {caps.get(name, 0.0):g}"
            for name, amount in self.needs(entry).items()
            if amount > caps.get(name, 0.0) + EPSILON
        ]
        return short[0] if short else ""


def fits_together(uses: Sequence[tuple[Mapping[str, float], Window]], caps: Mapping[str, float]) -> bool:
    """Whether at no moment more is taken than there is; what ends at a moment makes room for what begins then."""
    for name, most in caps.items():
        steps = [(window.start_at, needs.get(name, 0.0)) for needs, window in uses]
        steps += [(window.end_at, -needs.get(name, 0.0)) for needs, window in uses]
        taken = 0.0
        for _, change in sorted(steps):
            taken += change
            if taken > most + EPSILON:
                return False
    return True


def power_w(entry: Entry) -> float:
    """What a job is taken to draw."""
    return entry.submission.job.power_w or NOMINAL_W


class Room:
    """What is free now, taken piece by piece.

    Where a job finds no room those behind it may pass, but only as far as they do
    not make it wait longer: they end before it could begin, or leave enough beside
    it (EASY backfilling, Lifka 1995).
    """

    def __init__(self, capacity: Capacity, running: Iterable[Entry], now_at: datetime) -> None:
        self._capacity = capacity
        self._now_at = now_at
        self._free = capacity.caps
        self._ends: list[tuple[datetime, Mapping[str, float]]] = []
        self._begins_at: datetime | None = None
        self._beside: dict[str, float] = {}
        for entry in running:
            self._occupy(entry)

    def _occupy(self, entry: Entry) -> None:
        needs = self._capacity.needs(entry)
        _subtract(self._free, needs)
        self._ends.append((self._now_at + left_at(entry, self._now_at), needs))

    def take(self, entry: Entry) -> bool:
        """Take a job's room; False if it is not there, or another waits for it."""
        needs = self._capacity.needs(entry)
        if not _holds(self._free, needs):
            return False
        if self._begins_at is not None and self._now_at + left_at(entry, self._now_at) > self._begins_at:
            if not _holds(self._beside, needs):
                return False
            _subtract(self._beside, needs)
        self._occupy(entry)
        return True

    def keep_for(self, entry: Entry) -> None:
        """Let nobody behind this job delay it; the first of those that find no room."""
        if self._begins_at is not None:
            return
        needs, beside, begins_at = self._capacity.needs(entry), dict(self._free), self._now_at
        for end_at, freed in sorted(self._ends, key=lambda end: end[0]):
            if _holds(beside, needs):
                break
            begins_at = end_at
            _subtract(beside, {name: -amount for name, amount in freed.items()})
        self._begins_at, self._beside = begins_at, beside
        _subtract(self._beside, needs)


def _holds(free: Mapping[str, float], needs: Mapping[str, float]) -> bool:
    return all(free.get(name, 0.0) + EPSILON >= amount for name, amount in needs.items())


def _subtract(free: dict[str, float], needs: Mapping[str, float]) -> None:
    for name, amount in needs.items():
        free[name] = free.get(name, 0.0) - amount
