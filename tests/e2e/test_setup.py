"""run.sh and test.sh find a Python that works, and say what to install when there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REAL = f'exec "{sys.executable}" "$@"'
SHIM = "echo 'version manager: command not found' >&2; exit 127"
OLD = "exit 1"
NO_VENV = f'case "$2" in *ensurepip*) exit 1;; esac; {REAL}'


@pytest.fixture
def machine(tmp_path):
    """A machine whose PATH holds only the programs given by name -> shell body."""

    def find_python(**programs: str) -> subprocess.CompletedProcess[str]:
        for name, body in programs.items():
            file = tmp_path / "bin" / name.replace("_", ".")
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
            file.chmod(0o755)
        script = "set -eu; . scripts/env.sh; find_python"
        return subprocess.run(
            ["/bin/bash", "-c", script],
            cwd=ROOT,
            env={"PATH": str(tmp_path / "bin")},
            capture_output=True,
            text=True,
            check=False,
        )

    return find_python


def test_a_shim_that_does_not_run_is_passed_over(machine):
    found = machine(python3_11=SHIM, python3_12=REAL)
    assert found.stdout.strip().endswith("/python3.12")


def test_an_old_python_is_passed_over(machine):
    found = machine(python3=OLD)
    assert found.returncode == 1
    assert "apt-get install python3" in found.stderr


def test_a_python_without_venv_names_the_package_to_install(machine):
    found = machine(python3_11=NO_VENV)
    assert found.returncode == 1
    assert f"apt-get install python{sys.version_info.major}.{sys.version_info.minor}-venv" in found.stderr


def test_another_python_with_venv_is_better_than_a_first_without(machine):
    found = machine(python3_11=NO_VENV, python3_13=REAL)
    assert found.stdout.strip().endswith("/python3.13")
