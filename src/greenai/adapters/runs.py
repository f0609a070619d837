"""The directory of each run: its samples as they come, and the lock that proves its process lives.

`runs/<run_id>/run.lock` is held by flock as long as the process does; the system
frees it when the process dies, however it dies. Samples are written through to
the system at each line, so they survive the process, and to the disk once a
minute, so a power cut costs a minute at most. Whoever holds a claim and reads the
samples back gets what is on the disk: evidence rests on nothing less.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from greenai.errors import InputError, StoreError

SYNC_EVERY_S = 60.0

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

REMEDY = "free space or mend the permissions, or point GREENAI_HOME at another directory"


class RunDirectories:
    """Every run of one state directory."""

    def __init__(self, home: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._runs = home / "runs"
        self._monotonic = monotonic
        self._claims: dict[str, RunDirectory] = {}

    def claim(self, run_id: str) -> RunDirectory | None:
        """Take a run for this process; None while another process, or another claim of this one, holds it.

        Raises:
            StoreError: the directory cannot be made.
            InputError: the id is no plain name.
        """
        place = self._place(run_id)
        try:
            self._runs.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            for directory in (self._runs, place):
                directory.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
            lock = os.open(place / "run.lock", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        except OSError as error:
            raise StoreError(f"{place} cannot be made: {error.strerror}", hint=REMEDY) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if isinstance(error, BlockingIOError):
                return None
            raise StoreError(f"{place / 'run.lock'} cannot be locked: {error.strerror}", hint=REMEDY) from error
        self._claims[run_id] = RunDirectory(place / "samples.jsonl", lock, self._monotonic)
        return self._claims[run_id]

    def body(self, run_id: str) -> bytes:
        """The samples as they stand, empty when there are none; of a run claimed here, made durable first. Raises StoreError."""
        path = self._place(run_id) / "samples.jsonl"
        try:
            with path.open("rb") as file:
                if run_id in self._claims and not self._claims[run_id].closed:
                    os.fsync(file.fileno())
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}", hint=REMEDY) from error

    def run_ids(self) -> tuple[str, ...]:
        """Every run that has a directory, sorted; raises StoreError."""
        try:
            return tuple(sorted(place.name for place in self._runs.iterdir() if _RUN_ID.fullmatch(place.name)))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StoreError(f"{self._runs} cannot be read: {error.strerror}", hint=REMEDY) from error

    def _place(self, run_id: str) -> Path:
        if not _RUN_ID.fullmatch(run_id):
            raise InputError(f"{run_id!r} is no run id", hint="letters, digits, dots, dashes and underscores")
        return self._runs / run_id


class RunDirectory:
    """One claimed run. The file of samples is made at the first line."""

    def __init__(self, path: Path, lock: int, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._lock: int | None = lock
        self._monotonic = monotonic
        self._file: int | None = None
        self._synced_s = monotonic()

    @property
    def closed(self) -> bool:
        """Whether the claim was given up."""
        return self._lock is None

    def write(self, line: bytes) -> None:
        """Append one line; raises StoreError and leaves whole lines when the disk does not take all of it."""
        if self.closed:
            raise StoreError(f"{self._path} is closed", hint="claim the run again")
        try:
            file = self._opened()
            self._append(file, line)
            if self._monotonic() - self._synced_s >= SYNC_EVERY_S:
                os.fsync(file)
                self._synced_s = self._monotonic()
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}", hint=REMEDY) from error

    def close(self) -> None:
        """Give up the claim. Idempotent; never fails, the run it belongs to has ended."""
        lock, file = self._lock, self._file
        self._lock = self._file = None
        if file is not None:
            with suppress(OSError):
                os.fsync(file)
            os.close(file)
        if lock is not None:
            os.close(lock)

    def _opened(self) -> int:
        """The file of samples; a line torn by an earlier death is cut off before anything follows it."""
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
            body = self._path.read_bytes()
            os.ftruncate(self._file, body.rfind(b"\n") + 1)
        return self._file

    @staticmethod
    def _append(file: int, line: bytes) -> None:
        size = os.fstat(file).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(file, line[written:])
        except BaseException:
            with suppress(OSError):
                os.ftruncate(file, size)
            raise
