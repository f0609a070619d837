"""Whose turn it is at a host that counts reads: one at a time, a least time apart, for all processes of a state directory.

Each host has a file that holds the moment from which the next read may go out, on
the clock that all processes since the last boot share; a lock lasts as long as it
is read and moved on. Where no file can be kept, the turn is this process's alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from pathlib import Path

from greenai.errors import ProviderUnavailable

MOST_TURNS = 100
"""A moment further off than so many turns is of an earlier boot, or no number: it is begun anew."""


class Turns:
    """The turns of every host; `directory` None: of this process alone."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._free_s: dict[str, float] = {}

    def wait(self, host: str, spacing_s: float, bound_s: float) -> None:
        """Return when a read may go out; raises ProviderUnavailable at once if that takes longer than a read may."""
        with self._lock:
            start_s = self._shared(host, spacing_s, bound_s)
            if start_s is None:
                start_s = _turn_s(self._free_s.get(host, 0.0), spacing_s, bound_s)
            self._free_s[host] = start_s + spacing_s
        time.sleep(max(0.0, start_s - time.monotonic()))

    def _shared(self, host: str, spacing_s: float, bound_s: float) -> float | None:
        """The turn as agreed with the other processes; None where no file can be kept."""
        if self._directory is None:
            return None
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            name = re.sub(r"[^\w.-]", "_", host)
            descriptor = os.open(self._directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return None
        with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            start_s = _turn_s(_number(file.read(64)), spacing_s, bound_s)
            file.seek(0)
            file.truncate()
            file.write(repr(start_s + spacing_s))
        return start_s


def _turn_s(free_s: float, spacing_s: float, bound_s: float) -> float:
    """When the next read may go out, given from when on the host is free."""
    now_s = time.monotonic()
    start_s = free_s if now_s < free_s <= now_s + MOST_TURNS * spacing_s else now_s
    if start_s - now_s > max(spacing_s, bound_s):
        raise ProviderUnavailable(
            f"other reads of this service wait for their turn, {spacing_s:g} s apart", hint="try again in a minute"
        )
    return start_s


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
