"""What is due: engines that refuse, are away or are too late, and jobs that somebody else changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

from tests.engine.queue_scenario import World, window

from greenai.engine.book import Book
from greenai.engine.launching import give_way, start_due
from greenai.engine.lease import Lease
from greenai.errors import GreenaiError, InputError, StoreError
from greenai.model.queue import Entry, Paused, PauseWay, Pausing, Running

CLEAN = [100.0] * 96


def refuse(name: str, error: GreenaiError) -> Callable[[str], None]:
    """An engine that answers one of its calls with an error."""

    def before(call: str) -> None:
        if call == name:
            raise error

    return before


def to_give_way(*, freezes: bool = True, **given: Any) -> tuple[World, str]:
    """A job that runs, and whose plan goes on two hours later."""
    world = World(CLEAN)
    job = world.job(hours=2, behaviour={"freezes": freezes}, **given)
    world.tick()
    world.clock.advance(timedelta(minutes=30))
    leg = world.status(job)
    assert isinstance(leg, Running)
    later = Running(run_id=leg.run_id, started_at=leg.started_at, windows=(window(2, 3.5),), handle=leg.handle)
    world.move(job, later)
    return world, job


def frozen_and_due() -> tuple[World, str]:
    """A job that stands frozen, and whose time to go on has come."""
    world, job = to_give_way()
    give_way(book_of(world), world.doors)
    asked = world.status(job)
    assert isinstance(asked, Pausing)
    frozen = Paused(
        since_at=world.clock.now(),
        windows=(window(2, 3.5),),
        run_id=asked.run_id,
        started_at=asked.started_at,
        handle=asked.handle,
    )
    world.move(job, frozen)
    world.clock.advance(timedelta(hours=1.5))
    return world, job


def book_of(world: World) -> Book:
    assert world.queue.lease("first", world.clock.now(), world.clock.now() + timedelta(hours=1))
    return Book(world.queue, "first", world.clock.now())


def start(world: World, job: str, book: Book) -> tuple[str, ...]:
    lease = Lease(world.queue, "first", world.clock)
    return start_due(book, world.doors, {}, lease=lease, free=frozenset({job}), unbegun=frozenset(), used={})


def test_whose_plan_goes_on_later_is_asked_to_pause() -> None:
    world, job = to_give_way()
    give_way(book_of(world), world.doors)
    assert isinstance(world.status(job), Pausing)
    assert not world.executor.alive()


def test_a_job_that_the_user_changed_meanwhile_is_left_alone() -> None:
    world, job = to_give_way()
    book = book_of(world)
    world.wish(job, "cancel")
    give_way(book, world.doors)
    assert isinstance(world.status(job), Running)
    assert len(world.executor.alive()) == 1
    assert book[job].wish == "cancel"


def test_an_engine_that_could_not_pause_is_asked_again() -> None:
    world, job = to_give_way()
    world.executor.before_call = refuse("pause", StoreError("no space left"))
    give_way(book_of(world), world.doors)
    assert world.warnings == [f"job {job} could not be asked to pause yet: no space left"]
    assert len(world.executor.alive()) == 1
    world.executor.before_call = lambda _: None
    world.tick()
    assert not world.executor.alive()


def test_an_engine_that_was_away_is_asked_to_pause_when_it_is_back() -> None:
    world, job = to_give_way()
    give_way(book_of(world), world.doors_of("first", executors={}))
    assert isinstance(world.status(job), Pausing)
    assert len(world.executor.alive()) == 1
    world.tick()
    assert not world.executor.alive()


def test_a_frozen_job_that_could_not_go_on_is_thawed_by_the_next_tick() -> None:
    world, job = frozen_and_due()
    world.executor.before_call = refuse("resume", StoreError("no space left"))
    assert start(world, job, book_of(world)) == (job,)
    assert world.warnings == [f"job {job} could not go on yet: no space left"]
    assert not world.executor.alive()
    world.executor.before_call = lambda _: None
    world.tick()
    assert len(world.executor.alive()) == 1
    assert len(world.executor.launched) == 1


def test_a_frozen_job_whose_engine_was_away_is_thawed_when_it_is_back() -> None:
    world, job = frozen_and_due()
    here, world.doors = world.doors, world.doors_of("first", executors={})
    start(world, job, book_of(world))
    assert not world.executor.alive()
    world.doors = here
    world.tick()
    assert len(world.executor.alive()) == 1
    assert world.entry(job).run_ids == ("run-1",)


def test_a_command_that_can_never_start_fails_and_says_what_to_do() -> None:
    world = World(CLEAN)
    job = world.job(retries=3)
    world.executor.before_call = refuse("launch", InputError("no program 'trian'", hint="did you mean train?"))
    world.tick()
    assert world.outcome(job) == "failed"
    assert world.reasons(job)[-1] == "could not be started: no program 'trian' (did you mean train?)"


def test_a_launch_that_is_made_again_is_not_written_down_again() -> None:
    world = World(CLEAN)
    job = world.job()
    started = Running(run_id="run-7", started_at=world.clock.now(), windows=(window(0, 1),), handle="handle of run-7")
    world.move(job, started)
    world.tick()
    assert [task.run_id for task in world.executor.launched] == ["run-7"]
    assert world.status(job) == started
    assert world.entry(job).version == 2


def test_a_leg_that_outlasts_the_forecast_runs_without_a_decision() -> None:
    world = World([100.0] * 4)
    job = world.job(hours=3, slack_hours=0)
    world.tick()
    assert [(task.job_id, task.decision) for task in world.executor.launched] == [(job, None)]


def test_the_way_to_pause_is_chosen_when_it_pauses_by_how_long_it_will_stand_and_is_written_down() -> None:
    world, job = to_give_way(freezes=False)
    asked: list[tuple[str, timedelta | None]] = []

    def way(entry: Entry, stands: timedelta | None) -> tuple[PauseWay, str]:
        asked.append((entry.id, stands))
        return "freeze", "to freeze, which costs less"

    leg = world.status(job)
    assert isinstance(leg, Running)
    go_on_at = leg.windows[0].start_at
    give_way(book_of(world), world.doors_of("first", way_to_pause=way))
    assert asked == [(job, go_on_at - world.clock.now())]
    status = world.status(job)
    assert isinstance(status, Pausing)
    assert status.way == "freeze"
    assert world.reasons(job)[-1].endswith("; to freeze, which costs less")
    world.tick()
    assert "frozen where it stands: it keeps its memory" in world.reasons(job), "it would have saved"
    assert len(asked) == 1


def test_a_way_that_was_said_goes_before_and_a_past_that_cannot_be_read_leaves_it_to_the_program() -> None:
    def way(entry: Entry, stands: timedelta | None) -> tuple[PauseWay, str]:
        raise StoreError("no ledger")

    for said in get_args(PauseWay):
        world, job = to_give_way(pause_way=said)
        give_way(book_of(world), world.doors_of("first", way_to_pause=way))
        status = world.status(job)
        assert isinstance(status, Pausing)
        assert status.way == said
        assert bool(world.warnings) is (said == "auto")
        assert all("what pausing it costs is not known: no ledger" in warning for warning in world.warnings)


def test_each_of_equal_jobs_that_start_together_has_the_decision_under_its_own_name() -> None:
    world = World(CLEAN, gpus=3)
    jobs = [world.job(), world.job(), world.job(hours=2)]
    world.tick()
    decisions = [dict(task.decision or {}) for task in world.executor.launched]
    assert sorted(str(decision.pop("job_id")) for decision in decisions) == jobs
    assert decisions.count(decisions[0]) in {1, 2}
    assert len({str(decision["windows"]) for decision in decisions}) == 2
