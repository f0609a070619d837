"""The two files of the queue, kept equal: the log of events that is the truth, and the database that answers quickly.

Both are written under one lock, the log first. Whoever wrote then waits for the disk
to have the log, without the lock, before anything is acknowledged: one turn of the
disk serves all who wait for it. What others write meanwhile stands behind in the same
log, so it is never durable without what it rests on. The database does not wait for
the disk: after a power cut it is behind, or ahead by what nobody was told.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from greenai.adapters.store._file import DatabaseDamaged, blocks_of
from greenai.adapters.store._kept import KeptDatabaseFile
from greenai.adapters.store._queue_log import EventLog, append, unused
from greenai.adapters.store._queue_rows import entry_of, new_row_of, row_of
from greenai.errors import EvidenceDamaged, InputError, StoreError
from greenai.model.queue import Entry, JobEvent, after
from greenai.model.queue_lines import event_from_line, event_line

Step = tuple[JobEvent, Entry]

MAYBE_STORED = "it may be stored all the same: see what greenai jobs list shows before you try again"


class Turn:
    """One turn at writing: the database within a transaction, the log, where it ended before, and the jobs as they become."""

    def __init__(self, database: sqlite3.Connection, log: int) -> None:
        self.database = database
        self.log = log
        self.start = os.fstat(log).st_size
        self.entries: dict[str, Entry] = {}


class QueueFiles:
    """`queue.jsonl` and `queue.sqlite` of one directory. What had to be repaired is told in `repairs`."""

    def __init__(self, home: Path, wait_s: float) -> None:
        self.log = EventLog(home / "queue.jsonl", wait_s)
        self.database = KeptDatabaseFile(home / "queue.sqlite", "queue", blocks_of("queue.sql"), wait_s=wait_s)
        self.repairs: list[str] = []
        self._known: dict[str, Entry] = {}

    # Writing ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def changing(self) -> Iterator[Turn]:
        """A turn at writing. What was written is durable when it is over; raises StoreError, and then it is taken back."""
        with self.log.opened() as log:
            with self._holding(log) as turn:
                yield turn
                end = os.fstat(log).st_size
            if end > turn.start:
                self._sync(log, turn.start, end)

    def after(self, turn: Turn, event: JobEvent) -> Entry | None:
        """The job after an event that follows; None for one that does not."""
        try:
            entry = after(turn.entries.get(event.job_id) or self.stored(turn.database, event.job_id), event)
        except InputError:
            return None
        turn.entries[event.job_id] = entry
        return entry

    def write(self, turn: Turn, steps: Sequence[Step]) -> None:
        """Events that follow, into the log and then into the database."""
        lines = [event_line(event) for event, _ in steps]
        append(turn.log, b"".join(lines))
        _apply(turn, steps, lines)
        turn.database.execute(sql("set_applied"), (os.fstat(turn.log).st_size,))

    @contextmanager
    def _holding(self, log: int) -> Iterator[Turn]:
        """Log and database, both held and equal. Lines that the database does not take are cut off again."""
        start = None
        with self.database.lock, self.log.held(log):
            try:
                with self.database.writing() as database:
                    turn = Turn(database, log)
                    self._catch_up(turn)
                    start = turn.start = os.fstat(log).st_size
                    yield turn
            except BaseException:
                self._known.clear()
                if start is not None:
                    with suppress(OSError):
                        os.ftruncate(log, start)
                raise
            self._known |= turn.entries

    def _sync(self, log: int, start: int, end: int) -> None:
        try:
            self.log.sync(log, is_new=start == 0)
        except StoreError as error:
            if self._take_back(log, start, end):
                raise
            raise StoreError(str(error), hint=MAYBE_STORED) from error

    def _take_back(self, log: int, start: int, end: int) -> bool:
        """Undo what the disk would not keep; False where others have written behind it."""
        with self.database.lock, self.log.held(log):
            if os.fstat(log).st_size != end:
                return False
            os.ftruncate(log, start)
            self._known.clear()
            with self.database.writing() as database:
                self._begin_anew(Turn(database, log))
        return True

    # Reading ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def asking(self) -> Iterator[sqlite3.Connection | None]:
        """The database to read from, caught up with the log if it can be written; None while there is none."""
        self._mend()
        with self.database.reading() as database:
            yield database

    def rows(self, database: sqlite3.Connection | None, query: str, asked: Any) -> tuple[Entry, ...]:
        """The jobs of rows of id and version, from memory where they have not changed."""
        if database is None:
            return ()
        rows = database.execute(sql(query), asked).fetchall()
        self._load(database, [job_id for job_id, version in rows if not self._knows(job_id, version)])
        return tuple(self._known[job_id] for job_id, _ in rows)

    def stored(self, database: sqlite3.Connection, job_id: str) -> Entry | None:
        """One job; None if there is none of this id."""
        row = database.execute(sql("version"), (job_id,)).fetchone()
        if row is None:
            return None
        self._load(database, [] if self._knows(job_id, row[0]) else [job_id])
        return self._known[job_id]

    def _knows(self, job_id: str, version: int) -> bool:
        known = self._known.get(job_id)
        return known is not None and known.version == version

    def _load(self, database: sqlite3.Connection, job_ids: Sequence[str]) -> None:
        """Read these jobs into memory; what was handed over never changes."""
        if not job_ids:
            return
        rows = database.execute(sql("jobs"), (json.dumps(job_ids),)).fetchall()
        try:
            for row in rows:
                known = self._known.get(row[0])
                self._known[row[0]] = entry_of(row, known.submission if known is not None else None)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(f"holds what is no job: {error}") from error
        if len(rows) < len(job_ids):
            raise self._damaged("has lost jobs")

    def _damaged(self, how: str) -> DatabaseDamaged:
        return DatabaseDamaged(f"the queue {self.database.path} {how}", hint="move the file away: it is built anew from the log")

    # Mending ---------------------------------------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Keep the damaged database aside and make one anew from the log, unless another process has."""
        seen = self.database.seen
        with self.log.opened() as log, self.database.lock, self.log.held(log):
            if self.database.identity() != seen:
                return
            self.database.close()
            kept = _keep_aside(self.database.path)
            self._known.clear()
            self.repairs.append(
                f"{self.database.path.name} was damaged: kept as {kept}, and built anew from {self.log.path.name}"
            )
            with self.database.writing() as database:
                self._catch_up(Turn(database, log))

    def _mend(self) -> None:
        """Catch up before anything is asked."""
        with self.database.reading() as database:
            applied = database.execute(sql("applied")).fetchone()[0] if database else None
        if applied is None and not self.database.path.exists():
            applied = 0
        if self.log.size() != applied and os.access(self.log.path.parent, os.W_OK):
            with self.log.opened() as log, self._holding(log):
                pass

    def _catch_up(self, turn: Turn) -> None:
        """Make the database and the log say the same."""
        if turn.database.execute(sql("has_no_jobs")).fetchone() == (1,):
            # The schema of jobs is new: they are made from the events that the database has.
            lines = _all_lines(turn.database)
            turn.database.execute(sql("forget_events"))
            self._take_over(turn, lines)
        (applied,) = turn.database.execute(sql("applied")).fetchone()
        size = os.fstat(turn.log).st_size
        if size < applied:
            self._restore_log(turn, size)
        elif size > applied:
            self._apply_rest(turn, applied)

    def _restore_log(self, turn: Turn, size: int) -> None:
        """Write again what the log has lost; where it holds something else, a copy of that is kept."""
        lines, left, told = b"".join(_all_lines(turn.database)), os.pread(turn.log, size, 0), ""
        if not lines.startswith(left):
            left, told = b"", f"; what it held is kept as {self.log.keep_aside()}"
            os.ftruncate(turn.log, 0)
        append(turn.log, lines[len(left) :])
        self.log.sync(turn.log, is_new=not left)
        turn.database.execute(sql("set_applied"), (len(lines),))
        self.repairs.append(f"{self.log.path.name} had lost its end: restored from {self.database.path.name}{told}")

    def _apply_rest(self, turn: Turn, applied: int) -> None:
        """Take over what the log has more. A line that was cut off was never acknowledged: it goes."""
        if not _belongs(turn, applied):
            self.repairs.append(f"{self.database.path.name} does not go on as {self.log.path.name} does: built anew from it")
            self._begin_anew(turn)
            return
        rest = os.pread(turn.log, os.fstat(turn.log).st_size - applied, applied)
        whole = rest[: rest.rfind(b"\n") + 1]
        os.ftruncate(turn.log, applied + len(whole))
        self._take_over(turn, whole.splitlines(keepends=True))
        turn.database.execute(sql("set_applied"), (applied + len(whole),))

    def _begin_anew(self, turn: Turn) -> None:
        """Read the whole log into an empty database."""
        for query in ("forget_events", "forget_jobs", "forget_applied"):
            turn.database.execute(sql(query))
        turn.entries.clear()
        self._known.clear()
        self._catch_up(turn)

    def _take_over(self, turn: Turn, lines: Sequence[bytes]) -> None:
        """Lines of events into the database; what is none, or does not follow, is left out and told."""
        steps: list[Step] = []
        taken: list[bytes] = []
        for line in lines:
            entry = None
            with suppress(EvidenceDamaged):
                event = event_from_line(line)
                entry = self.after(turn, event)
            if entry is None:
                begins = line[:60].decode(errors="replace").strip()
                self.repairs.append(f"a line of {self.log.path.name} is damaged and was left out: {begins} ...")
                continue
            steps.append((event, entry))
            taken.append(line)
        _apply(turn, steps, taken)


def sql(name: str) -> str:
    """A named query of the queue."""
    return blocks_of("queue.sql")[name]


def _apply(turn: Turn, steps: Sequence[Step], lines: Sequence[bytes]) -> None:
    """Write events into the database, and the jobs as they are after the last one of each."""
    kept = [(event.job_id, event.version, line) for (event, _), line in zip(steps, lines, strict=True)]
    turn.database.executemany(sql("keep_event"), kept)
    new = [new_row_of(entry) for event, entry in steps if event.version == 1]
    turn.database.executemany(sql("keep_common"), {(row["common"],) for row in new})
    turn.database.executemany(sql("keep_job"), new)
    changed = {entry.id: entry for event, entry in steps if event.version > 1}
    turn.database.executemany(sql("change_job"), map(row_of, changed.values()))
    turn.entries |= {entry.id: entry for _, entry in steps}


def _all_lines(database: sqlite3.Connection) -> list[bytes]:
    return [line for (line,) in database.execute(sql("lines"))]


def _belongs(turn: Turn, applied: int) -> bool:
    """Whether the log up to there ends with the event that the database has last."""
    row = turn.database.execute(sql("last_line")).fetchone()
    return row is None or bool(os.pread(turn.log, len(row[0]), max(0, applied - len(row[0]))) == row[0])


def _keep_aside(path: Path) -> str:
    """Rename a database and what belongs to it; the new name."""
    kept = unused(path)
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(kept.with_name(kept.name + ending))
    return kept.name
