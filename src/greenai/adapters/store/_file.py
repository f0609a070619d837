"""One SQLite file: opened anew for each operation, so that threads, forks and other processes cannot disturb it.

`_kept.py` has one that stays open.

SQL stands in files beside this one, in named blocks. `schema_1` begins a database,
`schema_2` and so on bring an older one up to date.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from pkgutil import get_data
from types import MappingProxyType

from greenai.errors import StoreError

MEMORY = ":memory:"

DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
"""How SQLite's names of errors begin when the file itself is no good."""

REMEDIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "SQLITE_FULL": ("the disk is full", "free some space"),
        "SQLITE_IOERR": ("the disk cannot be read or written, or is full", "free some space, or check the disk"),
        "SQLITE_BUSY": ("another process holds it", "try again when it has finished"),
        "SQLITE_LOCKED": ("another process holds it", "try again when it has finished"),
        "SQLITE_READONLY": ("it cannot be written", "make it and its directory writable, or set GREENAI_HOME elsewhere"),
        "SQLITE_CANTOPEN": ("it cannot be opened", "make it and its directory accessible, or set GREENAI_HOME elsewhere"),
        "SQLITE_CORRUPT": ("it is damaged", "move the file away: a new one is begun"),
        "SQLITE_NOTADB": ("it is not a database", "move the file away: a new one is begun"),
    }
)
"""What is wrong and what to do, by the beginning of SQLite's name of the error."""


class DatabaseDamaged(StoreError):
    """The file is no sound database."""


class DatabaseFile:
    """A database named `what` in messages, with the SQL of `sql`; ":memory:" keeps everything in this process, for tests.

    One that `is_copy` of something that is synced itself does not wait for the disk
    at each commit: after a power cut it is sound, and may be behind (SQLite,
    PRAGMA synchronous: NORMAL with WAL).
    """

    def __init__(
        self, path: Path | str, what: str, sql: Mapping[str, str], *, wait_s: float = 5.0, is_copy: bool = False
    ) -> None:
        self.path = Path(path)
        self._what = what
        self._sql = sql
        self._newest = sum(name.startswith("schema_") for name in sql)
        self._wait_s = wait_s
        self._is_copy = is_copy
        self._memory = sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False) if str(path) == MEMORY else None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection within one transaction, the schema in place and up to date; raises StoreError."""
        with self._errors("written"), self._opened(to_write=True) as database:
            database.execute("BEGIN IMMEDIATE")
            for number in range(self._version(database) + 1, self._newest + 1):
                for statement in self._sql[f"schema_{number}"].split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {number}")
            yield database
            database.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection, None while there is no database, or one not yet brought up to date; raises StoreError."""
        with self._errors("read"):
            if self._memory is None and not self.path.exists():
                yield None
                return
            with self._opened(to_write=False) as database:
                yield database if self._version(database) == self._newest else None

    def is_sound(self) -> bool:
        """Whether SQLite finds nothing wrong in the file; a file that is not there is sound."""
        try:
            with self.reading() as database:
                return database is None or database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except DatabaseDamaged:
            return False

    def _new(self) -> sqlite3.Connection:
        """A connection that may begin the database."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives the files beside it the same mode: what jobs are told stands in them. Never open one that is there: to
        # close it would drop the locks that SQLite has on it in this process (sqlite.org, How To Corrupt, section 2.2).
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        database = self._connect("mode=rwc")
        try:
            (journal,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
            if self._is_copy and journal == "wal":
                database.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.OperationalError:
            # Readers then wait for writers; nothing else is lost (network file systems, another process beginning it).
            return database
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _old(self) -> sqlite3.Connection:
        """A connection to read by. In a directory that cannot be written WAL has nowhere to keep its index: read without."""
        database = self._connect("mode=rw")
        try:
            database.execute("PRAGMA user_version").fetchone()
        except sqlite3.OperationalError:
            database.close()
            return self._connect("mode=ro&immutable=1")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _connect(self, how: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?{how}"
        return sqlite3.connect(address, uri=True, timeout=self._wait_s, isolation_level=None, check_same_thread=False)

    @contextmanager
    def _opened(self, *, to_write: bool) -> Iterator[sqlite3.Connection]:
        """A connection for one operation. It leaves no transaction behind, and no connection but the one that is the memory."""
        database = self._memory or (self._new() if to_write else self._old())
        try:
            yield database
        finally:
            if database is not self._memory:
                database.close()
            elif database.in_transaction:
                database.execute("ROLLBACK")

    def _version(self, database: sqlite3.Connection) -> int:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > self._newest:
            raise StoreError(
                f"the {self._what} {self.path} is of a newer greenai", hint="update greenai, or set GREENAI_HOME elsewhere"
            )
        return int(version)

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        """What SQLite and the file system say, as one sentence with its remedy."""
        try:
            yield
        except StoreError:
            raise
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            known = (words for prefix, words in REMEDIES.items() if name.startswith(prefix))
            problem, hint = next(known, (str(error), "check the disk and the file, or set GREENAI_HOME elsewhere"))
            kind = DatabaseDamaged if name.startswith(DAMAGED) else StoreError
            raise kind(f"the {self._what} {self.path} cannot be {done}: {problem}", hint=hint) from error
        except OSError as error:
            hint = "make its directory accessible, or set GREENAI_HOME elsewhere"
            raise StoreError(f"the {self._what} {self.path} cannot be {done}: {error.strerror}", hint=hint) from error


@cache
def blocks_of(name: str) -> Mapping[str, str]:
    """The named blocks of a SQL file of this package."""
    # Not by importlib.resources, which takes longer to load than the queue takes to list 50,000 jobs.
    text = (get_data("greenai.adapters.store", name) or b"").decode()
    blocks = (block.partition("\n") for block in text.split("-- name: ")[1:])
    return MappingProxyType({name.strip(): body.strip() for name, _, body in blocks})
