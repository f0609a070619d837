"""The plug-ins of docs/how-to/write-a-plugin.md, run as written, keep their contracts."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-plugin.md"


def written() -> dict[str, Any]:
    """The names the page's Python blocks define, run in order in one namespace."""
    names: dict[str, Any] = {"__name__": "written"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    return names


NAMES = written()
TESTS = [
    (name, test)
    for name, value in NAMES.items()
    if inspect.isclass(value) and name.startswith("Test")
    for test in dir(value)
    if test.startswith("test_")
]


@pytest.mark.parametrize(("name", "test"), TESTS)
def test_a_documented_plug_in_keeps_its_contract(name, test):
    instance = NAMES[name]()
    for step in ("setup_method", test, "teardown_method"):
        getattr(instance, step, lambda: None)()


def test_the_page_shows_all_three_kinds():
    assert {name for name, _ in TESTS} == {"TestWeekend", "TestExampleGrid", "TestBattery"}


def test_the_documented_detection_finds_or_says_why(tmp_path):
    place = tmp_path / "class" / "example"
    place.mkdir(parents=True)
    (rejected,) = NAMES["detect"](SimpleNamespace(sys_root=tmp_path)).rejected
    assert "No such file" in rejected.reason
    (place / "energy_j").write_text("12.5", encoding="ascii")
    (meter,) = NAMES["detect"](SimpleNamespace(sys_root=tmp_path)).meters
    assert meter.read()[0].energy_j == 12.5
