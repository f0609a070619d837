"""Real shims around real commands, for the tests of the executor of queued jobs."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from greenai.adapters.executors._processes import processes_with, send
from greenai.adapters.executors.shimmed import ShimExecutor
from greenai.model.queue import Alive, Exited, Gone, RunState, Task

PATIENCE_S = 60.0


def environ(home: Path) -> dict[str, str]:
    """What a daemon hands on: no network is asked, the meter needs no hardware."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("GREENAI_")},
        "GREENAI_METER": "modelled",
        "GREENAI_CONSTANT_G_PER_KWH": "200",
        "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "",
    }


def waited(what: Callable[[], Any], *, within_s: float = PATIENCE_S) -> Any:
    """The first true answer; fails where none comes."""
    give_up_s = time.monotonic() + within_s
    while time.monotonic() < give_up_s:
        answer = what()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"nothing came within {within_s:g} s")


class World:
    """A state directory, and what its runs do."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._id = uuid.uuid4().hex
        self.home = place / "home"
        self.home.mkdir()
        self.executor = self.daemon()

    def daemon(self) -> ShimExecutor:
        """An executor that knows nothing yet."""
        return ShimExecutor(self.home, environ(self.home))

    def run_id(self, number: int = 1) -> str:
        """A run of this test: no other may have its name, for processes are found by it."""
        return f"{self._id}-{number}"

    def task(self, *command: str, number: int = 1, **given: Any) -> Task:
        return Task(
            **{
                "run_id": self.run_id(number),
                "job_id": "7",
                "command": command,
                "cwd": str(self.place),
                "zone": "GB",
                "environment": {},
                "runnable_at": datetime.now(UTC),
                "duration": timedelta(seconds=5),
                "grace": timedelta(seconds=30),
                **given,
            }
        )

    def shell(self, script: str, **given: Any) -> Task:
        return self.task("sh", "-c", script, **given)

    def python(self, script: str, **given: Any) -> Task:
        return self.task(sys.executable, "-u", "-c", script, **given)

    def launch(self, task: Task) -> None:
        self.executor.launch(task)

    def file(self, name: str, number: int = 1) -> Path:
        return self.home / "runs" / self.run_id(number) / name

    def output(self, number: int = 1) -> str:
        try:
            return self.file("output.log", number).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def says(self, text: str, number: int = 1) -> None:
        """Wait until the command has said so."""
        waited(lambda: text in self.output(number))

    def look(self, number: int = 1) -> RunState:
        return self.executor.look(self.run_id(number), "")

    def until(self, kind: type, number: int = 1) -> Any:
        return waited(lambda: state if isinstance(state := self.look(number), kind) else None)

    def exited(self, number: int = 1) -> Exited:
        state = waited(lambda: state if isinstance(state := self.look(number), Exited | Gone) else None)
        assert isinstance(state, Exited), f"{state}: {self.file('shim.log', number).read_text(encoding='utf-8')}"
        return state

    def frozen(self, number: int = 1) -> None:
        waited(lambda: isinstance(state := self.look(number), Alive) and state.frozen)

    def shim_pid(self, number: int = 1) -> int:
        return int(json.loads(self.file("begun.json", number).read_text())["handle"].partition(":")[0])

    def pause(self) -> None:
        self.executor.pause(self.run_id(), "")

    def resume(self) -> None:
        self.executor.resume(self.run_id(), "")

    def stop(self) -> None:
        self.executor.stop(self.run_id(), "")

    def clean_up(self) -> None:
        """End whatever a test has left running."""
        for place in (self.home / "runs").glob("*"):
            for pid in processes_with("GREENAI_RUN_ID", place.name):
                send(pid, signal.SIGKILL)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Rows of the ledger, once the shims are done with it."""
        ledger = self.home / "ledger.jsonl"
        lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
        return [row["payload"] for row in map(json.loads, lines) if row["type"] == kind]

    def evidence(self) -> dict[str, Any]:
        return waited(lambda: self.records("evidence"))[0]
