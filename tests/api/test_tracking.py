"""Metering from inside a program: windows, and a training that nothing breaks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import greenai
from greenai.api import measured
from greenai.errors import NoFeasibleWindow
from greenai.testing.grid import FakeGrid


@pytest.fixture(autouse=True)
def grid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGrid]:
    with FakeGrid() as service:
        for name, value in {"HOME": str(tmp_path / "home"), "UK_URL": service.url, "ZONE": "GB", "METER": "modelled"}.items():
            monkeypatch.setenv(f"GREENAI_{name}", value)
        yield service


def _work() -> int:
    return sum(number * number for number in range(400_000))


def test_a_block_leaves_evidence_and_asks_no_service(grid: FakeGrid) -> None:
    with greenai.track("fit", per="epoch", count=2.0) as block:
        _work()
    assert block.warnings == []
    assert block.energy_kwh
    assert block.emissions_g
    assert greenai.evidence_show()["inputs"]["labels"] == {"track": "fit"}
    assert greenai.verify().problems == ()
    assert len(grid.requests) == 0


def test_windows_overlap_and_are_parts_of_the_block() -> None:
    with greenai.track("fit") as block:
        with block.window("outer"):
            _work()
            with block.window("inner"):
                _work()
        with block.window("later"):
            _work()
    energy_j = {window.name: window.energy_j for window in block.windows}
    assert energy_j["inner"] < energy_j["outer"]
    assert block.energy_kwh is not None
    assert energy_j["outer"] + energy_j["later"] <= block.energy_kwh * 3.6e6 * (1 + 1e-9)
    assert block.windows[0].energy_kwh == pytest.approx(block.windows[0].energy_j / 3.6e6)


def test_an_exception_passes_through_and_is_recorded() -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="diverged"), greenai.track("fit"):
        raise ValueError("diverged")
    assert greenai.evidence_show()["exit_code"] == 1
    assert threading.active_count() == before


def test_a_home_that_cannot_be_written_breaks_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("GREENAI_HOME", str(file / "home"))
    with greenai.track("fit") as block, block.window("all"):
        result = _work()
    assert result
    assert block.evidence is None
    assert block.energy_kwh is None
    assert block.emissions_g is None
    assert block.warnings


def test_a_wrong_setting_breaks_nothing_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_PUE", "zero")
    with greenai.track("fit") as block:
        _work()
    assert "pue" in block.warnings[0]


def test_the_decorator_runs_the_function_and_keeps_its_decision() -> None:
    @greenai.carbon_aware(duration="1h")
    def fit(depth: int) -> int:
        return depth + 1

    assert fit(2) == 3
    assert fit.__name__ == "fit"
    shown = greenai.evidence_show()
    assert shown["decision"]["action"] == "run"
    assert greenai.verify().problems == ()


def test_the_decorator_refuses_the_impossible_before_the_function_runs() -> None:
    ran = []

    @greenai.carbon_aware(duration="3h", finish_by="1h")
    def fit() -> None:
        ran.append(True)

    with pytest.raises(NoFeasibleWindow):
        fit()
    assert ran == []


def test_a_misspelt_argument_of_the_decorator_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="finish_bye"):
        greenai.carbon_aware(duration="3h", finish_bye="1h")  # type: ignore[call-arg]  # the misspelling


def test_one_call_is_measured_without_leaving_records() -> None:
    result, use = measured(_work)
    assert result == _work()
    assert use.cpu_s > 0
    assert use.low_j <= use.energy_j <= use.high_j
    assert use.noise_floor_j > 0
    assert greenai.evidence_list() == []
