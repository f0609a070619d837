"""The sampler: one thread that reads the meters while a job runs, and nothing else.

Design. A read closes an interval: it begins where the last one ended, so the sum
of all is the last reading less the first, whatever the schedule. Reads happen under
one lock, at absolute deadlines (each second in the first minute, then each tenth),
at each edge of an intensity slot, when asked (`mark`), and once more at the end,
after the thread has been joined: a tick and the end can never count the same time
twice. Each interval is handed to `write` at once, so what a kill can take is the
interval under way. What fails is said in the trace and never ends the job.

After a fork the child's copy is dead: no thread, no reading, no writing.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Final, Protocol

from greenai.errors import MeterUnavailable
from greenai.logic.metering import METER_FAILURES, Moment, Snapshot, interval_between, next_edge, next_read_s
from greenai.logic.spool import header_line, interval_line, note_line
from greenai.model.energy import CpuTimes, EnergyInterval, EnergyTrace, RejectedMeter
from greenai.model.units import iso_utc

if TYPE_CHECKING:
    # ports know series, and series numpy, which a sampler has no use for.
    from greenai.ports import Meter

Write = Callable[[bytes], None]

POLL_S: Final = 1.0
"""How often a meter that samples power is looked at between two intervals."""

JOIN_S: Final = 10.0
"""How long the end waits for a read under way: a meter that hangs must not hold the job."""

SLOT: Final = timedelta(minutes=30)


class JobTimes(Protocol):
    """What the sampler asks of the process table (`greenai.adapters.cpu_time.JobCpu`)."""

    def watch(self, pid: int) -> None:
        """Take a process and its descendants as the job."""
        ...

    def read(self) -> CpuTimes:
        """CPU seconds so far; raises MeterUnavailable."""
        ...

    def pids(self) -> frozenset[int]:
        """The job's processes."""
        ...


def system_moment() -> Moment:
    """Now, on all three clocks."""
    return Moment(at=datetime.now(UTC), monotonic_s=time.monotonic(), boottime_s=time.clock_gettime(time.CLOCK_BOOTTIME))


class Sampler:
    """Implements `greenai.ports.Metering`: reads `meters` and `times`, spools through `write`.

    `interval_s` holds for the first minute; `slot_step` is the length of an
    intensity slot; `at_end` is called once after the last read (to give up the
    node's lease).
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        times: JobTimes,
        write: Write,
        *,
        rejected: Sequence[RejectedMeter] = (),
        cores_share: float = 1.0,
        interval_s: float = 1.0,
        slot_step: timedelta = SLOT,
        at_end: Callable[[], None] = lambda: None,
        moment: Callable[[], Moment] = system_moment,
    ) -> None:
        self._meters = tuple(meters)
        self._times = times
        self._outbox = _Outbox(write)
        self._trace = EnergyTrace(meters=(), rejected=tuple(rejected), cores_share=cores_share)
        self._interval_s = interval_s
        self._slot_step = slot_step
        self._at_end = at_end
        self._moment = moment
        self._intervals: list[EnergyInterval] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._last: Snapshot
        self._began_s = 0.0
        self._deadline_s = 0.0
        self._edge_at: datetime
        self._live = False

    def start(self) -> None:
        """First read; the thread runs from here. A meter that fails now is left out, with its reason."""
        self._last, failures = self._read(CpuTimes(job_s=0.0, busy_s=0.0), {})
        infos = [meter.info for meter in self._meters]
        rejected = [
            RejectedMeter(name=info.name, component=info.component, reason=failures[info.name])
            for info in infos
            if info.name in failures
        ]
        self._meters = tuple(meter for meter in self._meters if meter.info.name not in failures)
        self._trace = replace(
            self._trace, meters=tuple(meter.info for meter in self._meters), rejected=(*self._trace.rejected, *rejected)
        )
        self._put(header_line(self._trace))
        self._began_s = self._last.moment.monotonic_s
        self._plan_next()
        self._live = True
        self._start_thread()

    def watch(self, pid: int) -> None:
        """Attribute CPU time to this process and its descendants."""
        if not self._live:
            return
        with self._lock:
            try:
                self._times.watch(pid)
            except METER_FAILURES as error:
                self._note(f"CPU time of process {pid} is not known: {error}")

    def mark(self) -> int:
        """Read now and close an interval; the number of intervals so far."""
        if self._live:
            with self._lock:
                self._close()
        return len(self._intervals)

    def stop(self) -> EnergyTrace:
        """End the thread, read once more, and return the trace. Idempotent, from any thread."""
        self._ended.set()
        hangs = False
        if self._thread is not None:
            self._thread.join(JOIN_S)
            hangs = self._thread.is_alive()
        if self._lock.acquire(timeout=0 if hangs else JOIN_S):
            try:
                self._finish()
            finally:
                self._lock.release()
        elif self._live:
            # A meter holds the thread, and the thread the lock: what was read before is all there is.
            self._live = False
            self._note(f"a meter did not answer within {JOIN_S:g} s: the end of the run is not metered")
            self._at_end()
        return replace(self._trace, intervals=tuple(self._intervals))

    # ---- the thread ----

    def _start_thread(self) -> None:
        _RUNNING.add(self)
        _disable_in_children()
        thread = threading.Thread(target=self._run, name="greenai-sampler", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._note(f"no sampler thread ({error}): only the first and the last read")
        else:
            self._thread = thread

    def _run(self) -> None:
        while not self._ended.wait(self._pause_s()):
            with self._lock:
                if not self._ended.is_set():
                    self._tick()

    def _pause_s(self) -> float:
        """Seconds to the next thing to do, on whichever clock it is due."""
        now = self._moment()
        pause_s = min(self._deadline_s - now.monotonic_s, (self._edge_at - now.at).total_seconds())
        return max(0.0, min(pause_s, POLL_S) if self._polled() else pause_s)

    def _tick(self) -> None:
        now = self._moment()
        if now.monotonic_s >= self._deadline_s or now.at >= self._edge_at:
            self._close()
            return
        for meter in self._polled():
            with suppress(*METER_FAILURES):
                meter.read()

    def _polled(self) -> list[Meter]:
        """Meters that integrate power themselves and must be looked at often."""
        return [meter for meter in self._meters if meter.info.quality == "measured:sampled"]

    # ---- under the lock ----

    def _close(self) -> None:
        """Read everything and close the interval since the last read."""
        before = self._last
        after, _ = self._read(before.times, before.energy_j)
        if not self._live:
            # It came back after stop() had given up on it.
            return
        interval = interval_between(before, after)
        self._last = after
        self._intervals.append(interval)
        self._put(interval_line(interval))
        self._plan_next()

    def _finish(self) -> None:
        if self._live:
            self._close()
            self._live = False
            self._outbox.send()
            self._at_end()

    def _plan_next(self) -> None:
        moment = self._last.moment
        self._deadline_s = self._began_s + next_read_s(moment.monotonic_s - self._began_s, self._interval_s)
        self._edge_at = next_edge(moment.at, self._slot_step)

    def _read(self, times: CpuTimes, known_j: Mapping[str, float]) -> tuple[Snapshot, dict[str, str]]:
        """All meters now, and by meter why one could not be read. `times` and `known_j` stand in for what fails."""
        moment = self._moment()
        fresh_j: dict[str, float] = {}
        failures: dict[str, str] = {}
        for meter in self._meters:
            try:
                fresh_j[meter.info.name] = _joules(meter)
            except METER_FAILURES as error:
                failures[meter.info.name] = str(error) or repr(error)
        troubles = [f"{name}: {reason}" for name, reason in failures.items()]
        try:
            times = self._times.read()
        except METER_FAILURES as error:
            troubles.append(f"CPU time: {error}")
        snapshot = Snapshot(
            moment=moment,
            energy_j={**known_j, **fresh_j},
            fresh=frozenset(fresh_j),
            times=times,
            gpu_share=self._gpu_share(),
            troubles=tuple(troubles),
        )
        return snapshot, failures

    def _gpu_share(self) -> dict[str, float]:
        """The job's share by meter, of those that can tell (`greenai.ports.SharedMeter`)."""
        shares = {meter.info.name: share for meter in self._meters if (share := getattr(meter, "share", None)) is not None}
        pids = self._times.pids() if shares else frozenset()
        found: dict[str, float] = {}
        for name, share in shares.items():
            with suppress(*METER_FAILURES):
                found[name] = share(pids)
        return found

    def _put(self, line: bytes) -> None:
        failure = self._outbox.put(line)
        if failure:
            self._note(f"from {iso_utc(self._last.moment.at)} on samples waited in memory: {failure}")

    def _note(self, note: str) -> None:
        self._trace = replace(self._trace, notes=(*self._trace.notes, note))
        self._outbox.put(note_line(note))

    def _disable(self) -> None:
        """In a forked child: the thread is not there and the lock may be held by nobody."""
        self._live = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = None


class Unmetered:
    """Implements `greenai.ports.Metering` for a process that leaves the measuring to another: its trace says why."""

    def __init__(self, reason: str, write: Write) -> None:
        self._trace = EnergyTrace(meters=(), notes=(reason,))
        self._outbox = _Outbox(write)

    def start(self) -> None:
        """Write down that nothing is measured."""
        self._outbox.put(header_line(self._trace))

    def watch(self, pid: int) -> None:
        """Nothing to attribute."""

    def mark(self) -> int:
        """No intervals."""
        return 0

    def stop(self) -> EnergyTrace:
        """A trace without meters, with the reason among its notes."""
        self._outbox.send()
        return self._trace


class _Outbox:
    """Lines on their way to `write`, in order; those it refuses wait for its next success."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: deque[bytes] = deque()
        self._failing = False

    def put(self, line: bytes) -> str:
        """Send a line after those that wait; the reason where that fails for the first time."""
        self._waiting.append(line)
        return self.send()

    def send(self) -> str:
        """Send what waits."""
        while self._waiting:
            try:
                self._write(self._waiting[0])
            except OSError as error:
                first, self._failing = not self._failing, True
                return str(error) if first else ""
            self._waiting.popleft()
        self._failing = False
        return ""


def _joules(meter: Meter) -> float:
    energy_j = sum(sample.energy_j for sample in meter.read())
    if not isfinite(energy_j):
        raise MeterUnavailable(f"it gave {energy_j} J")
    return energy_j


_RUNNING: weakref.WeakSet[Sampler] = weakref.WeakSet()
"""The samplers of this process."""


@functools.cache
def _disable_in_children() -> None:
    """From now on a fork leaves no live sampler in the child."""
    os.register_at_fork(after_in_child=_disable_all)


def _disable_all() -> None:
    for sampler in tuple(_RUNNING):
        sampler._disable()
