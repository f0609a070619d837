"""Telling one process from a later one of the same number."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path


def start_ticks(pid: int) -> int:
    """Start time of a process, field 22 of /proc/<pid>/stat (proc(5)); 0 when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    # The name in field 2 may hold spaces and brackets: count from its end.
    return int(stat[stat.rindex(b")") + 2 :].split()[19])


def handle_of(pid: int) -> str:
    """A process as "pid:start", its number and its start time in clock ticks since boot."""
    return f"{pid}:{start_ticks(pid)}"


def is_alive(handle: str) -> bool:
    """Whether the process behind a handle still exists, since the same boot."""
    pid, _, start = handle.partition(":")
    return pid.isdecimal() and start != "0" and start == str(start_ticks(int(pid)))


def is_running(handle: str) -> bool:
    """Whether that process does anything yet: a dead one stays in the table until its parent looks, in some containers never."""
    if not is_alive(handle):
        return False
    try:
        stat = Path(f"/proc/{handle.partition(':')[0]}/stat").read_bytes()
    except OSError:
        return False
    return stat[stat.rindex(b")") + 2 :][:1] not in {b"Z", b"X"}


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
        int(place.parent.name) for place in Path("/proc").glob("[0-9]*/environ") if wanted in _environment(place).split(b"\0")
    )


def send(pid: int, number: int) -> None:
    """Signal a process that may have gone, or that belongs to somebody else by now."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_to_all(leader: int, variable: str, value: str, number: int) -> None:
    """Signal a process group, and whatever left it but still carries the variable: this process itself excepted."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
    for pid in processes_with(variable, value):
        if pid != os.getpid() and _group_of(pid) not in {leader, None}:
            send(pid, number)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _environment(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError:
        return b""
