"""What is wanted of each ledger record, kept in a small file beside it, so that ten thousand records need not be read again.

The ledger only grows: what was read stays valid, and only what came after it is
read. The file says up to where it is, and the end of the line there; where that
does not fit (another ledger, one that was cut back), or the file is damaged, it
is made anew. Losing it loses nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from greenai.errors import EvidenceDamaged, StoreError
from greenai.model.evidence import record_from_line, sha256_of

FORMAT = 1
END_BYTES = 160
"""The end of a line: its own hash, moment and type stand there."""

PRIVATE_FILE = 0o600

Digest = Callable[[Mapping[str, Any]], Any | None]


class LedgerDigest:
    """Digests of the records of one type, of the ledger of one state directory.

    `digest` gives JSON data for a payload, None for one that is of no use. `name`
    is that of the file; a digest that changes its form needs another name.
    """

    def __init__(self, home: Path, name: str, record_type: str, digest: Digest) -> None:
        self._ledger = home / "ledger.jsonl"
        self._path = home / name
        self._ending = f',"type":"{record_type}"}}\n'.encode()
        self._digest = digest

    def rows(self) -> list[Any]:
        """The digests of all records, in order; raises StoreError when the ledger cannot be read."""
        try:
            descriptor = os.open(self._ledger, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self._ledger} cannot be read: {error.strerror}") from error
        try:
            known, offset = self._known(descriptor)
            fresh, reached = self._read_on(descriptor, offset)
            rows = [*known, *fresh]
            if reached != offset:
                self._keep(rows, reached, _end_before(descriptor, reached))
        except OSError as error:
            raise StoreError(f"{self._ledger} cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)
        return rows

    def _known(self, descriptor: int) -> tuple[list[Any], int]:
        """The digests on file and how far they reach; none where they are not of this ledger."""
        try:
            kept = json.loads(self._path.read_bytes())
            rows, offset = list(kept["rows"]), int(kept["bytes"])
            fits = kept["format"] == FORMAT and kept["end"] == _end_before(descriptor, offset)
        except (OSError, ValueError, TypeError, KeyError):
            return [], 0
        return (rows, offset) if fits else ([], 0)

    def _read_on(self, descriptor: int, offset: int) -> tuple[list[Any], int]:
        """The digests of the complete lines from an offset on, and where they end."""
        found: list[Any] = []
        with os.fdopen(os.dup(descriptor), "rb") as ledger:
            ledger.seek(offset)
            for line in ledger:
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                if line.endswith(self._ending):
                    found += self._of(line)
        return found, offset

    def _of(self, line: bytes) -> Iterator[Any]:
        """The digest of a line; none of one that is damaged, which `greenai evidence verify` names."""
        try:
            digest = self._digest(record_from_line(line[:-1]).payload)
        except EvidenceDamaged:
            return
        if digest is not None:
            yield digest

    def _keep(self, rows: list[Any], reached: int, end: str) -> None:
        """Replace the file whole. Where that cannot be done the next reader reads more."""
        body = json.dumps({"format": FORMAT, "bytes": reached, "end": end, "rows": rows}, separators=(",", ":"))
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with suppress(OSError):
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(body)
            aside.replace(self._path)


def _end_before(descriptor: int, offset: int) -> str:
    """The hash of the end of the line that ends at an offset; empty at the very beginning or beyond the end."""
    begin = max(0, offset - END_BYTES)
    body = os.pread(descriptor, offset - begin, begin)
    return sha256_of(body) if body.endswith(b"\n") and len(body) == offset - begin else ""
