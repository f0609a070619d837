"""The one SQLite door: the archive of every answer ever read.

Each operation opens the file anew, so that threads, forks and other processes
cannot disturb it; writers queue behind SQLite's lock. Bodies are compressed and
kept once by hash; what is read back is hashed again before it is believed.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import cast

from greenai.errors import EvidenceDamaged, StoreError
from greenai.model.intensity import Payload, Purpose, Query
from greenai.model.units import as_utc, floor_to

SCHEMA_VERSION = 1
MEMORY = ":memory:"
ISSUED_EVERY = timedelta(minutes=30)
"""Grid services issue each half hour; the slot tells apart the forecasts of one moment when their skill is measured."""

REMEDIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "SQLITE_FULL": ("the disk is full", "free some space"),
        "SQLITE_BUSY": ("another process holds it", "try again when it has finished"),
        "SQLITE_LOCKED": ("another process holds it", "try again when it has finished"),
        "SQLITE_READONLY": ("it cannot be written", "make it and its directory writable, or set GREENAI_HOME elsewhere"),
        "SQLITE_CANTOPEN": ("it cannot be opened", "make it and its directory accessible, or set GREENAI_HOME elsewhere"),
        "SQLITE_CORRUPT": ("it is damaged", "move the file away: a new one is begun"),
        "SQLITE_NOTADB": ("it is not a database", "move the file away: a new one is begun"),
    }
)
"""What is wrong and what to do, by the beginning of SQLite's name of the error."""


class SqliteArchive:
    """Implements `greenai.ports.Archive` in one file; ":memory:" keeps everything in this process, for tests."""

    def __init__(self, path: Path | str, *, wait_s: float = 5.0) -> None:
        self._path = Path(path)
        self._wait_s = wait_s
        self._memory = sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False) if str(path) == MEMORY else None

    def keep(self, provider: str, query: Query, payloads: Sequence[Payload]) -> None:
        """Store one answer, all its payloads together or none.

        Raises:
            StoreError: it cannot be written.
        """
        fetched_at = max((payload.fetched_at for payload in payloads), default=query.now_at)
        answer = {
            "provider": provider,
            "zone": query.zone,
            "purpose": query.purpose,
            "start_at": _text(query.start_at),
            "end_at": _text(query.end_at),
            "now_at": _text(query.now_at),
            "issued_slot_at": _text(floor_to(fetched_at, ISSUED_EVERY)),
            "fetched_at": _text(fetched_at),
        }
        with self._writing() as database:
            answer_id = database.execute(_sql("keep_answer"), answer).lastrowid
            for position, payload in enumerate(payloads):
                if database.execute(_sql("has_body"), (payload.sha256,)).fetchone() is None:
                    database.execute(_sql("keep_body"), (payload.sha256, zlib.compress(payload.body)))
                part = (answer_id, position, payload.url, payload.sha256, _text(payload.fetched_at))
                database.execute(_sql("keep_part"), part)

    def answers(self, provider: str, zone: str, purpose: str, not_after: datetime) -> Iterator[tuple[Query, tuple[Payload, ...]]]:
        """Stored answers for a zone fetched up to `not_after`, newest first.

        Raises:
            StoreError: the archive cannot be read.
            EvidenceDamaged: a body is not what was stored.
        """
        with self._reading() as database:
            if database is None:
                return
            for answer_id, *moments in database.execute(_sql("answers"), (provider, zone, purpose, _text(not_after))):
                start_at, end_at, now_at = map(datetime.fromisoformat, moments)
                query = Query(zone=zone, start_at=start_at, end_at=end_at, now_at=now_at, purpose=cast("Purpose", purpose))
                yield query, tuple(self._payload(part) for part in database.execute(_sql("parts"), (answer_id,)))

    def payload(self, sha256: str) -> Payload | None:
        """One stored body by its hash, with the address and time it was first read; None if it never was.

        Raises:
            StoreError: the archive cannot be read.
            EvidenceDamaged: the body is not what was stored.
        """
        with self._reading() as database:
            row = database.execute(_sql("payload"), (sha256,)).fetchone() if database else None
            return self._payload(row) if row else None

    def _payload(self, row: tuple[str, str, str, bytes]) -> Payload:
        url, sha256, fetched_at, compressed = row
        try:
            body = zlib.decompress(compressed)
        except (zlib.error, TypeError):
            body = None
        if body is None or hashlib.sha256(body).hexdigest() != sha256:
            raise EvidenceDamaged(
                f"the archived answer {sha256[:12]} of {url} is not what was stored",
                hint=f"restore {self._path} from a copy; what rests on this answer cannot be verified without it",
            )
        return Payload(url=url, body=body, sha256=sha256, fetched_at=datetime.fromisoformat(fetched_at))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A connection within one transaction, the schema in place."""
        with self._errors("written"), self._closing(self._memory or self._new()) as database:
            database.execute("BEGIN IMMEDIATE")
            if self._version(database) == 0:
                for statement in _sql("schema").split(";"):
                    database.execute(statement)
            yield database
            database.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection, None while there is no archive."""
        with self._errors("read"):
            if self._memory is None and not self._path.exists():
                yield None
                return
            with self._closing(self._memory or self._old()) as database:
                yield database if self._version(database) else None

    def _new(self) -> sqlite3.Connection:
        """A connection that may begin the archive."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = self._connect("mode=rwc")
        try:
            database.execute("PRAGMA journal_mode = WAL")
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
            database.execute(_sql("version")).fetchone()
        except sqlite3.OperationalError:
            database.close()
            return self._connect("mode=ro&immutable=1")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _connect(self, how: str) -> sqlite3.Connection:
        address = f"{self._path.absolute().as_uri()}?{how}"
        return sqlite3.connect(address, uri=True, timeout=self._wait_s, isolation_level=None, check_same_thread=False)

    @contextmanager
    def _closing(self, database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        """Leave no transaction behind, and no connection but the one that is the memory."""
        try:
            yield database
        finally:
            if database is not self._memory:
                database.close()
            elif database.in_transaction:
                database.execute("ROLLBACK")

    def _version(self, database: sqlite3.Connection) -> int:
        (version,) = database.execute(_sql("version")).fetchone()
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"the archive {self._path} is of a newer greenai", hint="update greenai, or set GREENAI_HOME elsewhere"
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
            raise StoreError(f"the archive {self._path} cannot be {done}: {problem}", hint=hint) from error
        except OSError as error:
            hint = "make its directory accessible, or set GREENAI_HOME elsewhere"
            raise StoreError(f"the archive {self._path} cannot be {done}: {error.strerror}", hint=hint) from error


def _text(moment: datetime) -> str:
    return as_utc(moment).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _sql(name: str) -> str:
    return _blocks()[name]


@cache
def _blocks() -> Mapping[str, str]:
    text = files("greenai.adapters").joinpath("archive.sql").read_text(encoding="utf-8")
    blocks = (block.partition("\n") for block in text.split("-- name: ")[1:])
    return MappingProxyType({name.strip(): body.strip() for name, _, body in blocks})
