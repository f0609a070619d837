"""Every service through the command line against a fake of it: a plan from each, each fault in one sentence, none mislabelled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import stamina

from greenai import wiring
from greenai.adapters.clock import SystemClock
from greenai.adapters.http import MAX_ATTEMPTS
from greenai.adapters.turns import Turns
from greenai.cli import main
from greenai.cli.command import Session
from greenai.engine.asking import Keyring
from greenai.testing.grid import FakeGrid

SERVICES = {
    "electricitymaps": ("DE", "average", "forecast", "lifecycle"),
    "energycharts": ("DE", "average", "forecast", "unstated"),
    "watttime": ("US-CAL-CISO", "marginal", "forecast", "direct"),
    "eia": ("US-CAL-CISO", "average", "modelled", "lifecycle"),
    "energidataservice": ("DK-DK1", "average", "forecast", "direct"),
    "openelectricity": ("AU-NSW", "average", "modelled", "direct"),
    "carbonawaresdk": ("US-CAL-CISO", "average", "forecast", "unstated"),
    "carbonawaresdk_marginal": ("US-CAL-CISO", "marginal", "forecast", "unstated"),
}
"""Service -> a zone of it, and what its plan must say it rests on."""

NOW = datetime(2026, 11, 24, 10, 37, 20, tzinfo=UTC)
"""The moment at which all is asked: no slot ends meanwhile (tests/adapters/providers/test_services_at_the_edge.py lets one)."""

KEYS = {
    "electricitymaps": "good-key-1234",
    "watttime": "me:my-password",
    "eia": "good-key-1234",
    "openelectricity": "good-key-1234",
}

WORDS = {
    "nulls": "no ",
    "wrong_type": "is 'moderate', not a number",
    "empty_object": "answer",
    "html": "a web page, not JSON",
    "truncated": "not JSON, or cut off",
    "empty_body": "the answer is empty",
    "outage_500": "answered 500",
    "bad_request_400": "answered 400",
    "rate_limit_429": "answered 429",
    "hang": "does not answer",
    "slow": "gave no whole answer",
    "reset": "cannot be reached",
    "not_found_404": "answered 404",
    "bad_key_401": "answered 401",
    "bad_key_403": "answered 403",
}
"""Fault -> words its sentence must hold."""

SLOW = ("hang", "slow")
"""Faults that only the time limit ends."""

ALSO = {"hang": ("gave no whole answer", "gave up after")}
"""Which of two time limits ends first is the machine's affair."""

HARMLESS = ("duplicate_rows", "missing_rows", "list_as_object", "object_as_list", "new_year_cut")
"""Faults in spite of which there is a live answer, or an honest refusal of it."""


class Line:
    """A command line beside a fake grid."""

    def __init__(self, grid: FakeGrid, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.grid, self._capfd, self._monkeypatch = grid, capfd, monkeypatch

    def use(self, service: str, key: str | None = None) -> str:
        """Point greenai at one service and set its key; returns its zone."""
        url = self.grid.url_of(service.removesuffix("_marginal"))
        self._monkeypatch.setenv(f"GREENAI_{service.upper()}_URL", url)
        self._monkeypatch.setenv("GREENAI_BASIS", SERVICES[service][1])
        secret = key if key is not None else KEYS.get(service)
        if secret:
            self._monkeypatch.setenv(f"GREENAI_{service.upper()}_KEY", secret)
        return SERVICES[service][0]

    def run(self, *args: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        self._capfd.readouterr()
        try:
            code = main(list(args))
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self._capfd.readouterr()
        return code, out, err

    def plan(self, zone: str, *more: str) -> tuple[int, str, str]:
        return self.run("plan", "--duration", "1h", "--finish-by", "8h", "--zone", zone, "--json", *more)


@pytest.fixture(autouse=True)
def corner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("GREENAI_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GREENAI_HOME", str(tmp_path / "home"))
    # A busy machine must not look like a service that is slow.
    monkeypatch.setenv("GREENAI_HTTP_TIMEOUT_S", "60")
    # What is tested is what each service says; greenai's own forecast has tests of its own (test_own_forecast.py).
    monkeypatch.setenv("GREENAI_FORECASTER", "service")
    for service in ("uk", "electricitymaps", "energycharts", "watttime", "eia", "energidataservice", "openelectricity"):
        monkeypatch.setenv(f"GREENAI_{service.upper()}_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Session, "now", lambda _: NOW)
    monkeypatch.setattr(SystemClock, "now", lambda _: NOW)
    monkeypatch.setattr(wiring, "_KEYRING", Keyring())
    # The distance between reads has a test of its own (tests/adapters/test_turns.py).
    monkeypatch.setattr(Turns, "wait", lambda *_: None)
    # So have the pauses between tries (tests/adapters/test_http.py): here it is tried as often, at once.
    with stamina.set_testing(True, attempts=MAX_ATTEMPTS):
        yield


@pytest.fixture
def line(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    with FakeGrid(now=NOW) as grid:
        yield Line(grid, capfd, monkeypatch)


@pytest.mark.parametrize("service", SERVICES)
def test_a_plan_from_each(line, service):
    zone = line.use(service)
    code, out, err = line.plan(zone, "--require", "live")
    assert (code, err) == (0, "")
    source = json.loads(out)["source"]
    assert (source["provider"], source["step"], source["fallback_reason"]) == (service, "live", None)
    assert (source["basis"], source["kind"], source["scope"]) == SERVICES[service][1:]


@pytest.mark.parametrize("service", SERVICES)
def test_the_numbers_are_the_recorded_ones(line, service):
    """The made-up day of the fake runs from 100 to 250 g/kWh, whatever unit the service speaks."""
    code, out, _ = line.run("forecast", "--zone", line.use(service), "--hours", "12", "--json")
    assert code == 0
    values = [slot["g_per_kwh"] for slot in json.loads(out)["slots"]]
    assert 100 - 1e-6 <= min(values) <= max(values) <= 250 + 1e-6
    assert max(values) - min(values) > 10


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", WORDS)
def test_each_fault_is_one_sentence(line, service, fault, monkeypatch):
    zone = line.use(service)
    if fault in SLOW:
        monkeypatch.setenv("GREENAI_HTTP_TIMEOUT_S", "1")
    line.grid.fail(fault)
    code, out, err = line.plan(zone, "--require", "live")
    assert (code, out) == (4, "")
    said = err.splitlines()
    assert said[0].startswith("error: ")
    assert any(words in said[0] for words in (WORDS[fault], *ALSO.get(fault, ())))
    assert len(said) == 2, "a refusal says what to do"
    assert said[1].startswith("hint: ")
    assert "Traceback" not in err
    assert not [secret for secret in (*KEYS.values(), "fake-token") if secret in err]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", HARMLESS)
def test_odd_rows_never_change_what_the_numbers_are(line, service, fault):
    """A live answer keeps its labels and the range of the record; one with a hole may be refused, in one sentence."""
    zone = line.use(service)
    line.grid.fail(fault)
    code, out, err = line.plan(zone, "--require", "live")
    if code:
        assert (code, out) == (4, "")
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 2
        return
    found = json.loads(out)
    assert (found["source"]["provider"], found["source"]["step"]) == (service, "live")
    assert tuple(found["source"][name] for name in ("basis", "kind", "scope")) == SERVICES[service][1:]
    if found["expected_g_per_kwh"] is None:
        # One row is left of the answer: too little to plan on, and nothing is made up in its place.
        assert found["action"] == "run"
    else:
        assert 100 - 8 <= found["expected_g_per_kwh"] <= 250 + 8


@pytest.mark.parametrize("service", SERVICES)
def test_the_fallback_is_said_in_words_too(line, service):
    """What a person reads: never "live", the reason, and what stands in."""
    zone = line.use(service)
    line.grid.fail("html")
    code, out, _ = line.run("plan", "--duration", "1h", "--finish-by", "8h", "--zone", zone)
    assert code == 0
    assert "(live)" not in out
    assert "the answer is a web page, not JSON" in " ".join(out.split())


@pytest.mark.parametrize("service", SERVICES)
def test_what_stands_in_says_what_it_is(line, service):
    zone = line.use(service)
    line.grid.fail("outage_500")
    code, out, _ = line.plan(zone)
    assert code == 0
    source = json.loads(out)["source"]
    assert source["step"] in {"climatology", "annual", "none"}
    assert source["basis"] in {None, SERVICES[service][1]}
    assert f"{service}: " in source["fallback_reason"]


@pytest.mark.parametrize(
    ("service", "fault", "words", "remedy"),
    [
        ("electricitymaps", "sandbox", "sandbox key", "GREENAI_ELECTRICITYMAPS_KEY"),
        ("electricitymaps", "bad_key_401", "the key is not accepted", "GREENAI_ELECTRICITYMAPS_KEY"),
        ("electricitymaps", "plan_401", "the plan of this key does not cover DE", "portal"),
        ("watttime", "scope_403", "the account does not cover CAISO_NORTH", "US-CAL-CISO"),
        ("watttime", "bad_key_401", "the log-in is not accepted", "GREENAI_WATTTIME_KEY"),
        ("eia", "bad_key_403", "the key is not accepted", "GREENAI_EIA_KEY"),
    ],
)
def test_refusals_are_told_apart(line, service, fault, words, remedy):
    zone = line.use(service)
    line.grid.fail(fault)
    code, _, err = line.plan(zone, "--require", "live")
    assert code == 4
    assert words in err
    assert remedy in err
    assert KEYS[service] not in err


@pytest.mark.parametrize(("service", "zone"), [("electricitymaps", "KE"), ("openelectricity", "AU-NSW"), ("eia", "US-CAL-CISO")])
def test_a_service_without_its_key_is_named_with_the_variable(line, service, zone):
    code, out, _ = line.plan(zone)
    if code == 0:
        assert f"{service}: not asked, set GREENAI_{service.upper()}_KEY" in json.loads(out)["source"]["fallback_reason"]
    code, _, err = line.plan(zone, "--require", "live")
    assert code == 4
    assert f"GREENAI_{service.upper()}_KEY" in err


def test_a_plan_that_does_not_cover_the_zone_says_what_it_does_cover(line):
    line.use("electricitymaps")
    line.grid.fail("plan_401")
    code, _, err = line.plan("FR", "--require", "live")
    assert code == 4
    assert "the plan of this key does not cover FR: it covers DE" in err


def test_a_token_is_asked_for_once_and_renewed_when_it_is_refused(line):
    zone = line.use("watttime")
    for _ in range(3):
        assert line.plan(zone, "--require", "live")[0] == 0
    line.grid.fail("bad_key_401", times=1, path="/watttime/v3")
    assert line.plan(zone, "--require", "live")[0] == 0
    paths = [one.path.partition("?")[0] for one in line.grid.requests]
    assert paths.count("/watttime/login") == 2
    written = b"".join(file.read_bytes() for file in Path(os.environ["GREENAI_HOME"]).rglob("*") if file.is_file())
    assert b"fake-token" not in written
    assert b"my-password" not in written


def test_skill_judges_a_service_on_what_it_published(line):
    """Plans fill the archive; before the hours they are about have come, that is said."""
    zone = line.use("energycharts")
    assert line.plan(zone, "--require", "live")[0] == 0
    code, out, err = line.run("skill", "--zone", zone, "--days", "3", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [(one["provider"], one["forecasts"]) for one in found["archived"]] == [("energycharts", 1)]
    assert "forecasts that wait for" in next(one["reason"] for one in found["left_out"] if one["source"] == "energycharts")
    assert found["judged_by"]["provider"] == "energycharts"
    assert {one["source"] for one in found["sources"]} == {"lpr", "seasonal-naive"}


def test_version_3_is_asked_where_there_is_no_version_4(line):
    zone = line.use("electricitymaps")
    line.grid.fail("not_found_404", path="/electricitymaps/v4")
    code, out, _ = line.plan(zone, "--require", "live")
    assert code == 0
    assert json.loads(out)["source"]["provider"] == "electricitymaps"
    asked = [one.path for one in line.grid.requests]
    assert ["/v4/" in path for path in asked] == [True, False]
    assert "disableCallerLookup=true" in asked[0]
    assert "shouldUseFallbackCallerLookup=false" in asked[1]


def test_keys_travel_in_headers_alone(line):
    for service in KEYS:
        line.plan(line.use(service))
    assert all(secret not in one.path for one in line.grid.requests for secret in KEYS.values())
    archive = (Path(os.environ["GREENAI_HOME"]) / "archive.sqlite").read_bytes()
    assert not [secret for secret in (*KEYS.values(), "fake-token") if secret.encode() in archive]


def test_a_key_set_puts_its_service_first(line):
    line.use("energycharts")
    zone = line.use("electricitymaps")
    _, out, _ = line.plan(zone)
    assert json.loads(out)["source"]["provider"] == "electricitymaps"


def test_a_marginal_source_is_no_stand_in_for_an_average_one(line, monkeypatch):
    zone = line.use("watttime")
    monkeypatch.setenv("GREENAI_BASIS", "average")
    _, out, _ = line.plan(zone)
    assert json.loads(out)["source"]["provider"] == "climatology"
    assert not line.grid.requests


def test_an_answer_of_the_same_quarter_hour_is_used_again(line):
    zone = line.use("energycharts")
    for _ in range(3):
        code, out, _ = line.plan(zone, "--require", "live")
        assert (code, json.loads(out)["source"]["step"]) == (0, "live")
    assert len(line.grid.requests) <= 2


MEASURED = ["electricitymaps", "energycharts", "eia", "energidataservice", "openelectricity"]


@pytest.mark.parametrize("service", MEASURED)
def test_history_is_a_series_that_reads_back(line, service, tmp_path):
    zone = line.use(service)
    file = tmp_path / f"{service}.csv"
    code, out, err = line.run(
        "history", "--zone", zone, "--from", "2026-01-05", "--to", "2026-01-06", "--out", str(file), "--json"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["source"]["provider"] == service
    assert (found["source"]["kind"], found["source"]["basis"], found["source"]["scope"]) == (
        "observed",
        "average",
        SERVICES[service][3],
    )
    at = ("--at", "2026-01-05T03:00Z", "--series", str(file))
    code, out, _ = line.plan(zone, *at)
    assert code == 0
    assert json.loads(out)["source"]["scope"] == SERVICES[service][3]


@pytest.mark.parametrize("service", ["watttime", "carbonawaresdk", "carbonawaresdk_marginal"])
def test_what_is_not_measured_is_no_history(line, service, tmp_path):
    file = tmp_path / "no.csv"
    code, _, err = line.run(
        "history", "--zone", line.use(service), "--from", "2026-01-05", "--to", "2026-01-06", "--out", str(file)
    )
    assert code == 4
    assert "no measured intensities of US-CAL-CISO can be had" in err
    assert not file.exists()


def test_history_never_overwrites(line, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("mine")
    code, _, err = line.run(
        "history", "--zone", line.use("eia"), "--from", "2026-01-05", "--to", "2026-01-06", "--out", str(file)
    )
    assert (code, file.read_text()) == (2, "mine")
    assert "is there already" in err


def test_a_span_to_come_has_no_history(line):
    code, _, err = line.run("history", "--zone", line.use("eia"), "--from", "2096-01-05", "--to", "2096-01-06")
    assert code == 2
    assert "nothing was measured" in err


def test_zones_say_which_source_wants_which_key(line):
    code, out, _ = line.run("zones", "US-CAL-CISO", "--json")
    assert code == 0
    found = {source["provider"]: source for source in json.loads(out)}
    assert found["watttime"]["needs"] == "GREENAI_WATTTIME_KEY"
    assert found["watttime"]["basis"] == "marginal"
    assert (found["eia"]["ready"], found["climatology"]["ready"]) == (False, True)
    line.use("eia")
    _, out, _ = line.run("zones", "california", "--json")
    assert {source["zone"] for source in json.loads(out)} >= {"US-CAL-CISO"}
    assert next(source["provider"] for source in json.loads(out) if source["zone"] == "US-CAL-CISO") == "eia"


def test_a_zone_nobody_knows(line):
    code, _, err = line.run("zones", "atlantis")
    assert code == 2
    assert "no zone is known by 'atlantis'" in err


def checks(line: Line) -> dict[str, dict[str, str]]:
    _, out, _ = line.run("doctor", "--json")
    found = json.loads(out)
    return {check["name"]: check for check in (found["checks"] if isinstance(found, dict) else found)}


def test_doctor_asks_each_service_that_is_set(line, monkeypatch):
    monkeypatch.setenv("GREENAI_ZONE", line.use("energycharts"))
    line.use("electricitymaps")
    found = checks(line)
    assert (found["energycharts"]["status"], found["electricitymaps"]["status"]) == ("ok", "ok")
    assert "answers for DE: forecast, average, lifecycle" in found["electricitymaps"]["detail"]
    assert "does not cover DE" in found["eia"]["detail"]
    line.grid.fail("sandbox", path="/electricitymaps")
    bad = checks(line)["electricitymaps"]
    assert (bad["status"], "sandbox key" in bad["detail"]) == ("warn", True)


def test_marginal_is_shown_beside_average(line, monkeypatch):
    line.use("carbonawaresdk_marginal")
    zone = line.use("carbonawaresdk")
    code, out, err = line.plan(zone, "--beside")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["source"]["basis"], found["beside"]["basis"]) == ("average", "marginal")
    assert found["beside"]["disagrees"] is False
    monkeypatch.delenv("GREENAI_CARBONAWARESDK_MARGINAL_URL")
    assert json.loads(line.plan(zone, "--beside")[1])["beside"] is None
