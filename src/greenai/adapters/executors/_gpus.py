"""Which GPUs a leg gets: each whole one is one leg's alone.

A GPU is taken by holding the lock of a file in the state directory. The command
inherits it, so the GPU is taken as long as either lives, the shim or a command
that outlived it; the kernel gives it back, nobody has to remember anything.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from greenai.errors import StoreError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def devices_of(environ: Mapping[str, str], count: int) -> tuple[str, ...]:
    """The GPUs there are, as CUDA names them: those this process may see, else 0 to count - 1."""
    visible = environ.get(VISIBLE)
    if visible is None:
        return tuple(str(number) for number in range(count))
    return tuple(name.strip() for name in visible.split(",") if name.strip())


def take(home: Path, devices: Sequence[str], wanted: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Take so many GPUs; their names, and the descriptors that hold them, which a child may inherit.

    Raises:
        StoreError: not so many are free: another leg is still leaving one, or they cannot be locked.
    """
    place = home / "gpus"
    taken: list[tuple[str, int]] = []
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in devices:
            if len(taken) < wanted and (descriptor := _lock(place / f"{name.replace('/', '_')}.lock")) is not None:
                taken.append((name, descriptor))
    except OSError as error:
        raise StoreError(f"{place} cannot be used: {error.strerror}", hint="mend its permissions") from error
    if len(taken) < wanted:
        for _, descriptor in taken:
            os.close(descriptor)
        raise StoreError(f"{wanted} GPUs are wanted and {len(taken)} of {len(devices)} are free", hint="it is tried again")
    return tuple(name for name, _ in taken), tuple(descriptor for _, descriptor in taken)


def _lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
