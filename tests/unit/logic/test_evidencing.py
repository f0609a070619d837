"""The evidence document: the contract's shape, what is provisional, and that facts survive the round trip."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import jsonschema
import pytest
from tests.evidence_world import (
    DIRTY_THEN_CLEAN,
    HALL,
    HOUR,
    SERVER,
    SLOT,
    START,
    facts,
    meter,
    priced,
    reading,
    series,
    trace,
)

from greenai.errors import EvidenceDamaged
from greenai.logic.evidencing import NO_SAMPLES_SHA256, evidence_document, facts_document, facts_from_document, span_to_price
from greenai.logic.facts_documents import query_from_document
from greenai.model.energy import EnergyTrace, RejectedMeter
from greenai.model.evidence import canonical
from greenai.model.zone import Place

CONTRACT = {
    *("run_id", "command", "started_at", "ended_at", "exit_code", "components", "it_kwh", "facility_kwh"),
    *("operational_g", "low_g", "high_g", "embodied_g", "water_l", "sci", "actual_g", "counterfactual_g"),
    *("saving_g", "saving_low_g", "saving_high_g", "random_start_g", "verdict", "intensity", "decision", "provisional"),
}
"""What the issue promises; previous_sha256 and sha256 come with the record."""

SHIFTED = facts(started_at=START + 5 * HOUR, ended_at=START + 6 * HOUR)
RUN = trace(start_at=START + 5 * HOUR)


@pytest.fixture(scope="module")
def valid():
    schema = json.loads((resources.files("greenai.schemas") / "evidence.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())

    def check(document):
        """Valid as a payload, and as shown with the hashes that chain it."""
        shown = {**document, "previous_sha256": "0" * 64, "sha256": "1" * 64}
        for one in (document, shown, json.loads(canonical(document))):
            validator.validate(one)
        return document

    return check


def test_a_claimable_run(valid):
    document = valid(evidence_document(SHIFTED, RUN, priced(DIRTY_THEN_CLEAN)))
    assert set(document) >= CONTRACT
    assert document["verdict"] == "claimable"
    assert document["claim"] == {"extent": "grams and share", "saving_share": pytest.approx(2 / 3), "deferred_s": 5 * 3600}
    assert document["provisional"] is False
    assert document["operational_g"] == pytest.approx(12)
    assert document["saving_g"] == pytest.approx(24)
    assert document["saving_low_g"] < 24 < document["saving_high_g"]
    assert document["actual_g"] == pytest.approx(12)
    assert document["ranges"]["operational_g"] == [document["low_g"], document["high_g"]]
    assert document["intensity"] == {
        "provider": "list",
        "zone": "GB",
        "kind": "observed",
        "basis": "average",
        "scope": "unstated",
    }
    assert document["quality"] == {
        "energy": "measured:counter",
        "intensity": "observed",
        "pue": "stated",
        "embodied": "stated",
        "water": "stated",
    }
    assert document["notes"] == [
        "average intensities: emissions were shifted in the accounts, which does not show that they were avoided"
    ]
    assert document["inputs"]["payloads"][0]["sha256"] == priced(DIRTY_THEN_CLEAN).payloads[0].sha256


def test_marginal_intensities_need_no_such_note(valid):
    known = replace(priced(DIRTY_THEN_CLEAN).series, basis="marginal")
    assert valid(evidence_document(SHIFTED, RUN, reading(known)))["notes"] == []


def test_modelled_energy_may_claim_a_share_only(valid):
    run = trace(start_at=START + 5 * HOUR, meters=(meter(quality="modelled", band=0.4),))
    document = valid(evidence_document(SHIFTED, run, priced(DIRTY_THEN_CLEAN)))
    assert document["verdict"] == "claimable"
    assert document["claim"]["extent"] == "share"
    assert "state the share saved, not the grams" in " ".join(document["notes"])


def test_a_forecast_is_provisional_until_it_is_settled(valid):
    forecast = priced(DIRTY_THEN_CLEAN, kind="forecast")
    first = valid(evidence_document(SHIFTED, RUN, forecast))
    assert first["provisional"] is True
    assert first["verdict"].startswith("not claimable: provisional")
    assert first["claim"]["extent"] is None
    assert "settles" not in first
    settled = valid(evidence_document(SHIFTED, RUN, forecast, settles="a" * 64))
    assert settled["provisional"] is False
    assert settled["settles"] == "a" * 64
    assert settled["verdict"] == "not claimable: the intensities are forecast, not measured"


def test_a_series_that_does_not_reach_leaves_unknowns(valid):
    document = valid(evidence_document(SHIFTED, RUN, reading(series([300.0] * 4))))
    assert document["operational_g"] is None
    assert document["sci"]["value_g"] is None
    assert document["saving_g"] is None
    assert document["it_kwh"] == pytest.approx(0.1)
    assert document["provisional"] is True
    assert document["claim"]["deferred_s"] == 5 * 3600, "how long it waited is known without a grid"
    assert any("reach from 2026-11-24T09:00:00Z to 2026-11-24T11:00:00Z" in note for note in document["notes"])


def test_nothing_known_of_the_grid(valid):
    document = valid(evidence_document(SHIFTED, RUN, reading(None, step="none", fallback_reason="uk: no answer")))
    assert document["intensity"] is None
    assert document["inputs"]["provider"] is None
    assert "the intensities are from none: uk: no answer" in document["notes"]


def test_no_samples_no_numbers(valid):
    document = valid(evidence_document(replace(SHIFTED, exit_code=None), EnergyTrace(meters=()), priced(DIRTY_THEN_CLEAN)))
    assert document["components"] == []
    assert document["it_kwh"] is None
    assert document["water_l"] is None
    assert document["provisional"] is False, "no intensity can help"
    assert document["verdict"] == "not claimable: nobody saw how the command ended"
    assert "there are no energy samples: nothing is known of the energy" in document["notes"]


def test_samples_that_could_not_be_kept(valid):
    document = valid(evidence_document(replace(SHIFTED, samples_sha256=NO_SAMPLES_SHA256), RUN, priced(DIRTY_THEN_CLEAN)))
    assert document["verdict"].startswith("not claimable: the samples could not be kept")
    assert "the samples could not be written: the energy cannot be recomputed" in document["notes"]


def test_gaps_and_rejected_meters_are_kept(valid):
    run = trace(start_at=START + 5 * HOUR, gap="suspend of 60 s")
    run = replace(run, rejected=(RejectedMeter(name="nvml", component="gpu", reason="no GPU"),))
    document = valid(evidence_document(SHIFTED, run, priced(DIRTY_THEN_CLEAN)))
    assert document["inputs"]["gaps"] == ["suspend of 60 s"] * 12
    assert document["notes"].count("gap: suspend of 60 s") == 1
    assert document["inputs"]["rejected_meters"] == [{"name": "nvml", "component": "gpu", "reason": "no GPU", "remedy": ""}]


def test_what_the_meters_noted_is_passed_on(valid):
    run = replace(trace(start_at=START + 5 * HOUR), notes=("MIG device: its parent is read",))
    assert "meters: MIG device: its parent is read" in valid(evidence_document(SHIFTED, run, priced(DIRTY_THEN_CLEAN)))["notes"]


def test_what_nobody_stated_is_said(valid):
    bare = replace(SHIFTED, place=Place(zone="GB"), embodied=None)
    document = valid(evidence_document(bare, RUN, priced(DIRTY_THEN_CLEAN)))
    said = " ".join(document["notes"])
    for word in ("no PUE was stated", "no embodied emissions were stated", "no WUE was stated"):
        assert word in said
    assert document["embodied_g"] is None


def test_a_random_start_out_of_reach_is_said(valid):
    late = replace(SHIFTED, latest_start_at=START + 48 * HOUR)
    document = valid(evidence_document(late, RUN, priced(DIRTY_THEN_CLEAN)))
    assert document["random_start_g"] is None
    assert "the intensities do not reach over all possible starts: no random-start mean" in document["notes"]


def test_a_grid_without_emissions_has_no_share(valid):
    document = valid(evidence_document(SHIFTED, RUN, priced((0.0,) * 48)))
    assert document["counterfactual_g"] == 0
    assert document["claim"]["saving_share"] is None


def test_when_it_was_not_started_nothing_was_deferred():
    document = evidence_document(facts(started_at=None, ended_at=None), EnergyTrace(meters=()), reading(None, step="none"))
    assert document["claim"]["deferred_s"] == 0


def full_facts():
    return facts(
        command=("train", "--epochs", "3"),
        threshold_g_per_kwh=150.0,
        decision={"action": "wait", "expected_g_per_kwh": 100.0},
        labels={"phase": "baseline"},
        machine={"hardware": "EPYC"},
        simulated=True,
        hold_w=12.5,
        csv_path="/tmp/evidence.csv",
    )


@pytest.mark.parametrize("given", [full_facts(), facts(latest_start_at=None, started_at=None, ended_at=None, embodied=None)])
def test_facts_survive_the_round_trip(given):
    assert facts_from_document(json.loads(canonical(facts_document(given)))) == given


def test_facts_come_back_from_evidence():
    document = json.loads(canonical(evidence_document(full_facts(), trace(), priced(DIRTY_THEN_CLEAN))))
    assert facts_from_document(document) == full_facts()


def test_secrets_and_strange_bytes_are_not_recorded():
    given = facts(command=("train", "--token", "abc", "caf\udce9"), labels={"a": "\udce9"})
    document = facts_document(given)
    assert document["command"] == ["train", "--token", "***", "caf\\udce9"]
    assert document["labels"] == {"a": "\\udce9"}
    assert b"abc" not in canonical(document)


@pytest.mark.parametrize(
    "spoiled", [{"place": None}, {"runnable_at": "yesterday"}, {"command": 5}, {"place": {"zone": "GB", "pue": 0}}]
)
def test_spoiled_facts_are_damage(spoiled):
    with pytest.raises(EvidenceDamaged, match="facts of run run-1"):
        facts_from_document({**facts_document(facts()), **spoiled})


def test_a_spoiled_query_is_damage():
    with pytest.raises(EvidenceDamaged, match="query"):
        query_from_document({"zone": "GB"})


def test_the_span_to_price_reaches_over_every_start():
    assert span_to_price(SHIFTED) == (START, START + 7 * HOUR), "the latest start is at 6 h, the run took one"
    assert span_to_price(facts(latest_start_at=None)) == (START, START + HOUR)
    assert span_to_price(facts(started_at=START - SLOT, latest_start_at=START)) == (START - SLOT, START + HOUR + SLOT)
    assert span_to_price(facts(started_at=None, ended_at=None, latest_start_at=None)) == (START, START)


def test_the_place_and_hardware_are_in_the_inputs():
    inputs = evidence_document(SHIFTED, RUN, priced(DIRTY_THEN_CLEAN))["inputs"]
    assert inputs["place"]["pue"] == HALL.pue
    assert inputs["embodied"]["life_h"] == SERVER.life_h
    assert inputs["query"]["purpose"] == "observed"
    assert inputs["step_s"] == 1800
    issued = replace(priced(DIRTY_THEN_CLEAN).series, issued_at=START)
    assert evidence_document(SHIFTED, RUN, reading(issued))["inputs"]["issued_at"] == "2026-11-24T09:00:00Z"
