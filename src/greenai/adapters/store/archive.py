"""The archive of every answer ever read.

Bodies are compressed and kept once by hash; what is read back is hashed again before it is believed.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from greenai.adapters.store._file import DatabaseFile, blocks_of
from greenai.errors import EvidenceDamaged
from greenai.model.intensity import Payload, Purpose, Query
from greenai.model.units import as_utc, floor_to

ISSUED_EVERY = timedelta(minutes=30)
"""Grid services issue each half hour; the slot tells apart the forecasts of one moment when their skill is measured."""


class SqliteArchive:
    """Implements `greenai.ports.Archive` in one file; ":memory:" keeps everything in this process, for tests."""

    def __init__(self, path: Path | str, *, wait_s: float = 5.0) -> None:
        self._file = DatabaseFile(path, "archive", blocks_of("archive.sql"), wait_s=wait_s)

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
        with self._file.writing() as database:
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
        with self._file.reading() as database:
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
        with self._file.reading() as database:
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
                hint=f"restore {self._file.path} from a copy; what rests on this answer cannot be verified without it",
            )
        return Payload(url=url, body=body, sha256=sha256, fetched_at=datetime.fromisoformat(fetched_at))


def _text(moment: datetime) -> str:
    return as_utc(moment).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _sql(name: str) -> str:
    return blocks_of("archive.sql")[name]
