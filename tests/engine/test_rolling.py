"""Re-planning each slot on a forecast of our own: a job follows what the grid does, and is never late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.engine.foresight_world import HOUR, METER, NOW, Grid
from tests.forecasting_world import grid

from greenai.engine import wait as waiting
from greenai.engine.foresee import OWN
from greenai.engine.run import RunRequest, run_job
from greenai.engine.verify import verify
from greenai.engine.wait import LEAST_SLACK, choose, wait_for_start
from greenai.logic.placing import greenest
from greenai.model.evidence import RunFacts
from greenai.model.zone import Place

DAYS = 75
FIRST = NOW.replace(hour=0, minute=0) - timedelta(days=DAYS)
HOURS = DAYS * 24 + 24 * 5
NOW_H = DAYS * 24 + NOW.hour


def world(values: np.ndarray | None = None, *, seed: int = 3) -> Grid:
    return Grid(grid(HOURS, seed=seed) if values is None else values, first_at=FIRST)


def wait(here: Grid, **limits):
    job, kept = here.job(**limits), []
    choice = wait_for_start(job, greenest, here.doors, require_live=False, keep=kept.append)
    assert here.clock.now() <= job.constraints.latest_start_at
    assert choice.decision.start_at <= job.constraints.latest_start_at
    return choice, kept


def test_a_job_whose_forecast_was_wrong_is_moved_to_what_came():
    plain = world()
    first = choose(plain.job(), greenest, plain.doors, now_at=NOW)
    assert first.decision.action == "wait"
    planned_h = (first.decision.start_at - FIRST) // HOUR
    assert planned_h - NOW_H > 4
    # Three hours on, a storm nobody foresaw: the grid is far cleaner, and stays so for some hours, than was planned for.
    stormy = plain.values.copy()
    stormy[NOW_H + 3 : NOW_H + 7] *= 0.3
    here = world(stormy)
    moved, kept = wait(here)
    assert kept[0].decision.start_at == first.decision.start_at
    assert moved.decision.start_at < first.decision.start_at
    assert moved.reading.own is not None
    began = int((moved.decision.start_at - FIRST) // HOUR)
    assert stormy[began : began + 2].mean() < plain.values[planned_h : planned_h + 2].mean()


def test_no_job_is_late_whatever_the_grid_does():
    for seed in range(4):
        for slack_hours in (0, 0.2, 3, 30):
            wait(world(seed=seed), slack_hours=slack_hours)


def test_rolling_gains_most_of_what_was_to_be_had():
    spent, now, best = 0.0, 0.0, 0.0
    for seed in range(6):
        here = world(seed=seed)
        choice, _ = wait(here)
        began = round((choice.decision.start_at - FIRST) / HOUR)
        costs = [here.values[hour : hour + 2].sum() for hour in range(NOW_H, NOW_H + 23)]
        spent, now, best = spent + here.values[began : began + 2].sum(), now + costs[0], best + min(costs)
    assert (now - spent) / (now - best) > 0.7


def test_a_wait_goes_on_without_hysteresis_once_it_has_begun():
    here = world()
    job = here.job(min_saving=0.03)
    once = choose(job, greenest, here.doors, now_at=NOW)
    saving = once.decision.expected_saving
    high = replace(job, constraints=replace(job.constraints, min_saving=saving + 0.05))
    assert choose(high, greenest, here.doors, now_at=NOW).decision.action == "run"
    assert choose(high, greenest, here.doors, now_at=NOW, waits=True).decision.start_at == once.decision.start_at


def test_a_service_dying_while_the_job_waits_leaves_the_last_plan():
    here = world()
    first = choose(here.job(), greenest, here.doors, now_at=NOW)
    here.clock.at(NOW + timedelta(minutes=1), lambda: setattr(here, "down", True))
    here.restarted()
    choice, _ = wait(here)
    assert choice.decision.action in {"run", "wait"}
    assert choice.decision.start_at <= first.decision.start_at + 12 * HOUR


def test_a_job_with_hardly_any_slack_reads_no_history():
    here = world()
    wait(here, slack_hours=(LEAST_SLACK - timedelta(minutes=1)) / HOUR)
    assert not any("/observed" in url for url in here.asked)


def test_near_the_latest_start_the_plan_stands():
    rising = grid(HOURS, seed=3)
    falling = rising.copy()
    falling[NOW_H:] = 300 * 0.97 ** np.arange(HOURS - NOW_H)
    here = world(falling)
    choice, _ = wait(here, slack_hours=4.05)
    assert choice.decision.start_at >= NOW + 3 * HOUR


def test_the_last_quarter_of_an_hour_brings_no_new_forecast():
    here = world()
    job = here.job(slack_hours=1.3)
    first = choose(job, greenest, here.doors, now_at=NOW)
    latest_at = job.constraints.latest_start_at
    late = replace(first.decision, windows=tuple(replace(window, start_at=latest_at) for window in first.decision.windows))
    choice = replace(first, decision=late)
    here.asked.clear()
    near_at = latest_at - timedelta(minutes=5)
    assert waiting._look_again(job, greenest, here.doors, choice=choice, now_at=near_at) is choice
    assert here.asked == []


def run(here: Grid):
    job = here.job(min_saving=0.9)
    facts = RunFacts(
        run_id=job.id,
        command=job.command,
        runnable_at=NOW,
        latest_start_at=job.constraints.latest_start_at,
        place=Place(zone="GB"),
        version="0",
    )
    return run_job(RunRequest(facts=facts, job=job, policy=greenest), here.doors)


def test_evidence_priced_by_an_own_forecast_verifies_and_a_changed_record_does_not():
    here = world()
    # From the start on nothing is published: the evidence is priced by the forecast, and provisional.
    here.holes = {NOW.replace(minute=0) + HOUR * number for number in range(9)}
    outcome = run(here)
    assert outcome.evidence["inputs"]["provider"] == "lpr"
    decided = [record for record in here.ledger.written if record.type == "decision"]
    assert decided[0].payload["source"]["own_forecast"]["method"] == "lpr"
    assert decided[0].payload["source"]["payload_sha256s"]
    report = verify(here.ledger, here.runs, here.archive, (METER,))
    assert report.problems == ()
    place = next(number for number, (name, *_) in enumerate(here.archive.kept) if name == OWN)
    del here.archive.kept[place:]
    assert any("is missing" in problem for problem in verify(here.ledger, here.runs, here.archive, (METER,)).problems)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_comes_after_the_start_changes_no_decision(seed):
    plain = world(seed=seed)
    choice, _ = wait(plain)
    began = round((choice.decision.start_at - FIRST) / HOUR)
    other = plain.values.copy()
    other[began:] = np.random.default_rng(1).permutation(other[began:]) * 5
    again, _ = wait(world(other))
    assert again.decision.windows == choice.decision.windows
