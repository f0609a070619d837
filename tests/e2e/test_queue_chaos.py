"""The queue over real processes, whatever dies.

300 jobs under a capacity of 3, while the daemon is killed with SIGKILL 60 times,
at random moments: in the middle of what it writes, between writing and launching,
or after some jobs ran. For part of it two run at once, or one beside `greenai jobs
wait`; clocks are wrong by up to an hour and are set while it runs; disks are full;
the database goes, the lease goes; shims are killed too. Afterwards each job ran
exactly once, or as its retries say, none is lost, never did more than 3 run, of
two daemons whose clocks agree one worked, the ledger verifies, and the log of
events alone tells the same as the database.

CHAOS_JOBS and CHAOS_KILLS set the size. CHAOS_SEED sets all dice: what happens is
then the same, as far as processes allow; a run that fails prints its seed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import accumulate, count
from pathlib import Path

import pytest
from tests.e2e.chaos_lives import GREENAI, MOVED_DAEMON, Life, lives, moved

from greenai.adapters.store.queue import DurableQueue
from greenai.model.queue import Ended, Entry, after
from greenai.model.queue_lines import event_from_line

JOBS = int(os.environ.get("CHAOS_JOBS", "300"))
KILLS = int(os.environ.get("CHAOS_KILLS", "60"))
SHIM_KILLS = max(1, JOBS // 15)
WAVES = 6
CAPACITY = 3
RETRIES = 2
FAILING = 2
"""So many jobs of some waves fail whenever they run, and may be tried twice."""

PATIENCE_S = 900.0
"""Longer than all of it may take on a slow machine: whoever waits this long hangs."""

LONGEST_IDLE_S = 0.5
"""A daemon that finds nothing to do is killed after this long."""

STILL_S = 6.0
"""What has made no news for so long waits for a moment to come: a try that backs off."""

SECONDS = ("0.05", "0.2", "0.5", "1.0")
MARK = 'echo "begin $GREENAI_JOB_ID $GREENAI_RUN_ID" >> {marks}; sleep {s}; echo "end $GREENAI_JOB_ID $GREENAI_RUN_ID" >> {marks}'

Mark = tuple[str, str, str]


@dataclass(slots=True)
class World:
    """One state directory, the file that jobs leave marks in, and the processes that were started."""

    place: Path
    dice: random.Random
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    cut_runs: set[str] = field(default_factory=set)
    twins: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The state directory."""
        return self.place / "home"

    @property
    def marks(self) -> Path:
        """What jobs leave behind."""
        return self.place / "marks"

    @property
    def environment(self) -> dict[str, str]:
        """Of every process here: no network, a meter that is everywhere, room for three, and little time lost in starting."""
        here = {"GREENAI_HOME": str(self.home), "GREENAI_ZONE": "GB", "GREENAI_METER": "modelled"}
        room = {"GREENAI_CONSTANT_G_PER_KWH": "200", "GREENAI_CAPACITY_CPUS": str(CAPACITY)}
        told = {"CHAOS_UP": str(self.place / "up"), "CHAOS_HOLDERS": str(self.place / "holders")}
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, **here, **room, **told, "OPENBLAS_NUM_THREADS": "1"}

    def greenai(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        run = subprocess.run(
            [*GREENAI, *words], env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert "Traceback" not in run.stderr, run.stderr
        return run

    def submit(self, number: int, *, retries: int, fails: bool = False) -> None:
        """Hand over an array; what is acknowledged must not be lost."""
        work = MARK.format(marks=self.marks, s=self.dice.choice(SECONDS)) + ("; exit 3" if fails else "")
        given = ("--duration", "1s", "--finish-by", "24h", "--retries", str(retries), "--array", f"1-{number}")
        run = self.greenai("--json", "submit", *given, "--", "sh", "-c", work)
        assert run.returncode == 0, run.stderr
        job_ids = [job["job_id"] for job in json.loads(run.stdout)["jobs"]]
        self.submitted += job_ids
        self.failing |= set(job_ids) if fails else set()

    def start(self, command: Sequence[str]) -> int:
        """Start a process that runs the queue; its number."""
        with (self.place / "daemons.log").open("ab") as log:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=log))
        return self.daemons[-1].pid

    def kill_daemons(self) -> None:
        """SIGKILL for all that run the queue."""
        while self.daemons:
            daemon = self.daemons.pop()
            daemon.kill()
            daemon.wait()

    def note(self, text: str) -> None:
        """For whoever asks what happened."""
        with (self.place / "story").open("a", encoding="utf-8") as story:
            story.write(f"{text}\n")

    @property
    def log(self) -> Path:
        """The log of events."""
        return self.home / "queue.jsonl"

    def numbers(self, name: str) -> set[int]:
        """What daemons said of themselves."""
        said = self.place / name
        return {int(line) for line in said.read_text(encoding="ascii").split()} if said.exists() else set()

    def told(self) -> list[Mark]:
        """What the jobs have left behind, in its order: begin or end, job, run."""
        try:
            lines = self.marks.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [(what, job_id, run_id) for what, job_id, run_id in (line.split() for line in lines)]

    def launched(self) -> int:
        """How many runs have a directory."""
        with suppress(FileNotFoundError):
            return (self.home / "runs").stat().st_nlink
        return 0

    def is_idle(self) -> bool:
        """Whether every job has come to its end once: a daemon would wait for nothing."""
        return len({job_id for what, job_id, _ in self.told() if what == "end"}) == len(self.submitted)

    def shims(self) -> Iterator[tuple[int, str]]:
        """Number and run of every shim of this state directory that lives."""
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (place / "cmdline").read_bytes().split(b"\0")
                if b"greenai.shim" in words and _has(place, "GREENAI_HOME", self.home):
                    yield int(place.name), words[words.index(b"greenai.shim") + 1].decode()

    def kill_a_shim(self) -> None:
        """SIGKILL for one shim, one whose command runs if there is one: what it would have seen is then lost."""
        times = Counter(run_id for _, _, run_id in self.told())
        if found := sorted(self.shims()):
            pid, run_id = self.dice.choice([shim for shim in found if times[shim[1]] == 1] or found)
            self.cut_runs.add(run_id)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def lose_lease(self) -> None:
        """Somebody takes the lease away; a database that is just being made has none yet."""
        with closing(sqlite3.connect(self.home / "queue.sqlite", timeout=30)) as database, suppress(sqlite3.OperationalError):
            database.execute("DELETE FROM lease")
            database.commit()

    def lose_database(self) -> None:
        """Somebody removes the database while nobody uses it, and the lease with it."""
        for ending in ("", "-wal", "-shm"):
            (self.home / f"queue.sqlite{ending}").unlink(missing_ok=True)


def _has(place: Path, name: str, value: Path) -> bool:
    return f"{name}={value}".encode() in (place / "environ").read_bytes().split(b"\0")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _until(done: Callable[[], bool], within_s: float, *, every_s: float = 0.02) -> bool:
    """Wait for something to happen; False if it did not within the time."""
    end_s = time.monotonic() + within_s
    while not done():
        if time.monotonic() >= end_s:
            return False
        time.sleep(every_s)
    return True


def _chaos(world: World, seed: int) -> None:
    """Waves of jobs, and lives of daemons that end at the worst of moments."""
    waves = {wave * KILLS // WAVES: wave for wave in range(WAVES)}
    for number, life in enumerate(lives(seed, kills=KILLS, shim_kills=SHIM_KILLS, marks=2 * JOBS // KILLS)):
        if number in waves:
            _wave(world, waves[number])
        begun_s = time.monotonic()
        _live(world, life)
        world.note(f"life {number}: {time.monotonic() - begun_s:.1f} s, {len(world.told())} marks, {life}")
        _assert_no_harm_yet(world)


def _wave(world: World, wave: int) -> None:
    fails = FAILING if wave in {0, 2} else 0
    if fails:
        world.submit(fails, retries=1, fails=True)
    world.submit(JOBS // WAVES - fails, retries=RETRIES if wave % 2 else 0)


def _live(world: World, life: Life) -> None:
    """One life, from the start of its processes to their death."""
    if life.loses == "database":
        world.lose_database()
    ours = _up(world, life.commands)
    if life.twins:
        world.twins.append(ours)
    _wait_for(world, life)
    if life.loses == "lease":
        world.lose_lease()
        _wait_for(world, life)
    if life.kills_a_shim:
        world.kill_a_shim()
    world.kill_daemons()


def _up(world: World, commands: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Start these processes, and wait for those that say so until they run the queue; their numbers."""
    started = tuple(world.start(command) for command in commands)
    tell = {number for number, command in zip(started, commands, strict=True) if MOVED_DAEMON[1] in command}
    assert _until(lambda: world.numbers("up") >= tell, PATIENCE_S), f"one of {tell} does not begin"
    return started


def _wait_for(world: World, life: Life) -> None:
    """Wait for the moment, or as long as this life may last."""
    if life.moment == "launching":
        runs = world.launched()
        if _until(lambda: world.launched() > runs, life.longest_s, every_s=0.001):
            time.sleep(life.amount)
    elif life.moment == "written":
        enough = _size(world.log) + life.amount
        _until(lambda: _size(world.log) >= enough, LONGEST_IDLE_S if world.is_idle() else life.longest_s, every_s=0.002)
    elif life.moment == "refused":
        said = _size(world.place / "daemons.log")
        _until(lambda: _size(world.place / "daemons.log") > said, life.longest_s)
    else:
        enough = len(world.told()) + life.amount
        _until(lambda: len(world.told()) >= enough or world.is_idle(), life.longest_s)


def _drain(world: World) -> None:
    """What is left is run by two daemons at a time whose clocks are ahead, so that tries that back off come due at once."""
    queue, end_s = DurableQueue(world.home), time.monotonic() + PATIENCE_S
    for hours in count(2, 2):
        if not queue.unfinished():
            break
        assert time.monotonic() < end_s, f"left after all that time: {queue.counts()}"
        _up(world, [moved(off_s=3600.0 * hours)] * 2)
        assert _until(lambda: _is_still(world, queue), PATIENCE_S), "the queue never comes to rest"
        world.kill_daemons()
        world.note(f"{hours} h ahead: {queue.counts()}")
    assert _until(lambda: not list(world.shims()), PATIENCE_S), "shims outlive their jobs"


def _is_still(world: World, queue: DurableQueue) -> bool:
    """Whether nothing is left, or nothing was written for a while and no shim lives."""
    size = _size(world.log)
    news = _until(lambda: _size(world.log) > size or not queue.unfinished(), STILL_S, every_s=0.2)
    return not queue.unfinished() or not (news or list(world.shims()))


@pytest.mark.slow
def test_no_job_is_lost_or_run_twice_whatever_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED", time.time_ns() % 1_000_000))
    sys.stdout.write(f"to let the same happen again: CHAOS_SEED={seed} CHAOS_JOBS={JOBS} CHAOS_KILLS={KILLS}\n")
    world = World(place=tmp_path, dice=random.Random(f"{seed}/world"))
    try:
        _chaos(world, seed)
        _drain(world)
    finally:
        world.kill_daemons()
    queue = DurableQueue(world.home)
    entries = queue.page(limit=10 * JOBS)

    assert sorted(entry.id for entry in entries) == sorted(world.submitted), "what was acknowledged is there, and nothing else"
    _assert_ran_as_asked(world, entries)
    _assert_no_harm_yet(world)
    _assert_log_is_the_truth(world, tmp_path / "again", entries)
    _assert_evidence(world, entries)
    _assert_nobody_stumbled(world)


def _assert_no_harm_yet(world: World) -> None:
    """What holds at every moment, so that whatever goes wrong is seen in the life in which it does."""
    told = world.told()
    twice = [mark for mark, times in Counter(told).items() if times > 1]
    assert not twice, f"ran twice: {twice}"
    written, most_written = _started(world)
    unwritten = [mark for mark in told if mark[2] not in written]
    assert not unwritten, f"ran before it was written down: {unwritten}"
    most = max(accumulate((1 if what == "begin" else -1 for what, _, _ in told), initial=0))
    assert max(most, most_written) <= CAPACITY, f"{most} jobs ran at once, {most_written} were to"
    holders = world.numbers("holders")
    assert not [both for both in world.twins if set(both) <= holders], "both of two daemons whose clocks agree held the lease"


def _started(world: World) -> tuple[set[str], int]:
    """Every run that the log says was to begin, and how many jobs held room at once."""
    text = world.log.read_bytes()
    runs, running, most = set(), set(), 0
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        event = json.loads(line)
        status = event.get("moved", {})
        if status.get("status") == "running":
            running.add(event["job_id"])
            runs.add(status["run_id"])
        elif status:
            running.discard(event["job_id"])
        most = max(most, len(running))
    return runs, most


def _assert_ran_as_asked(world: World, entries: Sequence[Entry]) -> None:
    """Once for each leg; more legs, or an end that nobody saw, only where a shim was killed or the job failed."""
    marks = world.told()
    assert Counter(what for what, _, _ in marks)["begin"] * 2 == len(marks), "what began has ended"
    begun = defaultdict(set)
    for what, job_id, run_id in marks:
        if what == "begin":
            begun[job_id].add(run_id)
    for entry in entries:
        cut = world.cut_runs & set(entry.run_ids)
        assert isinstance(entry.status, Ended)
        assert begun[entry.id] <= set(entry.run_ids), f"job {entry.id} ran, and nobody wrote it down"
        assert begun[entry.id] >= set(entry.run_ids) - cut, f"a leg of job {entry.id} never began"
        _assert_tried_as_asked(entry, cut, fails=entry.id in world.failing)


def _assert_tried_as_asked(entry: Entry, cut: set[str], *, fails: bool) -> None:
    """As often as its retries say, and no more often than there was a reason."""
    tries = len(entry.run_ids)
    assert isinstance(entry.status, Ended)
    outcome = entry.status.outcome
    if fails:
        assert tries == 1 + entry.submission.retries, f"job {entry.id} fails, and was tried {tries} times"
        assert outcome == "failed" or (cut and outcome == "lost"), entry
        return
    assert tries <= 1 + len(cut), f"job {entry.id} was run again without a reason"
    assert outcome == "completed" or (cut and outcome == "lost"), entry
    assert outcome == "completed" or tries == 1 + entry.submission.retries, f"job {entry.id} was given up too early"


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


def _assert_nobody_stumbled(world: World) -> None:
    """What happens in the world is told in a sentence, by daemons and shims alike."""
    for said in (world.place / "daemons.log", *(world.home / "runs").glob("*/shim.log")):
        text = said.read_text(encoding="utf-8", errors="replace")
        assert "Traceback" not in text, f"{said}: {text}"
