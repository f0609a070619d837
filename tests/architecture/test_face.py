"""What users see first: the package's face, and how fast it answers."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import greenai

HEAVY = {"numpy", "httpx", "pandas", "rfc8785", "stamina", "dateparser", "sqlite3"}


def loaded_by(*arguments: str) -> set[str]:
    """Top-level modules that a fresh interpreter has imported after running with `arguments`."""
    run = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    lines = [line for line in run.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


def test_every_public_name_exists_and_is_documented():
    for name in greenai.__all__:
        value = getattr(greenai, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"greenai.{name} has no docstring"


def test_every_public_function_and_class_is_documented(module):
    loaded = importlib.import_module(module.dotted)
    assert loaded.__doc__, f"{module.dotted} has no docstring"
    for name, value in vars(loaded).items():
        own = getattr(value, "__module__", None) == module.dotted
        if own and not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value)):
            assert inspect.getdoc(value), f"{module.dotted}.{name} has no docstring"


def test_importing_greenai_is_light():
    assert not loaded_by("-c", "import greenai") & HEAVY


def test_help_is_light():
    loaded = loaded_by("-m", "greenai.cli", "--help")
    assert "click" in loaded
    assert not loaded & HEAVY
