"""What is published names no machine and no private address."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MACHINE_PATHS = re.compile(r"(?<![\w.~/}-])/(?:root|home|Users|work|mnt|srv|opt)/[\w.-]+")
REGISTRY_ADDRESSES = re.compile(
    r"https?://(?:[\w.-]*\.)?(?:pythonhosted|pypi|npmjs|debian)\.\w+|--(?:extra-)?index-url|--find-links"
)
BINARY = {".png", ".ico", ".gz", ".sqlite"}


def tracked_files() -> list[Path]:
    """Every file git tracks here."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing is tracked")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix not in BINARY]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Where the pattern stands, this file apart."""
    found = []
    for path in tracked_files():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return found


def test_no_machine_paths():
    assert not lines_with(MACHINE_PATHS)


def test_no_registry_addresses():
    assert not lines_with(REGISTRY_ADDRESSES)


def test_the_rules_know_what_they_look_for():
    assert MACHINE_PATHS.search("cd /home/alice/greenai")
    assert not MACHINE_PATHS.search("see ~/work/x and https://example.org/home/page")
    assert REGISTRY_ADDRESSES.search("https://files.pythonhosted.org/packages/x")
