"""A job's life: what is written, in which order, whatever happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.engine.scenario import DOWN, START, Scenario, grid

from greenai.engine.progress import Ended, Replanned, Started, Waiting
from greenai.engine.run import run_job
from greenai.engine.settle import settle_all
from greenai.errors import InputError, NoFeasibleWindow, ProviderUnavailable, StoreError

DIRTY, CLEAN = 400.0, 100.0
CLEAN_AT_NOON = [DIRTY] * 6 + [CLEAN] * 4 + [DIRTY] * 38


def test_it_waits_for_the_clean_hour_and_leaves_evidence() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    outcome = run_job(scene.request(), scene.doors)
    assert scene.ledger.types() == ["decision", "run_started", "run_ended", "evidence"]
    assert outcome.exit_code == 0
    assert outcome.warnings == ()
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"] == "2026-11-24T12:00:00Z"
    assert outcome.evidence["operational_g"] == pytest.approx(0.1 * CLEAN)
    assert outcome.evidence["counterfactual_g"] == pytest.approx(0.1 * DIRTY)
    assert outcome.evidence["provisional"] is True
    assert outcome.evidence["verdict"].startswith("not claimable")
    assert outcome.evidence["sha256"] == scene.ledger.written[-1].sha256


def test_a_run_without_slack_starts_at_once() -> None:
    scene = Scenario(CLEAN_AT_NOON, slack_hours=0)
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"] == "2026-11-24T09:00:00Z"
    assert outcome.evidence["saving_g"] == 0
    assert not [told for told in scene.told if isinstance(told, Waiting)]


def test_measure_makes_no_decision_and_asks_for_measured_values() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.publish([250.0] * 48)
    outcome = run_job(scene.request(waits=False), scene.doors)
    assert scene.ledger.types() == ["run_started", "run_ended", "evidence"]
    assert outcome.decision is None
    assert outcome.evidence is not None
    assert outcome.evidence["intensity"]["kind"] == "observed"
    assert outcome.evidence["provisional"] is False


def test_the_exit_code_of_the_command_passes_through() -> None:
    scene = Scenario(CLEAN_AT_NOON, slack_hours=0)
    scene.executor.exit_code = 7
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.exit_code == 7
    assert outcome.evidence is not None
    assert outcome.evidence["exit_code"] == 7


def test_each_step_is_told() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    run_job(scene.request(), scene.doors)
    kinds = [type(told) for told in scene.told]
    assert kinds == [Waiting] * 6 + [Started, Ended]


def test_the_start_says_why_where_the_job_could_have_waited() -> None:
    worth_nothing, no_slack = Scenario([CLEAN + 0.5] * 2 + [CLEAN] * 46), Scenario([CLEAN] * 48, slack_hours=0)
    reasons = []
    for scene in (worth_nothing, no_slack):
        run_job(scene.request(), scene.doors)
        reasons += [told.reason for told in scene.told if isinstance(told, Started)]
    assert reasons[0].startswith("not worth waiting")
    assert reasons[1] == ""


def test_a_new_forecast_moves_the_start_and_both_decisions_are_kept() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    earlier = [DIRTY] * 3 + [CLEAN] * 4 + [DIRTY] * 41
    scene.foresee(grid(CLEAN_AT_NOON), grid(CLEAN_AT_NOON), grid(earlier))
    outcome = run_job(scene.request(), scene.doors)
    assert [record.payload["windows"][0]["start_at"] for record in scene.ledger.written[:2]] == [
        "2026-11-24T12:00:00Z",
        "2026-11-24T10:30:00Z",
    ]
    assert [told for told in scene.told if isinstance(told, Replanned)]
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"] == "2026-11-24T10:30:00Z"


def test_a_network_blip_while_waiting_loses_nothing() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.archive.failure = StoreError("no archive either")
    scene.foresee(grid(CLEAN_AT_NOON), DOWN)
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"] == "2026-11-24T12:00:00Z"


def test_with_require_live_a_dead_service_refuses_before_anything_is_started() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.foresee(DOWN)
    with pytest.raises(ProviderUnavailable):
        run_job(scene.request(require_live=True), scene.doors)
    assert scene.ledger.types() == []
    assert scene.executor.launched == []
    assert scene.runs.claimed == set()


def test_a_blip_after_the_first_live_answer_does_not_end_a_live_only_wait() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.foresee(grid(CLEAN_AT_NOON), DOWN)
    outcome = run_job(scene.request(require_live=True), scene.doors)
    assert outcome.exit_code == 0


def test_an_impossible_job_is_refused_before_anything_is_started() -> None:
    scene = Scenario(CLEAN_AT_NOON, hours=1, slack_hours=-0.5)
    with pytest.raises(NoFeasibleWindow):
        run_job(scene.request(), scene.doors)
    assert scene.ledger.types() == []


def test_a_suspended_laptop_starts_the_job_late_rather_than_never() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.at(1.25, lambda: scene.clock.jump(timedelta(days=2)))
    outcome = run_job(scene.request(), scene.doors)
    assert len(scene.executor.launched) == 1
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"] > "2026-11-26"


def test_a_clock_set_back_only_makes_it_wait_longer() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.at(1.25, lambda: scene.clock.jump(timedelta(minutes=-45)))
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"] == "2026-11-24T12:00:00Z"


def test_waking_a_minute_late_is_on_time_although_a_tie_lies_ahead() -> None:
    twice_clean = [DIRTY] * 2 + [CLEAN] * 2 + [DIRTY] * 2 + [CLEAN] * 2 + [DIRTY] * 40
    scene = Scenario(twice_clean)
    scene.at(0.99, lambda: scene.clock.jump(timedelta(minutes=1.6)))
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"].startswith("2026-11-24T10:0")


def test_ctrl_c_while_waiting_is_recorded() -> None:
    scene = Scenario(CLEAN_AT_NOON)

    def press() -> None:
        raise KeyboardInterrupt

    scene.at(1.25, press)
    with pytest.raises(KeyboardInterrupt):
        run_job(scene.request(), scene.doors)
    assert scene.ledger.types() == ["decision", "interrupted"]
    assert scene.ledger.written[-1].payload["phase"] == "waiting"
    assert scene.executor.launched == []
    assert scene.runs.claimed == set()


def test_a_full_disk_before_the_start_refuses_the_job() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.ledger.failure = StoreError("the disk is full")
    with pytest.raises(StoreError, match="the disk is full"):
        run_job(scene.request(), scene.doors)
    assert scene.executor.launched == []


def test_a_full_disk_during_the_wait_never_costs_the_job() -> None:
    scene = Scenario(CLEAN_AT_NOON)

    def fill() -> None:
        scene.ledger.failure = StoreError("the disk is full")

    scene.at(1.25, fill)
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.exit_code == 0
    assert outcome.evidence is None
    assert len(scene.executor.launched) == 1
    assert len(outcome.warnings) == 3
    assert all("the disk is full" in warning and "evidence settle" in warning for warning in outcome.warnings)


def test_a_run_held_by_another_process_is_refused() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.runs.claimed.add("run-1")
    with pytest.raises(StoreError, match="another process"):
        run_job(scene.request(), scene.doors)


def test_a_command_that_cannot_start_is_recorded_and_never_taken_for_a_run() -> None:
    scene = Scenario(CLEAN_AT_NOON, slack_hours=0)
    scene.executor.failure = InputError("not executable")
    with pytest.raises(InputError):
        run_job(scene.request(), scene.doors)
    assert scene.ledger.types() == ["decision", "run_started", "interrupted"]
    assert settle_all(scene.doors).recovered == ()


def test_a_forecast_that_ends_before_the_run_is_read_again_for_the_price() -> None:
    scene = Scenario([DIRTY, CLEAN, DIRTY], hours=1, slack_hours=0.5)
    scene.executor.duration = timedelta(hours=3)
    scene.foresee(grid([DIRTY, CLEAN, DIRTY]), grid([DIRTY] * 20))
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.evidence is not None
    assert outcome.evidence["operational_g"] == pytest.approx(0.3 * DIRTY)


def test_evidence_without_any_intensity_keeps_the_energy() -> None:
    scene = Scenario([DIRTY] * 4, hours=1, slack_hours=0)
    scene.executor.duration = timedelta(hours=30)
    scene.archive.failure = StoreError("no archive")
    scene.foresee(grid([DIRTY] * 4), DOWN)
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.evidence is not None
    assert outcome.evidence["it_kwh"] == pytest.approx(3.0)
    assert outcome.evidence["operational_g"] is None


def test_a_forecast_too_short_to_plan_on_leaves_the_plan_standing() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.foresee(grid(CLEAN_AT_NOON), grid([DIRTY] * 2))
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"] == "2026-11-24T12:00:00Z"


def test_a_job_that_is_too_late_by_policy_is_refused() -> None:
    scene = Scenario(CLEAN_AT_NOON, slack_hours=1)
    request = scene.request()
    late = replace(request.job, submitted_at=START + timedelta(hours=1.5))
    with pytest.raises(NoFeasibleWindow):
        run_job(replace(request, job=late), scene.doors)
    assert scene.ledger.types() == []


def test_an_unknown_grid_still_runs_the_job() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.archive.failure = StoreError("no archive")
    scene.foresee(DOWN)
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.exit_code == 0
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"] == "2026-11-24T09:00:00Z"
    assert outcome.evidence["operational_g"] is None


def test_a_file_that_vanishes_during_the_wait_costs_neither_job_nor_evidence() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.executor.duration = timedelta(hours=40)
    scene.door.give("https://grid.invalid/observed", InputError("the file is gone"))
    scene.foresee(grid(CLEAN_AT_NOON), InputError("the file is gone"))
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.evidence is not None
    assert outcome.evidence["started_at"] == "2026-11-24T12:00:00Z"
    assert outcome.evidence["it_kwh"] == pytest.approx(4.0)
    assert outcome.evidence["operational_g"] is None


def test_samples_that_the_disk_does_not_give_back_cost_only_their_proof() -> None:
    scene = Scenario(CLEAN_AT_NOON)

    def broken(run_id: str) -> bytes:
        raise StoreError(f"the samples of {run_id} cannot be read")

    scene.runs.body = broken  # type: ignore[method-assign]  # the broken disk
    outcome = run_job(scene.request(), scene.doors)
    assert outcome.evidence is not None
    assert outcome.evidence["it_kwh"] == pytest.approx(0.1)
    assert outcome.evidence["verdict"].startswith("not claimable")
    assert "cannot be read" in outcome.warnings[0]
