"""The sampler: what it counts, when it reads, and how it takes failure."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from greenai.adapters import sampler as sampler_module
from greenai.adapters.sampler import Sampler, Unmetered, system_moment
from greenai.errors import MeterUnavailable, StoreError
from greenai.logic.metering import Moment, sample
from greenai.logic.spool import trace_of
from greenai.model.energy import CpuTimes, MeterInfo, RejectedMeter
from greenai.model.units import floor_to


class Power:
    """A meter of constant power on real time; what is in `failures` is raised once each, in turn."""

    def __init__(self, name="m", *, power_w=100.0, quality="measured:counter", component="cpu"):
        self.info = MeterInfo(name=name, component=component, quality=quality, low_ratio=1, high_ratio=1)
        self.power_w = power_w
        self.failures = []
        self.read_at_s = []

    def read(self):
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        now_s = time.monotonic()
        self.read_at_s.append(now_s)
        return sample(self.info, self.power_w * now_s, taken_at=datetime.now(UTC), monotonic_s=now_s)

    def counted_j(self):
        return self.power_w * (self.read_at_s[-1] - self.read_at_s[0])


class Times:
    """CPU times that follow the clock; `failure` is raised while it is set."""

    def __init__(self):
        self.failure = None
        self.watched = []
        self._began_s = time.monotonic()

    def watch(self, pid):
        if self.failure:
            raise self.failure
        self.watched.append(pid)

    def read(self):
        if self.failure:
            raise self.failure
        passed_s = time.monotonic() - self._began_s
        return CpuTimes(job_s=passed_s / 2, busy_s=passed_s)

    def pids(self):
        return frozenset(self.watched)


class Run:
    """A sampler with a meter, times and a spool to look at."""

    def __init__(self, *meters, **options):
        self.meters = meters or (Power(),)
        self.times = Times()
        self.lines = []
        self.sampler = Sampler(self.meters, self.times, self.write, **{"interval_s": 30.0, **options})
        self.failures = []

    def write(self, line):
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        self.lines.append(line)

    @property
    def body(self):
        return b"".join(self.lines)

    def energy_j(self, trace, name="m"):
        return sum(interval.machine_j.get(name, 0.0) for interval in trace.intervals)


def test_the_trace_is_the_last_reading_less_the_first_and_the_spool_is_the_trace():
    run = Run(cores_share=0.5, rejected=[RejectedMeter(name="n", component="gpu", reason="none")])
    run.sampler.start()
    run.sampler.watch(4711)
    time.sleep(0.5)  # long beside the moment that may lie between two readings on a busy machine
    trace = run.sampler.stop()
    assert run.energy_j(trace) == pytest.approx(run.meters[0].counted_j())
    assert (trace.cores_share, [item.name for item in trace.rejected]) == (0.5, ["n"])
    assert trace.intervals[0].busy_cpu_s == pytest.approx(trace.intervals[0].duration_s, rel=0.5)
    assert run.times.watched == [4711]
    assert trace_of(run.body) == trace


def until(holds):
    """However long a busy machine takes, but not for ever."""
    give_up_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up_s, "it did not happen within 60 s"
        time.sleep(0.005)


def wait_for(run, intervals):
    """Until the sampler has closed so many."""
    until(lambda: len(run.sampler._intervals) >= intervals)


def test_reads_come_by_themselves_and_their_deadlines_do_not_drift():
    run = Run(interval_s=0.02)
    run.sampler.start()
    for number in range(1, 6):
        wait_for(run, number)
        due = (run.sampler._deadline_s - run.sampler._began_s) / 0.02
        assert due == pytest.approx(round(due))
    run.sampler.stop()


def test_there_is_a_read_at_each_edge_of_a_slot():
    step = timedelta(seconds=0.1)
    run = Run(slot_step=step)
    run.sampler.start()
    wait_for(run, 4)
    trace = run.sampler.stop()
    for interval in trace.intervals[:-1]:
        assert interval.start_at < floor_to(interval.end_at, step) <= interval.end_at


def test_intervals_join_without_seams():
    run = Run(interval_s=0.01)
    run.sampler.start()
    for _ in range(5):
        time.sleep(0.01)
        run.sampler.mark()
    trace = run.sampler.stop()
    assert len(trace.intervals) > 5
    assert all(one.end_at == other.start_at for one, other in pairwise(trace.intervals))


def test_windows_lie_between_marks():
    run = Run()
    assert run.sampler.mark() == 0
    run.sampler.start()
    first = run.sampler.mark()
    time.sleep(0.5)  # long beside the moment that may lie between two readings on a busy machine
    last = run.sampler.mark()
    trace = run.sampler.stop()
    assert (first, last) == (1, 2)
    assert trace.intervals[1].machine_j["m"] == pytest.approx(100 * trace.intervals[1].duration_s, rel=0.2)
    assert run.sampler.mark() == len(trace.intervals) == 3


def test_a_tick_that_races_the_end_is_never_counted_twice():
    """The bug of another tool: 31 of 60 such runs reported twice the energy."""
    for number in range(200):
        run = Run(interval_s=0.001)
        run.sampler.start()
        time.sleep(random.Random(number).uniform(0, 0.004))
        trace = run.sampler.stop()
        assert run.energy_j(trace) == pytest.approx(run.meters[0].counted_j())
        assert len(run.meters[0].read_at_s) == len(trace.intervals) + 1
        assert trace_of(run.body) == trace
    assert not [thread for thread in threading.enumerate() if thread.name == "greenai-sampler"]


def test_the_end_can_be_asked_for_again_and_from_anywhere():
    ended = []
    run = Run(at_end=lambda: ended.append(1))
    run.sampler.start()
    traces = []
    threads = [threading.Thread(target=lambda: traces.append(run.sampler.stop())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(trace == run.sampler.stop() for trace in traces)
    assert ended == [1]


def test_an_end_without_a_beginning_is_an_empty_trace():
    assert Run().sampler.stop().intervals == ()


# ---- failure ----


def test_a_meter_that_fails_at_first_is_left_out_with_its_reason():
    broken, good = Power("broken"), Power("good")
    broken.failures = [MeterUnavailable("it is gone")]
    run = Run(broken, good)
    run.sampler.start()
    trace = run.sampler.stop()
    assert [info.name for info in trace.meters] == ["good"]
    assert [(item.name, item.reason) for item in trace.rejected] == [("broken", "it is gone")]
    assert trace_of(run.body) == trace


@pytest.mark.parametrize("failure", [MeterUnavailable("no reading"), ValueError("a plug-in's defect"), KeyError("x")])
def test_a_meter_that_fails_in_between_is_a_gap_and_loses_nothing(failure):
    meter = Power()
    run = Run(meter)
    run.sampler.start()
    meter.failures = [failure]
    run.sampler.mark()
    trace = run.sampler.stop()
    assert trace.intervals[0].machine_j == {}
    assert trace.intervals[0].gap == f"m: {failure}"
    assert run.energy_j(trace) == pytest.approx(meter.counted_j())


def test_joules_that_are_no_number_are_a_gap():
    meter = Power()
    run = Run(meter)
    run.sampler.start()
    meter.power_w = float("nan")
    trace = run.sampler.stop()
    assert "it gave nan J" in trace.intervals[0].gap


def test_cpu_times_that_fail_are_a_gap():
    run = Run()
    run.sampler.start()
    run.times.failure = MeterUnavailable("/proc is gone")
    trace = run.sampler.stop()
    assert trace.intervals[0].gap == "CPU time: /proc is gone"
    assert (trace.intervals[0].job_cpu_s, trace.intervals[0].busy_cpu_s) == (0.0, 0.0)


def test_a_process_that_cannot_be_watched_is_noted():
    run = Run()
    run.sampler.start()
    run.times.failure = OSError("no /proc")
    run.sampler.watch(5)
    trace = run.sampler.stop()
    assert trace.notes == ("CPU time of process 5 is not known: no /proc",)


def test_a_full_disk_stops_nothing_and_what_waited_follows_in_order():
    run = Run()
    run.failures = [None, StoreError("no space left"), StoreError("no space left")]
    run.sampler.start()
    for _ in range(4):
        run.sampler.mark()
    trace = run.sampler.stop()
    assert len(trace.intervals) == 5
    assert len(trace.notes) == 1
    assert trace.notes[0].endswith("samples waited in memory: no space left")
    assert trace_of(run.body) == trace


def test_a_disk_that_stays_full_leaves_the_trace():
    run = Run()
    run.failures = [OSError("read-only")] * 100
    run.sampler.start()
    run.sampler.mark()
    trace = run.sampler.stop()
    assert len(trace.intervals) == 2
    assert run.lines == []
    assert run.energy_j(trace) == pytest.approx(run.meters[0].counted_j())


def test_a_meter_that_hangs_does_not_hold_the_job(monkeypatch):
    monkeypatch.setattr(sampler_module, "JOIN_S", 0.05)
    released, hanging = threading.Event(), threading.Event()
    ended = []

    class Hanging(Power):
        def read(self):
            if threading.current_thread().name == "greenai-sampler":
                hanging.set()
                released.wait()
            return super().read()

    run = Run(Hanging(), interval_s=0.01, at_end=lambda: ended.append(1))
    run.sampler.start()
    hanging.wait()
    trace = run.sampler.stop()
    assert trace.intervals == ()
    assert "did not answer" in trace.notes[0]
    released.set()
    run.sampler._thread.join()
    assert run.sampler.stop() == trace, "what comes back late is not counted"
    assert ended == [1]


def test_without_a_thread_the_ends_are_read(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    run = Run(interval_s=0.001)
    run.sampler.start()
    trace = run.sampler.stop()
    assert len(trace.intervals) == 1
    assert trace.notes == ("no sampler thread (can't start new thread): only the first and the last read",)


# ---- kinds of meters ----


def test_sampled_power_is_looked_at_between_intervals(monkeypatch):
    monkeypatch.setattr(sampler_module, "POLL_S", 0.01)
    power, counter = Power("power", quality="measured:sampled"), Power("counter")
    run = Run(power, counter)
    run.sampler.start()
    until(lambda: len(power.read_at_s) > 5)
    power.failures = [MeterUnavailable("once")]
    until(lambda: not power.failures)
    trace = run.sampler.stop()
    assert (len(counter.read_at_s), len(trace.intervals)) == (2, 1)


def test_a_shared_device_says_how_much_of_it_is_the_jobs():
    answers = [0.5, 0.25, 1.0, RuntimeError("lost")]
    asked = []

    class Shared(Power):
        def share(self, pids):
            asked.append(pids)
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    run = Run(Shared("gpu", component="gpu"))
    run.sampler.start()
    run.sampler.watch(7)
    run.sampler.mark()
    run.sampler.mark()
    trace = run.sampler.stop()
    assert [interval.gpu_share for interval in trace.intervals] == [{"gpu": 0.25}, {}, {}]
    assert asked == [frozenset(), {7}, {7}, {7}]


def test_a_suspend_and_a_set_clock_are_gaps():
    shift = {"slept_s": 0.0, "set_s": 0.0}

    def moment():
        now = system_moment()
        at = now.at + timedelta(seconds=shift["slept_s"] + shift["set_s"])
        return Moment(at=at, monotonic_s=now.monotonic_s, boottime_s=now.boottime_s + shift["slept_s"])

    run = Run(moment=moment)
    run.sampler.start()
    shift["slept_s"] = 600.0
    run.sampler.mark()
    shift["set_s"] = -3600.0
    run.sampler.mark()
    trace = run.sampler.stop()
    assert [interval.gap for interval in trace.intervals] == [
        "suspended for 600 s",
        "the wall clock was set back by 3600 s",
        "",
    ]


# ---- processes ----


forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@forks
def test_a_forked_child_has_no_sampler(tmp_path):
    run = Run(interval_s=0.01)
    run.sampler.start()
    lines = len(run.lines)
    pid = os.fork()
    if pid == 0:
        before = run.sampler.mark()
        time.sleep(0.05)
        trace = run.sampler.stop()
        os._exit(0 if len(trace.intervals) == before and len(run.lines) <= lines + before + 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    trace = run.sampler.stop()
    assert run.energy_j(trace) == pytest.approx(run.meters[0].counted_j())


@forks
def test_a_fork_while_the_lock_is_held_leaves_a_child_that_can_end():
    run = Run()
    run.sampler.start()
    with run.sampler._lock:
        pid = os.fork()
        if pid == 0:
            run.sampler.stop()
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    run.sampler.stop()


def test_importing_starts_no_thread_and_needs_no_numpy():
    code = (
        "import sys, threading; import greenai.adapters.sampler, greenai.adapters.cpu_time, greenai.adapters.lease;"
        "from greenai.adapters.meters import assumed, chain, codecarbon, modelled, nvml, rapl;"
        "assert threading.active_count() == 1; assert not {'numpy', 'pynvml', 'codecarbon'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_killed_run_leaves_all_but_the_interval_under_way(tmp_path):
    code = f"""
import os, time
from tests.adapters.test_sampler import Power, Times, until
from greenai.adapters.sampler import Sampler
spool = open({str(tmp_path / "spool")!r}, "ab", buffering=0)
sampler = Sampler([Power()], Times(), spool.write, interval_s=0.02)
sampler.start()
until(lambda: len(sampler._intervals) >= 3)
os.kill(os.getpid(), 9)
"""
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == -9
    trace = trace_of((tmp_path / "spool").read_bytes())
    assert len(trace.intervals) >= 3


def test_a_process_that_leaves_the_measuring_to_another_says_so():
    lines = []
    metering = Unmetered("LOCAL_RANK=3: number 0 on this node measures for all", lines.append)
    metering.start()
    metering.watch(1)
    assert metering.mark() == 0
    trace = metering.stop()
    assert (trace.meters, trace.intervals) == ((), ())
    assert trace.notes == ("LOCAL_RANK=3: number 0 on this node measures for all",)
    assert trace_of(b"".join(lines)) == trace == metering.stop()
