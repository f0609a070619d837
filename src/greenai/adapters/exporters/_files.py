"""What the exporters share: a lock on the file itself, durable writes, and names for what is set aside."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from greenai.errors import InputError, StoreError

REMEDY = "free space, mend the permissions, or choose another path; the ledger has it all: greenai evidence export"


def check_place(path: Path) -> None:
    """Make the directory and see that the file can be written, leaving no trace; raises InputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        os.close(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666))
        if not existed:
            path.unlink()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", hint="choose another path") from None


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The file, opened to read and append, for this process alone; made if it is not there.

    Whoever replaces the file does so under this lock, so a lock on a file that is
    no longer at `path` is taken anew. Raises StoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _lock(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}", hint=REMEDY) from error
    try:
        yield descriptor
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}", hint=REMEDY) from error
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def content(descriptor: int) -> bytes:
    """All of an open file."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def append_durably(descriptor: int, body: bytes) -> None:
    """Add to the end; when the disk does not take all of it, the file keeps its length and OSError is raised."""
    size = os.fstat(descriptor).st_size
    try:
        view = memoryview(body)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def replace_durably(path: Path, body: bytes) -> None:
    """Put new content in place of the file at once: a reader sees the old or the new, never a part."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        try:
            append_durably(descriptor, body)
        finally:
            os.close(descriptor)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def free_name(path: Path, word: str) -> Path:
    """The first of path.WORD-1, path.WORD-2, ... that is not taken."""
    return next(name for n in range(1, 1_000_000) if not (name := path.with_name(f"{path.name}.{word}-{n}")).exists())
