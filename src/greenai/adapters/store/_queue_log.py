"""The log of the queue: a line an event, appended under a lock that all processes share, synced without it."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from greenai.errors import StoreError

REMEDY = "free space or mend the permissions, or set GREENAI_HOME elsewhere"
FIRST_RETRY_S, LAST_RETRY_S = 0.0005, 0.01
"""Whoever finds the lock taken looks again soon, then less and less often."""


class EventLog:
    """The file of that path, by a descriptor that each operation opens anew: a log that was replaced is noticed."""

    def __init__(self, path: Path, wait_s: float) -> None:
        self.path = path
        self._wait_s = wait_s

    def size(self) -> int:
        """Its bytes; 0 while there is none."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor to read and append by, not yet locked; raises StoreError."""
        try:
            log = self._open()
        except OSError as error:
            raise StoreError(f"{self.path} cannot be opened: {error.strerror}", hint=REMEDY) from error
        try:
            yield log
        finally:
            os.close(log)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        with suppress(FileNotFoundError):
            return os.open(self.path, flags, 0o600)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(self.path, flags, 0o600)

    @contextmanager
    def held(self, log: int) -> Iterator[None]:
        """The lock against every other writer, also of this process; raises StoreError if it is not free in time."""
        give_up_s, retry_s = time.monotonic() + self._wait_s, FIRST_RETRY_S
        while True:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up_s:
                    raise StoreError(f"{self.path} is held by another process", hint="try again") from None
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)
        try:
            yield
        finally:
            fcntl.flock(log, fcntl.LOCK_UN)

    def sync(self, log: int, *, is_new: bool) -> None:
        """Wait until the disk has all that is written, of a new log its name too; raises StoreError."""
        try:
            os.fdatasync(log)
            if is_new:
                _sync_directory(self.path.parent)
        except OSError as error:
            raise cannot_be_written(error) from error

    def keep_aside(self) -> str:
        """A copy under another name; that name."""
        kept = unused(self.path)
        shutil.copyfile(self.path, kept)
        kept.chmod(0o600)
        return kept.name


def append(log: int, body: bytes) -> None:
    """Write all of it, not synced; raises StoreError."""
    view = memoryview(body)
    try:
        while view:
            view = view[os.write(log, view) :]
    except OSError as error:
        raise cannot_be_written(error) from error


def cannot_be_written(error: OSError) -> StoreError:
    """What the disk says, with its remedy."""
    return StoreError(f"the log of the queue cannot be written: {error.strerror}", hint=REMEDY)


def unused(path: Path) -> Path:
    """A name beside a damaged file that nobody has."""
    numbered = (path.with_name(f"{path.stem}.damaged-{number}{path.suffix}") for number in range(1, 1_000_000))
    return next(name for name in numbered if not name.exists())


def _sync_directory(place: Path) -> None:
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
