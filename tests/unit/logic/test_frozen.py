"""A command that stood still: cut out of what would have been used, kept in what was; and legs that add up to their job."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from importlib import resources

import jsonschema
import pytest
from tests.evidence_world import (
    DIRTY_THEN_CLEAN,
    HALL,
    HOUR,
    SERVER,
    START,
    facts,
    priced,
    series,
    trace,
)

from greenai.logic.accounting import compare
from greenai.logic.evidencing import evidence_document, facts_from_document, span_to_price
from greenai.logic.spreading import slot_kwh, spans_of, without
from greenai.model.energy import EnergyTrace
from greenai.model.evidence import canonical
from greenai.model.footprint import Estimate
from greenai.model.plan import Window, merged, total_of
from greenai.model.zone import Place

PLAIN = Place(zone="GB")
MINUTE = timedelta(minutes=1)
STEPPED = series(DIRTY_THEN_CLEAN)


@pytest.fixture(scope="module")
def valid():
    schema = json.loads((resources.files("greenai.schemas") / "evidence.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())

    def check(document):
        validator.validate(document)
        return document

    return check


def span(start_min: float, end_min: float) -> Window:
    return Window(start_at=START + start_min * MINUTE, end_at=START + end_min * MINUTE)


def test_spans_that_overlap_count_once():
    """A clock that was set back between two of them."""
    assert merged([span(20, 30), span(0, 10), span(5, 15), span(30, 40)]) == (span(0, 15), span(20, 40))
    assert total_of([span(0, 10), span(5, 15)]) == 15 * MINUTE
    assert total_of(()) == timedelta(0)


def test_what_stood_still_is_cut_out_and_the_rest_closed_up():
    """Three intervals of five minutes; the middle one is frozen."""
    work = without(spans_of(trace(power_w=(120.0, 10.0, 120.0))), (span(5, 10),))
    assert list(work.job_j) == [36_000, 0, 36_000]
    assert list(work.start_s) == [0, 300, 300]
    assert list(work.end_s) == [300, 300, 600]


def test_an_interval_with_a_hole_keeps_its_energy_by_time():
    work = without(spans_of(trace(power_w=(120.0,), step_s=600)), (span(2, 4), span(5, 6)))
    assert list(work.job_j) == pytest.approx([120 * 420])
    assert list(work.end_s) == [420]


def test_instants_are_kept_unless_they_lie_in_a_frozen_span():
    run = spans_of(trace(power_w=(120.0, 120.0)))
    instants = replace(run, end_s=run.start_s)
    assert list(without(instants, (span(5, 6),)).job_j) == [36_000, 0]
    assert list(without(instants, (span(4, 5),)).job_j) == [36_000, 36_000], "the end of a span is outside it"


def test_a_run_that_never_stood_still_is_as_it_was():
    run = spans_of(trace())
    assert without(run, ()) is run


def frozen_run() -> EnergyTrace:
    """An hour of work at 100 W around four hours frozen at 10 W, from the first runnable moment."""
    return trace(power_w=(100.0,) * 6 + (10.0,) * 48 + (100.0,) * 6)


FROZEN = (span(30, 270),)


def test_the_actual_run_is_charged_for_standing_still_and_the_counterfactual_is_not():
    """300 g/kWh for four hours, then 100. At once: 0.1 kWh at 300. As it was: half at 300, half at 100, and the wait."""
    found = compare(frozen_run(), STEPPED, PLAIN, runnable_at=START, latest_start_at=None, frozen=FROZEN)
    assert found.counterfactual_g.value == pytest.approx(0.1 * 300)
    waited_g = 10 / 1000 * (3.5 * 300 + 0.5 * 100)
    assert found.actual_g.value == pytest.approx(0.05 * 300 + 0.05 * 100 + waited_g)
    assert found.saving_g.value == pytest.approx(found.counterfactual_g.value - found.actual_g.value)
    assert found.deferred == 4 * HOUR, "it was shifted, though it started at once"
    assert found.hold_g == Estimate.exact(0.0)


def test_a_start_that_waited_and_a_run_that_stood_still():
    """The closed-up run from the first runnable moment, not from where it started."""
    late = trace(start_at=START + HOUR, power_w=(100.0,) * 6 + (0.0,) * 48 + (100.0,) * 6)
    frozen = (Window(start_at=START + 1.5 * HOUR, end_at=START + 5.5 * HOUR),)
    found = compare(late, STEPPED, PLAIN, runnable_at=START, latest_start_at=None, frozen=frozen)
    assert found.deferred == 5 * HOUR
    assert found.counterfactual_g.value == pytest.approx(0.1 * 300)
    assert found.actual_g.value == pytest.approx(0.05 * 300 + 0.05 * 100)


def test_the_machine_is_charged_for_the_time_in_which_it_kept_the_memory():
    found = compare(frozen_run(), STEPPED, HALL, runnable_at=START, latest_start_at=None, embodied=SERVER, frozen=FROZEN)
    assert found.hold_g == SERVER.over(4 * 3600)
    late = replace(frozen_run(), intervals=trace(start_at=START + HOUR, power_w=(100.0,) * 12).intervals)
    frozen = (Window(start_at=START + 1.5 * HOUR, end_at=START + 1.6 * HOUR),)
    held = {"runnable_at": START, "latest_start_at": None, "hold_w": 50.0, "embodied": SERVER}
    with_it, without_it = (compare(late, STEPPED, HALL, **held, frozen=spans) for spans in (frozen, ()))
    assert with_it.hold_g.value - without_it.hold_g.value == pytest.approx(SERVER.over(360).value)


def test_the_error_of_what_was_drawn_while_frozen_does_not_cancel():
    """On a flat grid the work saves nothing for certain; what it drew while frozen is a loss as uncertain as the meter."""
    found = compare(frozen_run(), series([200.0] * 48), PLAIN, runnable_at=START, latest_start_at=None, frozen=FROZEN)
    assert found.saving_g.value == pytest.approx(-0.04 * 200)
    assert found.saving_g.low < found.saving_g.value < found.saving_g.high < 0


def test_the_random_start_is_of_the_work_alone():
    slack = {"runnable_at": START, "latest_start_at": START + HOUR}
    found = compare(frozen_run(), series([200.0] * 48), PLAIN, **slack, frozen=FROZEN)
    assert found.random_start_g == pytest.approx(0.1 * 200)


def known(**changes):
    given = {"started_at": START, "ended_at": START + 5 * HOUR, "frozen": FROZEN, "latest_start_at": START + 6 * HOUR, **changes}
    return facts(**given)


def test_the_document_says_when_it_stood_still_and_comes_back(valid):
    document = valid(json.loads(canonical(evidence_document(known(), frozen_run(), priced(DIRTY_THEN_CLEAN)))))
    assert document["inputs"]["frozen"] == [{"start_at": "2026-11-24T09:30:00Z", "end_at": "2026-11-24T13:30:00Z"}]
    assert document["claim"]["deferred_s"] == 4 * 3600
    assert any("frozen for 14400 s" in note for note in document["notes"])
    assert facts_from_document(document) == known()


def test_without_samples_the_time_is_still_known():
    document = evidence_document(known(), EnergyTrace(meters=()), priced(DIRTY_THEN_CLEAN))
    assert document["claim"]["deferred_s"] == 4 * 3600


def test_only_the_work_has_to_be_priced_from_the_latest_start():
    assert span_to_price(known()) == (START, START + 7 * HOUR)
    assert span_to_price(known(frozen=())) == (START, START + 11 * HOUR)


def test_a_document_without_frozen_spans_has_no_word_of_them(valid):
    document = valid(evidence_document(facts(), trace(), priced(DIRTY_THEN_CLEAN)))
    assert "frozen" not in document["inputs"]
    assert "end_note" not in document["inputs"]
    assert not any("frozen" in note or "ended" in note for note in document["notes"])


def test_the_document_says_what_was_done_to_the_command_in_the_end_and_comes_back(valid):
    deaf = known(end_note="did not pause within 5 s: sent TERM, then KILL", exit_code=137)
    document = valid(json.loads(canonical(evidence_document(deaf, frozen_run(), priced(DIRTY_THEN_CLEAN)))))
    assert document["inputs"]["end_note"] == deaf.end_note
    assert "how it ended: did not pause within 5 s: sent TERM, then KILL" in document["notes"]
    assert facts_from_document(document) == deaf


# ---- legs ----


def leg(start_at, power_w, *, worked, **changes):
    """A leg's evidence: it would have run after the time worked in the legs before it."""
    run = trace(start_at=start_at, power_w=power_w)
    end_at = run.intervals[-1].end_at
    told = facts(runnable_at=START + worked, started_at=start_at, ended_at=end_at, latest_start_at=None, embodied=None, **changes)
    return evidence_document(told, run, priced(WAVE))


WAVE = tuple(200.0 + 150.0 * ((n * 7) % 13) / 13 for n in range(48))


def test_the_legs_of_a_job_add_up_to_it():
    """Two legs, three and nine hours after the job could have run, against the whole work at once."""
    first = leg(START + 3 * HOUR, (100.0, 180.0, 60.0) * 4, worked=timedelta(0), exit_code=75)
    second = leg(START + 9 * HOUR, (90.0, 40.0) * 12, worked=HOUR, exit_code=0)
    at_once = trace(power_w=(100.0, 180.0, 60.0) * 4 + (90.0, 40.0) * 12)
    grid = series(WAVE)
    whole = sum(slot_kwh(spans_of(at_once), grid, START) * grid.values) * HALL.pue
    assert first["counterfactual_g"] + second["counterfactual_g"] == pytest.approx(whole)
    assert first["it_kwh"] + second["it_kwh"] == pytest.approx(spans_of(at_once).job_j.sum() / 3.6e6)
    saved = whole - first["actual_g"] - second["actual_g"]
    assert first["saving_g"] + second["saving_g"] == pytest.approx(saved)
    assert first["verdict"] == (
        "not claimable: the command was paused (exit code 75): what it saved counts once a later leg has completed the job"
    )


def test_legs_without_an_own_runnable_moment_would_not_add_up():
    """The defect that `worked` guards against: each leg compared with the start of the job."""
    second = leg(START + 9 * HOUR, (90.0, 40.0) * 12, worked=HOUR)
    wrong = leg(START + 9 * HOUR, (90.0, 40.0) * 12, worked=timedelta(0))
    assert second["counterfactual_g"] != pytest.approx(wrong["counterfactual_g"], rel=1e-3)


def test_a_frozen_leg_and_a_leg_after_it_add_up_too():
    """Frozen time is no time worked."""
    frozen = (Window(start_at=START + 3.5 * HOUR, end_at=START + 5.5 * HOUR),)
    first = leg(START + 3 * HOUR, (100.0,) * 6 + (0.0,) * 24 + (100.0,) * 6, worked=timedelta(0), frozen=frozen, exit_code=75)
    second = leg(START + 9 * HOUR, (50.0,) * 12, worked=HOUR)
    grid = series(WAVE)
    at_once = spans_of(trace(power_w=(100.0,) * 12 + (50.0,) * 12))
    whole = sum(slot_kwh(at_once, grid, START) * grid.values) * HALL.pue
    assert first["counterfactual_g"] + second["counterfactual_g"] == pytest.approx(whole)
