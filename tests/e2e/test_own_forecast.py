"""Our own forecast through the command line, against a fake service that publishes only what it measured, and fake weather."""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from greenai.cli import main
from greenai.testing.grid import FakeGrid

ZONE = "AU-NSW"
HOUR = timedelta(hours=1)


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    for name in list(os.environ):
        if name.startswith(("GREENAI_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GREENAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GREENAI_ZONE", ZONE)
    # A busy machine must not look like a weather service that is away.
    monkeypatch.setenv("GREENAI_HTTP_TIMEOUT_S", "60")
    monkeypatch.chdir(tmp_path)
    with FakeGrid() as grid:
        monkeypatch.setenv("GREENAI_OPENELECTRICITY_URL", grid.url_of("openelectricity"))
        monkeypatch.setenv("GREENAI_OPENELECTRICITY_KEY", "good-key-1234")
        monkeypatch.setenv("GREENAI_OPENMETEO_URL", grid.url_of("openmeteo"))

        def run(*words: str) -> tuple[int, str, str]:
            capfd.readouterr()
            code = main(list(words))
            return code, *capfd.readouterr()

        yield run


def check(document: dict, schema: str) -> None:
    text = resources.files("greenai.schemas").joinpath(f"{schema}.schema.json").read_text()
    jsonschema.validate(document, json.loads(text))


def test_plan_replay_and_doctor(say, monkeypatch):
    code, out, err = say("plan", "--duration", "1h", "--finish-by", "20h", "--json")
    assert (code, err) == (0, "")
    planned = json.loads(out)
    check(planned, "plan")
    source = planned["source"]
    assert (source["provider"], source["kind"], source["step"]) == ("lpr+weather", "forecast", "live")
    assert source["own_forecast"]["method"] == "lpr+weather"
    # Replayed with nobody to ask: the same plan, on the same series.
    monkeypatch.setenv("GREENAI_OPENELECTRICITY_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GREENAI_OPENMETEO_URL", "http://127.0.0.1:9")
    code, out, _ = say(
        "plan", "--duration", "1h", "--deadline", planned["source"]["query"]["end_at"], "--at", planned["made_at"], "--json"
    )
    assert code == 0
    again = json.loads(out)["source"]
    assert again["payload_sha256s"] == source["payload_sha256s"]
    assert again["series_sha256"] == source["series_sha256"]
    _code, out, _ = say("doctor")
    assert "days of history, up to" in out


def test_forecast_shows_its_interval_and_its_method(say):
    code, out, _ = say("forecast", "--hours", "12", "--forecaster", "lpr", "--json")
    assert code == 0
    document = json.loads(out)
    check(document, "forecast")
    assert all(slot["low_g_per_kwh"] <= slot["g_per_kwh"] <= slot["high_g_per_kwh"] for slot in document["slots"])
    code, out, _ = say("forecast", "--hours", "12", "--forecaster", "lpr")
    assert "lpr, made here; " in out


def test_a_series_is_planned_on_as_one_would_have_then(say, tmp_path):
    first_at = datetime(2022, 1, 1, tzinfo=UTC)

    def write(name: str, spoil: float) -> str:
        lines = ["start_utc,g_per_kwh"]
        for hour in range(24 * 80):
            at = first_at + hour * HOUR
            value = 200 + 80 * math.sin(hour * math.tau / 24) + 7 * math.sin(hour * 1.7)
            lines.append(f"{at:%Y-%m-%dT%H:%MZ},{value * (spoil if hour >= 24 * 75 + 9 else 1):.3f}")
        (tmp_path / name).write_text("\n".join(lines))
        return name

    plans = []
    for name in (write("true.csv", 1.0), write("spoilt.csv", 9.0)):
        code, out, _ = say(
            "plan", "--series", name, "--at", "2022-03-17T09:20Z", "--forecaster", "lpr", "--duration", "2h", "--json"
        )
        assert code == 0
        plans.append(json.loads(out))
    assert plans[0]["windows"] == plans[1]["windows"]
    assert plans[0]["source"]["series_sha256"] == plans[1]["source"]["series_sha256"]
    assert plans[0]["action"] == "wait"


def test_a_forecaster_nobody_knows_is_one_sentence(say):
    code, _, err = say("plan", "--duration", "1h", "--forecaster", "oracle")
    assert code == 2
    assert "there is no forecaster 'oracle'" in err
    assert "lpr+weather" in err


def test_a_history_file_with_a_hole(say, tmp_path):
    now_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [
        f"{now_at - hour * HOUR:%Y-%m-%dT%H:%MZ},{200 + 80 * math.sin((now_at - hour * HOUR).hour * math.tau / 24):.2f}"
        for hour in range(24 * 70, 0, -1)
        if hour not in range(500, 520)
    ]
    (tmp_path / "past.csv").write_text("\n".join(["start_utc,g_per_kwh", *rows]))
    code, out, _ = say("plan", "--duration", "1h", "--zone", "WORLD", "--history", "past.csv", "--json")
    assert code == 0
    source = json.loads(out)["source"]
    assert source["provider"] == "lpr"
    assert source["own_forecast"]["note"].startswith("69 days of history")
    (tmp_path / "past.csv").write_text("nonsense\n1\n")
    code, _, err = say("plan", "--duration", "1h", "--zone", "WORLD", "--history", "past.csv")
    assert (code, "is no series of the past" in err) == (2, True)
