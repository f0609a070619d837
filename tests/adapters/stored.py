"""A queue that has been written to, for the tests of its files."""

from __future__ import annotations

from pathlib import Path

from tests.queue_world import HOUR, NOON, moved, submission

from greenai.adapters.store.queue import DurableQueue
from greenai.model.plan import Window
from greenai.model.queue import Entry, Waiting


def waiting(hours: float) -> Waiting:
    """Planned for an hour, so many hours after noon."""
    return Waiting(windows=(Window(start_at=NOON + hours * HOUR, end_at=NOON + (hours + 1) * HOUR),))


def filled(home: Path) -> tuple[Entry, ...]:
    """Three jobs, the first of them planned; nothing is left open."""
    queue = DurableQueue(home)
    entries = queue.enqueue([submission() for _ in range(3)], NOON)
    queue.append([moved(entries[0], waiting(1), reason="cheap at one")])
    return queue.entries(["1", "2", "3"])
