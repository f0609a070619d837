"""Energy is conserved: between meter and trace, between machine and job, between windows, through the spool."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenai.logic.attributing import components, job_energy_j
from greenai.logic.metering import Counter, Moment, ProcessTimes, Snapshot, Tree, advanced, interval_between, regrown, rooted
from greenai.logic.spool import header_line, interval_line, trace_of
from greenai.model.energy import QUALITY_ORDER, CpuTimes, EnergyInterval, EnergyTrace, MeterInfo

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

few = settings(max_examples=50)
"""Traces take long to make up."""

amounts = st.floats(0, 1e6, allow_nan=False)
shares = st.floats(0, 1)
names = ("a", "b", "g")


@st.composite
def meters(draw, name):
    return MeterInfo(
        name=name,
        component="gpu" if name == "g" else draw(st.sampled_from(["cpu", "dram", "node"])),
        quality=draw(st.sampled_from(QUALITY_ORDER)),
        low_ratio=draw(shares),
        high_ratio=draw(st.floats(1, 5)),
        edge_s=draw(st.sampled_from([0.0, 0.1])),
        idle_w=draw(st.none() | st.floats(0, 1000)),
        idle_share=draw(st.none() | shares),
    )


@st.composite
def intervals(draw):
    seconds = draw(st.sampled_from([0.0, 0.001, 1.0, 10.0]) | st.floats(0, 60))
    return EnergyInterval(
        start_at=START,
        end_at=START + timedelta(seconds=seconds),
        duration_s=seconds,
        machine_j={name: draw(amounts) for name in names if draw(st.integers(0, 4))},
        job_cpu_s=draw(st.floats(0, 100)),
        busy_cpu_s=draw(st.floats(0, 100)),
        gap=draw(st.sampled_from(["", "", "a gap"])),
        gpu_share={"g": draw(shares)} if draw(st.booleans()) else {},
    )


@st.composite
def traces(draw):
    return EnergyTrace(
        meters=tuple(draw(meters(name)) for name in names),
        intervals=tuple(draw(st.lists(intervals(), max_size=6))),
        cores_share=draw(shares),
    )


@few
@given(traces())
def test_the_job_never_has_more_than_the_machine_and_lies_in_its_interval(trace):
    for part in components(trace):
        assert -1e-6 <= part.job_j <= part.machine_j * (1 + 1e-9) + 1e-6
        assert 0 <= part.low_j <= part.job_j <= part.high_j
        assert part.idle_j is None or part.idle_j <= part.machine_j * (1 + 1e-9) + 1e-6


@few
@given(traces())
def test_components_and_intervals_have_the_same_sum(trace):
    assert sum(part.job_j for part in components(trace)) == pytest.approx(job_energy_j(trace).sum(), rel=1e-9, abs=1e-9)


@few
@given(traces(), st.integers(0, 6), st.integers(0, 6))
def test_two_windows_add_up(trace, first, second):
    first, second = sorted((min(first, len(trace.intervals)), min(second, len(trace.intervals))))
    joules = job_energy_j(trace)
    assert joules[:first].sum() + joules[first:second].sum() == pytest.approx(joules[:second].sum())


@few
@given(traces())
def test_no_joule_of_the_machine_is_lost_or_made_where_every_read_succeeded_in_the_end(trace):
    for meter, part in zip(trace.meters, components(trace), strict=True):
        read = [interval.machine_j[meter.name] for interval in trace.intervals if meter.name in interval.machine_j]
        if trace.intervals and meter.name in trace.intervals[-1].machine_j:
            assert part.machine_j == pytest.approx(sum(read))
        assert part.machine_j >= sum(read) * (1 - 1e-9) - 1e-6


@few
@given(traces(), st.floats(0.01, 0.99))
def test_cutting_an_interval_in_two_of_one_kind_changes_nothing(trace, cut):
    def part_of(interval, share):
        return replace(
            interval,
            duration_s=interval.duration_s * share,
            machine_j={name: joules * share for name, joules in interval.machine_j.items()},
            job_cpu_s=interval.job_cpu_s * share,
            busy_cpu_s=interval.busy_cpu_s * share,
        )

    whole = [interval for interval in trace.intervals if set(interval.machine_j) == set(names)]
    halves = [part_of(interval, share) for interval in whole for share in (cut, 1 - cut)]
    before, after = (components(replace(trace, intervals=tuple(some))) for some in (whole, halves))
    for one, other in zip(before, after, strict=True):
        assert other.job_j == pytest.approx(one.job_j, rel=1e-6, abs=1e-6)
        assert other.high_j == pytest.approx(one.high_j, rel=1e-6, abs=1e-6)


@few
@given(traces())
def test_the_spool_gives_back_what_it_took(trace):
    assert trace_of(header_line(trace) + b"".join(interval_line(interval) for interval in trace.intervals)) == trace


@few
@given(traces(), st.data())
def test_a_spool_cut_anywhere_gives_a_beginning_of_the_run(trace, data):
    body = header_line(trace) + b"".join(interval_line(interval) for interval in trace.intervals)
    found = trace_of(body[: data.draw(st.integers(0, len(body)))])
    assert found.intervals == trace.intervals[: len(found.intervals)]


@given(st.lists(st.tuples(st.floats(0.001, 60), st.floats(0, 900)), max_size=40), st.integers(0, 65_532_610_986))
def test_a_counter_read_once_a_minute_loses_nothing_to_wraps(steps, start_uj):
    size = 65_532_610_987
    counter = Counter(raw=start_uj, read_s=0.0)
    true_uj, now_s = 0, 0.0
    for seconds, power_w in steps:
        true_uj += int(seconds * power_w * 1e6)
        now_s += seconds
        counter, lost = advanced(counter, (start_uj + true_uj) % size, size=size, read_s=now_s, limit_per_s=1e9)
        assert lost == ""
    assert counter.total == true_uj


@given(st.lists(st.tuples(st.floats(0.001, 60), amounts, st.booleans()), min_size=1, max_size=20))
def test_intervals_sum_to_the_end_less_the_start_for_any_schedule(steps):
    def snapshot(seconds, known_j, *, fresh=True):
        moment = Moment(at=START + timedelta(seconds=seconds), monotonic_s=seconds, boottime_s=seconds)
        times = CpuTimes(job_s=seconds / 2, busy_s=seconds)
        return Snapshot(moment=moment, energy_j={"a": known_j}, fresh=frozenset({"a"} if fresh else ()), times=times)

    snapshots = [snapshot(0.0, 17.0)]
    seconds, joules, known_j = 0.0, 17.0, 17.0
    for step_s, used_j, fails in steps:
        seconds, joules = seconds + step_s, joules + used_j
        known_j = known_j if fails else joules
        snapshots.append(snapshot(seconds, known_j, fresh=not fails))
    snapshots.append(snapshot(seconds + 1, joules))
    found = [interval_between(before, after) for before, after in pairwise(snapshots)]
    assert sum(interval.machine_j.get("a", 0.0) for interval in found) == pytest.approx(joules - 17.0, abs=1e-6)
    assert sum(interval.duration_s for interval in found) == pytest.approx(seconds + 1)
    assert sum(interval.job_cpu_s for interval in found) == pytest.approx((seconds + 1) / 2)
    assert all(before.end_at == after.start_at for before, after in pairwise(found))


@st.composite
def lives(draw):
    """A job's processes: (parent, birth, death, rate of CPU use); parents are born before and end after their children."""
    processes = [(0, 0.0, 100.0, draw(st.floats(0, 1)))]
    for _ in range(draw(st.integers(0, 8))):
        parent = draw(st.integers(0, len(processes) - 1))
        _, born, dies, _ = processes[parent]
        start = draw(st.floats(born, dies))
        processes.append((parent, start, draw(st.floats(start, dies)), draw(st.floats(0, 1))))
    return processes


@given(lives(), st.lists(st.floats(0, 100), max_size=10))
def test_cpu_time_of_a_tree_is_exact_at_the_end_however_it_was_looked_at(processes, looks):
    """Every child is waited for, so whatever was missed in between is in the root's account at last."""

    def used_s(index, now):
        _, born, dies, rate = processes[index]
        return rate * max(0.0, min(now, dies) - born)

    def ended_s(index, now):
        children = [child for child, life in enumerate(processes) if child and life[0] == index and life[2] <= now]
        return sum(used_s(child, now) + ended_s(child, now) for child in children)

    def seen(now):
        return [
            ProcessTimes(
                pid=index + 1,
                parent=life[0] + 1 if index else 0,
                started=0,
                own_s=used_s(index, now),
                children_s=ended_s(index, now),
            )
            for index, life in enumerate(processes)
            if life[1] <= now and (now < life[2] or index == 0)
        ]

    def alive(now, index):
        """Zombies apart, a process whose ancestor has ended has ended."""
        return now < processes[index][2] or index == 0

    tree = rooted(Tree(), seen(0.0)[0])
    totals = [tree.used_s]
    for now in [*sorted(looks), 100.0]:
        tree = regrown(tree, seen(now))
        totals.append(tree.used_s)
        assert all(alive(now, pid - 1) for pid in tree.members)
    true_s = sum(used_s(index, 100.0) for index in range(len(processes)))
    assert totals[-1] == pytest.approx(true_s, abs=0.05 * len(processes))
    assert all(before <= after + 0.05 * len(processes) for before, after in pairwise(totals))
