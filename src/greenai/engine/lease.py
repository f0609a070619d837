"""The right to run the queue, kept for as long as a tick takes.

A lease that runs out within a tick is another's to take. Nothing is lost by that,
since nobody writes without having it; but two processes whose plans both take
longer than a lease is good for would take it from each other for ever. So it is
taken for longer before a plan is made, and renewed between steps that may be many.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from greenai.ports import Clock, JobQueue

LEASE_FOR = timedelta(minutes=2)
"""A process that lives renews it in half the time."""

PLANNING_FOR = timedelta(minutes=10)
"""While it plans it cannot; stores grant no longer."""


class Lease:
    """One process as the one that runs the queue; each method raises StoreError where the queue cannot be written."""

    def __init__(self, queue: JobQueue, holder: str, clock: Clock) -> None:
        self._queue = queue
        self._holder = holder
        self._clock = clock
        self._taken_at: datetime | None = None

    def take(self, now_at: datetime) -> bool:
        """Take it, or renew it; False while another process has it."""
        return self._take(now_at, LEASE_FOR)

    def take_to_plan(self) -> bool:
        """Renew it for as long as a plan may take; False: another process has taken it."""
        return self._take(self._clock.now(), PLANNING_FOR)

    def keep(self) -> bool:
        """Renew it where half of it is over, or the clock was set back; False: another process has taken it."""
        now_at = self._clock.now()
        if self._taken_at is not None and timedelta(0) <= now_at - self._taken_at < LEASE_FOR / 2:
            return True
        return self.take(now_at)

    def _take(self, now_at: datetime, span: timedelta) -> bool:
        is_mine = self._queue.lease(self._holder, now_at, now_at + span)
        self._taken_at = now_at if is_mine else None
        return is_mine
