"""A SQLite file whose connection stays open, for the threads of one process; a process that forks begins anew on both sides."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from greenai.adapters.store._file import DatabaseFile

Identity = tuple[int, int]
"""Device and inode: tells a file from another one that took its name."""


class KeptDatabaseFile(DatabaseFile):
    """Opened once and again only when the file was replaced or failed; `lock` is held for each operation.

    Closing the last connection of a database writes its WAL back and waits for the
    disk twice: done after each operation it would cost more than the operation.
    """

    def __init__(self, path: Path, what: str, sql: Mapping[str, str], *, wait_s: float = 5.0) -> None:
        super().__init__(path, what, sql, wait_s=wait_s, is_copy=True)
        self.lock = RLock()
        self.seen: Identity | None = None
        """The file as it was when it was last opened."""
        self._held = _Held()
        weakref.finalize(self, self._held.close)
        _ALL.add(self)

    def close(self) -> None:
        """Let go of the file; the next operation opens it again."""
        with self.lock:
            self._held.close()

    def identity(self) -> Identity | None:
        """The file that has the name now; None while there is none."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    @contextmanager
    def _opened(self, *, to_write: bool) -> Iterator[sqlite3.Connection]:
        # What is read where nobody may write is not kept: SQLite then takes it for unchanging.
        if not to_write and not os.access(self.path.parent, os.W_OK):
            with super()._opened(to_write=False) as database:
                yield database
            return
        with self.lock:
            database = self._connection(to_write=to_write)
            try:
                yield database
            except sqlite3.Error:
                self.close()
                raise
            finally:
                if self._held.database is not None and database.in_transaction:
                    database.execute("ROLLBACK")

    def _connection(self, *, to_write: bool) -> sqlite3.Connection:
        found, kept = self.identity(), self._held.database
        if kept is not None and found is not None and found == self.seen and self._held.may_write >= to_write:
            return kept
        self._held.close()
        self.seen = found
        kept = self._new() if to_write else self._old()
        self._held.database, self._held.may_write = kept, to_write
        self.seen = self.identity()
        return kept


class _Held:
    """The open connection; apart from the file, so that it is closed when the file is forgotten."""

    def __init__(self) -> None:
        self.database: sqlite3.Connection | None = None
        self.may_write = False

    def close(self) -> None:
        if self.database is not None:
            with suppress(sqlite3.Error):
                self.database.close()
            self.database = None


_ALL: weakref.WeakSet[KeptDatabaseFile] = weakref.WeakSet()
_STOPPED: list[KeptDatabaseFile] = []


def _before_fork() -> None:
    """SQLite must not be carried over a fork (sqlite.org, How To Corrupt, section 2.6): close what is open, let nobody open."""
    for file in list(_ALL):
        file.lock.acquire()
        file.close()
        _STOPPED.append(file)


def _after_fork() -> None:
    while _STOPPED:
        _STOPPED.pop().lock.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
