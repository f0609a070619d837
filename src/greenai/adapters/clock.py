"""The machine's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

LONGEST_SLEEP_S = 30.0
"""A sleep is measured on the monotonic clock, which stands still in suspend and ignores a set clock.

Looking at the wall clock this often bounds how late a job starts after either.
"""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """Implements `greenai.ports.Clock` on the wall clock.

    `now` and `sleep` can be replaced in tests of the waiting itself; everything
    else takes `greenai.testing.VirtualClock`.
    """

    def __init__(self, *, now: Callable[[], datetime] = _utc_now, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now = now
        self._sleep = sleep

    def now(self) -> datetime:
        """The present moment, UTC."""
        return self._now()

    def wait_until(self, moment: datetime) -> None:
        """Return once the wall clock shows `moment`; at most 30 s late after a clock jump or suspend.

        A moment that has passed returns at once. KeyboardInterrupt passes through.
        """
        while (left_s := (moment - self._now()).total_seconds()) > 0:
            self._sleep(min(left_s, LONGEST_SLEEP_S))

    def rest(self, span: timedelta) -> None:
        """Let `span` pass, whatever happens to the wall clock meanwhile; KeyboardInterrupt passes through."""
        self._sleep(max(0.0, span.total_seconds()))
