"""One tick after another: what it plans, starts, pauses and writes down."""

from __future__ import annotations

from datetime import timedelta

from greenai.model.queue import Ended, Held, Paused, Queued, Running, Waiting
from tests.engine.queue_scenario import START, World, window
from tests.queue_world import HOUR

DIRTY, CLEAN = 400.0, 100.0
NIGHT = [DIRTY] * 8 + [CLEAN] * 8 + [DIRTY] * 80
"""Clean from 13:00 to 17:00."""


def test_a_job_waits_for_the_clean_hours_and_runs_once() -> None:
    world = World(NIGHT)
    job = world.job(hours=2)
    first = world.tick()
    assert world.status(job) == Waiting(windows=(window(4, 6),))
    assert first.wake_at == START + timedelta(minutes=30)
    world.run(timedelta(hours=12))
    assert world.outcome(job) == "completed"
    assert world.starts(job) == [4.0]
    assert world.executor.launched[0].decision is not None


def test_two_jobs_on_one_gpu_run_one_after_another() -> None:
    world = World(NIGHT)
    jobs = [world.job(hours=2) for _ in range(2)]
    world.run(timedelta(hours=12))
    assert sorted(world.starts(job)[0] for job in jobs) == [4.0, 6.0]
    assert [world.outcome(job) for job in jobs] == ["completed", "completed"]
