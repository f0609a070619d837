"""200 runs killed with SIGKILL at random moments: waiting, launching, running, settling.

Afterwards the ledger verifies, no run has two evidences, none that was
acknowledged is missing, and no command was run twice.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

RUNS = 200
AT_ONCE = 4
GREENAI = [sys.executable, "-m", "greenai.cli"]


def _series(path: Path, now_at: datetime) -> Path:
    """Dirty for a second and a half, then clean: the planner waits for the clean part."""
    first_at = now_at.replace(microsecond=0) - timedelta(seconds=30)
    moments = (first_at + timedelta(seconds=second) for second in range(900))
    turn_at = now_at + timedelta(seconds=1.5)
    rows = [f"{moment:%Y-%m-%dT%H:%M:%SZ},{100 if moment >= turn_at else 400}" for moment in moments]
    path.write_text("start_utc,g_per_kwh\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "GREENAI_HOME": str(home), "GREENAI_ZONE": "GB", "GREENAI_METER": "modelled"}


def _one(number: int, home: Path, marks: Path, *, kill_after_s: float | None) -> str | None:
    """Start a run and kill it after so many seconds; its evidence hash if it was acknowledged before that."""
    series = _series(home.parent / f"series-{number}.csv", datetime.now(UTC))
    command = [*GREENAI, "--json", "run", "--series", str(series), "--duration", "1s", "--finish-by", "30s"]
    job = ["sh", "-c", f'echo "$GREENAI_RUN_ID" >> {marks}; sleep 0.3']
    process = subprocess.Popen(
        [*command, "--", *job], env=_environment(home), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        stdout, _ = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        stdout, _ = process.communicate()
    return _acknowledged(stdout)


def _acknowledged(stdout: bytes) -> str | None:
    try:
        return json.loads(stdout)["evidence"]["sha256"]
    except ValueError:
        return None


def _greenai(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GREENAI, *words], env=_environment(home), capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_two_hundred_killed_runs_lose_nothing(tmp_path: Path) -> None:
    home, marks = tmp_path / "home", tmp_path / "marks"
    seed = int(os.environ.get("CHAOS_SEED", time.time_ns() % 1_000_000))
    (tmp_path / "seed").write_text(f"{seed}\n", encoding="utf-8")
    moments = random.Random(seed)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Left alone, a few at once show how long a life takes on this machine as it is now.
        begun_s = time.monotonic()
        whole = list(pool.map(lambda n: _one(n, home, marks, kill_after_s=None), range(AT_ONCE)))
        life_s = time.monotonic() - begun_s
        cuts = [moments.uniform(0.0, 1.1 * life_s) for _ in range(RUNS)]
        cut = list(pool.map(lambda n: _one(AT_ONCE + n, home, marks, kill_after_s=cuts[n]), range(RUNS)))
    acknowledged = {sha for sha in (*whole, *cut) if sha}
    assert all(whole), "runs that nobody kills are acknowledged"
    settled = _greenai(home, "--json", "evidence", "settle")
    assert settled.returncode == 0, settled.stderr
    verified = _greenai(home, "evidence", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr

    records = [json.loads(line) for line in (home / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    by_type = {kind: [r for r in records if r["type"] == kind] for kind in ("decision", "run_started", "evidence", "interrupted")}
    evidences = Counter(record["payload"]["run_id"] for record in by_type["evidence"])
    started = {record["payload"]["run_id"] for record in by_type["run_started"]}
    ran = Counter(marks.read_text(encoding="utf-8").split())

    assert by_type["interrupted"], "no run was killed early enough to be interrupted"
    assert acknowledged <= {record["sha256"] for record in by_type["evidence"]}
    assert not [run_id for run_id, count in evidences.items() if count > 1]
    assert set(evidences) == started, "every run that started has exactly one evidence"
    assert set(ran) <= started
    assert max(ran.values()) == 1, "a command ran twice"
