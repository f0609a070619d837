"""Time that passes only when somebody waits for it: whole lives of jobs in milliseconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

from greenai.model.units import as_utc


class VirtualClock:
    """Implements `greenai.ports.Clock`: waiting moves the time to what was waited for.

    Things that happen meanwhile are hooks, run at their time and in order::

        clock = VirtualClock(datetime(2026, 11, 24, 9, tzinfo=UTC))
        clock.at(clock.now() + timedelta(hours=1), grid.heal)
        clock.wait_until(clock.now() + timedelta(hours=2))

    A hook may raise, as Ctrl-C does: the clock then stands at the hook's time.
    `waits` lists what was waited for. `elapsed` counts the time that passed;
    a `jump` of the wall clock is not part of it.
    """

    def __init__(self, now_at: datetime) -> None:
        self._now_at = as_utc(now_at, name="now_at")
        self._hooks: list[tuple[datetime, int, Callable[[], object]]] = []
        self._order = count()
        self.elapsed = timedelta(0)
        self.waits: list[datetime] = []

    def now(self) -> datetime:
        """The present moment, UTC."""
        return self._now_at

    def monotonic_s(self) -> float:
        """Seconds that have passed since the clock was made, jumps not counted."""
        return self.elapsed.total_seconds()

    def wait_until(self, moment: datetime) -> None:
        """Let the time pass to `moment`, running the hooks due on the way; a moment that has passed returns at once."""
        self.waits.append(as_utc(moment, name="moment"))
        self._pass_to(self.waits[-1])

    def advance(self, span: timedelta) -> None:
        """Let `span` pass, as work does that does not wait for the clock."""
        self._pass_to(self._now_at + span)

    def at(self, moment: datetime, hook: Callable[[], object]) -> None:
        """Run `hook` once when the time reaches `moment`; in the past: at the next wait."""
        heapq.heappush(self._hooks, (as_utc(moment, name="moment"), next(self._order), hook))

    def jump(self, span: timedelta) -> None:
        """Set the wall clock forward or back without any time passing, as NTP or a suspended laptop does."""
        self._now_at += span

    def _pass_to(self, moment: datetime) -> None:
        """To `moment` by the wall clock: a hook that jumps makes the wait shorter or longer."""
        while self._hooks and self._hooks[0][0] <= max(moment, self._now_at):
            due_at, _, hook = heapq.heappop(self._hooks)
            self._tick_to(due_at)
            hook()
        self._tick_to(moment)

    def _tick_to(self, moment: datetime) -> None:
        if moment > self._now_at:
            self.elapsed += moment - self._now_at
            self._now_at = moment
