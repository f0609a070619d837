"""Counters, intervals, deadlines and process trees, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenai.logic.metering import (
    Counter,
    Moment,
    ProcessTimes,
    Snapshot,
    Tree,
    advanced,
    busy_ticks,
    cgroup_paths,
    clock_gaps,
    interval_between,
    next_edge,
    next_read_s,
    regrown,
    rooted,
    sample,
)
from greenai.model.energy import CpuTimes, MeterInfo

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SIZE = 262_143_328_850
LIMIT = 1e9
"""1 kW in microjoules per second."""


def step(raw, to, *, seconds=1.0, size=SIZE):
    return advanced(Counter(raw=raw, total=7, read_s=100.0), to, size=size, read_s=100.0 + seconds, limit_per_s=LIMIT)


def test_a_counter_counts():
    counter, lost = step(1_000, 51_001_000)
    assert (counter, lost) == (Counter(raw=51_001_000, total=51_000_007, read_s=101.0), "")


def test_a_wrap_is_no_loss():
    counter, lost = step(SIZE - 10_000_000, 40_000_000)
    assert (counter.total, lost) == (50_000_007, "")


def test_a_step_back_too_large_for_the_time_is_a_reset_and_what_shows_now_was_used_since():
    counter, lost = step(SIZE // 2, 3_000_000)
    assert counter.total == 3_000_007
    assert "set back" in lost


@pytest.mark.parametrize("size", [0, 500])
def test_without_a_size_that_fits_every_step_back_is_a_reset(size):
    counter, lost = step(1_000, 600, size=size)
    assert counter.total == 607
    assert "set back from 1000 to 600" in lost


def test_a_long_silence_may_hide_wraps():
    counter, lost = step(1_000, 2_000, seconds=300.0)
    assert counter.total == 1_007
    assert "not read for 300 s" in lost
    assert step(1_000, 2_000, seconds=300.0, size=0)[1] == ""


def test_a_reset_after_a_long_silence_is_told_once():
    assert step(SIZE // 2, 3_000_000, seconds=300.0)[1].count("set back") == 0, "300 kJ may well have passed: a wrap, unseen"
    assert step(SIZE, 3_000_000, size=SIZE - 1, seconds=300.0)[1].startswith("the counter was set back")


def moment(seconds, *, slept=0.0, jumped=0.0):
    at = START + timedelta(seconds=seconds + slept + jumped)
    return Moment(at=at, monotonic_s=50 + seconds, boottime_s=70 + seconds + slept)


def snapshot(seconds, *, joules, fresh=None, job_s=0.0, busy_s=0.0, **changes):
    times = CpuTimes(job_s=job_s, busy_s=busy_s)
    names = frozenset(joules if fresh is None else fresh)
    return Snapshot(moment=changes.pop("at", moment(seconds)), energy_j=joules, fresh=names, times=times, **changes)


def test_an_interval_is_the_difference_of_two_snapshots():
    before = snapshot(0, joules={"a": 5.0}, job_s=1.0, busy_s=2.0)
    after = snapshot(10, joules={"a": 105.0}, job_s=3.0, busy_s=6.0, gpu_share={"g": 0.5, "h": 1.0})
    interval = interval_between(before, after)
    assert (interval.start_at, interval.end_at, interval.duration_s) == (START, START + timedelta(seconds=10), 10.0)
    assert interval.machine_j == {"a": 100.0}
    assert (interval.job_cpu_s, interval.busy_cpu_s, interval.gap) == (2.0, 4.0, "")
    assert interval.gpu_share == {"g": 0.5}


def test_a_meter_not_read_is_absent_and_its_joules_come_later():
    first = snapshot(0, joules={"a": 5.0})
    second = snapshot(10, joules={"a": 5.0}, fresh=(), troubles=("a: gone",))
    third = snapshot(20, joules={"a": 205.0})
    assert interval_between(first, second).machine_j == {}
    assert interval_between(first, second).gap == "a: gone"
    assert interval_between(second, third).machine_j == {"a": 200.0}


def test_energy_that_falls_is_nothing_and_a_gap():
    interval = interval_between(snapshot(0, joules={"a": 5.0}), snapshot(1, joules={"a": 3.0}))
    assert interval.machine_j == {"a": 0.0}
    assert interval.gap == "a: its energy fell by 2 J"


def test_times_that_fall_are_nothing():
    interval = interval_between(snapshot(1, joules={}, job_s=2.0, busy_s=2.0), snapshot(0, joules={}, job_s=1.0, busy_s=1.0))
    assert (interval.duration_s, interval.job_cpu_s, interval.busy_cpu_s) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("later", "gaps"),
    [
        (moment(10), ()),
        (moment(10, jumped=0.5), ()),
        (moment(10, slept=300), ("suspended for 300 s",)),
        (moment(10, jumped=3600), ("the wall clock was set forward by 3600 s",)),
        (moment(10, jumped=-60), ("the wall clock was set back by 60 s",)),
        (moment(10, slept=300, jumped=-60), ("suspended for 300 s", "the wall clock was set back by 60 s")),
    ],
)
def test_suspends_and_clock_jumps_are_told_apart(later, gaps):
    assert clock_gaps(moment(0), later) == gaps


@pytest.mark.parametrize(
    ("elapsed_s", "interval_s", "next_s"),
    [
        (0.0, 1.0, 1.0),
        (0.4, 1.0, 1.0),
        (1.0, 1.0, 2.0),
        (0.9999999, 1.0, 2.0),
        (3.7, 1.0, 4.0),
        (59.0, 1.0, 60.0),
        (59.5, 1.0, 60.0),
        (60.0, 1.0, 70.0),
        (61.3, 1.0, 70.0),
        (30.0, 30.0, 60.0),
        (60.0, 30.0, 120.0),
        (0.0, 300.0, 60.0),
        (7.0, 7.0, 14.0),
    ],
)
def test_reads_are_close_at_first_then_ten_times_apart_at_most_a_minute(elapsed_s, interval_s, next_s):
    assert next_read_s(elapsed_s, interval_s) == pytest.approx(next_s)


def test_edges_are_those_of_the_grids_slots():
    assert next_edge(START, timedelta(minutes=30)) == START + timedelta(minutes=30)
    assert next_edge(START + timedelta(minutes=7), timedelta(minutes=5)) == START + timedelta(minutes=10)


def test_a_meters_sample_carries_what_it_is():
    info = MeterInfo(name="m", component="gpu", quality="modelled", low_ratio=1, high_ratio=1)
    (only,) = sample(info, 5.0, taken_at=START, monotonic_s=1.0)
    assert (only.meter, only.component, only.energy_j, only.taken_at, only.monotonic_s) == ("m", "gpu", 5.0, START, 1.0)


# ---- trees of processes ----


def process(pid, parent, own_s=0.0, children_s=0.0, started=0):
    return ProcessTimes(pid=pid, parent=parent, started=started, own_s=own_s, children_s=children_s)


def grown(*looks, root=1):
    first, *later = looks
    tree = rooted(Tree(), first[0])
    for look in (first, *later):
        tree = regrown(tree, look)
    return tree


def test_the_tree_holds_all_descendants_and_nobody_else():
    tree = grown([process(1, 0, 1.0), process(3, 2, 4.0), process(2, 1, 2.0), process(9, 8, 99.0)])
    assert set(tree.members) == {1, 2, 3}
    assert tree.used_s == 7.0


def test_a_child_that_ended_is_in_its_parents_account():
    tree = grown([process(1, 0, 1.0), process(2, 1, 2.0)], [process(1, 0, 1.0, children_s=2.5)])
    assert tree.used_s == 3.5


def test_a_child_seen_ending_before_its_parent_is_told_is_not_counted_twice():
    tree = grown([process(1, 0, 1.0), process(2, 1, 2.0)], [process(1, 0, 1.0)])
    assert tree.used_s == 3.0, "what was last seen of it stands in"
    tree = regrown(tree, [process(1, 0, 1.0, children_s=2.5)])
    assert tree.used_s == 3.5


def test_a_child_nobody_waits_for_keeps_what_was_seen_of_it():
    tree = grown([process(1, 0), process(2, 1, 2.0)], [process(1, 0)], [process(1, 0, 1.0)])
    assert tree.used_s == 3.0


def test_a_daemon_stays_a_member_when_its_parent_ends():
    tree = grown([process(1, 0), process(2, 1), process(3, 2, 1.0)], [process(1, 0), process(3, 777, 5.0)])
    assert tree.used_s == 5.0
    assert regrown(tree, [process(1, 0)]).used_s == 5.0, "and its time is kept when it ends under init"


def test_a_whole_branch_that_ended_is_in_the_living_ancestors_account():
    tree = grown([process(1, 0), process(2, 1, 1.0), process(3, 2, 2.0), process(4, 3, 3.0)], [process(1, 0, children_s=6.2)])
    assert tree.used_s == pytest.approx(6.2)


def test_a_branch_without_a_living_ancestor_keeps_what_was_seen():
    tree = grown([process(1, 0, 1.0), process(2, 1, 2.0)], [])
    assert tree.members == {}
    assert tree.used_s == 3.0


def test_members_that_are_each_others_parents_end_as_well():
    tree = regrown(rooted(rooted(Tree(), process(1, 2, 1.0)), process(2, 1, 1.0)), [])
    assert tree.used_s == 2.0


def test_a_number_used_again_is_another_process():
    tree = grown(
        [process(1, 0), process(2, 1, 5.0, started=10)], [process(1, 0, children_s=5.0), process(2, 7, 99.0, started=20)]
    )
    assert set(tree.members) == {1}
    assert tree.used_s == 5.0


def test_a_root_that_had_children_before_owes_nothing_for_them():
    tree = rooted(Tree(), process(1, 0, children_s=100.0))
    tree = regrown(tree, [process(1, 0, children_s=100.0), process(2, 1, 3.0)])
    tree = regrown(tree, [process(1, 0, children_s=100.0)])
    assert tree.used_s == 103.0, "the child's time has not arrived yet"


def test_clock_ticks_rounded_down_are_no_loss():
    tree = grown([process(1, 0), process(2, 1, 2.01)], [process(1, 0, children_s=2.0)])
    assert tree.used_s == 2.0


# ---- /proc and /sys ----


def test_busy_time_leaves_out_idle_waiting_and_stolen():
    assert busy_ticks(b"cpu  1 2 4 800 1600 8 16 3200 9 9\ncpu0 1 1\n") == 31


@pytest.mark.parametrize("text", [b"", b"cpu0 1 2 3", b"cpu  1 2 x 4 5 6 7", b"cpu  1 2"])
def test_a_stat_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"stat starts|invalid literal|values to unpack"):
        busy_ticks(text)


def test_cgroups_of_version_two_from_the_inside_out():
    assert cgroup_paths("0::/user.slice/job.scope\n", "cpu") == ("user.slice/job.scope", "user.slice", "")


def test_cgroups_of_version_one_come_before_those_of_two():
    text = "5:memory:/m\n4:cpu,cpuacct:/a/b\n1:name=systemd:/s\n0::/\n"
    assert cgroup_paths(text, "cpuacct") == ("cpu,cpuacct/a/b", "cpu,cpuacct/a", "cpu,cpuacct", "")
    assert cgroup_paths(text, "memory") == ("memory/m", "memory", "")
    assert cgroup_paths("4:cpu:/a\n", "memory") == ()
