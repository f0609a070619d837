"""The Python API as its users call it: real doors, a fake grid on loopback, a state directory of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import greenai
from greenai import api
from greenai.errors import ConfigError, InputError, NoFeasibleWindow
from greenai.scheduler import should_run
from greenai.testing.clock import VirtualClock
from greenai.testing.grid import FakeGrid

QUICK = [sys.executable, "-c", "pass"]


@pytest.fixture(autouse=True)
def grid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGrid]:
    with FakeGrid() as service:
        for name, value in {"HOME": str(tmp_path / "home"), "UK_URL": service.url, "ZONE": "GB", "METER": "modelled"}.items():
            monkeypatch.setenv(f"GREENAI_{name}", value)
        monkeypatch.chdir(tmp_path)
        yield service


def test_every_verb_is_found_and_no_room_hides_one() -> None:
    for name in api.__all__:
        found = getattr(api, name)
        assert callable(found), f"greenai.api.{name} is {found!r}"
        assert found.__doc__, f"greenai.api.{name} has no docstring"
    assert {"backtest", "backtest_jobs", "plan_jobs", "skill"} <= set(api.__all__)


def test_a_plan_takes_words_or_objects() -> None:
    words = greenai.plan(duration="2h", finish_by="24h", min_saving="5%")
    objects = greenai.plan(duration=timedelta(hours=2), finish_by=datetime.now(UTC) + timedelta(hours=24), min_saving=0.05)
    assert words.job.constraints.duration == objects.job.constraints.duration
    assert words.job.constraints.min_saving == objects.job.constraints.min_saving
    assert words.reading.step == "live"
    assert words.document()["zone"] == "GB"


@pytest.mark.parametrize(
    ("ask", "policy"),
    [
        ({}, "greenest"),
        ({"threshold": 150.0}, "threshold"),
        ({"percentile": 20.0}, "percentile"),
        ({"interruptible": True}, "interruptible"),
        ({"threshold": 150.0, "policy": "asap"}, "asap"),
    ],
)
def test_the_policy_follows_from_what_is_asked(ask: dict[str, object], policy: str) -> None:
    assert greenai.plan(duration="1h", **ask).decision.policy == policy  # type: ignore[arg-type]  # a table of arguments


def test_limits_are_read_as_latest_start_and_as_done_by() -> None:
    deadline = greenai.plan(duration="2h", deadline="6h").job.constraints
    finish_by = greenai.plan(duration="2h", finish_by="6h").job.constraints
    waited = greenai.plan(duration="2h", max_wait="6h").job.constraints
    assert deadline.latest_start_at - deadline.earliest_at == timedelta(hours=6)
    assert finish_by.latest_start_at - finish_by.earliest_at == timedelta(hours=4)
    assert waited.latest_start_at - waited.earliest_at == timedelta(hours=6)


def test_a_plan_without_a_limit_may_wait_a_day() -> None:
    limits = greenai.plan(duration="2h").job.constraints
    assert limits.latest_start_at - limits.earliest_at == timedelta(hours=24)


def test_pieces_are_described_in_words() -> None:
    plan = greenai.plan(duration="4h", interruptible=True, min_chunk="30m", resume_cost="6m", max_segments=3)
    assert plan.job.constraints.min_chunk == timedelta(minutes=30)
    assert plan.job.constraints.resume_cost == timedelta(minutes=6)
    assert len(plan.decision.windows) <= 3


def test_a_misspelt_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="durration"):
        greenai.plan(durration="2h")  # type: ignore[call-arg]  # the misspelling


def test_a_plan_without_a_duration_is_refused() -> None:
    with pytest.raises(InputError, match="how long"):
        greenai.plan(finish_by="24h")
    with pytest.raises(InputError, match="how long"):
        greenai.run(QUICK, finish_by="24h")


def test_a_series_file_replays_any_moment(tmp_path: Path) -> None:
    file = tmp_path / "series.csv"
    rows = [f"2022-03-01T{hour:02}:00Z,{100 if hour == 5 else 300}" for hour in range(24)]
    file.write_text("start_utc,g_per_kwh\n" + "\n".join(rows), encoding="utf-8")
    decision = greenai.plan(duration="1h", finish_by="12h", at="2022-03-01T00:00Z", series=file).decision
    assert decision.start_at == datetime(2022, 3, 1, 5, tzinfo=UTC)
    assert decision.expected_saving == pytest.approx(2 / 3)


def test_a_past_moment_is_replayed_from_the_archive_without_the_network(grid: FakeGrid) -> None:
    made_at = greenai.plan(duration="1h", finish_by="12h").decision.made_at
    asked = len(grid.requests)
    replayed = greenai.plan(duration="1h", finish_by="12h", at=made_at + timedelta(seconds=10))
    assert replayed.reading.step in {"fresh-archive", "old-archive"}
    assert len(grid.requests) == asked


def test_nothing_fits_is_said_before_anything_runs() -> None:
    with pytest.raises(NoFeasibleWindow):
        greenai.run(QUICK, duration="3h", finish_by="1h")
    assert greenai.evidence_list() == []


def test_run_refuses_what_it_cannot_do_yet() -> None:
    with pytest.raises(InputError, match="cannot plan its pauses"):
        greenai.run(QUICK, duration="3h", finish_by="9h", policy="interruptible")


def test_a_wrong_meter_is_refused_before_anything_runs() -> None:
    with pytest.raises(InputError, match="no meter 'rappl'"):
        greenai.run(QUICK, meter="rappl")
    assert greenai.evidence_list() == []


def test_run_waits_on_the_given_clock() -> None:
    clock = VirtualClock(datetime.now(UTC))
    outcome = greenai.run(QUICK, duration="1h", finish_by="12h", min_saving=0, clock=clock, labels={"task": "toy"})
    assert outcome.exit_code == 0
    assert outcome.evidence is not None
    assert outcome.evidence["inputs"]["labels"] == {"phase": "run", "task": "toy"}
    assert outcome.decision is not None
    assert outcome.evidence["started_at"] == outcome.decision["windows"][0]["start_at"]


def test_evidence_is_found_by_the_beginning_of_its_id() -> None:
    first = greenai.measure(QUICK, per="epoch", count=3.0)
    second = greenai.measure(QUICK)
    assert greenai.evidence_show()["run_id"] == second.run_id
    assert greenai.evidence_show(first.run_id[:-2])["sci"]["count"] == 3
    assert [shown["run_id"] for shown in greenai.evidence_list()] == [first.run_id, second.run_id]
    with pytest.raises(InputError, match="2 runs begin"):
        greenai.evidence_show("20")
    with pytest.raises(InputError, match="no run begin"):
        greenai.evidence_show("xyz")
    assert greenai.verify().problems == ()


def test_no_evidence_yet_is_said() -> None:
    with pytest.raises(InputError, match="no evidence yet"):
        greenai.evidence_show()


def test_stated_facts_reach_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PUE": "1.5", "WUE_L_PER_KWH": "2", "EMBODIED_KG": "1000-2000", "LIFE_YEARS": "4"}.items():
        monkeypatch.setenv(f"GREENAI_{name}", value)
    shown = greenai.measure(QUICK).evidence
    assert shown is not None
    assert shown["facility_kwh"] == pytest.approx(1.5 * shown["it_kwh"])
    assert shown["water_l"] == pytest.approx(2 * shown["it_kwh"])
    low, high = shown["ranges"]["embodied_g"]
    assert high == pytest.approx(2 * low)
    assert shown["sci"]["value_g"] is not None


def test_embodied_emissions_come_from_the_packaged_table_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_EMBODIED", "vcpu")
    monkeypatch.setenv("GREENAI_RESOURCE_SHARE", "0.5")
    shown = greenai.measure(QUICK).evidence
    assert shown is not None
    assert shown["embodied_g"] > 0
    assert shown["inputs"]["embodied"]["resource_share"] == 0.5
    assert "m5.large" in shown["inputs"]["embodied"]["source"]
    monkeypatch.setenv("GREENAI_EMBODIED", "vcpus")
    with pytest.raises(InputError, match="vcpus"):
        greenai.measure(QUICK)


def test_a_constant_intensity_prices_and_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_CONSTANT_G_PER_KWH", "250")
    assert greenai.plan(duration="1h").decision.action == "run"
    shown = greenai.measure(QUICK).evidence
    assert shown is not None
    assert shown["sci"]["intensity_g_per_kwh"] == pytest.approx(250)


def test_flags_on_given_settings_are_checked() -> None:
    from greenai.config import load

    settings = load({}, Path("/"), {"zone": "GB"})
    with pytest.raises(ConfigError, match="zone"):
        greenai.forecast("not a zone", settings=settings)


def test_files_beside_the_ledger_are_written_and_checked_first(tmp_path: Path) -> None:
    out, log = tmp_path / "new" / "evidence.csv", tmp_path / "decision.json"
    outcome = greenai.run(QUICK, out=out, log_decision=log)
    assert outcome.warnings == ()
    assert greenai.verify([out]).problems == ()
    assert json.loads(log.read_text(encoding="utf-8"))[0]["run_id"] == outcome.run_id
    out.write_text(out.read_text(encoding="utf-8").replace(",modelled", ",measured", 1), encoding="utf-8")
    assert greenai.verify([out]).problems
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"other\.csv"):
        greenai.run(QUICK, out=other)


def test_a_file_that_breaks_during_the_run_is_a_warning(tmp_path: Path) -> None:
    out = tmp_path / "evidence.csv"
    breaks = [sys.executable, "-c", f"open({str(out)!r}, 'w').write('a,b')"]
    outcome = greenai.run(breaks, out=out)
    assert outcome.exit_code == 0
    assert "not an evidence.csv" in outcome.warnings[0]


def test_should_run_answers_as_the_prototype_did(grid: FakeGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    first_at = datetime(2020, 1, 1, tzinfo=UTC)
    steady = [(first_at + timedelta(minutes=30) * slot, 180.0) for slot in range(96)]  # a slot may end between the two reads
    with FakeGrid(steady) as service, monkeypatch.context() as there:
        there.setenv("GREENAI_UK_URL", service.url)
        high, decision = should_run(10_000)
        assert high is True
        assert set(decision) == {"timestamp_utc", "region", "carbon_intensity", "threshold"}
        low, decision = should_run(decision["carbon_intensity"])
        assert low is False
    grid.fail("outage_500")
    _, decision = should_run(200)
    assert "uk" in decision["fallback"]


def test_should_run_means_great_britain_where_no_zone_was_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GREENAI_ZONE")
    assert should_run(200)[1]["region"] == "GB"
