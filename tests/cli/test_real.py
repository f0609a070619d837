"""The real program: processes, a state directory, and a grid service on loopback."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli
from tests.cli.test_schemas import check

from greenai.model.units import floor_to
from greenai.testing.grid import FakeGrid

HALF_HOUR = timedelta(minutes=30)


def dirty_then_clean() -> list[tuple[datetime, float]]:
    """Two days from yesterday: 300 g/kWh now, 100 from an hour on."""
    now_at = datetime.now(UTC)
    first = floor_to(now_at, HALF_HOUR) - timedelta(days=1)
    turn = floor_to(now_at, HALF_HOUR) + timedelta(hours=1)
    return [(at, 300.0 if at < turn else 100.0) for at in (first + HALF_HOUR * i for i in range(192))]


@dataclass
class Program:
    """greenai in a process of its own."""

    environ: dict[str, str]
    here: Path
    args: list[str] = field(default_factory=lambda: [sys.executable, "-m", "greenai.cli"])

    def __call__(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.args, *words],
            env={**self.environ, **env},
            cwd=self.here,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *words: str, **kwargs: Any) -> subprocess.Popen[str]:
        return subprocess.Popen([*self.args, *words], env=self.environ, cwd=self.here, text=True, **kwargs)

    def json(self, *words: str, name: str) -> Any:
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        check(document, name)
        return document


@pytest.fixture
def grid() -> Iterator[FakeGrid]:
    with FakeGrid(dirty_then_clean()) as served:
        yield served


@pytest.fixture
def greenai(grid: FakeGrid, corner: Path, tmp_path: Path) -> Program:
    environ = {
        **os.environ,
        "GREENAI_HOME": str(tmp_path / "home"),
        "GREENAI_ZONE": "GB",
        "GREENAI_UK_URL": grid.url,
        "TZ": "Europe/Berlin",
    }
    return Program(environ, corner)


def test_now_forecast_and_plan(greenai: Program) -> None:
    assert greenai.json("now", name="now")["g_per_kwh"] == 300
    assert greenai.json("forecast", "--hours", "24", name="forecast")["lowest_g_per_kwh"] == 100
    plan = greenai.json("plan", "--duration", "30m", name="plan")
    assert (plan["action"], plan["expected_g_per_kwh"]) == ("wait", 100)
    words = greenai("plan", "--duration", "30m")
    assert words.stdout.startswith("Wait ")
    assert "▲" in words.stdout
    assert words.stderr == ""
    done = greenai("run", "--dry-run", "--duration", "30m", "--finish-by", "24h")
    assert done.stdout.startswith("Best start: ")
    assert done.stdout.endswith(" UTC (100 gCO2e/kWh, now: 300) -> saves ~67%\n")


def test_run_measure_show_verify_export(greenai: Program) -> None:
    ran = greenai("run", "--label", "team=a", "--", "sh", "-c", "echo out; echo err >&2; sleep 0.3; exit 3")
    assert (ran.returncode, ran.stdout) == (3, "out\n")
    assert "err\n" in ran.stderr
    assert "verdict" in ran.stderr
    measured = greenai("measure", "--json", "--", "sh", "-c", "echo out; sleep 0.2")
    document = json.loads(measured.stdout)
    check(document, "run")
    assert "out\n" in measured.stderr
    assert [item["exit_code"] for item in greenai.json("evidence", "list", name="evidence_list")] == [3, 0]
    assert greenai.json("evidence", "show", name="evidence")["run_id"] == document["run_id"]
    assert "exit code 3" in greenai("evidence", "show", ran_id(ran.stderr)).stdout
    assert greenai.json("evidence", "verify", name="verify")["evidences"] == 2
    greenai.json("evidence", "settle", name="settle")
    assert greenai("evidence", "export", "--out", "all.csv").returncode == 0
    verified = greenai("evidence", "verify", "all.csv")
    assert (verified.returncode, verified.stderr) == (0, ""), verified.stdout


def ran_id(words: str) -> str:
    return words.partition("greenai evidence show ")[2].split()[0]


def test_one_changed_byte_is_exit_5(greenai: Program, tmp_path: Path) -> None:
    assert greenai("measure", "--", "true").returncode == 0
    ledger = tmp_path / "home" / "ledger.jsonl"
    body = ledger.read_bytes()
    ledger.write_bytes(body.replace(b'"exit_code":0', b'"exit_code":1', 1))
    done = greenai("evidence", "verify")
    assert done.returncode == 5
    assert "not hold" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_wait_that_is_broken_off_is_recorded(greenai: Program, tmp_path: Path, number: int, code: int) -> None:
    words = ("run", "--duration", "1h", "--finish-by", "24h", "--", "touch", "ran")
    with greenai.start(*words, stderr=subprocess.PIPE) as waiting:
        assert waiting.stderr is not None
        said = ""
        while "note: waiting" not in said:
            line = waiting.stderr.readline()
            assert line, said
            said += line
        waiting.send_signal(number)
        _, rest = waiting.communicate(timeout=120)
    assert waiting.returncode == code, rest
    assert "stopped while waiting; nothing was run; recorded as" in rest
    assert not (greenai.here / "ran").exists()
    records = [json.loads(line) for line in (tmp_path / "home" / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["type"] for record in records] == ["decision", "interrupted"]
    assert greenai("evidence", "verify").returncode == 0


def test_ctrl_c_while_running_is_the_childs_and_leaves_evidence(greenai: Program) -> None:
    words = ("run", "--", "sh", "-c", "echo here; exec sleep 300")
    with greenai.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "here\n"
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=120)
    assert running.returncode == 130
    assert greenai.json("evidence", "show", name="evidence")["exit_code"] == 130


def test_a_service_that_is_down_loses_no_job(greenai: Program) -> None:
    done = greenai("run", "--duration", "1h", "--", "true", GREENAI_UK_URL="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    refused = greenai("run", "--require", "live", "--duration", "1h", "--", "touch", "ran", GREENAI_UK_URL="http://127.0.0.1:9")
    assert refused.returncode == 4
    assert any(line.startswith("error: ") for line in refused.stderr.splitlines())
    assert not (greenai.here / "ran").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["plan", "--duration", "30h", "--finish-by", "24h"], 3),
        (["plan", "--duration", "2"], 2),
        (["plan", "--duration", "2h", "--finish-by", "soonish"], 2),
        (["plan", "--duration", "2h", "--zone", "XX"], 2),
        (["plan", "--duration", "2h", "--policy", "greenst"], 2),
        (["plan", "--duration", "2h", "--min-saving", "300%"], 2),
        (["plan", "--duration", "2h", "--series", "nowhere.csv"], 2),
        (["run", "--", "no-such-program"], 2),
        (["run", "--out", "/dev/null/e.csv", "--", "touch", "ran"], 2),
        (["run", "--meter", "no-such-meter", "--", "touch", "ran"], 2),
        (["evidence", "show"], 2),
    ],
)
def test_what_people_get_wrong_is_a_sentence_and_a_remedy(
    cli: Cli, grid: FakeGrid, corner: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    monkeypatch.setenv("GREENAI_UK_URL", grid.url)
    monkeypatch.setenv("GREENAI_ZONE", "GB")
    result = cli(*words)
    assert (result.code, result.out) == (code, ""), result.err
    lines = [line for line in result.err.splitlines() if not line.startswith("note: ")]
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")
    assert len(lines) == 2, result.err
    assert not (corner / "ran").exists()


def test_a_state_directory_that_cannot_be_used_is_exit_5(
    cli: Cli, corner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("GREENAI_HOME", str(tmp_path / "file"))
    result = cli("run", "--zone", "WORLD", "--", "touch", "ran")
    assert result.code == 5, result.err
    assert not (corner / "ran").exists()


def test_on_a_terminal_it_is_coloured_and_counts_down(greenai: Program) -> None:
    master, slave = pty.openpty()
    with greenai.start(
        "run", "--duration", "1h", "--finish-by", "24h", "--", "true", stderr=slave, stdout=slave, stdin=slave
    ) as waiting:
        os.close(slave)
        seen = b""
        while seen.count(b"waiting 0:") + seen.count(b"waiting 1:") < 3:
            seen += os.read(master, 4096)
        waiting.send_signal(signal.SIGINT)
        waiting.wait(timeout=120)
    os.close(master)
    assert b"\r\x1b[Kwaiting " in seen
    assert b"\x1b[2m" in seen
    assert waiting.returncode == 130
