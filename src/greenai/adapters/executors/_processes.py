"""Telling one process from a later one of the same number."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path


def start_ticks(pid: int) -> int:
    """Start time of a process, field 22 of /proc/<pid>/stat (proc(5)); 0 when there is no such process."""
    fields = fields_of(pid)
    return int(fields[19]) if fields else 0


def handle_of(pid: int) -> str:
    """A process as "pid:start", its number and its start time in clock ticks since boot."""
    return f"{pid}:{start_ticks(pid)}"


def is_alive(handle: str) -> bool:
    """Whether the process behind a handle still exists, since the same boot."""
    pid, _, start = handle.partition(":")
    return pid.isdecimal() and start != "0" and start == str(start_ticks(int(pid)))


def is_running(handle: str) -> bool:
    """Whether that process does anything yet: a dead one stays in the table until its parent looks, in some containers never."""
    return is_alive(handle) and state_of(int(handle.partition(":")[0])) not in {b"", b"Z", b"X"}


@cache
def boot_id() -> str:
    """Which boot of the machine this is; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def processes_with(variable: str, value: str) -> tuple[int, ...]:
    """Every process that was started with this environment variable, as far as this user may look."""
    wanted = f"{variable}={value}".encode()
    return tuple(
        int(place.parent.name) for place in Path("/proc").glob("[0-9]*/environ") if wanted in environment_of(place).split(b"\0")
    )


def send(pid: int, number: int) -> None:
    """Signal a process that may have gone, or that belongs to somebody else by now."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def state_of(pid: int) -> bytes:
    """Its state, field 3: R and S run, D waits in the kernel, T is stopped, Z and X are over; empty where there is none."""
    return (fields_of(pid) or [b""])[0]


def fields_of(pid: int) -> list[bytes]:
    """What stands in /proc/<pid>/stat from field 3 on: the name before it may hold spaces and brackets."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    return stat[stat.rindex(b")") + 2 :].split()


def environment_of(place: Path) -> bytes:
    """What a process was started with; empty for one that is over or that this user may not look at."""
    try:
        return place.read_bytes()
    except OSError:
        return b""
