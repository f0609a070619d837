"""Queued legs in shims, with real processes: once for ever, found again, ended, and written down whatever dies."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from tests.adapters.shim_world import World, environ, waited

from greenai import shim
from greenai.adapters.executors._processes import is_alive
from greenai.adapters.executors._run_files import RunFiles
from greenai.adapters.executors.shimmed import ShimExecutor
from greenai.errors import InputError, StoreError
from greenai.model.queue import Alive, Exited, Gone, Unstarted
from greenai.testing.executors import JobExecutorContract


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.clean_up()


class TestShimsKeepTheContract(JobExecutorContract):
    @pytest.fixture(autouse=True)
    def _state(self, tmp_path):
        self._home, self._place = tmp_path / "home", tmp_path / "place"
        self._home.mkdir()
        self._place.mkdir()

    def executor(self):
        return ShimExecutor(self._home, environ(self._home))

    def place(self):
        return self._place


def test_the_output_goes_to_its_log_and_the_evidence_to_the_ledger(world):
    world.launch(world.shell("echo out; echo err >&2; exit 3", labels={"team": "vision"}))
    assert world.exited().exit_code == 3
    assert world.output() == "out\nerr\n"
    evidence = world.evidence()
    assert evidence["exit_code"] == 3
    assert evidence["inputs"]["labels"] == {"phase": "run", "job_id": "7", "leg": "1", "team": "vision"}
    assert "frozen" not in evidence["inputs"]


def test_two_launches_at_the_same_moment_run_it_once(world):
    """From two processes, as two daemons would."""
    program = f"""
import sys
from pathlib import Path
from greenai.adapters.executors.shimmed import ShimExecutor
from greenai.model.queue_lines import task_from
import json, os
executor = ShimExecutor(Path({str(world.home)!r}), dict(os.environ))
task = task_from(json.loads(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
executor.launch(task)
sys.stdin.readline()
"""
    from greenai.model.queue_lines import task_document

    task = world.shell("echo ran; sleep 0.5")
    line = [sys.executable, "-c", program, json.dumps(task_document(task))]
    env = environ(world.home)
    two = [subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True) for _ in range(2)]
    for one in two:
        assert one.stdout.readline() == "ready\n"
    for one in two:
        one.stdin.write("go\n")
        one.stdin.flush()
    assert world.exited().exit_code == 0
    waited(lambda: world.records("evidence"))
    for one in two:
        one.communicate("done\n", timeout=60)
    assert world.output() == "ran\n"
    assert len(world.records("run_started")) == 1


def test_a_shim_killed_while_its_command_runs_is_gone_only_when_that_has_ended(world):
    world.launch(world.shell("echo ran; sleep 2"))
    world.says("ran")
    os.kill(world.shim_pid(), signal.SIGKILL)
    waited(lambda: not is_alive(json.loads(world.file("begun.json").read_text())["handle"]) or world.look())
    assert isinstance(world.look(), Alive)
    world.launch(world.shell("echo ran; sleep 2"))
    state = world.until(Gone)
    assert state.reason == "its process is gone and nobody saw it end"
    assert world.output() == "ran\n", "never a second copy"
    world.launch(world.shell("echo ran; sleep 2"))
    assert isinstance(world.until(Gone), Gone)
    assert world.output() == "ran\n"


def test_what_a_killed_shim_left_behind_is_stopped(world):
    world.launch(world.shell("echo ran; sleep 300"))
    world.says("ran")
    os.kill(world.shim_pid(), signal.SIGKILL)
    waited(lambda: world.look() == Alive(handle=""))
    world.stop()
    world.until(Gone)


def test_what_does_not_hear_term_is_killed_once_its_grace_is_over(world):
    world.launch(world.shell("trap '' TERM; echo ran; while :; do sleep 0.2; done", grace=timedelta(0)))
    world.says("ran")
    os.kill(world.shim_pid(), signal.SIGKILL)
    waited(lambda: world.look() == Alive(handle=""))
    world.stop()
    old_s = time.time() - 60
    os.utime(world.file("request"), (old_s, old_s))
    world.stop()
    world.until(Gone)


def test_a_frozen_orphan_can_be_thawed_and_is_not_frozen_by_us(world):
    world.launch(world.shell("echo a; sleep 1.5; echo b", pause_way="freeze"))
    world.says("a")
    world.pause()
    world.frozen()
    os.kill(world.shim_pid(), signal.SIGKILL)
    waited(lambda: world.look() == Alive(handle="", frozen=True))
    world.pause()
    world.resume()
    world.until(Gone)
    assert world.output() == "a\nb\n"


def test_a_new_daemon_finds_the_run_and_its_end(world):
    world.launch(world.shell("echo ran; sleep 1.5; exit 4"))
    world.says("ran")
    found = world.daemon().look(world.run_id(), "")
    assert isinstance(found, Alive)
    assert is_alive(found.handle)
    world.executor = world.daemon()
    assert world.exited().exit_code == 4


def test_a_daemon_that_dies_takes_nothing_with_it(world):
    """SIGKILL of the launcher, and Ctrl-C and HUP to its whole group: the run has a session of its own."""
    program = f"""
import os, sys, json
from pathlib import Path
from greenai.adapters.executors.shimmed import ShimExecutor
from greenai.model.queue_lines import task_from
ShimExecutor(Path({str(world.home)!r}), dict(os.environ)).launch(task_from(json.loads(sys.argv[1])))
print("launched", flush=True)
sys.stdin.readline()
"""
    from greenai.model.queue_lines import task_document

    line = [sys.executable, "-c", program, json.dumps(task_document(world.shell("echo ran; sleep 2; echo done")))]
    daemon = subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ(world.home), text=True, start_new_session=True
    )
    assert daemon.stdout.readline() == "launched\n"
    world.says("ran")
    os.killpg(daemon.pid, signal.SIGINT)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.communicate()
    assert world.exited().exit_code == 0
    assert world.output() == "ran\ndone\n"


def test_after_a_reboot_it_is_gone_with_the_reason(world):
    world.launch(world.shell("true"))
    world.exited()
    waited(lambda: world.records("evidence"))
    world.file("exit.json").unlink()
    begun = json.loads(world.file("begun.json").read_text())
    world.file("begun.json").write_text(json.dumps({**begun, "boot_id": "another"}))
    # The shim may still be leaving: its evidence is written before it ends.
    waited(lambda: isinstance(world.daemon().look(world.run_id(), ""), Gone))
    assert world.daemon().look(world.run_id(), "") == Gone(reason="the machine was started again while it ran")


def test_a_claim_that_was_cut_off_is_a_claim(world):
    """The power went while begun.json was written: nobody knows whether the command ran."""
    world.launch(world.shell("echo ran"))
    world.exited()
    waited(lambda: world.records("evidence"))
    world.file("exit.json").unlink()
    world.file("begun.json").write_text("{")
    waited(lambda: isinstance(world.daemon().look(world.run_id(), ""), Gone))
    world.launch(world.shell("echo ran"))
    assert isinstance(world.until(Gone), Gone)
    assert world.output() == "ran\n"


def test_a_run_in_line_says_so_and_an_end_is_an_end_while_evidence_is_written(world):
    world.launch(world.shell("true"))
    state = world.look()
    assert isinstance(state, Alive)
    assert state.in_line
    seen = world.daemon().look(world.run_id(), "")
    assert isinstance(seen, Unstarted) or (isinstance(seen, Alive) and seen.in_line)
    assert isinstance(world.exited(), Exited)


def test_shims_that_have_ended_are_not_kept_as_zombies(world):
    """A daemon looks no more at a run whose exit code it knows."""
    world.launch(world.shell("true"))
    pid = int(world.executor.launch(world.shell("true", number=2)).partition(":")[0])
    world.exited(2)
    waited(lambda: len(world.records("evidence")) == 2)

    def reaped():
        world.look()
        return not Path(f"/proc/{pid}").exists()

    waited(reaped)


def test_progress_is_told(world):
    world.launch(world.shell('echo 0.25 > "$GREENAI_PROGRESS_FILE"; echo told; sleep 2'))
    world.says("told")
    assert waited(lambda: getattr(world.look(), "progress_share", None)) == 0.25
    world.file("progress").write_text("nonsense")
    assert world.look().progress_share is None


@pytest.mark.parametrize("command", [("no-such-command",), ("./no-such-file",), ()])
def test_a_command_that_is_not_there_is_refused_before_anything_is_kept(world, command):
    with pytest.raises(InputError):
        world.launch(world.task(*command))
    assert isinstance(world.look(), Unstarted)


def test_a_directory_that_is_gone_is_named(world):
    with pytest.raises(InputError, match=r"the directory .*gone of job 7 is not there"):
        world.launch(world.shell("true", cwd=str(world.place / "gone")))


def test_a_directory_that_goes_before_the_command_starts_is_trouble_and_tried_again(world):
    """Removed between the daemon's look and the shim's start."""
    task = world.shell("true")
    files = RunFiles(world.home, world.run_id())
    files.make()
    files.keep_task(world.shell("true", cwd=str(world.place / "gone")))
    line = [sys.executable, "-m", "greenai.shim", world.run_id()]
    env = {**environ(world.home), "GREENAI_HOME": str(world.home)}
    assert subprocess.run(line, env=env, timeout=120, check=False).returncode == 0
    assert isinstance(world.look(), Unstarted), "nothing was started"
    with pytest.raises(StoreError, match="cannot be started: No such file or directory"):
        world.launch(task)
    old_s = time.time() - 60
    os.utime(world.file("trouble"), (old_s, old_s))
    world.launch(task)
    assert world.exited().exit_code == 0
    assert not world.file("trouble").exists()


def test_secrets_stay_where_they_belong(world):
    """In the private task and the command's own environment; not in arguments, ledger, logs or samples."""
    secret = "hunter2-of-the-queue"
    script = "env | grep -c ^TOKEN=; sleep 1"
    world.launch(world.shell(script, environment={"TOKEN": secret}))
    world.says("1")
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert secret.encode() not in place.read_bytes()
        except OSError:
            continue
    world.exited()
    world.evidence()
    task = world.file("task.json")
    assert stat.S_IMODE(task.stat().st_mode) == 0o600
    assert stat.S_IMODE(task.parent.stat().st_mode) == 0o700
    holding = [path for path in world.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert holding == [task]


def test_the_exit_code_is_written_in_the_room_kept_for_it(tmp_path):
    """No file may grow any more: the nearest to a full disk that needs no root."""
    program = f"""
import resource
from datetime import UTC, datetime
from pathlib import Path
from greenai.adapters.executors._run_files import RunFiles
from greenai.model.queue import Exited
files = RunFiles(Path({str(tmp_path)!r}), "r1")
files.make()
assert files.begin()
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 8192))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    files.write("other", "x" * 100)
except OSError as error:
    print("refused", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 8192))
files.end(Exited(exit_code=9, ended_at=datetime(2026, 11, 24, tzinfo=UTC), note="n"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout
    assert RunFiles(tmp_path, "r1").exited().exit_code == 9


MOUNTS = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)


@pytest.mark.skipif(MOUNTS.returncode != 0, reason="needs the right to mount a disk")
def test_a_disk_that_fills_up_during_the_run_keeps_the_exit_code(tmp_path):
    """A disk of 512 KiB that the command itself fills."""
    disk = tmp_path / "disk"
    disk.mkdir()
    program = f"""
import os, sys, time
from pathlib import Path
sys.path.insert(0, {str(Path.cwd())!r})
from tests.adapters.shim_world import World
world = World(Path({str(disk)!r}))
world.launch(world.shell("dd if=/dev/zero of=filler bs=1k 2> /dev/null; echo full; sleep 1; exit 9"))
print(world.exited().exit_code, world.output())
os.unlink(world.place / "filler")
"""
    mount = f'mount -t tmpfs -o size=512k none {disk} && exec {sys.executable} -c "$0"'
    line = ["unshare", "--mount", "sh", "-c", mount, program]
    done = subprocess.run(line, capture_output=True, text=True, timeout=240, check=False, env=environ(tmp_path))
    assert done.stdout.split()[:1] == ["9"], done.stderr + done.stdout


@pytest.mark.skipif(MOUNTS.returncode != 0, reason="needs the right to mount a disk")
def test_a_full_disk_before_the_start_claims_nothing(tmp_path):
    """The claim is taken back, so that the run is not lost but tried again when there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    program = f"""
import os, subprocess, sys
from pathlib import Path
sys.path.insert(0, {str(Path.cwd())!r})
from tests.adapters.shim_world import World, environ
world = World(Path({str(disk)!r}))
from greenai.adapters.executors._run_files import RunFiles
files = RunFiles(world.home, world.run_id())
files.make()
files.keep_task(world.shell("echo ran"))
os.close(files.lock())
(world.place / "more").write_bytes(b"")
subprocess.run(["dd", "if=/dev/zero", f"of={{world.place}}/filler", "bs=1k"], stderr=subprocess.DEVNULL)
env = {{**environ(world.home), "GREENAI_HOME": str(world.home)}}
done = subprocess.run([sys.executable, "-m", "greenai.shim", world.run_id()], env=env, capture_output=True, text=True)
print(type(world.look()).__name__)
os.unlink(world.place / "filler")
try:
    world.launch(world.shell("echo ran"))
except OSError as trouble:
    os.utime(world.file("trouble"), (0, 0))
    world.launch(world.shell("echo ran"))
print(world.exited().exit_code, world.output())
"""
    mount = f'mount -t tmpfs -o size=512k none {disk} && exec {sys.executable} -c "$0"'
    line = ["unshare", "--mount", "sh", "-c", mount, program]
    done = subprocess.run(line, capture_output=True, text=True, timeout=240, check=False, env=environ(tmp_path))
    assert done.stdout.split() == ["Unstarted", "0", "ran"], done.stderr + done.stdout


def test_the_shim_says_how_it_is_called(capsys, world, monkeypatch):
    monkeypatch.setenv("GREENAI_HOME", str(world.home))
    assert shim.main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert shim.main(["nobody"]) == 2
    assert "holds no task" in capsys.readouterr().err


def test_a_shim_loads_neither_what_plans_nor_what_asks_the_network():
    said = subprocess.run(
        [sys.executable, "-c", "import sys, greenai.shim; print(*sys.modules)"], capture_output=True, check=True
    )
    planning = {
        f"greenai.{name}" for name in ("engine.foresee", "engine.verify", "engine.wait", "logic.forecasting", "logic.lattice")
    }
    assert not {*planning, "httpx", "http.client", "ssl"} & set(said.stdout.decode().split())
