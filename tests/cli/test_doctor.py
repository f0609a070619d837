"""doctor: what it finds, what it says to do, and when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli import fakes
from tests.cli.conftest import Cli

from greenai import config, doctor, plugins
from greenai.doctor import Check, examine
from greenai.errors import ConfigError, GreenaiError, ProviderUnavailable
from greenai.model.energy import MeterInfo, Quality, RejectedMeter
from greenai.model.evidence import next_record, record_line


@dataclass(frozen=True)
class Metered:
    """Stands for a meter."""

    info: MeterInfo


@dataclass(frozen=True)
class Chain:
    """Stands for the meters of a machine."""

    meters: tuple[Metered, ...]
    rejected: tuple[RejectedMeter, ...] = ()


def meter(quality: Quality, component: Any = "cpu") -> Metered:
    return Metered(MeterInfo(name=f"a {component} meter", component=component, quality=quality, low_ratio=0.95, high_ratio=1.05))


DENIED = RejectedMeter(
    name="rapl", component="cpu", reason="permission denied", remedy="sudo chmod a+r /sys/class/powercap/*/energy_uj"
)

Look = Callable[..., dict[str, Check]]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    """Examine a machine with these meters, this grid and no plug-ins; the checks by name."""
    monkeypatch.setattr(plugins, "plugins", tuple)

    def examined(
        *meters: Metered, rejected: tuple[RejectedMeter, ...] = (), grid: Any = None, **flags: object
    ) -> dict[str, Check]:
        chain = Chain(meters or (meter("measured:counter"),), rejected)
        monkeypatch.setattr(doctor.wiring, "detect_meters", lambda _settings: chain)
        monkeypatch.setattr(doctor.api, "forecast", _raising_or(grid or fakes.reading()))
        settings = config.load(os.environ, Path.cwd(), {"zone": "GB", **flags})
        return {check.name: check for check in examine(settings)}

    return examined


def _raising_or(answer: Any) -> Callable[..., Any]:
    def verb(**_: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return verb


def test_a_good_machine_is_ready(look: Look) -> None:
    checks = look()
    assert {name: check.status for name, check in checks.items()} == {
        "greenai": "ok",
        "cpu": "ok",
        "time zone": "ok",
        "zone": "ok",
        "grid": "ok",
        "forecasts": "ok",
        "store": "ok",
        "clock": "ok",
        "disk": "ok",
    }
    assert checks["cpu"].detail == "a cpu meter, measured:counter, -5 to +5 %"
    assert checks["time zone"].detail == "Europe/Berlin"
    assert checks["grid"].detail == "uk answers for GB: forecast, average"


@pytest.mark.parametrize(
    ("quality", "status"),
    [("measured:counter", "ok"), ("measured:sampled", "ok"), ("attributed", "ok"), ("modelled", "warn"), ("assumed", "fail")],
)
def test_only_assumed_energy_fails(look: Look, quality: Quality, status: str) -> None:
    assert look(meter(quality))["cpu"].status == status


def test_what_is_modelled_says_why_nothing_better_was_taken_and_how_to_get_it(look: Look) -> None:
    check = look(meter("modelled"), rejected=(DENIED,))["cpu"]
    assert check.detail == "a cpu meter, modelled, -5 to +5 %; rapl: permission denied"
    assert check.remedy == "sudo chmod a+r /sys/class/powercap/*/energy_uj"


def test_a_component_without_a_meter_is_named_if_something_can_be_done(look: Look) -> None:
    gpu = RejectedMeter(name="nvml", component="gpu", reason="the library is missing", remedy="pip install greenai[gpu]")
    dram = RejectedMeter(name="rapl", component="dram", reason="this machine has none")
    checks = look(rejected=(gpu, dram))
    assert (checks["gpu"].status, checks["gpu"].remedy) == ("warn", "pip install greenai[gpu]")
    assert "dram" not in checks


def test_no_meter_at_all_fails(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    look()
    monkeypatch.setattr(doctor.wiring, "detect_meters", lambda _settings: Chain(()))
    settings = config.load(os.environ, Path.cwd(), {})
    assert [check.status for check in examine(settings) if check.name == "meters"] == ["fail"]
    monkeypatch.setattr(doctor.wiring, "detect_meters", lambda _settings: _raise(ConfigError("no meter is named odd", hint="x")))
    [check] = [check for check in examine(settings) if check.name == "meters"]
    assert (check.status, check.detail, check.remedy) == ("fail", "no meter is named odd", "x")


def _raise(error: GreenaiError) -> Any:
    raise error


def test_a_machine_without_a_country_is_told_to_state_its_zone(look: Look) -> None:
    check = look(zone="WORLD")["zone"]
    assert check.status == "warn"
    assert "GREENAI_ZONE" in check.remedy


def test_a_time_zone_without_a_name(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "<+07>-7")
    assert look()["time zone"].status == "warn"


@pytest.mark.parametrize(
    ("grid", "detail"),
    [
        (fakes.reading(step="climatology", reason="uk: no route to host"), "uk: no route to host; climatology is used instead"),
        (fakes.reading(step="annual"), "no service covers GB: annual is used instead"),
        (fakes.reading(step="none", reason="nobody", known=False), "nobody; nothing is known of it: jobs run at once"),
        (ProviderUnavailable("the file is gone"), "the file is gone"),
    ],
)
def test_a_grid_that_does_not_answer_is_a_warning(look: Look, grid: Any, detail: str) -> None:
    check = look(grid=grid)["grid"]
    assert (check.status, check.detail) == ("warn", detail)


def test_the_look_at_the_grid_is_bounded(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    look()
    asked: list[Any] = []

    def forecast(**kwargs: Any) -> Any:
        asked.append(kwargs["settings"])
        return fakes.reading()

    monkeypatch.setattr(doctor.api, "forecast", forecast)
    examine(config.load(os.environ, Path.cwd(), {"http_timeout_s": 60}))
    assert asked[0].http_timeout_s == doctor.NETWORK_LIMIT_S


def test_a_store_that_is_no_directory_fails(look: Look, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    check = look(home=str(tmp_path / "file"))["store"]
    assert (check.status, "GREENAI_HOME" in check.remedy) == ("fail", True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_cannot_be_written_fails(look: Look, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert look(home=str(tmp_path / "home"))["store"].status == "fail"
    tmp_path.chmod(0o700)


def test_a_full_or_read_only_disk_fails(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> Any:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    assert "Read-only file system" in look()["store"].detail


def test_a_store_others_can_write_is_a_warning(look: Look, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    check = look()["store"]
    assert (check.status, check.remedy) == ("warn", f"chmod go-w {home}")


def test_a_damaged_ledger_fails(look: Look, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "ledger.jsonl").write_text("no record\n", encoding="utf-8")
    assert look()["store"].status == "fail"


def test_a_clock_behind_its_own_records_is_a_warning(look: Look, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    ahead = datetime.now(UTC) + timedelta(hours=2)
    (home / "ledger.jsonl").write_bytes(record_line(next_record(None, at=ahead, type="note", payload={})))
    checks = look()
    assert checks["store"].detail.endswith("1 records")
    assert (checks["clock"].status, "timedatectl" in checks["clock"].remedy) == ("warn", True)


def test_a_clock_from_before_greenai_is_a_warning() -> None:
    assert "before greenai existed" in doctor._clock(datetime(1970, 1, 1, tzinfo=UTC), None).detail


def test_a_nearly_full_disk_is_a_warning(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SPACE_WANTED_MB", 10**12)
    assert look()["disk"].status == "warn"


def test_unknown_variables_are_named_and_own_ones_are_not(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_DEBUG", "0")
    monkeypatch.setenv("GREENAI_RUN_ID", "x")
    assert "variables" not in look()
    monkeypatch.setenv("GREENAI_FLUX_CAPACITOR", "1")
    assert look()["variables"].detail == "not known: GREENAI_FLUX_CAPACITOR"


def test_a_plug_in_that_cannot_be_loaded_is_a_warning(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = plugins.Plugin(
        group="greenai.meters", name="odd", target="odd:x", distribution="odd", version="1", problem="it is broken"
    )
    monkeypatch.setattr(plugins, "plugins", lambda: (broken,))
    check = look()["plug-in"]
    assert (check.status, check.detail, check.remedy) == ("warn", "it is broken", "reinstall or remove the package odd")


def test_the_command_says_it_and_exits_1_on_a_failure(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = (
        Check(name="cpu", status="fail", detail="assumed, 100 W", remedy="chmod it"),
        Check(name="store", status="ok", detail="fine", remedy="not needed"),
    )
    monkeypatch.setattr(doctor, "examine", lambda _settings: checks)
    result = cli("doctor")
    assert result.code == 1
    assert result.out.splitlines() == [
        "evidence made here would rest on assumed numbers, or could not be written",
        "  cpu    fail  assumed, 100 W",
        "         fix   chmod it",
        "  store  ok    fine",
    ]
    document = json.loads(cli("doctor", "--json").out)
    assert document["ok"] is False
    assert document["checks"][0] == {"name": "cpu", "status": "fail", "detail": "assumed, 100 W", "remedy": "chmod it"}


def test_the_command_exits_0_on_warnings(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _settings: (Check(name="cpu", status="warn", detail="modelled"),))
    result = cli("doctor")
    assert (result.code, result.out.splitlines()[0]) == (0, "ready, with 1 warning")


def test_the_real_thing_works_offline_and_soon(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "greenai.cli", "doctor", "--json"],
        env={**os.environ, "GREENAI_UK_URL": "http://127.0.0.1:9", "GREENAI_ZONE": "GB"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    checks = {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}
    assert checks["grid"] == "warn"
    assert checks["store"] == "ok"
    assert time.monotonic() - begun < 60
