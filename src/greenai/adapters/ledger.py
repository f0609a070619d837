"""The ledger file: one canonical JSON record a line, appended under a lock, never edited.

What can happen, and what then holds:

- Two processes append at once: flock on ledger.lock puts them in a row.
- The disk fills up, or any write fails: the file is cut back to its last good
  length and StoreError is raised; an append that returned is on the disk.
- The process or the machine dies in the middle of a line: the next append moves
  the torn piece to ledger.torn-N and writes a note that says so.
- Rows are deleted at the end: ledger.head, replaced with each append, still names
  them; the next append writes a note, so that the proof is not overwritten.

The head is written aside first and moved into place last. A crash in between
leaves it behind the ledger, never ahead.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from greenai.errors import EvidenceDamaged, InputError, StoreError
from greenai.model.evidence import Head, Record, RecordType, canonical, hash_fits, next_record, record_from_line, record_line

TAIL_BYTES = 65_536
"""Read from the end to find the last record; most records are a tenth of this."""

READ_BYTES = 1 << 20

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600

SPACE_REMEDY = "free space or mend the permissions, or point GREENAI_HOME at another directory"
DAMAGE_REMEDY = "greenai evidence verify names the damage; to begin anew, move the whole directory aside and keep it"


class FileLedger:
    """The ledger of one state directory."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.path = home / "ledger.jsonl"
        self._head_path = home / "ledger.head"
        self._lock_path = home / "ledger.lock"

    def append(self, type: RecordType, payload: Mapping[str, Any], at: datetime) -> Record:  # noqa: A002 - the field's name in the published format
        """Write one record durably and return it.

        Raises:
            StoreError: it could not be written; the ledger is as it was.
            EvidenceDamaged: the last row does not verify, so nothing may follow it.
            InputError: the payload is no plain JSON data.
        """
        with self._locked(fcntl.LOCK_EX):
            with _naming(self.path, "written"):
                descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
            try:
                return self._append(descriptor, type, payload, at)
            finally:
                os.close(descriptor)

    def records(self) -> Iterator[Record]:
        """All records in order; raises EvidenceDamaged at a line that is none, StoreError when it cannot be read."""
        for number, line in enumerate(self.lines(), start=1):
            try:
                yield record_from_line(line)
            except EvidenceDamaged as error:
                raise EvidenceDamaged(f"{self.path}, line {number}: {error}", hint=DAMAGE_REMEDY) from None

    def lines(self) -> Iterator[bytes]:
        """The complete lines as they stood when the first was read, newline excluded; a torn last line is left out."""
        with _naming(self.path, "read"):
            try:
                file = self.path.open("rb")
            except FileNotFoundError:
                return
            with file:
                left = self._settled_size(file.fileno())
                for line in file:
                    left -= len(line)
                    if left < 0 or not line.endswith(b"\n"):
                        return
                    yield line[:-1]

    def head(self) -> Head | None:
        """What ledger.head says; None when it is absent. Raises EvidenceDamaged when it says nothing."""
        with _naming(self._head_path, "read"):
            try:
                body = self._head_path.read_bytes()
            except FileNotFoundError:
                return None
        try:
            head = Head(**json.loads(body))
        except (ValueError, TypeError):
            head = None
        if head is None or type(head.seq) is not int or not isinstance(head.sha256, str):
            raise EvidenceDamaged("ledger.head is damaged: rows deleted at the end would not show", hint=DAMAGE_REMEDY)
        return head

    def _append(self, descriptor: int, kind: RecordType, payload: Mapping[str, Any], at: datetime) -> Record:
        with _naming(self.path, "written"):
            torn = self._set_torn_tail_aside(descriptor)
            last = self._last_record(descriptor)
        records = []
        for finding in (torn, self._missing_rows(last)):
            if finding is not None:
                last = next_record(last, at=at, type="note", payload=finding)
                records.append(last)
        try:
            last = next_record(last, at=at, type=kind, payload=payload)
        except ValueError as error:
            raise InputError(f"this {kind} record cannot be written as canonical JSON: {error}") from None
        records.append(last)
        self._write(descriptor, b"".join(record_line(record) for record in records), last)
        return last

    def _write(self, descriptor: int, body: bytes, last: Record) -> None:
        """Head aside, lines, head into place; on any failure the ledger keeps its length."""
        aside = self._head_path.with_suffix(".head-next")
        with _naming(self.path, "written"):
            _write_durably(aside, canonical({"seq": last.seq, "sha256": last.sha256}) + b"\n")
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, body)
                os.fsync(descriptor)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                    os.fsync(descriptor)
                raise
        with suppress(OSError):
            # The record stands; a head that lags is a state that every reader allows.
            aside.replace(self._head_path)
            if size == 0:
                _sync_directory(self._home)

    def _set_torn_tail_aside(self, descriptor: int) -> dict[str, Any] | None:
        """Move what follows the last newline to a file of its own; what a note says about it, None when nothing does."""
        size = os.fstat(descriptor).st_size
        whole = _end_of_last_line(descriptor, size)
        if whole == size:
            return None
        torn = os.pread(descriptor, size - whole, whole)
        number = next(n for n in range(1, 1_000_000) if not self._torn_path(n).exists())
        _write_durably(self._torn_path(number), torn)
        os.ftruncate(descriptor, whole)
        os.fsync(descriptor)
        name = self._torn_path(number).name
        return {
            "about": "torn line",
            "file": name,
            "bytes": len(torn),
            "text": f"the last line was cut off and is kept in {name}",
        }

    def _torn_path(self, number: int) -> Path:
        return self._home / f"ledger.torn-{number}"

    def _last_record(self, descriptor: int) -> Record | None:
        size = os.fstat(descriptor).st_size
        if size == 0:
            return None
        start = _end_of_last_line(descriptor, size - 1)
        line = os.pread(descriptor, size - 1 - start, start)
        try:
            record = record_from_line(line)
        except EvidenceDamaged as error:
            raise EvidenceDamaged(f"the last row of {self.path} is damaged: {error}", hint=DAMAGE_REMEDY) from None
        if not hash_fits(line, record):
            raise EvidenceDamaged(f"the last row of {self.path} was changed, its hash does not fit", hint=DAMAGE_REMEDY)
        return record

    def _missing_rows(self, last: Record | None) -> dict[str, Any] | None:
        """What a note says when ledger.head names rows that are gone; it is written before the head is replaced."""
        last_seq = last.seq if last else 0
        try:
            head = self.head()
        except EvidenceDamaged as error:
            return {"about": "rows missing", "text": str(error)}
        if head is None:
            text = "ledger.head was missing, so rows deleted at the end would not have shown"
            return {"about": "rows missing", "text": text} if last_seq > 1 else None
        if head.seq > last_seq:
            text = f"rows {last_seq + 1} to {head.seq} were missing at the end"
        elif last is not None and head.seq == last_seq and head.sha256 != last.sha256:
            text = f"seq {head.seq} was not the row that ledger.head named"
        else:
            return None
        return {"about": "rows missing", "text": text, "head_seq": head.seq, "head_sha256": head.sha256}

    def _settled_size(self, descriptor: int) -> int:
        """Length of the file while nobody is in the middle of an append."""
        with suppress(FileNotFoundError, PermissionError), self._shared_lock():
            return os.fstat(descriptor).st_size
        return os.fstat(descriptor).st_size

    @contextmanager
    def _shared_lock(self) -> Iterator[None]:
        descriptor = os.open(self._lock_path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        with _naming(self._home, "written"):
            self._home.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            with _naming(self._lock_path, "locked"):
                fcntl.flock(descriptor, mode)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _naming(path: Path, verb: str) -> Iterator[None]:
    """Turn the system's error into one that says which file, and what to do."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{path} cannot be {verb}: {error.strerror or error}", hint=SPACE_REMEDY) from error


def _end_of_last_line(descriptor: int, size: int) -> int:
    """Offset just after the last newline before `size`; 0 when there is none."""
    end = size
    while end > 0:
        start = max(0, end - TAIL_BYTES)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _write_all(descriptor: int, body: bytes) -> None:
    """Write everything: a full disk takes a part without an error, and says so only at the next try."""
    view = memoryview(body)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_durably(path: Path, body: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    try:
        _write_all(descriptor, body)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
