"""CPU seconds of real processes, and of made-up ones where the real are too slow to arrange."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from greenai.adapters.cpu_time import JobCpu, cores_share
from greenai.errors import MeterUnavailable

BURN = "import time\nwhile time.process_time() < {}: pass\n"


def burn(seconds):
    """A command that uses about so many CPU seconds."""
    return [sys.executable, "-S", "-c", BURN.format(seconds)]


def python(code, *arguments):
    """Run a program in a process of its own, as greenai run is; its output."""
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_child_counts_from_its_beginning_to_its_end():
    times = JobCpu()
    with subprocess.Popen(burn(0.3)) as child:
        times.watch(child.pid)
    found = times.read()
    assert found.job_s == pytest.approx(0.3, abs=0.15)
    assert found.busy_s > 0.2


def test_a_child_counts_while_it_lives():
    times = JobCpu()
    with subprocess.Popen([sys.executable, "-c", BURN.format(0.2) + "print(flush=True); input()"], stdin=-1, stdout=-1) as child:
        times.watch(child.pid)
        child.stdout.readline()
        living = times.read().job_s
        child.communicate(b"\n")
    assert living == pytest.approx(0.2, abs=0.1)
    assert times.read().job_s >= living


def test_short_lived_children_are_all_counted():
    """Ten children of 0.05 s, one after the other, nobody looking meanwhile."""
    times = JobCpu()
    code = f"import subprocess\nfor _ in range(10): subprocess.run({burn(0.05)!r})"
    with subprocess.Popen([sys.executable, "-S", "-c", code]) as child:
        times.watch(child.pid)
    assert times.read().job_s == pytest.approx(0.65, abs=0.35)


def test_a_child_that_has_gone_before_it_is_watched_counts():
    times = JobCpu()
    child = subprocess.Popen(burn(0.2))
    child.wait()
    times.watch(child.pid)
    assert times.read().job_s == pytest.approx(0.2, abs=0.1)


def test_other_children_are_not_the_jobs():
    with subprocess.Popen([sys.executable, "-S", "-c", BURN.format(30)]) as other:
        times = JobCpu()
        with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
            times.watch(child.pid)
            time.sleep(0.3)
            assert times.read().job_s < 0.2
            assert times.pids() == {child.pid}
            child.communicate(b"\n")
        other.kill()


def test_this_process_counts_from_now_on_with_its_children():
    end_s = time.process_time() + 0.2
    while time.process_time() < end_s:
        pass
    times = JobCpu()
    times.watch(os.getpid())
    assert times.read().job_s < 0.1
    end_s = time.process_time() + 0.1
    while time.process_time() < end_s:
        pass
    subprocess.run(burn(0.1), check=True)
    assert times.read().job_s == pytest.approx(0.22, abs=0.15)
    assert os.getpid() in times.pids()


def test_a_process_that_was_running_before_counts_from_now_on():
    code = BURN.format(0.3) + "print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        time.sleep(0.02)
        times = JobCpu()
        times.watch(child.pid)
        assert times.read().job_s < 0.1
        child.communicate(b"\n")


def test_a_stranger_is_not_this_processes_child():
    """Watched from a process that is neither it nor its parent."""
    code = """
        import sys, time
        from greenai.adapters.cpu_time import JobCpu
        times = JobCpu()
        times.watch(int(sys.argv[1]))
        look_until_s = time.monotonic() + 30  # on a busy machine it may have to wait for a processor
        while times.read().job_s <= 0.05 and time.monotonic() < look_until_s:
            time.sleep(0.01)
        print(times.read().job_s, int(sys.argv[1]) in times.pids())
        """
    with subprocess.Popen(burn(30)) as stranger:
        used_s, member = python(code, stranger.pid).split()
        stranger.kill()
    assert 0.05 < float(used_s) < 0.6
    assert member == "True"


ADOPTING = """
    import subprocess, sys, time
    from greenai.adapters.cpu_time import JobCpu, adopt_orphans
    adopts = sys.argv[1] == "yes"
    if adopts:
        assert adopt_orphans()
    times = JobCpu(adopts=adopts)
    code = sys.argv[2]
    # A double fork: the child ends, the grandchild works on without it and is heard of through the pipe.
    tail = "read line" if sys.argv[3] == "look" else "true"
    shell = ["sh", "-c", '"$0" -S -c "$1" & echo; ' + tail, sys.executable, code]
    job = subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if tail != "true":
        job.stdout.readline()
    times.watch(job.pid)
    job.stdin.close()
    job.wait()
    look_until_s = time.monotonic() + 30
    while tail != "true" and times.read().job_s < 0.05 and time.monotonic() < look_until_s:
        time.sleep(0.01)
    job.stdout.read()
    time.sleep(0.1)
    print(times.read().job_s, len(times.pids()))
    try:
        import os
        os.waitpid(-1, os.WNOHANG)
        print("a zombie is left")
    except ChildProcessError:
        pass
    """


@pytest.mark.parametrize("look", ["look", "do not look"])
def test_an_adopted_orphan_counts_and_leaves_no_zombie(look):
    used_s, rest = python(ADOPTING, "yes", BURN.format(0.3), look).split(maxsplit=1)
    assert float(used_s) == pytest.approx(0.32, abs=0.15)
    assert rest.strip() == "0"


def test_an_orphan_that_was_seen_alive_keeps_what_was_seen_of_it():
    used_s = python(ADOPTING, "no", BURN.format(0.4), "look").split()[0]
    assert float(used_s) > 0.01


# ---- a made-up /proc ----


class World:
    """A /proc and /sys in a directory."""

    def __init__(self, root):
        self.proc, self.cgroups = root / "proc", root / "sys/fs/cgroup"
        self.cgroups.mkdir(parents=True)
        self.proc.mkdir()
        self.forks = 1
        self.busy(0)

    def busy(self, ticks):
        self.proc.joinpath("stat").write_text(f"cpu  {ticks} 0 0 0 0 0 0 0 0 0\ncpu0 1\nintr 1\nctxt 2\nprocesses {self.forks}\n")

    def process(self, pid, parent, ticks, *, children=0, name="(a b) c", started=1 << 40):
        self.proc.joinpath(str(pid)).mkdir(exist_ok=True)
        fields = ["S", str(parent), *["0"] * 9, str(ticks), "0", str(children), "0", *["0"] * 4, str(started)]
        self.proc.joinpath(str(pid), "stat").write_text(f"{pid} ({name}) {' '.join(fields)} 0 0\n")

    def counter(self):
        return JobCpu(proc_root=str(self.proc), sys_root=str(self.cgroups.parents[1]))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_job_is_its_tree_and_the_machine_is_everything(world):
    world.process(100, os.getpid(), 0)
    times = world.counter()
    times.watch(100)
    world.process(100, os.getpid(), 150)
    world.process(101, 100, 50, children=25)
    world.process(102, 7, 9999)
    world.forks += 2
    world.busy(400)
    found = times.read()
    assert (found.job_s, found.busy_s) == pytest.approx((2.25, 4.0))
    assert times.pids() == {100, 101}


def test_processes_are_looked_for_only_when_there_are_new_ones(world):
    world.process(100, os.getpid(), 0)
    times = world.counter()
    times.watch(100)
    times.read()
    world.process(101, 100, 50)
    assert times.read().job_s == pytest.approx(0.0, abs=1e-9), "the kernel says that nothing was forked"
    world.forks += 1
    world.busy(0)
    assert times.read().job_s == pytest.approx(0.5)


def test_the_jobs_seconds_never_fall(world):
    world.process(100, os.getpid(), 0)
    times = world.counter()
    times.watch(100)
    world.process(100, os.getpid(), 300)
    assert times.read().job_s == pytest.approx(3.0)
    world.process(100, os.getpid(), 200)
    assert times.read().job_s == pytest.approx(3.0)


def test_a_stat_that_makes_no_sense_is_a_process_that_has_gone(world):
    world.process(100, os.getpid(), 0)
    times = world.counter()
    world.proc.joinpath("100", "stat").write_text("100 (short) S")
    times.watch(100)
    assert times.pids() == set()


@pytest.mark.parametrize("text", [None, "nothing\n"])
def test_a_proc_that_cannot_be_read_is_said(world, text):
    times = world.counter()
    stat = world.proc / "stat"
    stat.unlink() if text is None else stat.write_text(text)
    with pytest.raises(MeterUnavailable, match="stat"):
        times.read()


def test_a_machine_without_proc_is_said_at_each_read_and_counts_once_there_is_one(world):
    times = JobCpu(proc_root=str(world.proc / "none"), sys_root="/")
    with pytest.raises(MeterUnavailable):
        times.read()
    times._proc = str(world.proc)
    world.busy(1000)
    assert times.read().busy_s == 0.0
    world.busy(1100)
    assert times.read().busy_s == 1.0


def test_before_anything_is_watched_the_job_has_used_nothing(world):
    times = world.counter()
    world.busy(100)
    assert (times.read().job_s, times.read().busy_s) == (0.0, 1.0)
    assert times.pids() == set()


# ---- cgroups ----


def own_group(world, pids, *, version=2):
    """A cgroup in which these processes live."""
    (world.proc / "100" / "cgroup").write_text("4:cpu,cpuacct:/job\n" if version == 1 else "0::/job\n")
    group = world.cgroups / ("cpu,cpuacct/job" if version == 1 else "job")
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    return group


def test_a_cgroup_of_its_own_is_the_better_account(world):
    world.process(100, os.getpid(), 10)
    group = own_group(world, [100, os.getpid()])
    (group / "cpu.stat").write_text("usage_usec 5000000\nuser_usec 1\n")
    times = world.counter()
    times.watch(100)
    assert times.read().job_s == pytest.approx(0.1), "what the tree had used is the job's, what the group had before is not"
    (group / "cpu.stat").write_text("usage_usec 7123456\nuser_usec 1\n")
    assert times.read().job_s == pytest.approx(2.223456)


def test_cgroups_of_version_one_count_in_nanoseconds(world):
    world.process(100, os.getpid(), 0)
    group = own_group(world, [100], version=1)
    (group / "cpuacct.usage").write_text("5000000000\n")
    times = world.counter()
    times.watch(100)
    (group / "cpuacct.usage").write_text("6500000000\n")
    assert times.read().job_s == pytest.approx(1.5)


@pytest.mark.parametrize("inside", [False, True])
def test_a_group_that_others_live_in_is_not_the_jobs(world, inside):
    world.process(100, os.getpid(), 0)
    group = own_group(world, [100] if inside else [100, 4242])
    if inside:
        (group / "other").mkdir()
        (group / "other/cgroup.procs").write_text("4242\n")
    (group / "cpu.stat").write_text("usage_usec 0\n")
    times = world.counter()
    times.watch(100)
    (group / "cpu.stat").write_text("usage_usec 9000000\n")
    assert times.read().job_s == pytest.approx(0.0, abs=1e-9)


def test_a_group_that_goes_with_the_job_leaves_the_tree(world):
    world.process(100, os.getpid(), 0)
    group = own_group(world, [100])
    (group / "cpu.stat").write_text("usage_usec 1000000\n")
    times = world.counter()
    times.watch(100)
    (group / "cpu.stat").unlink()
    world.process(100, os.getpid(), 30)
    assert times.read().job_s == pytest.approx(0.3)


def test_a_group_without_an_account_leaves_the_tree(world):
    world.process(100, os.getpid(), 0)
    own_group(world, [100])
    times = world.counter()
    times.watch(100)
    world.process(100, os.getpid(), 30)
    assert times.read().job_s == pytest.approx(0.3)


# ---- cores ----


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3})


def share(world, text="0::/a/b\n"):
    (world.proc / "self").mkdir(exist_ok=True)
    (world.proc / "self/cgroup").write_text(text)
    return cores_share(str(world.proc), str(world.cgroups.parents[1]))


def test_affinity_limits_the_cores(monkeypatch, world, four_cores):
    assert share(world) == 1.0
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {1})
    assert share(world) == 0.25


@pytest.mark.parametrize(
    ("place", "text", "expected"), [("a/b", "200000 100000", 0.5), ("a", "50000 100000", 0.125), ("a", "max 100000", 1.0)]
)
def test_a_quota_on_the_way_up_limits_them(world, four_cores, place, text, expected):
    (world.cgroups / "a/b").mkdir(parents=True)
    (world.cgroups / place / "cpu.max").write_text(text)
    assert share(world) == expected


@pytest.mark.parametrize(("quota", "expected"), [("300000", 0.75), ("-1", 1.0)])
def test_a_quota_of_version_one_limits_them(world, four_cores, quota, expected):
    (world.cgroups / "cpu/a").mkdir(parents=True)
    (world.cgroups / "cpu/a/cpu.cfs_quota_us").write_text(quota)
    (world.cgroups / "cpu/a/cpu.cfs_period_us").write_text("100000")
    assert share(world, "3:cpu:/a\n") == expected


def test_without_cgroups_the_affinity_alone_holds(world, four_cores):
    assert cores_share(str(world.proc), str(world.cgroups)) == 1.0
