"""`greenai daemon`: who runs, the unit, and how events are told. The running daemon itself: tests/e2e/test_queue.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.test_jobs import AT, FOREVER, put, queue, run_of
from tests.cli.test_schemas import check

from greenai.adapters.store.queue import DurableQueue
from greenai.cli.command import Session
from greenai.cli.commands.daemon_run import _Teller
from greenai.model.queue import Ended

__all__ = ["queue"]


def test_status_without_a_daemon(cli: Cli) -> None:
    done = cli("daemon", "status")
    assert done.code == 0
    assert done.out.startswith("no daemon runs\n")
    assert "CPU core" in done.out
    assert "greenai daemon install" in done.err


def test_status_with_one_and_with_settings(cli: Cli, queue: DurableQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    put(queue)
    queue.lease("daemon|elsewhere|b|12:1", datetime.now(UTC), FOREVER)
    for name, value in {"CAPACITY_GPUS": "2", "POWER_CAP_W": "900", "CARBON_BUDGET_G_PER_DAY": "5000"}.items():
        monkeypatch.setenv(f"GREENAI_{name}", value)
    done = cli("daemon", "status")
    assert done.out.startswith("a daemon runs: process 12 on elsewhere\n")
    for words in ("2 GPUs", "900 W", "5000 g a UTC day", "1 queued"):
        assert words in done.out
    document = json.loads(cli("daemon", "status", "--json").out)
    check(document, "daemon_status")
    assert document["running"]
    assert document["capacity"]["amounts"]["gpus"] == 2.0


def test_a_wait_is_no_daemon(cli: Cli, queue: DurableQueue) -> None:
    put(queue)
    queue.lease("wait|elsewhere|b|12:1", datetime.now(UTC), FOREVER)
    assert cli("daemon", "status").out.startswith("no daemon runs; greenai jobs wait runs the queue (process 12 on elsewhere)\n")


def test_a_second_daemon_is_told_of_the_first(cli: Cli, queue: DurableQueue) -> None:
    put(queue)
    queue.lease("daemon|elsewhere|b|12:1", datetime.now(UTC), FOREVER)
    done = cli("daemon")
    assert (done.code, done.out) == (2, "")
    assert "another daemon runs this queue (process 12 on elsewhere)" in done.err


def test_the_unit_is_written_once_and_holds_no_secret(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GREENAI_WATTTIME_KEY", "user:s3cret")
    path = tmp_path / "config" / "systemd" / "user" / "greenai.service"
    printed = cli("daemon", "install", "--print")
    assert printed.code == 0
    assert not path.exists()
    assert "s3cret" not in printed.out
    done = cli("daemon", "install")
    assert (done.code, done.out.splitlines()[0]) == (0, f"wrote {path}")
    assert path.read_text(encoding="utf-8") == printed.out
    assert cli("daemon", "install").code == 0
    monkeypatch.setenv("GREENAI_ZONE", "FR")
    refused = cli("daemon", "install")
    assert (refused.code, refused.out) == (2, "")
    assert "--force" in refused.err
    document = json.loads(cli("daemon", "install", "--force", "--json").out)
    check(document, "daemon_install")
    assert "GREENAI_ZONE=FR" in path.read_text(encoding="utf-8")
    check(json.loads(cli("daemon", "install", "--print", "--json").out), "daemon_install")


def test_systemd_understands_the_unit(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    monkeypatch.setenv("GREENAI_HOME", str(tmp_path / "a home with 100 % spaces"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert cli("daemon", "install").code == 0
    path = tmp_path / "config" / "systemd" / "user" / "greenai.service"
    done = subprocess.run(["systemd-analyze", "verify", "--user", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    path.write_text(path.read_text(encoding="utf-8").replace("KillMode=process", "KillMode=perhaps"), encoding="utf-8")
    spoiled = subprocess.run(["systemd-analyze", "verify", "--user", str(path)], capture_output=True, text=True, check=False)
    assert "kill mode" in spoiled.stderr, "the check can fail"


def test_whether_systemd_would_start_it_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("greenai.cli.commands.daemon_install.BOOTED", tmp_path / "not there")
    done = cli("daemon", "install")
    assert done.code == 0
    assert "finds fault" not in done.err
    assert "systemctl" not in done.out
    assert "warning: systemd does not run this machine, nothing will start it" in done.err
    monkeypatch.setattr("greenai.cli.commands.daemon_install.BOOTED", tmp_path)
    done = cli("daemon", "install")
    assert (done.code, done.err) == (0, "")
    assert "start it: systemctl --user daemon-reload" in done.out


def test_a_systemd_that_cannot_be_asked_finds_no_fault(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, corner: Path
) -> None:
    program = corner / "systemd-analyze"
    program.write_text("no program")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(corner))
    assert json.loads(cli("daemon", "install", "--json").out)["verified"] is None
    program.write_text("#!/bin/sh\nexit 1\n")
    done = cli("daemon", "install")
    assert f"systemd finds fault with it: systemd-analyze verify --user {tmp_path}" in done.err


def test_a_unit_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file")
    done = cli("daemon", "install")
    assert done.code == 5
    assert "--print" in done.err


def test_what_anybody_writes_is_told_once(queue: DurableQueue, capfd: pytest.CaptureFixture[str]) -> None:
    put(queue)
    teller = _Teller(Session(), Path(os.environ["GREENAI_HOME"]) / "queue.jsonl")
    assert teller.look() is False
    assert capfd.readouterr().out == "", "what was there before is no news"
    put(queue, run_of(), run_of(handle="1:1"), Ended(outcome="completed", ended_at=AT, exit_code=0))
    teller.look()
    teller.look()
    lines = [line.split("  ", 1)[1] for line in capfd.readouterr().out.splitlines()]
    assert [line.split()[2] for line in lines] == ["submitted:", "started", "ended"]


def test_in_json_each_event_is_a_line(queue: DurableQueue, capfd: pytest.CaptureFixture[str]) -> None:
    teller = _Teller(Session(json=True), Path(os.environ["GREENAI_HOME"]) / "queue.jsonl")
    put(queue, run_of())
    teller.look()
    documents = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    for document in documents:
        check(document, "job_event")
    assert [document["kind"] for document in documents] == ["submitted", "moved"]


def test_half_a_line_is_told_when_it_is_whole_and_a_damaged_one_is_named(
    queue: DurableQueue, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    put(queue)
    whole = (Path(os.environ["GREENAI_HOME"]) / "queue.jsonl").read_bytes()
    log = tmp_path / "log"
    log.write_bytes(b"")
    teller = _Teller(Session(), log)
    log.write_bytes(whole[:20])
    teller.look()
    assert capfd.readouterr().out == ""
    log.write_bytes(whole + b"nonsense\n")
    teller.look()
    told = capfd.readouterr()
    assert "submitted" in told.out
    assert "warning: not an event of a job" in told.err
    log.write_bytes(b"")
    teller.look()
    log.write_bytes(whole)
    teller.look()
    assert "submitted" in capfd.readouterr().out
