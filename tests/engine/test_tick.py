"""One tick after another: what it plans, starts, pauses and writes down."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from tests.engine.queue_scenario import START, World, window
from tests.queue_world import HOUR

from greenai.model.queue import Ended, Held, Paused, Queued, Running, Waiting

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


def test_nothing_known_of_the_grid_runs_at_once() -> None:
    world = World(NIGHT)
    world.door.answers.clear()
    job = world.job(hours=2)
    world.tick()
    assert isinstance(world.status(job), Running)
    assert world.executor.launched[0].decision is None


def test_an_unknown_zone_is_warned_of_and_runs_at_once() -> None:
    world = World(NIGHT)
    job = world.job(hours=2, zone="XX")
    world.tick()
    assert isinstance(world.status(job), Running)
    assert any("XX" in warning for warning in world.warnings)


def test_more_important_jobs_get_the_clean_hours() -> None:
    world = World(NIGHT)
    low = [world.job(hours=2) for _ in range(3)]
    high = world.job(hours=4, priority=1)
    world.run(timedelta(hours=24))
    assert world.starts(high) == [4.0]
    assert all(world.outcome(job) == "completed" for job in (*low, high))


def test_whoever_used_least_chooses_first() -> None:
    world = World(NIGHT)
    used = world.job(hours=2, slack_hours=0, share_of="ada")
    world.run(timedelta(hours=3))
    mine = [world.job(hours=4, share_of="ada", slack_hours=9), world.job(hours=4, share_of="bob", slack_hours=9)]
    world.run(timedelta(hours=24))
    assert world.starts(used) == [0.0]
    assert world.starts(mine[1]) == [4.0]


def test_a_job_waits_for_the_jobs_it_comes_after() -> None:
    world = World(NIGHT, gpus=4)
    first = world.job(hours=1)
    second = world.job(hours=1, after=(first,))
    world.tick()
    assert world.status(second) == Queued()
    world.run(timedelta(hours=24))
    assert world.starts(first) == [4.0]
    assert world.starts(second) == [5.0]


def test_a_job_after_one_that_failed_is_held() -> None:
    world = World(NIGHT, gpus=4)
    first = world.job(hours=1, behaviour={"exit_codes": (3,)})
    second = world.job(hours=1, after=(first,))
    lost = world.job(hours=1, after=("99",))
    world.run(timedelta(hours=24))
    assert (world.outcome(first), world.outcome(second), world.outcome(lost)) == ("failed", "Held", "Held")
    assert f"job {first}, which it comes after, did not complete" in world.reasons(second)[-1]
    assert "99" in world.reasons(lost)[-1]


def test_a_job_that_asks_for_more_than_there_is_is_held() -> None:
    world = World(NIGHT)
    job = world.job(demands={"gpus": 2.0})
    world.tick()
    assert world.status(job) == Held()
    assert "it asks for 2 gpus, and there are 1" in world.reasons(job)[-1]


def test_retries_back_off_and_run_out() -> None:
    world = World([CLEAN] * 96)
    job = world.job(retries=2, behaviour={"exit_codes": (1, None, 7)})
    world.run(timedelta(hours=24), every=timedelta(seconds=30))
    begins = world.starts(job)
    assert world.outcome(job) == "failed"
    assert [round((later - earlier - 1) * 60) for earlier, later in pairwise(begins)] == [1, 2]
    assert "tried 3 times" in world.reasons(job)[-1]


def test_a_retry_that_works() -> None:
    world = World([CLEAN] * 96)
    job = world.job(retries=1, behaviour={"exit_codes": (1, 0)})
    world.run(timedelta(hours=24))
    assert world.outcome(job) == "completed"
    assert len(world.executor.launched) == 2


def test_a_lost_job_without_retries_is_lost() -> None:
    world = World([CLEAN] * 96)
    job = world.job()
    world.tick()
    world.clock.advance(timedelta(minutes=5))
    world.executor.kill(world.executor.launched[0].run_id)
    world.tick()
    assert world.outcome(job) == "lost"


def test_a_job_is_cut_where_that_is_cleaner_and_pays_for_it() -> None:
    values = ([CLEAN] * 2 + [DIRTY] * 4) * 8
    world = World(values)
    job = world.job(hours=2, interruptible=True, resume_cost=timedelta(minutes=5), policy="interruptible", slack_hours=20,
                    behaviour={"resume_cost": timedelta(minutes=5)})  # fmt: skip
    world.run(timedelta(hours=24))
    assert world.outcome(job) == "completed"
    assert len(world.starts(job)) > 1
    assert world.entry(job).resumes == len(world.starts(job)) - 1
    assert "asked to pause until" in " ".join(world.reasons(job))


def test_a_frozen_job_goes_on_in_the_same_run() -> None:
    values = ([CLEAN] * 2 + [DIRTY] * 4) * 8
    world = World(values)
    job = world.job(hours=2, interruptible=True, policy="interruptible", slack_hours=20, behaviour={"freezes": True})
    world.run(timedelta(hours=24))
    assert world.outcome(job) == "completed"
    assert len(world.executor.launched) == 1
    assert len(world.starts(job)) == 2
    assert len(world.entry(job).run_ids) == 1


def test_a_deaf_job_runs_on() -> None:
    values = ([CLEAN] * 2 + [DIRTY] * 4) * 8
    world = World(values)
    job = world.job(hours=2, interruptible=True, policy="interruptible", slack_hours=20, behaviour={"deaf": True})
    world.run(timedelta(hours=24))
    assert world.outcome(job) == "completed"
    assert len(world.starts(job)) == 1


def test_an_overrun_moves_the_others_and_says_so() -> None:
    world = World([CLEAN] * 96)
    long = world.job(hours=1, work_hours=2.5)
    other = world.job(hours=1)
    world.run(timedelta(hours=24))
    assert world.starts(other) == [2.5]
    assert any("it runs longer than the 1 h expected" in reason for reason in world.reasons(long))


def test_the_user_pauses_and_resumes() -> None:
    world = World([CLEAN] * 96)
    job = world.job(hours=2)
    world.tick()
    world.clock.advance(timedelta(minutes=30))
    world.tick()
    world.wish(job, "pause")
    world.tick()
    world.tick()
    paused = world.status(job)
    assert isinstance(paused, Paused)
    assert paused.by_user
    world.run(timedelta(hours=2))
    assert isinstance(world.status(job), Paused)
    world.move(job, Paused(since_at=paused.since_at), "resumed by the user")
    world.run(timedelta(hours=12))
    assert world.outcome(job) == "completed"
    assert world.entry(job).resumes == 1


def test_the_user_cancels_a_job_that_runs() -> None:
    world = World([CLEAN] * 96)
    job = world.job(hours=2, retries=3)
    world.tick()
    world.wish(job, "cancel")
    world.run(timedelta(hours=1))
    assert world.outcome(job) == "cancelled"
    status = world.status(job)
    assert isinstance(status, Ended)
    assert status.exit_code == 143


def test_a_late_job_runs_as_soon_as_there_is_room() -> None:
    world = World(NIGHT)
    first = world.job(hours=3, slack_hours=0)
    late = world.job(hours=2, slack_hours=1)
    world.run(timedelta(hours=12))
    assert world.starts(first) == [0.0]
    assert world.starts(late) == [3.0]
    assert any("does not fit before its deadline" in reason and first in reason for reason in world.reasons(late))


def test_another_holder_of_the_lease_runs_the_queue() -> None:
    world = World(NIGHT)
    world.job()
    assert world.queue.lease("other", world.clock.now(), world.clock.now() + HOUR)
    assert not world.tick().is_mine
    assert not world.executor.launched
