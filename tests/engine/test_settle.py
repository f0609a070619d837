"""Completing the ledger: dead runs recovered, provisional evidence settled, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.engine.scenario import START, Scenario, grid

from greenai.engine.run import run_job
from greenai.engine.settle import SettleReport, settle_all
from greenai.errors import StoreError
from greenai.model.plan import Window

DIRTY, CLEAN = 400.0, 100.0
CLEAN_AT_NOON = [DIRTY] * 6 + [CLEAN] * 4 + [DIRTY] * 38


class Killed(BaseException):
    """SIGKILL: nothing below the engine may run after it but what the operating system does."""


def _die() -> None:
    raise Killed


def _kill_at_append(scene: Scenario, number: int, *, after: bool) -> None:
    """Die before or after the ledger's append number `number`, counted from 1."""
    append = scene.ledger.append

    def dying(*args: Any, **kwargs: Any) -> Any:
        dies = len(scene.ledger.written) + 1 == number
        if dies and not after:
            _die()
        record = append(*args, **kwargs)
        if dies:
            _die()
        return record

    scene.ledger.append = dying  # type: ignore[method-assign]  # the crash


def _next_process(scene: Scenario) -> None:
    """What is left after a SIGKILL: the claims of the dead are free."""
    scene.runs.claimed.clear()
    vars(scene.ledger).pop("append", None)


def _crashes() -> Iterator[tuple[int, bool]]:
    for number in range(1, 5):
        yield number, False
        yield number, True


@pytest.mark.parametrize(("number", "after"), list(_crashes()))
def test_a_crash_at_any_line_of_the_ledger_loses_and_doubles_nothing(number: int, after: bool) -> None:
    scene = Scenario(CLEAN_AT_NOON)
    _kill_at_append(scene, number, after=after)
    with pytest.raises(Killed):
        run_job(scene.request(), scene.doors)
    _next_process(scene)
    settle_all(scene.doors)
    again = settle_all(scene.doors)
    types = Counter(scene.ledger.types())
    assert again.recovered == ()
    assert types["evidence"] == types["run_started"] <= 1
    assert types["run_ended"] == types["run_started"]
    assert len(scene.executor.launched) <= 1


def test_a_run_killed_halfway_keeps_what_was_spooled_and_says_so() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.executor.during = _die
    with pytest.raises(Killed):
        run_job(scene.request(), scene.doors)
    _next_process(scene)
    report = settle_all(scene.doors)
    assert report.recovered == ("run-1",)
    evidence = scene.ledger.written[-1].payload
    assert scene.ledger.types() == ["decision", "run_started", "interrupted", "run_ended", "evidence"]
    assert evidence["exit_code"] is None
    assert evidence["it_kwh"] == pytest.approx(0.1 * 0.5)
    assert evidence["verdict"].startswith("not claimable")


def test_a_run_killed_before_its_first_sample_has_evidence_of_nothing_known() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    _kill_at_append(scene, 2, after=True)
    with pytest.raises(Killed):
        run_job(scene.request(), scene.doors)
    _next_process(scene)
    settle_all(scene.doors)
    evidence = scene.ledger.written[-1].payload
    assert evidence["it_kwh"] is None
    assert evidence["ended_at"] == evidence["started_at"]


def test_a_run_killed_while_waiting_is_closed_without_evidence() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.at(1.25, _die)
    with pytest.raises(Killed):
        run_job(scene.request(), scene.doors)
    _next_process(scene)
    assert settle_all(scene.doors).recovered == ("run-1",)
    assert scene.ledger.types() == ["decision", "interrupted"]
    assert settle_all(scene.doors).recovered == ()


def test_records_of_no_run_are_passed_over() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.ledger.append("note", {"about": "a torn line"}, scene.clock.now())
    assert settle_all(scene.doors) == SettleReport()


def test_a_live_run_is_left_alone() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    seen = []

    def settle_meanwhile() -> None:
        seen.append(settle_all(scene.doors))

    scene.executor.during = settle_meanwhile
    run_job(scene.request(), scene.doors)
    assert seen[0].waiting == (("run-1", "it is still running"),)
    assert scene.ledger.types() == ["decision", "run_started", "run_ended", "evidence"]


def test_measured_values_settle_provisional_evidence_once() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    run_job(scene.request(), scene.doors)
    early = settle_all(scene.doors)
    assert early.settled == ()
    assert "no measured intensities of GB yet" in early.waiting[0][1]
    scene.publish([DIRTY] * 6 + [200.0] * 42)
    scene.clock.advance(timedelta(days=2))
    report = settle_all(scene.doors)
    settled = report.settled[0]
    evidence = scene.ledger.written[3]
    assert settled["settles"] == evidence.sha256
    assert settled["operational_g"] == pytest.approx(0.1 * 200)
    assert settled["counterfactual_g"] == pytest.approx(0.1 * DIRTY)
    assert settled["provisional"] is False
    assert settled["verdict"] == "claimable"
    assert scene.ledger.written[3] == evidence
    assert settle_all(scene.doors).settled == ()


def test_measured_values_that_end_too_early_are_waited_for() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    run_job(scene.request(), scene.doors)
    scene.publish([DIRTY] * 6)
    assert "published up to 2026-11-24T12:00:00Z" in settle_all(scene.doors).waiting[0][1]


def test_a_service_without_measured_values_is_named() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    run_job(scene.request(), scene.doors)
    scene.door.give("https://grid.invalid/observed", grid([DIRTY] * 48, kind="forecast"))
    assert settle_all(scene.doors).waiting == (("run-1", "no service publishes measured intensities of GB"),)


def test_a_run_settled_by_another_process_meanwhile_is_not_settled_twice() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    run_job(scene.request(), scene.doors)
    scene.publish([200.0] * 48)
    claim = scene.runs.claim
    other = scene.doors

    def late(run_id: str) -> Any:
        scene.runs.claim = claim  # type: ignore[method-assign]  # only the first time
        settle_all(other)
        return claim(run_id)

    scene.runs.claim = late  # type: ignore[method-assign]  # the other process is faster
    settle_all(scene.doors)
    assert scene.ledger.types().count("settlement") == 1


def test_a_run_recovered_by_another_process_meanwhile_is_not_recovered_twice() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.executor.during = _die
    with pytest.raises(Killed):
        run_job(scene.request(), scene.doors)
    _next_process(scene)
    claim = scene.runs.claim

    def late(run_id: str) -> Any:
        scene.runs.claim = claim  # type: ignore[method-assign]  # only the first time
        settle_all(scene.doors)
        return claim(run_id)

    scene.runs.claim = late  # type: ignore[method-assign]  # the other process is faster
    assert settle_all(scene.doors).recovered == ()
    assert scene.ledger.types().count("evidence") == 1


def test_trouble_with_the_ledger_while_completing_is_reported() -> None:
    scene = Scenario(CLEAN_AT_NOON)
    scene.executor.during = _die
    with pytest.raises(Killed):
        run_job(scene.request(), scene.doors)
    _next_process(scene)
    scene.ledger.failure = StoreError("the disk is full")
    with pytest.raises(StoreError):
        settle_all(scene.doors)
    scene.ledger.failure = None
    assert settle_all(scene.doors).recovered == ("run-1",)


def test_a_crash_before_the_evidence_keeps_when_the_command_stood_still_and_what_was_done_to_it() -> None:
    scene = Scenario(CLEAN_AT_NOON, hours=2)
    scene.executor.standing = (Window(start_at=START + timedelta(hours=3.5), end_at=START + timedelta(hours=4)),)
    scene.executor.done_to_it = "did not pause within 5 s: sent TERM"
    _kill_at_append(scene, 4, after=False)
    with pytest.raises(Killed):
        run_job(scene.request(), scene.doors)
    _next_process(scene)
    settle_all(scene.doors)
    spans = [{"start_at": "2026-11-24T12:30:00Z", "end_at": "2026-11-24T13:00:00Z"}]
    assert [record.payload["frozen"] for record in scene.ledger.written if record.type == "run_ended"] == [spans]
    assert scene.ledger.written[-1].payload["inputs"]["frozen"] == spans
    assert scene.ledger.written[-1].payload["inputs"]["end_note"] == "did not pause within 5 s: sent TERM"
