"""How a training program is asked to pause, and how it answers: one protocol for every engine and framework.

Whoever runs the program (`greenai`, in its shim) creates the file `$GREENAI_PAUSE_FILE`; that is the request. The
program looks for it at a safe point, after an optimiser step, saves what it needs into `$GREENAI_CHECKPOINT_DIR`
and raises `Paused`: a SystemExit with code 75 (EX_TEMPFAIL), so that nothing after the training loop runs on a
half-trained model and `except Exception` does not swallow it. Later the same command is run again.

Nothing here imports more than the standard library, and outside greenai every question has a quiet answer: no
request, no directory, no resumes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

RUN_ID: Final = "GREENAI_RUN_ID"
JOB_ID: Final = "GREENAI_JOB_ID"
ARRAY_INDEX: Final = "GREENAI_ARRAY_INDEX"
ZONE: Final = "GREENAI_ZONE"
PAUSE_FILE: Final = "GREENAI_PAUSE_FILE"
CHECKPOINT_DIR: Final = "GREENAI_CHECKPOINT_DIR"
RESUMES: Final = "GREENAI_RESUMES"
PROGRESS_FD: Final = "GREENAI_PROGRESS_FD"
PROGRESS_FILE: Final = "GREENAI_PROGRESS_FILE"

EXIT_CODE: Final = 75
"""EX_TEMPFAIL of sysexits.h: "paused, run me again". Slurm requeues it with RequeueExit=75."""


class Paused(SystemExit):
    """The program has saved its state and ends, to be run again: exit code 75.

    Where a pause was asked for it says so by the file `$GREENAI_PAUSE_FILE.paused` too: a launcher of several ranks
    (torchrun, accelerate launch) ends with 1 when its ranks end with 75.
    """

    def __init__(self, code: int = EXIT_CODE) -> None:
        super().__init__(code)
        if asked := _asked():
            _touch(asked + ".paused")


class _Known:
    """Of which pause file it is said that this program looks for it."""

    file = ""


def possible() -> bool:
    """Whether anyone can ask this process to pause: `$GREENAI_PAUSE_FILE` is set."""
    return bool(os.environ.get(PAUSE_FILE))


def requested() -> bool:
    """Whether a pause is asked for now. Costs one stat (2 us), so ask at every step. Never raises.

    The first time it is called it says so, by the file `$GREENAI_PAUSE_FILE.heard`: a program that never asks is
    frozen instead of being waited for.
    """
    file = os.environ.get(PAUSE_FILE, "")
    if file and _Known.file != file:
        _Known.file = file
        _touch(file + ".heard")
    return bool(_asked())


def requested_by_any(reduce_max: Callable[[int], int]) -> bool:
    """Whether any rank of a distributed training sees the request: they must all stop at the same step.

    Args:
        reduce_max: the largest, over all ranks, of the number each gives; called once by every rank at every step.
            For torch.distributed there is `greenai.integrations.torch.requested_by_any_rank`.
    """
    return bool(reduce_max(int(requested())))


def point(save: Callable[[], object], /) -> None:
    """A safe point: if a pause is asked for, save and end.

    Raises:
        Paused: a pause was asked for, and `save` has returned.
    """
    if requested():
        save()
        raise Paused


def checkpoint_dir() -> Path | None:
    """Where to save: an existing directory, the same at every resume of a job; None outside greenai."""
    from pathlib import Path

    named = os.environ.get(CHECKPOINT_DIR)
    return Path(named) if named else None


def resumes() -> int:
    """How many times this job was run before and paused: 0 at first, and outside greenai."""
    said = os.environ.get(RESUMES, "")
    return int(said) if said.isdecimal() else 0


def progress(fraction: float, /) -> None:
    """Say how much of the work is done, 0 to 1, to whoever schedules it. Never raises: training goes before telling.

    Written as one line to the file descriptor `$GREENAI_PROGRESS_FD`, and to the file `$GREENAI_PROGRESS_FILE`
    replacing what it held, so that a reader never sees half a number.
    """
    if not math.isfinite(fraction):
        return
    line = f"{min(max(fraction, 0.0), 1.0):.6f}\n".encode("ascii")
    try:
        _tell(line)
    except (OSError, ValueError):
        return


def _asked() -> str:
    """The pause file, if it is there; else nothing."""
    file = os.environ.get(PAUSE_FILE, "")
    return file if os.path.exists(file) else ""  # noqa: PTH110  # pathlib costs an import and more than the stat


def _touch(file: str) -> None:
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except (OSError, ValueError):
        return


def _tell(line: bytes) -> None:
    descriptor = os.environ.get(PROGRESS_FD, "")
    if descriptor.isdecimal():
        os.write(int(descriptor), line)
    file = os.environ.get(PROGRESS_FILE)
    if file:
        beside = f"{file}.{os.getpid()}"
        with open(beside, "wb") as stream:  # noqa: PTH123  # as above: no pathlib
            stream.write(line)
        os.replace(beside, file)  # noqa: PTH105
