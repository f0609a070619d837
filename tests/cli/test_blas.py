"""Matrices on one thread, and nothing of it in the environment that commands inherit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from greenai.cli.blas import THREADS

COUNT = (
    "import os; from greenai.cli.blas import one_thread; one_thread(); print(len(os.listdir('/proc/self/task')), os.environ.get"
)
COMMANDS = (
    ("plan", "--duration", "1h", "--zone", "WORLD"),
    ("forecast", "--zone", "WORLD"),
    ("run", "--zone", "WORLD", "--duration", "1h", "--dry-run"),
    ("run", "--zone", "WORLD", "--", "true"),
    ("jobs", "wait", "1"),
)


def said(program: str, **more: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **more}, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_one_thread_and_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    assert said(f"{COUNT}('{THREADS}'))") == "1 None"


def test_what_the_user_says_stands() -> None:
    threads = min(2, os.cpu_count() or 1)
    assert said(f"{COUNT}('{THREADS}'))", OPENBLAS_NUM_THREADS="2") in {f"{threads} 2", "1 2"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_numpy_is_loaded_so_by_what_forecasts(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    program = f"""
import os, sys
sys.stdout = sys.stderr
class Loading:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            self.said = os.environ.get({THREADS!r})
loading = Loading()
sys.meta_path.insert(0, loading)
from greenai.cli import main
try:
    main({list(command)!r})
except SystemExit:
    pass
print(loading.said, os.environ.get({THREADS!r}), file=sys.__stdout__)
"""
    assert said(program) == "1 None"
