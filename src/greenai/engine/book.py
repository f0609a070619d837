"""The jobs as one tick sees them, and what it is about to write of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from greenai.model.queue import Change, Entry, JobEvent, Moved, Status, after
from greenai.ports import JobQueue


class Book:
    """Every unfinished job; steps are made here first, and written together.

    They are written only while `holder` has the lease: of two processes that both
    take themselves for the one that runs the queue only one gets anything done, so
    that what they start together never asks for more than there is.
    """

    def __init__(self, queue: JobQueue, holder: str, now_at: datetime) -> None:
        self._queue = queue
        self._holder = holder
        self._entries = {entry.id: entry for entry in queue.unfinished()}
        self._events: list[JobEvent] = []
        self.now_at = now_at

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def __getitem__(self, job_id: str) -> Entry:
        return self._entries[job_id]

    def change(self, job_id: str, change: Change, reason: str = "") -> None:
        """One more step of a job, not yet written."""
        entry = self._entries[job_id]
        event = JobEvent(job_id=job_id, version=entry.version + 1, at=self.now_at, change=change, reason=reason)
        self._entries[job_id] = after(entry, event)
        self._events.append(event)

    def move(self, job_id: str, status: Status, reason: str = "") -> None:
        """Another status."""
        self.change(job_id, Moved(status=status), reason)

    def write(self) -> frozenset[str]:
        """Write all steps; the jobs of which somebody else was quicker: those are as the queue has them. Raises StoreError."""
        events, self._events = self._events, []
        if not events:
            return frozenset()
        written = self._queue.append(events, holder=self._holder)
        refused = frozenset(event.job_id for event, fits in zip(events, written, strict=True) if not fits)
        for entry in self._queue.entries(sorted(refused)):
            self._entries[entry.id] = entry
        return refused
