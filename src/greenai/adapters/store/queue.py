"""The durable queue: a log of events that is the truth, and a database that answers quickly.

A process that dies while it writes leaves a log that is ahead; whoever opens the
queue next catches the database up. A damaged database is kept aside and built anew;
a log that lost its end is restored from the database (`_queue_files.py`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from greenai.adapters.store._file import DatabaseDamaged
from greenai.adapters.store._queue_files import QueueFiles, Step, sql
from greenai.errors import UnknownJob
from greenai.model.queue import Entry, JobEvent, Submission, Submitted, after
from greenai.model.queue_lines import event_from_line
from greenai.model.units import iso_utc, parse_iso_utc

LONGEST_LEASE = timedelta(minutes=10)
"""No lease is taken for longer: one that ends further ahead was taken before the clock was set back."""

P = ParamSpec("P")
R = TypeVar("R")


def _healing(verb: Callable[Concatenate[DurableQueue, P], R]) -> Callable[Concatenate[DurableQueue, P], R]:
    """A verb that is tried once more after a damaged database was built anew."""

    @wraps(verb)
    def attempt(queue: DurableQueue, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(queue, *args, **kwargs)
        except DatabaseDamaged:
            queue.rebuild()
            return verb(queue, *args, **kwargs)

    return attempt


class DurableQueue:
    """Implements `greenai.ports.JobQueue` in `queue.jsonl` and `queue.sqlite` of one directory; threads may share it.

    `is_dead` says of the holder of a lease whether it is known to be gone. What
    had to be repaired is told in `repairs`, for whoever shows it.
    """

    def __init__(self, home: Path, *, is_dead: Callable[[str], bool] = lambda _: False, wait_s: float = 10.0) -> None:
        self._files = QueueFiles(home, wait_s)
        self._is_dead = is_dead

    @property
    def log_path(self) -> Path:
        """The log."""
        return self._files.log.path

    @property
    def repairs(self) -> list[str]:
        """What had to be repaired, in words."""
        return self._files.repairs

    @_healing
    def enqueue(self, drafts: Sequence[Submission], at: datetime) -> tuple[Entry, ...]:
        """Store new jobs, all or none, under the next numbers; raises StoreError."""
        with self._files.changing() as turn:
            (last,) = turn.database.execute(sql("last_number")).fetchone()
            events = [_submitted(draft, at) for draft in _numbered(drafts, last + 1)]
            steps = [(event, after(None, event)) for event in events]
            self._files.write(turn, steps)
        return tuple(entry for _, entry in steps)

    @_healing
    def append(self, events: Sequence[JobEvent], *, holder: str = "") -> tuple[bool, ...]:
        """Write events durably, in one go; False for each that does not follow, or for all if `holder` lost the lease."""
        if not events:
            return ()
        with self._files.changing() as turn:
            if holder and (turn.database.execute(sql("lease")).fetchone() or ("",))[0] != holder:
                return (False,) * len(events)
            steps: list[Step] = []
            fits: list[bool] = []
            for event in events:
                entry = self._files.after(turn, event)
                fits.append(entry is not None)
                if entry is not None:
                    steps.append((event, entry))
            self._files.write(turn, steps)
        return tuple(fits)

    @_healing
    def unfinished(self) -> tuple[Entry, ...]:
        """Every job that is not over, in the order of submission; raises StoreError."""
        with self._files.asking() as database:
            return self._files.rows(database, "unfinished", ())

    @_healing
    def entries(self, job_ids: Sequence[str]) -> tuple[Entry, ...]:
        """These jobs, or for the number of an array all of its jobs; raises UnknownJob, StoreError."""
        with self._files.asking() as database:
            return tuple(entry for job_id in job_ids for entry in self._called(database, job_id))

    @_healing
    def events(self, job_id: str) -> tuple[JobEvent, ...]:
        """The life of one job, first event first; raises UnknownJob, StoreError."""
        with self._files.asking() as database:
            rows = database.execute(sql("events"), (job_id,)).fetchall() if database else []
        if not rows:
            raise _unknown(job_id)
        return tuple(event_from_line(line) for (line,) in rows)

    def mark(self) -> int:
        """The size of the log."""
        return self._files.log.size()

    @_healing
    def counts(self) -> Mapping[str, int]:
        """How many jobs there are of each status, by its name; raises StoreError."""
        with self._files.asking() as database:
            return _counts(database)

    @_healing
    def page(self, *, status: str = "", words: str = "", limit: int, offset: int = 0) -> tuple[Entry, ...]:
        """Some jobs: what runs first, then what will, by its start; after these, or for status "ended", the ended, newest first.

        `words` must stand in the job's name, command, id or labels.
        """
        pattern = words.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        asked = {"status": status, "words": f"%{pattern}%", "limit": limit, "offset": offset}
        with self._files.asking() as database:
            active = () if status == "ended" else self._files.rows(database, "active", asked)
            if status not in {"", "ended"} or len(active) >= limit:
                return active
            active_ones = sum(number for name, number in _counts(database).items() if name != "ended")
            skipped = max(0, offset - active_ones) if status == "" else offset
            return (*active, *self._files.rows(database, "ended", {**asked, "limit": limit - len(active), "offset": skipped}))

    def _called(self, database: sqlite3.Connection | None, job_id: str) -> tuple[Entry, ...]:
        entry = self._files.stored(database, job_id) if database else None
        if entry is not None:
            return (entry,)
        array = self._files.rows(database, "numbered", (int(job_id),)) if job_id.isascii() and job_id.isdigit() else ()
        if not array:
            raise _unknown(job_id)
        return array

    @_healing
    def lease(self, holder: str, now_at: datetime, until_at: datetime) -> bool:
        """Take or renew the right to run ticks; False while another live holder has it; raises StoreError."""
        until_at = min(until_at, now_at + LONGEST_LEASE)
        with self._files.changing() as turn:
            row = turn.database.execute(sql("lease")).fetchone()
            if row is not None and row[0] != holder and self._holds(row[0], parse_iso_utc(row[1]), now_at):
                return False
            turn.database.execute(sql("drop_lease"))
            turn.database.execute(sql("keep_lease"), (holder, iso_utc(until_at)))
        return True

    @_healing
    def release(self, holder: str) -> None:
        """Give the right back. Idempotent; raises StoreError."""
        with self._files.changing() as turn:
            turn.database.execute(sql("drop_lease_of"), (holder,))

    @_healing
    def holder(self, now_at: datetime) -> str | None:
        """Who has the right to run ticks now; None if nobody has; raises StoreError."""
        with self._files.asking() as database:
            row = database.execute(sql("lease")).fetchone() if database else None
        return row[0] if row is not None and self._holds(row[0], parse_iso_utc(row[1]), now_at) else None

    def _holds(self, holder: str, until_at: datetime, now_at: datetime) -> bool:
        return now_at < until_at <= now_at + LONGEST_LEASE and not self._is_dead(holder)

    def check(self) -> None:
        """Look for damage, and build the database anew if there is any; raises StoreError."""
        self.close()
        if not self._files.database.is_sound():
            self.rebuild()

    def close(self) -> None:
        """Let go of the database until it is asked again. Idempotent."""
        self._files.database.close()

    def rebuild(self) -> None:
        """Keep the damaged database aside and make one anew from the log; raises StoreError."""
        self._files.rebuild()


def _numbered(drafts: Sequence[Submission], number: int) -> Iterable[Submission]:
    """The drafts under their names: one number for an array, the next for each other."""
    for position, draft in enumerate(drafts):
        job_id = f"{number}_{draft.array_index}" if draft.array_index is not None else str(number + position)
        yield replace(draft, job=replace(draft.job, id=job_id))


def _submitted(draft: Submission, at: datetime) -> JobEvent:
    return JobEvent(job_id=draft.job.id, version=1, at=at, change=Submitted(submission=draft))


def _counts(database: sqlite3.Connection | None) -> Mapping[str, int]:
    return dict(database.execute(sql("counts")).fetchall()) if database else {}


def _unknown(job_id: str) -> UnknownJob:
    return UnknownJob(f"the queue has no job {job_id!r}", hint="greenai jobs list shows those it has")
