"""CPU seconds of a job and of its machine, from /proc and cgroups.

A job is one process and all that descends from it, short-lived children included:
the time of a child that ended is in the cutime of whoever waited for it. Where the
job has a cgroup to itself, the cgroup's own account is taken instead, which sees
even what left the process tree.

Looking through all of /proc costs a millisecond per hundred processes, so it is
done only when the kernel's fork count has moved, and only for processes not seen
before. Our own children's time comes from getrusage, in microseconds; that of
others in clock ticks of 10 ms.
"""

from __future__ import annotations

import itertools
import os
import resource
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from greenai.errors import MeterUnavailable
from greenai.logic.metering import ProcessTimes, Tree, busy_ticks, cgroup_paths, regrown, rooted
from greenai.model.energy import CpuTimes

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PR_SET_CHILD_SUBREAPER: Final = 36
_LONGEST_STAT: Final = 1 << 18
"""More than /proc/stat on a machine of a thousand cores."""
_LONGEST_PROCESS: Final = 1 << 10


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent ends (prctl(2), Linux 3.4), so that a double fork hides no CPU time.

    For the `greenai run` process only: it must then wait for children it did not
    start, which `JobCpu(adopts=True)` does. False where the kernel refuses.
    """
    import ctypes

    return int(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0


def cores_share(proc_root: str = "/proc", sys_root: str = "/sys") -> float:
    """The share of the machine's cores that this process and its children may use: affinity and cgroup quota, 0 to 1."""
    online = os.cpu_count() or 1
    return min(len(os.sched_getaffinity(0)), _quota(proc_root, sys_root), online) / online


class JobCpu:
    """Counts CPU seconds of the watched job and of the machine, from the moment it is made.

    `adopts`: this process adopts orphans (see `adopt_orphans`); children it did not
    start are then the job's, and are waited for when they end.
    """

    def __init__(self, *, proc_root: str = "/proc", sys_root: str = "/sys", adopts: bool = False) -> None:
        self._proc = proc_root
        self._sys = Path(sys_root)
        self._adopts = adopts
        self._self = os.getpid()
        self._watched = 0
        self._own_counts = False
        self._tree = Tree()
        self._cgroup: tuple[Path, float] | None = None
        self._strangers = frozenset[int]()
        self._forks = -1
        self._began_ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS_PER_S)
        self._before_s = self._own_times().children_s
        self._job_s = 0.0
        self._busy_before_s: float | None = None
        # A machine without /proc must not stop what is to be measured: each read says so.
        with suppress(OSError):
            self._strangers = self._listed()
            self._busy_before_s, _ = self._machine()

    def watch(self, pid: int) -> None:
        """Take this process and its descendants as the job.

        A process that began before this counter did is counted from now on; one
        that began after it, from its own beginning.
        """
        self._watched = pid
        self._own_counts = pid == self._self
        row = None if self._own_counts else self._times(pid)
        # A child so short that it has gone already was ours: only a parent's wait removes it.
        if row is None or row.parent == self._self:
            self._tree = rooted(self._tree, self._own_times())
        if row is not None:
            self._tree = rooted(self._tree, row)
        old = self._own_counts or (row is not None and row.started < self._began_ticks)
        if old:
            self._strangers = frozenset()
        self._look()
        if old:
            self._before_s = self._tree.used_s
        elif self._self not in self._tree.members:
            self._before_s = 0.0
        self._cgroup = self._own_cgroup()

    def read(self) -> CpuTimes:
        """CPU seconds since the beginning; the job's never fall. Raises MeterUnavailable where /proc cannot be read."""
        busy_s, forks = self._machine()
        if self._busy_before_s is None:
            self._busy_before_s = busy_s
        if self._watched:
            self._look(new=forks != self._forks)
            self._forks = forks
            self._job_s = max(self._job_s, self._used_s() - self._before_s)
        return CpuTimes(job_s=self._job_s, busy_s=max(0.0, busy_s - self._busy_before_s))

    def pids(self) -> frozenset[int]:
        """The job's processes as last seen."""
        return frozenset(self._tree.members) - (frozenset() if self._own_counts else {self._self})

    def _machine(self) -> tuple[float, int]:
        """Busy seconds of all CPUs since boot, and how many processes and threads were ever made."""
        try:
            stat = _contents(f"{self._proc}/stat", _LONGEST_STAT)
            return busy_ticks(stat) / _TICKS_PER_S, int(stat.partition(b"\nprocesses ")[2].split(b"\n", 1)[0] or 0)
        except (OSError, ValueError) as error:
            raise MeterUnavailable(f"{self._proc}/stat: {error}") from error

    def _used_s(self) -> float:
        if self._cgroup is not None:
            place, ahead_s = self._cgroup
            with suppress(OSError, ValueError):
                return _cgroup_usage_s(place) - ahead_s
            # It was removed with the job's last process; the tree has kept count beside it.
            self._cgroup = None
        return self._tree.used_s

    def _look(self, *, new: bool = True) -> None:
        """Bring the tree up to date; among processes not seen before only if there may be `new` ones.

        Parents are read before their children: a child that is waited for in
        between is then missing for once, never counted twice.
        """
        seen = {pid: self._seen(pid) for pid in self._tree.members}
        if new:
            pids = self._listed()
            fresh = {pid: self._seen(pid) for pid in pids - self._strangers - seen.keys()}
            seen |= {pid: row for pid, row in fresh.items() if row is not None and self._may_join(row[0])}
        rows = {pid: row[0] for pid, row in seen.items() if row is not None}
        dead = [pid for pid, row in seen.items() if row is not None and row[1] and self._waited_for(row[0])]
        for pid in dead:
            del rows[pid]
        if dead:
            rows[self._self] = self._own_times()
        self._tree = regrown(self._tree, rows.values())
        if new:
            self._strangers = pids - self._tree.members.keys()

    def _listed(self) -> frozenset[int]:
        with os.scandir(self._proc) as entries:
            return frozenset(int(entry.name) for entry in entries if entry.name.isdecimal())

    def _may_join(self, times: ProcessTimes) -> bool:
        """Other children of this process are not the job's, unless it is the job or adopts."""
        return times.parent != self._self or self._own_counts or self._adopts

    def _waited_for(self, times: ProcessTimes) -> bool:
        """Wait for a dead child that was adopted: its time then passes to this process."""
        if not self._adopts or times.parent != self._self or times.pid == self._watched:
            return False
        with suppress(ChildProcessError):
            return os.waitpid(times.pid, os.WNOHANG)[0] != 0
        return False

    def _own_times(self) -> ProcessTimes:
        """This process in microseconds; its own time only where it is the job."""
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return ProcessTimes(
            pid=self._self,
            parent=0,
            started=0,
            own_s=own.ru_utime + own.ru_stime if self._own_counts else 0.0,
            children_s=children.ru_utime + children.ru_stime,
        )

    def _times(self, pid: int) -> ProcessTimes | None:
        row = self._seen(pid)
        return None if row is None else row[0]

    def _seen(self, pid: int) -> tuple[ProcessTimes, bool] | None:
        """One process and whether it is dead but not waited for (proc(5), fields 3 to 22 of stat); None when it has gone."""
        if pid == self._self:
            return self._own_times(), False
        try:
            stat = _contents(f"{self._proc}/{pid}/stat", _LONGEST_PROCESS)
            # The name in field 2 may hold spaces and brackets: count from its end.
            fields = stat[stat.rindex(b")") + 2 :].split()
            parent, started = int(fields[1]), int(fields[19])
            user, system, children_user, children_system = (int(field) for field in fields[11:15])
        except (OSError, ValueError, IndexError):
            return None
        times = ProcessTimes(
            pid=pid,
            parent=parent,
            started=started,
            own_s=(user + system) / _TICKS_PER_S,
            children_s=(children_user + children_system) / _TICKS_PER_S,
        )
        return times, fields[0] == b"Z"

    def _own_cgroup(self) -> tuple[Path, float] | None:
        """The job's cgroup, if nobody else is in it but this process, and how far its account is ahead of the tree's."""
        ours = self._tree.members.keys() | {self._self}
        with suppress(OSError, ValueError):
            text = Path(self._proc, str(self._watched), "cgroup").read_text(encoding="utf-8")
            for path in cgroup_paths(text, "cpuacct")[:1]:
                place = self._sys / "fs/cgroup" / path
                # The group itself first: below the root hang all groups of the machine.
                groups = itertools.chain([place / "cgroup.procs"], place.rglob("cgroup.procs"))
                if all(_pids_in(file) <= ours for file in groups):
                    return place, _cgroup_usage_s(place) - self._tree.used_s
        return None


def _contents(path: str, size: int) -> bytes:
    """A file of /proc in one read; thrice as fast as pathlib."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def _cgroup_usage_s(place: Path) -> float:
    """CPU seconds of a cgroup: cpu.stat of version 2, cpuacct.usage of version 1."""
    try:
        stat = (place / "cpu.stat").read_text(encoding="ascii").split()
        return int(stat[stat.index("usage_usec") + 1]) / 1e6
    except (OSError, ValueError):
        return int((place / "cpuacct.usage").read_bytes()) / 1e9


def _pids_in(file: Path) -> set[int]:
    return {int(pid) for pid in file.read_bytes().split()}


def _quota(proc_root: str, sys_root: str) -> float:
    """CPUs that the cgroups of this process allow it at once; infinite without a quota."""
    try:
        places = cgroup_paths(Path(proc_root, "self", "cgroup").read_text(encoding="utf-8"), "cpu")
    except OSError:
        return float("inf")
    return min((_quota_of(Path(sys_root, "fs/cgroup", place)) for place in places), default=float("inf"))


def _quota_of(place: Path) -> float:
    """One cgroup's quota: cpu.max of version 2, cpu.cfs_* of version 1."""
    with suppress(OSError, ValueError):
        allowed, period = (place / "cpu.max").read_text(encoding="ascii").split()
        return int(allowed) / int(period)
    with suppress(OSError, ValueError):
        allowed_us = int((place / "cpu.cfs_quota_us").read_bytes())
        if allowed_us > 0:
            return allowed_us / int((place / "cpu.cfs_period_us").read_bytes())
    return float("inf")
