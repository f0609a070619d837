"""All processes of a command, also those that left its group: found, signalled, and stopped where they stand.

They are known by its group, by the variable they were started with, or by being
children of one that is known; whoever was known once stays so. Not found is what
left the group, the variable and its parent all behind (`env -i setsid ... &` of a
shell that ends): for that there are control groups, which a user seldom may make.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from greenai.adapters.executors._processes import environment_of, fields_of, send, state_of

MOST_LOOKS = 100
BETWEEN_LOOKS_S = 0.005
RUNS = frozenset({b"R", b"S"})
"""What waits in the kernel (D) does nothing more once it comes back."""


class Kin:
    """The processes of one command."""

    def __init__(self, leader: int, variable: str, value: str) -> None:
        self._leader = leader
        self._wanted = f"{variable}={value}".encode()
        self._known: dict[int, bytes] = {}
        self._others: set[int] = set()

    def send(self, number: int) -> None:
        """Signal them all."""
        self._others = {os.getpid()}
        self._look(number)

    def still(self, number: int) -> bool:
        """Stop or kill them all; False if some still run when we give up: another user's, or faster than we look.

        One that left the group may start another before the signal reaches it. So they
        are looked for again until a look finds none that runs, and nothing that came
        and went meanwhile.
        """
        self._others = {os.getpid()}
        for _ in range(MOST_LOOKS):
            if self._look(number):
                return True
            time.sleep(BETWEEN_LOOKS_S)
        return not any(state_of(pid) in RUNS for pid in self._known)

    def _look(self, number: int) -> bool:
        """Signal all that are found, the newest first and each at once; whether all was quiet."""
        quiet, parents = True, dict[int, int]()
        for pid in _newest_first():
            if pid in self._others:
                continue
            fields = fields_of(pid)
            # What has just ended may have left another, which this look does not know of.
            quiet &= bool(fields) and (fields[0] != b"Z" or pid in self._known)
            if fields:
                parents[pid] = int(fields[1])
                if self._is_kin(pid, fields):
                    self._known[pid] = fields[19]
                    send(pid, number)
        for pid in self._children(parents):
            send(pid, number)
        self._others |= parents.keys() - self._known.keys()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader, number)
        self._known = {pid: start for pid, start in self._known.items() if pid in parents}
        return quiet and not any(state_of(pid) in RUNS for pid in self._known)

    def _is_kin(self, pid: int, fields: list[bytes]) -> bool:
        if self._known.get(pid) == fields[19] or int(fields[2]) == self._leader:
            return True
        return self._wanted in environment_of(Path(f"/proc/{pid}/environ")).split(b"\0")

    def _children(self, parents: dict[int, int]) -> list[int]:
        """Those known by their parents alone, to the last generation."""
        found: list[int] = []
        new = [pid for pid, parent in parents.items() if parent in self._known and pid not in self._known]
        while new:
            found += new
            self._known.update((pid, (fields_of(pid) or [b""] * 20)[19]) for pid in new)
            new = [pid for pid, parent in parents.items() if parent in self._known and pid not in self._known]
        return found


def _newest_first() -> list[int]:
    return sorted((int(place.name) for place in Path("/proc").iterdir() if place.name.isdecimal()), reverse=True)
