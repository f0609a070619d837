"""`greenai run --pausable`: a scheduler's signals become requests, in the foreground, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.shim_world import environ, waited

GREENAI = [sys.executable, "-m", "greenai.cli", "--zone", "GB", "run"]

# None of them ends for five minutes unless it is asked to, however long the asking takes on a busy machine.
KNOWS = """
import time
from pathlib import Path
from greenai import pause
saved = Path(pause.checkpoint_dir(), "step")
step = int(saved.read_text()) if pause.resumes() else 0
print("from", step, flush=True)
last = step + 5 if pause.resumes() else 6_000
while step < last:
    pause.point(lambda: saved.write_text(str(step)))
    step += 1
    print("step", step, flush=True)
    time.sleep(0.05)
"""

UNAWARE = """
import os, time
from pathlib import Path
Path(os.environ["HOME"], "pid").write_text(str(os.getpid()))
for n in range(6_000):
    print("step", n, flush=True)
    time.sleep(0.05)
    if Path(os.environ["HOME"], "enough").exists():
        break
"""

DEAF = """
import signal, time
from greenai import pause
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pause.requested()
print("step 3", flush=True)
time.sleep(300)
"""


class Foreground:
    """One `greenai run --pausable` and what it prints."""

    def __init__(self, home: Path, program: str, *words: str, **variables: str) -> None:
        self.home = home
        self.out, self.err = home / f"out-{time.monotonic_ns()}", home / f"err-{time.monotonic_ns()}"
        env = {**environ(home), "GREENAI_HOME": str(home / "state"), **variables}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*GREENAI, *words, "--", sys.executable, "-u", "-c", program],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def says(self, text: str) -> Foreground:
        waited(lambda: text in self.out.read_text(encoding="utf-8"))
        return self

    def send(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def ended(self) -> int:
        return self.process.wait(120)

    def stopped(self, *pids: int) -> None:
        """All of them are stopped by a signal (proc(5): state T) and so can write no more."""
        stats = [Path(f"/proc/{pid}/stat") for pid in pids]
        waited(lambda: all(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T" for stat in stats))

    def goes_on_to_its_end(self) -> None:
        """It writes again what follows, and then ends by itself."""
        written = len(self.steps)
        waited(lambda: len(self.steps) > written)
        (self.home / "enough").touch()
        assert self.ended() == 0
        assert self.steps == [f"step {n}" for n in range(len(self.steps))]

    @property
    def command(self) -> int:
        """The process of the command itself (UNAWARE writes it down)."""
        return int((self.home / "pid").read_text(encoding="ascii"))

    @property
    def steps(self) -> list[str]:
        return [line for line in self.out.read_text(encoding="utf-8").split("\n")[:-1] if line.startswith("step")]

    @property
    def said(self) -> str:
        return " ".join(self.err.read_text(encoding="utf-8").split())

    def evidence(self) -> dict[str, Any]:
        lines = (self.home / "state" / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        found: dict[str, Any] = [row["payload"] for row in map(json.loads, lines) if row["type"] == "evidence"][-1]
        return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("whole_group", [False, True])
def test_term_saves_and_the_requeued_job_goes_on(home: Path, whole_group: bool) -> None:
    """To the process alone as Kubernetes does, or to its group as a terminal or a batch script may."""
    slurm = {"SLURM_JOB_ID": "41"}
    first = Foreground(home, KNOWS, "--pausable", **slurm).says("step 4\n")
    if whole_group:
        os.killpg(first.process.pid, signal.SIGTERM)
    else:
        first.send(signal.SIGTERM)
    assert first.ended() == 75
    assert "paused, its state saved (exit code 75): run the same line again and it goes on" in first.said
    assert first.evidence()["exit_code"] == 75
    second = Foreground(home, KNOWS, "--pausable", **slurm, SLURM_RESTART_COUNT="1")
    assert second.ended() == 0
    assert first.steps + second.steps == [f"step {n}" for n in range(1, len(first.steps) + 6)]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_the_other_words_for_pause(home: Path, number: int) -> None:
    run = Foreground(home, KNOWS, "--pausable", "checkpoint", "--grace", "30s").says("step 4\n")
    run.send(number)
    assert run.ended() == 75


def test_term_ends_what_knows_nothing_of_pausing(home: Path) -> None:
    run = Foreground(home, UNAWARE, "--pausable").says("step 4\n")
    run.send(signal.SIGTERM)
    assert run.ended() == 128 + signal.SIGTERM
    assert "the command was asked to end: TERM was passed on" in run.said


def test_a_deaf_program_is_ended_and_the_run_says_how(home: Path) -> None:
    run = Foreground(home, DEAF, "--pausable", "--grace", "1s").says("step 3\n")
    run.send(signal.SIGTERM)
    assert run.ended() == 128 + signal.SIGKILL
    assert "the command did not pause within 1 s: sent TERM, then KILL" in run.said


def test_freeze_and_go_on_by_signal(home: Path) -> None:
    run = Foreground(home, UNAWARE, "--pausable", "freeze").says("step 4\n")
    run.send(signal.SIGUSR1)
    run.stopped(run.command)
    run.send(signal.SIGCONT)
    run.goes_on_to_its_end()
    assert len(run.evidence()["inputs"]["frozen"]) == 1


def test_ctrl_z_stops_both_and_fg_lets_both_go_on(home: Path) -> None:
    """The command is not in the terminal's group: it would run on alone."""
    run = Foreground(home, UNAWARE, "--pausable").says("step 4\n")
    run.send(signal.SIGTSTP)
    run.stopped(run.process.pid, run.command)
    run.send(signal.SIGCONT)
    run.goes_on_to_its_end()
    assert len(run.evidence()["inputs"]["frozen"]) == 1


def test_ctrl_c_interrupts_the_command(home: Path) -> None:
    run = Foreground(home, UNAWARE, "--pausable").says("step 4\n")
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.ended() == 128 + signal.SIGINT
    assert run.evidence()["exit_code"] == 128 + signal.SIGINT


def test_within_a_queued_job_that_job_does_the_asking(home: Path) -> None:
    """The signal is passed on as without the option; the request is the outer file, which the program sees."""
    asked = home / "asked"
    given = {"GREENAI_PAUSE_FILE": str(asked), "GREENAI_CHECKPOINT_DIR": str(home)}
    run = Foreground(home, KNOWS, "--pausable", **given).says("step 4\n")
    asked.touch()
    assert run.ended() == 75


def test_without_the_option_everything_is_as_before(home: Path) -> None:
    run = Foreground(home, KNOWS.replace("Path(pause.checkpoint_dir(), ", "Path('/', ")).says("step 4\n")
    run.send(signal.SIGTERM)
    assert run.ended() == 128 + signal.SIGTERM
    plain = Foreground(home, "raise SystemExit(75)")
    assert plain.ended() == 75
    assert "paused, its state saved" not in plain.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--grace", "5s"], "--grace is how long a pause may take, and nothing is paused here"),
        (["--pausable", "--grace", "soon"], "soon"),
        (["--interruptible"], "run cannot plan pauses: --interruptible is for greenai plan and greenai submit"),
    ],
)
def test_what_cannot_be_meant(home: Path, words: list[str], said: str) -> None:
    run = Foreground(home, UNAWARE, *words)
    assert run.ended() == 2
    assert said in run.said
    assert run.out.read_text() == ""
