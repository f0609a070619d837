"""200 runs killed with SIGKILL at random moments: waiting, launching, running, settling.

Afterwards the ledger verifies, no run has two evidences, none that was
acknowledged is missing, and no command was run twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

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


class Nursery:
    """A process that has imported what a run needs, and forks one for each order.

    A run's own start would take most of its life and of the processor's time, so most kills would strike an import.
    """

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY], env=_environment(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._turn = Lock()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, words: list[str], out: Path, *, kill_after_s: float | None) -> bytes:
        """`greenai WORDS` in a process and session of its own, killed after so many seconds: its standard output."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            print(json.dumps([str(out), *words]), file=self._process.stdin, flush=True)
            pid = int(self._process.stdout.readline())
        with contextlib.suppress(ProcessLookupError):  # it ended before we could look
            ended = os.pidfd_open(pid)
            try:
                if not select.select([ended], [], [], kill_after_s)[0]:
                    signal.pidfd_send_signal(ended, signal.SIGKILL)
                    select.select([ended], [], [])
            finally:
                os.close(ended)
        return out.read_bytes()


NURSERY = """
import json, os, signal, sys
import greenai.cli.commands.run, greenai.adapters.providers.csv, greenai.adapters.meters.modelled, greenai.wiring
from greenai.cli import main
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is nobody's child to bury
for order in sys.stdin:
    out, *words = json.loads(order)
    file = os.open(out, os.O_WRONLY | os.O_CREAT)
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number, place in enumerate((nothing, file, nothing)):
            os.dup2(place, number)
        sys.exit(main(words))
    os.close(file)
    print(pid, flush=True)
"""


def _one(number: int, nursery: Nursery, place: Path, *, kill_after_s: float | None) -> str | None:
    """Start a run and kill it after so many seconds; its evidence hash if it was acknowledged before that."""
    series = _series(place / f"series-{number}.csv", datetime.now(UTC))
    command = ["--json", "run", "--series", str(series), "--duration", "1s", "--finish-by", "30s"]
    job = ["sh", "-c", f'echo "$GREENAI_RUN_ID" >> {place / "marks"}; sleep 0.3']
    return _acknowledged(nursery.run([*command, "--", *job], place / f"out-{number}", kill_after_s=kill_after_s))


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
    with Nursery(home) as nursery, ThreadPoolExecutor(AT_ONCE) as pool:
        # Left alone, a few at once show how long a life takes on this machine as it is now.
        begun_s = time.monotonic()
        whole = list(pool.map(lambda n: _one(n, nursery, tmp_path, kill_after_s=None), range(AT_ONCE)))
        life_s = time.monotonic() - begun_s
        cuts = [moments.uniform(0.0, 1.1 * life_s) for _ in range(RUNS)]
        cut = list(pool.map(lambda n: _one(AT_ONCE + n, nursery, tmp_path, kill_after_s=cuts[n]), range(RUNS)))
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
