"""Giving way, with real processes: saved and left, frozen exactly, deaf children, early and crossing requests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from tests.adapters.shim_world import World, environ, waited

from greenai.adapters.executors._processes import processes_with
from greenai.adapters.executors._run_files import RunFiles
from greenai.model.queue import Alive
from greenai.model.units import parse_iso_utc

COUNTS = "import time\nfor n in range(12):\n    print(n, flush=True)\n    time.sleep(0.2)\n"
"""A program that knows nothing of pausing."""

KNOWS = """
import os, time
from greenai import pause
from pathlib import Path
step = int(Path(pause.checkpoint_dir(), "step").read_text()) if pause.resumes() else 0
while step < 40:
    pause.point(lambda: Path(pause.checkpoint_dir(), "step").write_text(str(step)))
    print(step, flush=True)
    step += 1
    time.sleep(0.1)
"""
"""A program that saves its step and leaves."""

DEAF = "import time\nfrom greenai import pause\npause.requested()\nprint('up', flush=True)\ntime.sleep(300)\n"
"""A program that asked once and then never again."""

STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + DEAF


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.clean_up()


def frozen_spans(evidence):
    return [(parse_iso_utc(span["start_at"]), parse_iso_utc(span["end_at"])) for span in evidence["inputs"]["frozen"]]


def test_freezing_is_exact_and_its_span_is_in_the_evidence(world):
    world.launch(world.python(COUNTS, pause_way="freeze"))
    world.says("3\n")
    world.pause()
    world.frozen()
    before = world.output()
    time.sleep(1.5)
    assert world.output() == before
    world.resume()
    assert world.exited().exit_code == 0
    assert world.output().split() == [str(n) for n in range(12)]
    evidence = world.evidence()
    ((start_at, end_at),) = frozen_spans(evidence)
    assert end_at - start_at >= timedelta(seconds=1.5)
    assert evidence["claim"]["deferred_s"] >= 1.5
    (ended,) = world.records("run_ended")
    assert ended["frozen"] == evidence["inputs"]["frozen"]


def test_samples_end_where_standing_still_begins_and_ends(world):
    """Else the energy of a frozen command would be shared out by time."""
    world.launch(world.python(COUNTS, pause_way="freeze"))
    world.says("3\n")
    world.pause()
    world.frozen()
    time.sleep(0.7)
    world.resume()
    world.exited()
    ((start_at, end_at),) = frozen_spans(world.evidence())
    samples = world.file("samples.jsonl").read_text(encoding="utf-8")
    edges = [parse_iso_utc(part.partition('"')[0]) for part in samples.split('"end_at":"')[1:]]
    for edge_at in (start_at, end_at):
        assert min(abs(edge_at - found_at) for found_at in edges) < timedelta(seconds=0.2)


def test_a_program_that_knows_saves_and_goes_on_in_the_next_leg(world):
    world.launch(world.python(KNOWS))
    world.says("5\n")
    world.pause()
    assert world.exited().exit_code == 75
    assert world.evidence()["verdict"].startswith("not claimable: the command was paused (exit code 75)")
    world.launch(world.python(KNOWS, number=2, resumes=1))
    assert world.exited(2).exit_code == 0
    assert (world.output() + world.output(2)).split() == [str(n) for n in range(40)]


def test_an_unaware_program_is_frozen_at_once_though_its_grace_is_long(world):
    world.launch(world.python(COUNTS, grace=timedelta(hours=1)))
    world.says("2\n")
    world.pause()
    world.frozen()
    assert not world.file("pause").exists(), "it was not asked"
    world.resume()
    assert world.exited().exit_code == 0


def test_one_that_knows_is_frozen_all_the_same_where_that_is_asked_for(world):
    """The daemon found it to cost less this time."""
    world.launch(world.python(KNOWS.replace("40", "4000"), grace=timedelta(hours=1)))
    world.says("5\n")
    world.executor.pause(world.run_id(), "", "freeze")
    world.frozen()
    assert not world.file("pause").exists(), "it was not asked"
    world.executor.pause(world.run_id(), "", "freeze")
    world.resume()
    world.says("12\n")
    world.pause()
    assert world.exited().exit_code == 75


def test_a_program_that_knew_but_does_not_answer_is_frozen_after_its_grace(world):
    world.launch(world.python(DEAF, grace=timedelta(seconds=1)))
    world.says("up")
    world.pause()
    world.frozen()
    assert not world.file("pause").exists(), "the request is taken back"
    world.stop()
    assert world.exited().note == "stopped by the user"


def test_a_deaf_child_gets_its_grace_then_term(world):
    world.launch(world.python(DEAF, pause_way="checkpoint", grace=timedelta(seconds=1)))
    world.says("up")
    world.pause()
    exited = world.exited()
    assert exited.exit_code == 128 + signal.SIGTERM
    assert exited.note == "did not pause within 1 s: sent TERM"
    assert world.evidence()["inputs"]["end_note"] == exited.note


def test_and_then_kill(world):
    world.launch(world.python(STUBBORN, pause_way="checkpoint", grace=timedelta(seconds=0.5)))
    world.says("up")
    world.pause()
    exited = world.exited()
    assert exited.exit_code == 128 + signal.SIGKILL
    assert exited.note == "did not pause within 0.5 s: sent TERM, then KILL"
    evidence = world.evidence()
    assert evidence["inputs"]["end_note"] == exited.note
    assert f"how it ended: {exited.note}" in evidence["notes"]
    (ended,) = world.records("run_ended")
    assert ended["end_note"] == exited.note


def test_asking_again_and_again_does_not_prolong_the_grace(world):
    """The daemon asks at each tick until it is done."""
    world.launch(world.python(DEAF, pause_way="checkpoint", grace=timedelta(seconds=1.5)))
    world.says("up")
    begun_s = time.monotonic()

    def asked():
        world.pause()
        time.sleep(0.2)
        return not isinstance(world.look(), Alive)

    waited(asked, within_s=30)
    assert "did not pause within 1.5 s" in world.exited().note
    assert time.monotonic() - begun_s < 25


def test_requests_that_cross_leave_the_last_one(world):
    """Pause and resume, faster than the shim can look."""
    world.launch(world.python(COUNTS, pause_way="freeze"))
    world.says("2\n")
    for _ in range(10):
        world.pause()
        world.resume()
    assert world.exited().exit_code == 0
    assert world.output().split() == [str(n) for n in range(12)]


def test_a_request_to_pause_that_is_taken_back(world):
    world.launch(world.python(DEAF, pause_way="checkpoint", grace=timedelta(hours=1)))
    world.says("up")
    world.pause()
    waited(lambda: world.file("pause").exists())
    world.resume()
    waited(lambda: not world.file("pause").exists())
    world.stop()
    assert world.exited().note == "stopped by the user"


@pytest.mark.parametrize("request_", ["pause", "stop"])
def test_a_request_before_the_command_runs_is_obeyed(world, request_):
    world.launch(world.python(KNOWS, pause_way="checkpoint"))
    getattr(world, request_)()
    assert world.exited().exit_code == {"pause": 75, "stop": 128 + signal.SIGTERM}[request_]


def test_a_frozen_run_can_be_stopped(world):
    world.launch(world.python(COUNTS, pause_way="freeze"))
    world.says("2\n")
    world.pause()
    world.frozen()
    world.stop()
    exited = world.exited()
    assert exited.exit_code == 128 + signal.SIGTERM
    assert len(world.evidence()["inputs"]["frozen"]) == 1


def test_a_frozen_run_that_is_killed_ends_its_span(world):
    world.launch(world.python(COUNTS, pause_way="freeze"))
    world.says("2\n")
    world.pause()
    world.frozen()
    shim = world.shim_pid()
    (child,) = [pid for pid in processes_with("GREENAI_RUN_ID", world.run_id()) if pid != shim]
    os.kill(child, signal.SIGKILL)
    assert world.exited().exit_code == 128 + signal.SIGKILL
    assert len(world.evidence()["inputs"]["frozen"]) == 1


def test_what_left_the_group_is_frozen_and_stopped_too(world):
    """A worker in a session of its own, as torch's and Ray's may be."""
    script = "setsid sh -c 'n=0; while :; do n=$((n+1)); echo $n > ticks; sleep 0.1; done' & echo up; wait"
    world.launch(world.shell(script, pause_way="freeze"))
    world.says("up")
    ticks = world.place / "ticks"
    waited(lambda: ticks.exists() and ticks.read_text())
    world.pause()
    world.frozen()
    time.sleep(0.3)
    before = ticks.read_text()
    time.sleep(0.6)
    assert ticks.read_text() == before
    world.stop()
    world.exited()
    waited(lambda: not processes_with("GREENAI_RUN_ID", world.run_id()))


RELAY = """
import ctypes, os, time
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what ends is taken note of here
if os.fork():
    while True:
        os.waitpid(-1, 0)
ticks = os.open("ticks", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
print("up", flush=True)
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
    os.write(ticks, b".")
    time.sleep(0.002)
"""
"""Each process starts another in a session of its own, and ends: whoever looks for them once finds only the last."""

BARE = "env -i setsid sh -c 'while :; do echo x >> ticks; sleep 0.05; done' & echo up; wait"
"""A worker that left the group and carries none of our variables; its parent lives."""


@pytest.mark.parametrize("command", [["python", "-u", "-c", RELAY], ["sh", "-c", BARE]], ids=["relay", "bare"])
def test_what_runs_away_or_hides_is_frozen_killed_and_thawed_with_the_rest(world, command):
    world.launch(world.task(*([sys.executable] if command[0] == "python" else ["sh"]), *command[1:], pause_way="freeze"))
    ticks = world.place / "ticks"
    waited(lambda: ticks.exists() and ticks.stat().st_size > 20)
    world.pause()
    world.frozen()
    before = ticks.stat().st_size
    time.sleep(0.7)
    assert ticks.stat().st_size == before
    world.resume()
    waited(lambda: ticks.stat().st_size > before)
    world.stop()
    assert world.exited().note == "stopped by the user"
    before = ticks.stat().st_size
    time.sleep(0.5)
    assert ticks.stat().st_size == before, "nothing of it is left"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_whoever_wants_the_shim_to_end_gets_a_saved_program(world, number):
    """Slurm and Kubernetes send TERM to whom they started."""
    world.launch(world.python(KNOWS))
    world.says("3\n")
    os.kill(world.shim_pid(), number)
    assert world.exited().exit_code == 75


def test_and_from_an_unaware_one_its_end(world):
    """Frozen it would be killed with whoever froze it."""
    world.launch(world.python(COUNTS.replace("12", "1200")))
    world.says("3\n")
    os.kill(world.shim_pid(), signal.SIGUSR1)
    world.frozen()
    os.kill(world.shim_pid(), signal.SIGTERM)
    exited = world.exited()
    assert exited.exit_code == 128 + signal.SIGTERM
    assert exited.note == "was asked to end: TERM was passed on"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_the_engines_words_for_pause(world, number):
    world.launch(world.python(KNOWS))
    world.says("3\n")
    os.kill(world.shim_pid(), number)
    assert world.exited().exit_code == 75


def test_a_shim_hears_what_its_launcher_ignored(world):
    """The script that Slurm starts ignores signals until the shim can hear them."""
    files = RunFiles(world.home, world.run_id())
    files.make()
    files.keep_task(world.python(KNOWS))
    line = ["sh", "-c", "trap '' USR1 TERM HUP; exec " + sys.executable + " -m greenai.shim " + world.run_id()]
    shim = subprocess.Popen(line, env={**environ(world.home), "GREENAI_HOME": str(world.home)})
    world.says("3\n")
    os.kill(shim.pid, signal.SIGUSR1)
    assert world.exited().exit_code == 75
    shim.wait()


def test_asking_leaves_a_mark_once(tmp_path):
    """At the first call: every other costs one stat and no more."""
    program = """
import os
from greenai import pause
assert pause.requested() is False
os.unlink(os.environ["GREENAI_PAUSE_FILE"] + ".heard")
pause.requested()
assert not os.path.exists(os.environ["GREENAI_PAUSE_FILE"] + ".heard"), "left once"
"""
    env = {**environ(tmp_path), "GREENAI_PAUSE_FILE": str(tmp_path / "pause")}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(tmp_path, "pause.heard").exists() is False


@pytest.mark.parametrize(("ends", "code"), [("pause.point(lambda: None)", 75), ("sys.exit(3)", 1)])
def test_a_launcher_that_hides_the_pause_of_its_ranks_does_not_fail_the_job(ends, code, world):
    rank = f"import sys, time\nfrom greenai import pause\nwhile not pause.requested():\n    time.sleep(0.05)\n{ends}\n"
    launcher = f"import subprocess, sys\nsys.exit(subprocess.call([sys.executable, '-c', {rank!r}]) != 0)"
    world.launch(world.python(launcher, pause_way="checkpoint"))
    waited(lambda: world.file("pause.heard").exists())
    world.pause()
    ended = world.exited()
    assert ended.exit_code == code
    assert ("its launcher ended with 1" in ended.note) is (code == 75)
