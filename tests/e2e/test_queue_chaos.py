"""The queue over real processes, whatever dies.

Jobs of a fraction of a second under a capacity of 3. Meanwhile the daemon is
killed with SIGKILL again and again, at random moments; for part of it two run at
once, or one beside `greenai jobs wait`; some have a clock that is minutes or hours
wrong; shims are killed too. Afterwards each job ran exactly once, or as its
retries say, none is lost, never did more than 3 run, the ledger verifies, and the
log of events alone tells the same as the database.

CHAOS_JOBS and CHAOS_KILLS (300 and 60 for the whole thing) set the size, CHAOS_SEED the dice.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from greenai.adapters.store.queue import DurableQueue
from greenai.model.queue import Ended, Entry, after
from greenai.model.queue_lines import event_from_line

JOBS = int(os.environ.get("CHAOS_JOBS", "60"))
KILLS = int(os.environ.get("CHAOS_KILLS", "40"))
SHIM_KILLS = max(1, JOBS // 15)
WAVES = 6
CAPACITY = 3
RETRIES = 2

PATIENCE_S = 240.0
"""Longer than all of it may take on a slow machine: whoever waits this long hangs."""

GREENAI = [sys.executable, "-m", "greenai.cli"]
MOVED_DAEMON = [sys.executable, str(Path(__file__).with_name("moved_daemon.py"))]

WRONG_BY_S = (0.0, 0.0, 90.0, -90.0, 3600.0, -3600.0)
"""How wrong the clocks are of daemons that come and go."""

ENOUGH_S = 1200.0
"""The last daemon's clock is this far ahead: tries that back off for minutes come due at once."""

LONGEST_LIFE_S = 20.0
"""A daemon that makes no news is killed after this long."""

MARK = 'echo "begin $GREENAI_JOB_ID $GREENAI_RUN_ID" >> {marks}; sleep {s}; echo "end $GREENAI_JOB_ID $GREENAI_RUN_ID" >> {marks}'


Mark = tuple[str, str, str]


@dataclass(slots=True)
class World:
    """One state directory, the file that jobs leave marks in, and the processes that were started."""

    home: Path
    marks: Path
    dice: random.Random
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    cut_runs: set[str] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """Of every process here: no network, a meter that is everywhere, and room for three."""
        here = {"GREENAI_HOME": str(self.home), "GREENAI_ZONE": "GB", "GREENAI_METER": "modelled"}
        return {**os.environ, **here, "GREENAI_CONSTANT_G_PER_KWH": "200", "GREENAI_CAPACITY_CPUS": str(CAPACITY)}

    def greenai(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        run = subprocess.run([*GREENAI, *words], env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in run.stderr, run.stderr
        return run

    def submit(self, number: int, *, retries: int) -> None:
        """Hand over an array; what is acknowledged must not be lost."""
        seconds = self.dice.choice(("0.05", "0.2", "0.5"))
        job = ["sh", "-c", MARK.format(marks=self.marks, s=seconds)]
        given = ("--duration", "1s", "--finish-by", "24h", "--retries", str(retries), "--array", f"1-{number}")
        run = self.greenai("--json", "submit", *given, "--", *job)
        assert run.returncode == 0, run.stderr
        self.submitted += [job["job_id"] for job in json.loads(run.stdout)["jobs"]]

    def start(self, command: list[str]) -> None:
        """Start a process that runs the queue."""
        with (self.home.parent / "daemons.log").open("ab") as log:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=log))

    def kill_daemons(self) -> None:
        """SIGKILL for all that run the queue."""
        while self.daemons:
            daemon = self.daemons.pop()
            daemon.kill()
            daemon.wait()

    @property
    def log(self) -> Path:
        """The log of events."""
        return self.home / "queue.jsonl"

    def told(self) -> list[Mark]:
        """What the jobs have left behind, in its order: begin or end, job, run."""
        try:
            lines = self.marks.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [(what, job_id, run_id) for what, job_id, run_id in (line.split() for line in lines)]

    def is_idle(self) -> bool:
        """Whether every job has come to its end once: a daemon would wait for nothing."""
        return len({job_id for what, job_id, _ in self.told() if what == "end"}) == len(self.submitted)

    def shims(self) -> Iterator[tuple[int, str]]:
        """Number and run of every shim of this state directory that lives."""
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (place / "cmdline").read_bytes().split(b"\0")
                here = f"GREENAI_HOME={self.home}".encode() in (place / "environ").read_bytes().split(b"\0")
                if here and b"greenai.shim" in words:
                    yield int(place.name), words[words.index(b"greenai.shim") + 1].decode()

    def kill_a_shim(self) -> None:
        """SIGKILL for one shim, wherever it is in its life, if there is one."""
        found = sorted(self.shims())
        if found:
            pid, run_id = self.dice.choice(found)
            self.cut_runs.add(run_id)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _until(done: Callable[[], bool], within_s: float) -> bool:
    """Wait for something to happen; False if it did not within the time."""
    end_s = time.monotonic() + within_s
    while not done():
        if time.monotonic() >= end_s:
            return False
        time.sleep(0.02)
    return True


def _starters(dice: random.Random, number: int) -> list[list[str]]:
    """What runs the queue between two kills: one daemon, two at once, or one beside whoever waits for jobs."""
    moved = [*MOVED_DAEMON, str(dice.choice(WRONG_BY_S)), "0.05"]
    if number % 5 == 1:
        return [moved, [*MOVED_DAEMON, str(dice.choice(WRONG_BY_S)), "0.05"]]
    if number % 10 == 3:
        return [[*GREENAI, "daemon"], [*GREENAI, "jobs", "wait", "1"]]
    return [[*GREENAI, "daemon"] if number % 10 == 7 else moved]


def _chaos(world: World) -> None:
    """Waves of jobs, and daemons that are killed in the middle of what they write, or after some more jobs ran."""
    dice = world.dice
    waves = {wave * KILLS // WAVES: wave for wave in range(WAVES)}
    shim_kills = set(dice.sample(range(KILLS), min(SHIM_KILLS, KILLS)))
    for number in range(KILLS):
        if number in waves:
            world.submit(JOBS // WAVES, retries=RETRIES if waves[number] % 2 else 0)
        for command in _starters(dice, number):
            world.start(command)
        _until(_news(world, dice), LONGEST_LIFE_S)
        if number in shim_kills:
            world.kill_a_shim()
        world.kill_daemons()


def _news(world: World, dice: random.Random) -> Callable[[], bool]:
    """A moment to kill a daemon at: the first bytes it writes, somewhere in a tick, or after jobs have begun and ended."""
    if dice.random() < 0.5:
        enough_bytes = _size(world.log) + dice.choice((1, 400, 1200, 3000))
        return lambda: _size(world.log) >= enough_bytes or world.is_idle()
    enough_marks = len(world.told()) + dice.randint(4, 4 * JOBS // KILLS)
    return lambda: len(world.told()) >= enough_marks or world.is_idle()


def _drain(world: World) -> None:
    """What is left is run by two daemons whose clocks are ahead, until every job is over."""
    for _ in range(2):
        world.start([*MOVED_DAEMON, str(ENOUGH_S), "0.1"])
    queue = DurableQueue(world.home)
    assert _until(lambda: not queue.unfinished(), PATIENCE_S), f"left after all that time: {queue.counts()}"
    world.kill_daemons()
    assert _until(lambda: not list(world.shims()), PATIENCE_S), "shims outlive their jobs"


@pytest.mark.slow
def test_no_job_is_lost_or_run_twice_whatever_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED", time.time_ns() % 1_000_000))
    (tmp_path / "seed").write_text(f"{seed}\n", encoding="utf-8")
    world = World(home=tmp_path / "home", marks=tmp_path / "marks", dice=random.Random(seed))
    try:
        _chaos(world)
        _drain(world)
    finally:
        world.kill_daemons()
    queue = DurableQueue(world.home)
    entries = queue.page(limit=10 * JOBS)

    assert sorted(entry.id for entry in entries) == sorted(world.submitted), "what was acknowledged is there, and nothing else"
    _assert_ran_as_asked(world, entries)
    _assert_room_was_kept(world.told())
    _assert_log_is_the_truth(world, tmp_path / "again", entries)
    _assert_evidence(world, entries)


def _assert_ran_as_asked(world: World, entries: Sequence[Entry]) -> None:
    """Once for each leg; more legs, or an end that nobody saw, only where a shim was killed."""
    marks = Counter(world.told())
    assert set(marks.values()) == {1}, f"ran twice: {[mark for mark, count in marks.items() if count > 1]}"
    begun = defaultdict(set)
    for what, job_id, run_id in marks:
        if what == "begin":
            begun[job_id].add(run_id)
    for entry in entries:
        cut = world.cut_runs & set(entry.run_ids)
        assert isinstance(entry.status, Ended)
        assert begun[entry.id] <= set(entry.run_ids)
        assert len(entry.run_ids) <= 1 + len(cut), f"job {entry.id} was run again without a reason"
        assert entry.status.outcome == "completed" or (cut and entry.status.outcome == "lost"), entry
        assert entry.status.outcome == "completed" or entry.failures >= entry.submission.retries
        assert entry.status.outcome != "completed" or begun[entry.id], f"job {entry.id} is said to have run"
        assert begun[entry.id] >= set(entry.run_ids) - cut, f"a leg of job {entry.id} never began"


def _assert_room_was_kept(told: Sequence[Mark]) -> None:
    """The marks stand in the order in which they were made."""
    running, most = 0, 0
    for what, _, _ in told:
        running += 1 if what == "begin" else -1
        most = max(most, running)
    assert running == 0
    assert most <= CAPACITY, f"{most} jobs ran at once"


def _assert_log_is_the_truth(world: World, again: Path, entries: Sequence[Entry]) -> None:
    """Each event is legal after the one before, and a database built from the log alone says the same."""
    folded: dict[str, Entry] = {}
    for line in world.log.read_bytes().splitlines():
        event = event_from_line(line)
        folded[event.job_id] = after(folded.get(event.job_id), event)
    assert folded == {entry.id: entry for entry in entries}
    again.mkdir()
    shutil.copy(world.log, again)
    rebuilt = DurableQueue(again)
    assert {entry.id: entry for entry in rebuilt.page(limit=10 * JOBS)} == folded
    assert not rebuilt.repairs


def _assert_evidence(world: World, entries: Sequence[Entry]) -> None:
    """The ledger verifies, and holds each run's evidence once, of those included whose shim was killed."""
    settled = world.greenai("--json", "evidence", "settle")
    assert settled.returncode == 0, settled.stderr
    verified = world.greenai("evidence", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    records = [json.loads(line) for line in (world.home / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    evidences = Counter(record["payload"]["run_id"] for record in records if record["type"] == "evidence")
    assert set(evidences.values()) == {1}
    runs = {run_id for entry in entries for run_id in entry.run_ids}
    assert runs - world.cut_runs <= set(evidences) <= runs
