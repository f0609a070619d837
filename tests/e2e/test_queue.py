"""The queue as a user has it: a real daemon, real shims, a fake grid service, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenai.testing.grid import FakeGrid

GREENAI = [sys.executable, "-m", "greenai.cli"]
SOON = ("--duration", "10s", "--finish-by", "10m", "--policy", "asap")
WITHIN_S = 90.0
"""A loaded machine is slow; nothing here waits for this long unless it fails."""

Greenai = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def grid() -> Iterator[FakeGrid]:
    with FakeGrid() as service:
        yield service


@pytest.fixture
def environment(tmp_path: Path, grid: FakeGrid) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GREENAI_HOME": str(tmp_path / "home"),
        "GREENAI_UK_URL": grid.url,
        "GREENAI_ZONE": "GB",
        "GREENAI_METER": "modelled",
        "GREENAI_CAPACITY_CPUS": "2",
    }


@pytest.fixture
def greenai(environment: dict[str, str], tmp_path: Path) -> Greenai:
    def call(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*GREENAI, *words],
            env={**environment, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    return call


class Daemons:
    """Daemons of one queue; their output in files."""

    def __init__(self, environment: dict[str, str], place: Path) -> None:
        self._environment, self._place = environment, place
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        """One more, once it has said that it runs, or has ended."""
        said = self._place / f"daemon-{len(self.started)}.out"
        with said.open("wb") as out, said.with_suffix(".err").open("wb") as err:
            daemon = subprocess.Popen(
                [*GREENAI, "daemon"], env={**self._environment, **more}, cwd=self._place, stdout=out, stderr=err
            )
        self.started.append(daemon)
        until(lambda: daemon.poll() is not None or "the queue runs" in self.said())
        return daemon

    def said(self, number: int = -1, kind: str = ".out") -> str:
        """What one of them wrote."""
        number = range(len(self.started))[number]
        return (self._place / f"daemon-{number}{kind}").read_text(encoding="utf-8")

    def end(self) -> None:
        """Those that still run."""
        for daemon in self.started:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()


@pytest.fixture
def daemons(environment: dict[str, str], tmp_path: Path, greenai: Greenai) -> Iterator[Daemons]:
    made = Daemons(environment, tmp_path)
    try:
        yield made
    finally:
        greenai("jobs", "cancel", *[job["job_id"] for job in listed(greenai)]) if listed(greenai) else None
        made.end()


def until(true: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Look again and again; a machine under load is slow, not wrong."""
    give_up_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < give_up_s, "it did not happen"
        time.sleep(0.1)


def listed(greenai: Greenai, *words: str) -> list[dict[str, Any]]:
    done = greenai("jobs", "list", "--all", "--json", *words)
    assert done.returncode == 0, done.stderr
    jobs: list[dict[str, Any]] = json.loads(done.stdout)["jobs"]
    return jobs


def shown(greenai: Greenai, job_id: str) -> dict[str, Any]:
    done = greenai("jobs", "show", job_id, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def status(greenai: Greenai, job_id: str) -> str:
    job = shown(greenai, job_id)["job"]
    return str(job["outcome"] or job["status"])


def test_submit_wait_evidence(greenai: Greenai, daemons: Daemons) -> None:
    daemons.start()
    script = "import greenai, os; greenai.progress(0.5); print('epoch 1', os.environ['SEED'])"
    handed = greenai(
        "submit", *SOON, "--name", "night", "--env", "SEED=7", "--label", "task=t", "--", sys.executable, "-c", script
    )
    assert (handed.returncode, handed.stdout) == (0, "submitted job 1\n"), handed.stderr
    assert "no daemon" not in handed.stderr
    waited = greenai("jobs", "wait", "1")
    assert (waited.returncode, waited.stdout) == (0, "1 completed\n"), waited.stderr
    assert greenai("jobs", "logs", "1").stdout == "epoch 1 7\n"
    document = shown(greenai, "1")
    (evidence,) = document["evidence"]
    assert evidence["it_kwh"] > 0
    assert document["job"]["labels"] == {"task": "t"}
    told = greenai("jobs", "show", "1").stdout
    for words in ("submitted: takes 10 s", "planned for now", "started", "ended well", "energy", "saving"):
        assert words in told
    assert greenai("evidence", "verify").returncode == 0
    assert "ended well" in daemons.said()


def test_without_a_daemon_wait_runs_the_queue(greenai: Greenai) -> None:
    greenai("submit", *SOON, "--array", "1-3", "--", sys.executable, "-c", "raise SystemExit({index} % 3)")
    waited = greenai("jobs", "wait", "1")
    assert waited.returncode == 2, waited.stderr
    assert "this command runs the queue while it waits" in waited.stderr
    assert [job["exit_code"] for job in sorted(listed(greenai), key=lambda job: job["job_id"])] == [1, 2, 0]


def test_what_comes_after_waits_and_what_comes_after_a_failure_is_held(greenai: Greenai) -> None:
    greenai("submit", *SOON, "--", "true")
    greenai("submit", *SOON, "--", "false")
    greenai("submit", *SOON, "--after", "1", "--", "true")
    greenai("submit", *SOON, "--after", "2", "--", "true")
    waited = greenai("jobs", "wait", "1", "2", "3", "4")
    assert (waited.returncode, waited.stdout) == (1, "2 completed, 1 failed, 1 held\n"), waited.stderr
    assert "job 2" in greenai("jobs", "show", "4").stdout


def test_pause_and_resume(greenai: Greenai, daemons: Daemons, tmp_path: Path) -> None:
    daemons.start()
    script = (
        "import pathlib, time\nfrom greenai import pause\ndone = pathlib.Path('done')\n"
        "while not done.exists():\n    pause.point(lambda: pathlib.Path('saved').touch())\n    time.sleep(0.05)\n"
    )
    greenai("submit", *SOON, "--interruptible", "--", sys.executable, "-c", script)
    until(lambda: status(greenai, "1") == "running" and list(tmp_path.glob("home/runs/*/pause.heard")))
    paused = greenai("jobs", "pause", "1")
    assert paused.stdout == "job 1 is asked to pause\n"
    until(lambda: status(greenai, "1") == "paused")
    assert (tmp_path / "saved").exists()
    assert "until you resume it" in greenai("jobs").stdout
    (tmp_path / "done").touch()
    assert greenai("jobs", "resume", "1").returncode == 0
    assert greenai("jobs", "wait", "1").returncode == 0
    document = shown(greenai, "1")
    assert (document["job"]["resumes"], len(document["job"]["run_ids"]), len(document["evidence"])) == (1, 2, 2)


def test_a_deaf_job_is_ended_and_its_story_and_its_evidence_say_how(greenai: Greenai, daemons: Daemons, tmp_path: Path) -> None:
    daemons.start()
    script = (
        "import signal, time\nfrom greenai import pause\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pause.requested()\ntime.sleep(600)\n"
    )
    greenai("submit", *SOON, "--pause-way", "checkpoint", "--grace", "1s", "--", sys.executable, "-c", script)
    until(lambda: status(greenai, "1") == "running" and list(tmp_path.glob("home/runs/*/pause.heard")))
    greenai("jobs", "pause", "1")
    until(lambda: status(greenai, "1") == "failed")
    how = "did not pause within 1 s: sent TERM, then KILL"
    assert how in " ".join(greenai("jobs", "show", "1").stdout.split())
    until(lambda: shown(greenai, "1")["evidence"])
    evidence = json.loads(greenai("evidence", "show", "--json").stdout)
    assert evidence["inputs"]["end_note"] == how
    assert greenai("evidence", "verify").returncode == 0


def test_a_program_that_knows_nothing_is_frozen_and_thawed(greenai: Greenai, daemons: Daemons, tmp_path: Path) -> None:
    daemons.start()
    greenai("submit", *SOON, "--", "sh", "-c", "while ! [ -e done ]; do sleep 0.1; done")
    until(lambda: status(greenai, "1") == "running" and list(tmp_path.glob("home/runs/*/begun.json")))
    greenai("jobs", "pause", "1")
    until(lambda: status(greenai, "1") == "paused")
    (tmp_path / "done").touch()
    greenai("jobs", "resume", "1")
    assert greenai("jobs", "wait", "1").returncode == 0
    assert len(shown(greenai, "1")["job"]["run_ids"]) == 1


def test_cancel_with_and_without_a_daemon(greenai: Greenai, daemons: Daemons) -> None:
    daemon = daemons.start()
    greenai("submit", *SOON, "--", "sleep", "600")
    greenai("submit", *SOON, "--", "sleep", "600")
    until(lambda: [job["status"] for job in listed(greenai)] == ["running", "running"])
    greenai("jobs", "cancel", "1")
    until(lambda: status(greenai, "1") == "cancelled")
    daemon.kill()
    daemon.wait()
    done = greenai("jobs", "cancel", "2")
    assert done.returncode == 0, done.stderr
    assert greenai("jobs", "wait", "2").returncode == 1
    assert status(greenai, "2") == "cancelled"


def test_a_second_daemon_is_refused(greenai: Greenai, daemons: Daemons) -> None:
    daemons.start()
    second = daemons.start()
    assert second.wait(WITHIN_S) == 2
    assert "another daemon runs this queue" in daemons.said(kind=".err")
    assert "a daemon runs" in greenai("daemon", "status").stdout


def test_a_daemon_that_was_killed_is_followed_by_another(greenai: Greenai, daemons: Daemons, tmp_path: Path) -> None:
    first = daemons.start()
    greenai("submit", *SOON, "--", "sh", "-c", "echo begun >> times; while ! [ -e done ]; do sleep 0.1; done")
    until((tmp_path / "times").exists)
    first.kill()
    first.wait()
    (tmp_path / "done").touch()
    daemons.start()
    assert greenai("jobs", "wait", "1").returncode == 0
    assert (tmp_path / "times").read_text() == "begun\n", "it ran once"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_daemon_ends_when_asked_and_its_jobs_go_on(
    greenai: Greenai, daemons: Daemons, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    daemon = daemons.start()
    greenai("submit", *SOON, "--", "sh", "-c", "echo >> begun; while ! [ -e done ]; do sleep 0.1; done; echo >> ended")
    until((tmp_path / "begun").exists)
    daemon.send_signal(number)
    assert daemon.wait(WITHIN_S) == code
    assert "jobs that run go on" in daemons.said(kind=".err")
    assert "Traceback" not in daemons.said(kind=".err")
    assert greenai("daemon", "status").stdout.startswith("no daemon runs\n")
    (tmp_path / "done").touch()
    until((tmp_path / "ended").exists)
    assert greenai("jobs", "wait", "1").returncode == 0


def test_ctrl_c_while_waiting_leaves_the_job(greenai: Greenai, environment: dict[str, str], tmp_path: Path) -> None:
    greenai("submit", *SOON, "--", "sh", "-c", "echo >> begun; while ! [ -e done ]; do sleep 0.1; done")
    waiting = subprocess.Popen([*GREENAI, "jobs", "wait", "1"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until((tmp_path / "begun").exists)
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=WITHIN_S)
    assert waiting.returncode == 130
    assert "Traceback" not in said
    assert greenai("daemon", "status").stdout.startswith("no daemon runs\n")
    assert greenai("jobs", "wait", "1", "--timeout", "0.2s").returncode == 124
    (tmp_path / "done").touch()
    assert greenai("jobs", "wait", "1").returncode == 0


def test_a_home_that_cannot_be_written(greenai: Greenai, tmp_path: Path) -> None:
    home = tmp_path / "home"
    greenai("submit", *SOON, "--", "true")
    before = (home / "queue.jsonl").read_bytes()
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    home.chmod(0o500)
    try:
        done = greenai("submit", *SOON, "--", "true")
        assert done.returncode == 5
        assert "Traceback" not in done.stderr
        assert greenai("jobs").returncode == 0, "it can still be read"
    finally:
        home.chmod(0o700)
    assert (home / "queue.jsonl").read_bytes() == before
