"""The thinking of the meters and the sampler: unwrapping counters, intervals between reads, when to read, whose CPU time.

Nothing here reads a clock or a file; the doors in adapters bring the readings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from greenai.model.energy import CpuTimes, EnergyInterval, EnergySample, MeterInfo
from greenai.model.units import floor_to

METER_FAILURES: Final = (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What a meter may raise without ending a measurement: OSError from the world, the others from a plug-in's defect."""

LIMIT_ZONE_W: Final = 1000.0
"""More than any one RAPL zone draws (the largest server processors of 2026 are rated 500 W)."""

SLACK_S: Final = 1.0
"""Time that a counter may lag or a test may skip: below LIMIT_ZONE_W * SLACK_S a step back is always taken as a wrap."""

FIRST_PHASE_S: Final = 60.0
LATER_FACTOR: Final = 10
LONGEST_INTERVAL_S: Final = 60.0
"""RAPL counters of AMD wrap after 65.5 kJ: at 1 kW that is just over a minute."""

CLOCK_TOLERANCE_S: Final = 1.0
"""Clocks may part by this much between two reads without being called a jump; NTP slews by 0.03 s a minute at most."""

TICK_TOLERANCE_S: Final = 0.02
"""Two clock ticks: user and system time are each rounded down to one."""


def sample(info: MeterInfo, energy_j: float, *, taken_at: datetime, monotonic_s: float) -> tuple[EnergySample]:
    """What a meter with one component returns from read()."""
    return (
        EnergySample(taken_at=taken_at, monotonic_s=monotonic_s, meter=info.name, component=info.component, energy_j=energy_j),
    )


# ---- counters ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Where an energy counter stands: its raw value, the sum of its steps since it was first read, and when it was read."""

    raw: int
    total: int = 0
    read_s: float


def advanced(counter: Counter, raw: int, *, size: int, read_s: float, limit_per_s: float) -> tuple[Counter, str]:
    """The counter after another read, and what was lost on the way in words, empty if nothing.

    `size` is the value after which it starts at zero again, 0 where unknown or
    never; `limit_per_s` is more than it can count in a second. A step back that
    fits the size and the time is a wrap. Any other is a counter set back to zero:
    what it showed before is lost, what it shows now was counted since.
    """
    passed_s = max(0.0, read_s - counter.read_s)
    lost = ""
    step = raw - counter.raw
    if step < 0:
        step += size
        if counter.raw > size or step > limit_per_s * (passed_s + SLACK_S):
            step, lost = raw, f"the counter was set back from {counter.raw} to {raw}"
    if size and passed_s * limit_per_s > size and not lost:
        lost = f"not read for {passed_s:.0f} s, in which the counter may have wrapped unseen"
    return Counter(raw=raw, total=counter.total + step, read_s=read_s), lost


# ---- intervals ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One moment on three clocks: the wall's, one that stands still in suspend, and one that does not."""

    at: datetime
    monotonic_s: float
    boottime_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All meters at one moment. `energy_j` is the last known joules by meter; `fresh` names those read just now."""

    moment: Moment
    energy_j: Mapping[str, float]
    fresh: frozenset[str]
    times: CpuTimes
    gpu_share: Mapping[str, float] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()


def interval_between(before: Snapshot, after: Snapshot) -> EnergyInterval:
    """What happened between two snapshots. A meter not read afterwards is absent; its joules come with its next reading."""
    deltas_j = {name: after.energy_j[name] - before.energy_j[name] for name in sorted(after.fresh) if name in before.energy_j}
    fell = tuple(f"{name}: its energy fell by {-delta_j:.6g} J" for name, delta_j in deltas_j.items() if delta_j < 0)
    return EnergyInterval(
        start_at=before.moment.at,
        end_at=after.moment.at,
        duration_s=max(0.0, after.moment.monotonic_s - before.moment.monotonic_s),
        machine_j={name: max(0.0, delta_j) for name, delta_j in deltas_j.items()},
        job_cpu_s=max(0.0, after.times.job_s - before.times.job_s),
        busy_cpu_s=max(0.0, after.times.busy_s - before.times.busy_s),
        gap="; ".join((*clock_gaps(before.moment, after.moment), *after.troubles, *fell)),
        gpu_share={name: share for name, share in after.gpu_share.items() if share < 1},
    )


def clock_gaps(before: Moment, after: Moment) -> tuple[str, ...]:
    """Suspend and clock jumps between two moments, in words."""
    awake_s = after.monotonic_s - before.monotonic_s
    passed_s = after.boottime_s - before.boottime_s
    jump_s = (after.at - before.at).total_seconds() - passed_s
    found = []
    if passed_s - awake_s > CLOCK_TOLERANCE_S:
        found.append(f"suspended for {passed_s - awake_s:.0f} s")
    if abs(jump_s) > CLOCK_TOLERANCE_S:
        found.append(f"the wall clock was set {'forward' if jump_s > 0 else 'back'} by {abs(jump_s):.0f} s")
    return tuple(found)


# ---- when to read ----


def next_read_s(elapsed_s: float, interval_s: float) -> float:
    """Seconds from the start to the next regular read: every interval in the first minute, then every tenth, at most 60 s apart.

    Deadlines are multiples from the start, so a late read delays no other.
    """
    early_s = min(interval_s, LONGEST_INTERVAL_S)
    late_s = min(early_s * LATER_FACTOR, LONGEST_INTERVAL_S)
    step_s = early_s if elapsed_s + early_s <= FIRST_PHASE_S else late_s
    # A deadline reached but for a rounding error is the one just served.
    return (int(elapsed_s / step_s + 1e-6) + 1) * step_s


def next_edge(moment: datetime, slot_step: timedelta) -> datetime:
    """The next slot edge after `moment`: slots are counted from the epoch."""
    return floor_to(moment, slot_step) + slot_step


# ---- whose CPU time ----


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTimes:
    """One process as /proc shows it: CPU seconds of its own, and of its children that have ended and were waited for."""

    pid: int
    parent: int
    started: int
    own_s: float
    children_s: float

    @property
    def used_s(self) -> float:
        """Its own and its ended children's time."""
        return self.own_s + self.children_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A process of the tree: as last seen, its children's time when it joined, and the time of ended members it should get."""

    times: ProcessTimes
    joined_children_s: float
    owed_s: float = 0.0

    @property
    def missing_s(self) -> float:
        """Time that was owed to it and did not arrive."""
        missing_s = self.owed_s - (self.times.children_s - self.joined_children_s)
        return missing_s if missing_s > TICK_TOLERANCE_S else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A job's processes and the CPU seconds they have used, those that ended included.

    A child's time passes to the parent that waits for it. Where nobody in the tree
    waits (a daemon adopted by init, a parent that ignores SIGCHLD) it would be
    gone: `lost_s` and `Member.missing_s` keep what was last seen of it.
    """

    members: Mapping[int, Member] = field(default_factory=dict)
    lost_s: float = 0.0

    @property
    def used_s(self) -> float:
        """CPU seconds of the whole tree since each of its processes began."""
        return sum(member.times.used_s + member.missing_s for member in self.members.values()) + self.lost_s


def regrown(tree: Tree, seen: Iterable[ProcessTimes]) -> Tree:
    """The tree after another look: `seen` holds its members that still live and every process not looked at before."""
    rows = {row.pid: row for row in seen}
    living = {
        pid: replace(member, times=rows.pop(pid))
        for pid, member in tree.members.items()
        if pid in rows and rows[pid].started == member.times.started
    }
    lost_s = tree.lost_s
    for pid, member in tree.members.items():
        if pid not in living:
            owed_s = member.times.used_s + member.missing_s
            heir = _heir(tree, living, member.times.parent)
            if heir is None:
                lost_s += owed_s
            else:
                living[heir] = replace(living[heir], owed_s=living[heir].owed_s + owed_s)
    return Tree(members={**living, **_descendants(living, rows)}, lost_s=lost_s)


def rooted(tree: Tree, root: ProcessTimes) -> Tree:
    """The tree with `root` as a member, whoever its parent is."""
    return replace(tree, members={**tree.members, root.pid: Member(times=root, joined_children_s=root.children_s)})


def _heir(tree: Tree, living: Mapping[int, Member], parent: int) -> int | None:
    """The nearest ancestor that still lives, by the parents last seen."""
    passed: set[int] = set()
    while parent not in living:
        if parent not in tree.members or parent in passed:
            return None
        passed.add(parent)
        parent = tree.members[parent].times.parent
    return parent


def _descendants(living: Mapping[int, Member], rows: Mapping[int, ProcessTimes]) -> dict[int, Member]:
    """Which new processes descend from the living members. All of their time is the job's: they began in it."""
    found: dict[int, Member] = {}
    children: dict[int, list[ProcessTimes]] = {}
    for row in rows.values():
        children.setdefault(row.parent, []).append(row)
    parents = list(living)
    while parents:
        for row in children.pop(parents.pop(), ()):
            found[row.pid] = Member(times=row, joined_children_s=0.0)
            parents.append(row.pid)
    return found


# ---- what /proc and /sys say ----


def busy_ticks(stat: bytes) -> int:
    """Clock ticks that all CPUs were busy, from /proc/stat: user, nice, system, irq and softirq (proc(5)).

    Guest time is part of user; steal is another machine's energy. Raises ValueError.
    """
    head, _, _ = stat.partition(b"\n")
    name, *fields = head.split()
    if name != b"cpu":
        raise ValueError(f"/proc/stat starts with {head[:40]!r}")
    user, nice, system, _idle, _iowait, irq, softirq = (int(value) for value in fields[:7])
    return user + nice + system + irq + softirq


def cgroup_paths(text: str, controller: str) -> tuple[str, ...]:
    """Directories under /sys/fs/cgroup of the process whose /proc/PID/cgroup is `text`, from its own up to the root.

    Both hierarchies: "cpuacct/a/b", "cpuacct/a", "cpuacct" of version 1 where the
    controller has one of its own, then "a/b", "a", "" of version 2.
    """
    mounts: list[tuple[str, str]] = []
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            mounts.insert(0, (controllers, path))
        elif number == "0" and not controllers:
            mounts.append(("", path))
    return tuple(place for mount, path in mounts for place in _upward(mount, path))


def _upward(mount: str, path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    return ["/".join(([mount] if mount else []) + parts[:length]) for length in range(len(parts), -1, -1)]
