"""Files of a checkpoint: whole or not there. The one before is kept until the new one is complete."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greenai import pause
from greenai.errors import InputError


def directory() -> Path:
    """Where checkpoints go.

    Raises:
        InputError: nobody said where.
    """
    found = pause.checkpoint_dir()
    if found is None:
        raise InputError("there is nowhere to save: GREENAI_CHECKPOINT_DIR is not set", hint="greenai sets it for each job")
    return found


def place(name: str) -> Path | None:
    """Where the checkpoint `name` is; None at a first start and outside greenai."""
    found = pause.checkpoint_dir()
    file = found / name if found else None
    return file if file is not None and file.exists() else None


def write(name: str, writer: Callable[[Path], object], *, before_replacing: Callable[[], object] | None = None) -> Path:
    """Let `writer` write a file, then put it where `name` was. Killed at any moment, the old one or the new one is whole.

    Args:
        name: the file's name in the checkpoint directory.
        writer: called with the path to write to.
        before_replacing: called when the new file is on disk and the old one still in place: where ranks meet.
    """
    final = directory() / name
    beside = final.with_name(f"new-{final.name}")
    writer(beside)
    put(beside, final, before_replacing=before_replacing)
    return final


def put(beside: Path, final: Path, *, before_replacing: Callable[[], object] | None = None) -> None:
    """Put what was written beside the file, or where none was a directory, in its place, all of it on the disk."""
    sync(beside)
    if before_replacing is not None:
        before_replacing()
    beside.replace(final)
    _sync_one(final.parent)  # its entry alone: beside it another rank may be writing


def write_record(name: str, record: dict[str, Any]) -> Path:
    """Write a small record as JSON, whole or not at all."""
    return write(name, lambda file: file.write_text(json.dumps(record), encoding="utf-8"))


def read_record(name: str) -> dict[str, Any] | None:
    """The record written by `write_record`; None if there is none."""
    file = place(name)
    if file is None:
        return None
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return record


def only(keep: Path, *, like: str) -> None:
    """Delete what matches the glob `like` in the checkpoint directory, but for `keep`: the checkpoints now replaced."""
    for other in directory().glob(like):
        if other == keep:
            continue
        if other.is_dir():
            shutil.rmtree(other)
        else:
            other.unlink()


def sync(path: Path) -> None:
    """See that a file, or all of a directory, is on the disk."""
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        _sync_one(each)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_if(wrong: bool, sentence: str, *, remedy: str) -> None:
    """Refuse, before anything is spent, what would resume wrongly without a word.

    Only where a pause is possible: outside greenai no training is touched.

    Raises:
        InputError: with the sentence and its remedy in one: a user's program prints no hints.
    """
    if wrong and pause.possible():
        raise InputError(f"{sentence}; {remedy}")
