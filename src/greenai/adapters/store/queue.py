"""The durable queue: a log of events that is the truth, and a database that answers quickly.

Both are written under one lock and one transaction, the log first and synced. A
process that dies in between leaves a log that is ahead; whoever opens the queue
next catches the database up. A damaged database is kept aside and built anew; a
log that lost its end is restored from the database.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from greenai.adapters.store._file import DatabaseDamaged, DatabaseFile, blocks_of
from greenai.errors import EvidenceDamaged, InputError, StoreError, UnknownJob
from greenai.model.queue import STATUS_NAMES, Entry, JobEvent, Paused, Running, Submission, Submitted, Waiting, after
from greenai.model.queue_lines import (
    entry_document,
    entry_from,
    event_from_line,
    event_line,
    submission_document,
    submission_from,
)
from greenai.model.units import iso_utc, parse_iso_utc

LONGEST_LEASE = timedelta(minutes=10)
"""No lease is taken for longer: one that ends further ahead was taken before the clock was set back."""

REMEDY = "free space or mend the permissions, or set GREENAI_HOME elsewhere"
RETRY_S = 0.01


class DurableQueue:
    """Implements `greenai.ports.JobQueue` in `queue.jsonl` and `queue.sqlite` of one directory.

    `is_dead` says of the holder of a lease whether it is known to be gone. What
    had to be repaired is told in `repairs`, for whoever shows it.
    """

    def __init__(self, home: Path, *, is_dead: Callable[[str], bool] = lambda _: False, wait_s: float = 10.0) -> None:
        self.log_path = home / "queue.jsonl"
        self.repairs: list[str] = []
        self._is_dead = is_dead
        self._wait_s = wait_s
        self._known: dict[str, Entry] = {}
        self._file = DatabaseFile(home / "queue.sqlite", "queue", blocks_of("queue.sql"), wait_s=wait_s, is_copy=True)

    def enqueue(self, drafts: Sequence[Submission], at: datetime) -> tuple[Entry, ...]:
        """Store new jobs, all or none, under the next numbers; raises StoreError."""
        with self._changing() as (database, log):
            (last,) = database.execute(_sql("last_number")).fetchone()
            events = [_submitted(draft, at) for draft in _numbered(drafts, last + 1)]
            return tuple(self._write(database, log, [(event, after(None, event)) for event in events]))

    def append(self, events: Sequence[JobEvent], *, holder: str = "") -> tuple[bool, ...]:
        """Write events durably, in one go; False for each that does not follow, or for all if `holder` lost the lease."""
        if not events:
            return ()
        with self._changing() as (database, log):
            if holder and (database.execute(_sql("lease")).fetchone() or ("",))[0] != holder:
                return (False,) * len(events)
            entries: dict[str, Entry] = {}
            steps: list[tuple[JobEvent, Entry]] = []
            fits: list[bool] = []
            for event in events:
                entry = self._after(database, entries.get(event.job_id), event)
                fits.append(entry is not None)
                if entry is not None:
                    entries[event.job_id] = entry
                    steps.append((event, entry))
            self._write(database, log, steps)
        return tuple(fits)

    def _after(self, database: sqlite3.Connection, entry: Entry | None, event: JobEvent) -> Entry | None:
        """The job after an event that follows; None for one that does not."""
        try:
            return after(entry or self._stored(database, event.job_id), event)
        except InputError:
            return None

    def _write(self, database: sqlite3.Connection, log: int, steps: Sequence[tuple[JobEvent, Entry]]) -> list[Entry]:
        """Log first, synced; then the database. What the database refuses is taken back from the log."""
        lines = [event_line(event) for event, _ in steps]
        size = os.fstat(log).st_size
        try:
            _append(log, b"".join(lines))
            self._apply(database, steps, lines)
            database.execute(_sql("set_applied"), (os.fstat(log).st_size,))
            database.execute("COMMIT")
        except BaseException:
            with suppress(OSError):
                os.ftruncate(log, size)
            raise
        # The transaction of whoever called goes on, empty.
        database.execute("BEGIN")
        for _, entry in steps:
            self._known[entry.id] = entry
        return [entry for _, entry in steps]

    def _apply(self, database: sqlite3.Connection, steps: Sequence[tuple[JobEvent, Entry]], lines: Sequence[bytes]) -> None:
        kept = [(event.job_id, event.version, line) for (event, _), line in zip(steps, lines, strict=True)]
        database.executemany(_sql("keep_event"), kept)
        database.executemany(_sql("keep_job"), [_new_row(entry) for event, entry in steps if event.version == 1])
        database.executemany(_sql("change_job"), [_row(entry) for event, entry in steps if event.version > 1])

    def unfinished(self) -> tuple[Entry, ...]:
        """Every job that is not over, in the order of submission; raises StoreError."""
        with self._asking() as database:
            return self._rows(database, "unfinished", ())

    def entries(self, job_ids: Sequence[str]) -> tuple[Entry, ...]:
        """These jobs, or for the number of an array all of its jobs; raises UnknownJob, StoreError."""
        with self._asking() as database:
            return tuple(entry for job_id in job_ids for entry in self._called(database, job_id))

    def events(self, job_id: str) -> tuple[JobEvent, ...]:
        """The life of one job, first event first; raises UnknownJob, StoreError."""
        with self._asking() as database:
            rows = database.execute(_sql("events"), (job_id,)).fetchall() if database else []
        if not rows:
            raise _unknown(job_id)
        return tuple(event_from_line(line) for (line,) in rows)

    def mark(self) -> int:
        """The size of the log."""
        try:
            return self.log_path.stat().st_size
        except OSError:
            return 0

    def counts(self) -> Mapping[str, int]:
        """How many jobs there are of each status, by its name; raises StoreError."""
        with self._asking() as database:
            return dict(database.execute(_sql("counts")).fetchall()) if database else {}

    def page(self, *, status: str = "", words: str = "", limit: int, offset: int = 0) -> tuple[Entry, ...]:
        """Some jobs: what runs first, then what will, by its start; after these, or for status "ended", the ended, newest first.

        `words` must stand in the job's name, command, id or labels.
        """
        pattern = words.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        asked = {"status": status, "words": f"%{pattern}%", "limit": limit, "offset": offset}
        with self._asking() as database:
            active = () if status == "ended" else self._rows(database, "active", asked)
            if status not in {"", "ended"} or len(active) >= limit:
                return active
            active_ones = sum(number for name, number in self.counts().items() if name != "ended")
            skipped = max(0, offset - active_ones) if status == "" else offset
            return (*active, *self._rows(database, "ended", {**asked, "limit": limit - len(active), "offset": skipped}))

    def _called(self, database: sqlite3.Connection | None, job_id: str) -> tuple[Entry, ...]:
        entry = self._stored(database, job_id) if database else None
        if entry is not None:
            return (entry,)
        array = self._rows(database, "numbered", (int(job_id),)) if job_id.isascii() and job_id.isdigit() else ()
        if not array:
            raise _unknown(job_id)
        return array

    def _rows(self, database: sqlite3.Connection | None, query: str, asked: Any) -> tuple[Entry, ...]:
        """The jobs of rows of id and version, from memory where they have not changed."""
        if database is None:
            return ()
        rows = database.execute(_sql(query), asked).fetchall()
        self._load(database, [job_id for job_id, version in rows if not self._knows(job_id, version)])
        return tuple(self._known[job_id] for job_id, _ in rows)

    def _stored(self, database: sqlite3.Connection, job_id: str) -> Entry | None:
        row = database.execute(_sql("version"), (job_id,)).fetchone()
        if row is None:
            return None
        self._load(database, [] if self._knows(job_id, row[0]) else [job_id])
        return self._known[job_id]

    def _knows(self, job_id: str, version: int) -> bool:
        known = self._known.get(job_id)
        return known is not None and known.version == version

    def _load(self, database: sqlite3.Connection, job_ids: Sequence[str]) -> None:
        """Read these jobs into memory; what was handed over never changes."""
        for job_id, submission, state in database.execute(_sql("jobs"), (json.dumps(job_ids),)) if job_ids else ():
            known = self._known.get(job_id)
            handed_over = known.submission if known is not None else submission_from(json.loads(submission))
            self._known[job_id] = entry_from(json.loads(state), handed_over)

    def lease(self, holder: str, now_at: datetime, until_at: datetime) -> bool:
        """Take or renew the right to run ticks; False while another live holder has it; raises StoreError."""
        until_at = min(until_at, now_at + LONGEST_LEASE)
        with self._changing() as (database, _):
            row = database.execute(_sql("lease")).fetchone()
            if row is not None and row[0] != holder and self._holds(row[0], parse_iso_utc(row[1]), now_at):
                return False
            database.execute(_sql("drop_lease"))
            database.execute(_sql("keep_lease"), (holder, iso_utc(until_at)))
        return True

    def release(self, holder: str) -> None:
        """Give the right back. Idempotent; raises StoreError."""
        with self._changing() as (database, _):
            database.execute(_sql("drop_lease_of"), (holder,))

    def holder(self, now_at: datetime) -> str | None:
        """Who has the right to run ticks now; None if nobody has; raises StoreError."""
        with self._asking() as database:
            row = database.execute(_sql("lease")).fetchone() if database else None
        return row[0] if row is not None and self._holds(row[0], parse_iso_utc(row[1]), now_at) else None

    def _holds(self, holder: str, until_at: datetime, now_at: datetime) -> bool:
        return now_at < until_at <= now_at + LONGEST_LEASE and not self._is_dead(holder)

    def check(self) -> None:
        """Look for damage, and build the database anew if there is any; raises StoreError."""
        if not self._file.is_sound():
            self._rebuild()

    @contextmanager
    def _changing(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """The database within a transaction, and the log, both held and equal."""
        self._mended()
        with self._log() as log, self._file.writing() as database:
            self._catch_up(database, log)
            yield database, log

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection | None]:
        """The database to read from, caught up with the log if it can be written."""
        self._mended()
        with self._file.reading() as database:
            yield database

    def _mended(self) -> None:
        """Catch up, or rebuild what is damaged, before anything is asked."""
        try:
            with self._file.reading() as database:
                applied = database.execute(_sql("applied")).fetchone()[0] if database else None
        except DatabaseDamaged:
            self._rebuild()
            return
        if self.mark() != (applied or 0) and os.access(self.log_path.parent, os.W_OK):
            with self._log() as log, self._file.writing() as database:
                self._catch_up(database, log)

    def _rebuild(self) -> None:
        """Keep the damaged database aside and make one anew from the log."""
        with self._log() as log:
            if self._file.is_sound():
                return
            kept = _keep_aside(self._file.path)
            self._known.clear()
            self.repairs.append(f"{self._file.path.name} was damaged: kept as {kept}, and built anew from {self.log_path.name}")
            with self._file.writing() as database:
                self._catch_up(database, log)

    @contextmanager
    def _log(self) -> Iterator[int]:
        """The log, locked against every other writer; raises StoreError."""
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            log = os.open(self.log_path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self.log_path} cannot be opened: {error.strerror}", hint=REMEDY) from error
        try:
            self._lock(log)
            yield log
        finally:
            os.close(log)

    def _lock(self, log: int) -> None:
        give_up_s = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up_s:
                    raise StoreError(f"{self.log_path} is held by another process", hint="try again") from None
                time.sleep(RETRY_S)
            else:
                return

    def _catch_up(self, database: sqlite3.Connection, log: int) -> None:
        """Make the database and the log say the same."""
        (applied,) = database.execute(_sql("applied")).fetchone()
        size = os.fstat(log).st_size
        if size < applied:
            self._restore_log(database, log)
        elif size > applied:
            self._apply_rest(database, log, applied)

    def _restore_log(self, database: sqlite3.Connection, log: int) -> None:
        os.ftruncate(log, 0)
        _append(log, b"".join(line for (line,) in database.execute(_sql("lines"))))
        database.execute(_sql("set_applied"), (os.fstat(log).st_size,))
        self.repairs.append(f"{self.log_path.name} had lost its end: restored from {self._file.path.name}")

    def _apply_rest(self, database: sqlite3.Connection, log: int, applied: int) -> None:
        """Take over what the log has more. A line that was cut off was never acknowledged: it goes."""
        rest = os.pread(log, os.fstat(log).st_size - applied, applied)
        whole = rest[: rest.rfind(b"\n") + 1]
        os.ftruncate(log, applied + len(whole))
        entries: dict[str, Entry] = {}
        steps: list[tuple[JobEvent, Entry]] = []
        lines: list[bytes] = []
        for line in whole.splitlines(keepends=True):
            step = self._step(database, entries, line)
            if step is None:
                begins = line[:60].decode(errors="replace").strip()
                self.repairs.append(f"a line of {self.log_path.name} is damaged and was left out: {begins} ...")
                continue
            entries[step[1].id] = step[1]
            steps.append(step)
            lines.append(line)
        self._apply(database, steps, lines)
        self._known |= entries
        database.execute(_sql("set_applied"), (applied + len(whole),))

    def _step(self, database: sqlite3.Connection, entries: Mapping[str, Entry], line: bytes) -> tuple[JobEvent, Entry] | None:
        try:
            event = event_from_line(line)
        except EvidenceDamaged:
            return None
        entry = self._after(database, entries.get(event.job_id), event)
        return None if entry is None else (event, entry)


def _numbered(drafts: Sequence[Submission], number: int) -> Iterable[Submission]:
    """The drafts under their names: one number for an array, the next for each other."""
    for position, draft in enumerate(drafts):
        job_id = f"{number}_{draft.array_index}" if draft.array_index is not None else str(number + position)
        yield replace(draft, job=replace(draft.job, id=job_id))


def _submitted(draft: Submission, at: datetime) -> JobEvent:
    return JobEvent(job_id=draft.job.id, version=1, at=at, change=Submitted(submission=draft))


def _append(log: int, body: bytes) -> None:
    """Write and sync; raises StoreError."""
    view = memoryview(body)
    try:
        while view:
            view = view[os.write(log, view) :]
        os.fdatasync(log)
    except OSError as error:
        raise StoreError(f"the log of the queue cannot be written: {error.strerror}", hint=REMEDY) from error


def _keep_aside(path: Path) -> str:
    """Rename a database and what belongs to it; the new name."""
    number = next(n for n in range(1, 1_000_000) if not path.with_name(f"{path.stem}.damaged-{n}{path.suffix}").exists())
    kept = path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(kept.with_name(kept.name + ending))
    return kept.name


def _row(entry: Entry) -> dict[str, Any]:
    status = entry.status
    start_at = status.windows[0].start_at if isinstance(status, Waiting | Paused) and status.windows else None
    start_at = status.started_at if isinstance(status, Running) else start_at
    return {
        "id": entry.id,
        "status": STATUS_NAMES[type(status)],
        "over": int(entry.is_over),
        "start_at": iso_utc(start_at) if start_at else None,
        "changed_at": iso_utc(entry.changed_at),
        "version": entry.version,
        "state": json.dumps(entry_document(entry), separators=(",", ":"), ensure_ascii=False),
    }


def _new_row(entry: Entry) -> dict[str, Any]:
    submission = entry.submission
    labels = (f"{key}={value}" for key, value in submission.job.labels.items())
    return {
        **_row(entry),
        "number": int(entry.id.partition("_")[0]),
        "words": " ".join((entry.id, submission.name, *submission.job.command, *labels)),
        "submission": json.dumps(submission_document(submission), separators=(",", ":"), ensure_ascii=False),
    }


def _unknown(job_id: str) -> UnknownJob:
    return UnknownJob(f"the queue has no job {job_id!r}", hint="greenai jobs list shows those it has")


def _sql(name: str) -> str:
    return blocks_of("queue.sql")[name]
