"""The queue in memory, for tests of whatever talks to `greenai.ports.JobQueue`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from greenai.errors import InputError, StoreError, UnknownJob
from greenai.model.queue import STATUS_NAMES, Ended, Entry, JobEvent, Submission, Submitted, after


class MemoryQueue:
    """Implements `greenai.ports.JobQueue`; while `failure` is set, every write raises it instead and changes nothing.

    `before_write` is called before each write; what it raises is as if the process had died there.
    """

    def __init__(self) -> None:
        self.failure: StoreError | None = None
        self.before_write: Callable[[], None] = lambda: None
        self._written = 0
        self._events: dict[str, list[JobEvent]] = {}
        self._entries: dict[str, Entry] = {}
        self._last_number = 0
        self._lease: tuple[str, datetime] | None = None

    def enqueue(self, drafts: Sequence[Submission], at: datetime) -> tuple[Entry, ...]:
        """New jobs under the next numbers."""
        self._fail()
        first = self._last_number + 1
        entries = [self._keep(_named(draft, first + position, first), at) for position, draft in enumerate(drafts)]
        self._last_number = max(int(entry.id.partition("_")[0]) for entry in entries) if entries else self._last_number
        return tuple(entries)

    def _keep(self, submission: Submission, at: datetime) -> Entry:
        event = JobEvent(job_id=submission.job.id, version=1, at=at, change=Submitted(submission=submission))
        self._events[event.job_id], self._entries[event.job_id] = [event], after(None, event)
        self._written += 1
        return self._entries[event.job_id]

    def append(self, events: Sequence[JobEvent], *, holder: str = "") -> tuple[bool, ...]:
        """True for each event that followed; none does where `holder` is given and has not the lease."""
        self._fail()
        if holder and (self._lease or ("",))[0] != holder:
            return (False,) * len(events)
        return tuple(self._follow(event) for event in events)

    def _follow(self, event: JobEvent) -> bool:
        try:
            self._entries[event.job_id] = after(self._entries.get(event.job_id), event)
        except InputError:
            return False
        self._events[event.job_id].append(event)
        self._written += 1
        return True

    def unfinished(self) -> tuple[Entry, ...]:
        """Every job that is not over."""
        return tuple(entry for entry in self._entries.values() if not entry.is_over)

    def entries(self, job_ids: Sequence[str]) -> tuple[Entry, ...]:
        """These jobs; raises UnknownJob."""
        return tuple(entry for job_id in job_ids for entry in self._called(job_id))

    def _called(self, job_id: str) -> list[Entry]:
        array = [entry for name, entry in self._entries.items() if name == job_id or name.startswith(f"{job_id}_")]
        if not array:
            raise UnknownJob(f"the queue has no job {job_id!r}")
        return array

    def events(self, job_id: str) -> tuple[JobEvent, ...]:
        """The life of one job; raises UnknownJob."""
        self._called(job_id)
        return tuple(self._events[job_id])

    def mark(self) -> int:
        """How many events there are."""
        return self._written

    def counts(self) -> Mapping[str, int]:
        """How many of each status."""
        names = [STATUS_NAMES[type(entry.status)] for entry in self._entries.values()]
        return {name: names.count(name) for name in set(names)}

    def page(self, *, status: str = "", words: str = "", limit: int, offset: int = 0) -> tuple[Entry, ...]:
        """Some jobs, the ended last."""
        found = [
            entry
            for entry in sorted(self._entries.values(), key=lambda entry: isinstance(entry.status, Ended))
            if status in {"", STATUS_NAMES[type(entry.status)]} and words in " ".join(entry.submission.job.command)
        ]
        return tuple(found[offset : offset + limit])

    def holder(self, now_at: datetime) -> str | None:
        """Whoever has a lease that has not run out."""
        return self._lease[0] if self._lease is not None and now_at < self._lease[1] else None

    def lease(self, holder: str, now_at: datetime, until_at: datetime) -> bool:
        """Taken unless another's has not run out."""
        self._fail()
        if self.holder(now_at) not in {None, holder}:
            return False
        self._lease = (holder, until_at)
        return True

    def release(self, holder: str) -> None:
        """Given back."""
        self._fail()
        if self._lease is not None and self._lease[0] == holder:
            self._lease = None

    def _fail(self) -> None:
        """Before anything is written."""
        self.before_write()
        if self.failure is not None:
            raise self.failure


def _named(draft: Submission, number: int, shared: int) -> Submission:
    job_id = str(number) if draft.array_index is None else f"{shared}_{draft.array_index}"
    return replace(draft, job=replace(draft.job, id=job_id))
