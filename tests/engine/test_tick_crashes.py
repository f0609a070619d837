"""Whatever dies, and wherever: no job is lost, none runs twice, and never more at once than there is room for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.engine.queue_scenario import World
from tests.queue_world import HOUR

from greenai.adapters.store.queue import DurableQueue
from greenai.engine.tick import Memory, tick
from greenai.errors import StoreError
from greenai.testing.queue import MemoryQueue

VALUES = ([100.0] * 2 + [400.0] * 4) * 10


class Crash(BaseException):
    """The process dies here."""


def nth(number: int, error: BaseException) -> Callable[..., None]:
    """Raises at the call of that number, once."""
    calls = 0

    def call(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise error

    return call


def story() -> World:
    """Jobs in one piece and in several, checkpointed and frozen, one that fails once, one after another."""
    world = World(VALUES, gpus=2)
    first = world.job(hours=1)
    world.job(hours=2, interruptible=True, policy="interruptible", slack_hours=20)
    world.job(hours=2, interruptible=True, policy="interruptible", slack_hours=20, behaviour={"freezes": True})
    world.job(hours=0.5, retries=1, behaviour={"exit_codes": (1, 0)})
    world.job(hours=1, after=(first,))
    return world


def live(world: World) -> None:
    """Restarted whenever it dies, with nothing remembered."""
    for _ in range(50):
        try:
            world.run(timedelta(hours=40), every=timedelta(minutes=5))
        except Crash:
            world.memory = Memory()
            continue
        break
    assert not world.queue.unfinished()


def check(world: World) -> None:
    for job in ("1", "2", "3", "4", "5"):
        assert world.outcome(job) == "completed"
        assert world.executor.finished(job) == 1


def test_the_story_without_any_crash() -> None:
    world = story()
    live(world)
    check(world)
    assert len(world.executor.spans("2")) > 1


@pytest.mark.parametrize("number", range(1, 60, 4))
def test_a_crash_at_any_write(number: int) -> None:
    world = story()
    assert isinstance(world.queue, MemoryQueue)
    world.queue.before_write = nth(number, Crash())
    live(world)
    check(world)


@pytest.mark.parametrize("number", range(1, 40, 4))
def test_a_full_disk_at_any_write(number: int) -> None:
    world = story()
    assert isinstance(world.queue, MemoryQueue)
    world.queue.before_write = nth(number, StoreError("no space left"))
    live(world)
    check(world)


@pytest.mark.parametrize("when", ["before_call", "after_call"])
@pytest.mark.parametrize("number", range(1, 60, 6))
@pytest.mark.parametrize("error", [Crash(), StoreError("no space left")], ids=["crash", "error"])
def test_a_crash_around_any_call_of_the_executor(number: int, when: str, error: BaseException) -> None:
    world = story()
    setattr(world.executor, when, nth(number, error))
    live(world)
    check(world)


def test_two_processes_that_both_take_themselves_for_the_holder(tmp_path: Path) -> None:
    """Ticks of two processes interleave at every write: the lease of the first runs out within its tick."""
    for number in range(1, 12):
        world = World([100.0] * 96, queue=DurableQueue(tmp_path / str(number)), gpus=1)
        for _ in range(3):
            world.job(hours=1)
        other, memory = world.doors_of("second", queue=DurableQueue(tmp_path / str(number))), Memory()
        begun = Interleaved(world.queue, lambda now_at, doors=other, known=memory: tick(now_at, doors, known), number)  # type: ignore[misc]  # bound here
        mine = world.doors_of("first", queue=begun)
        tick(world.clock.now(), mine, Memory())
        assert len(world.executor.alive()) == 1
        world.clock.advance(timedelta(minutes=30))
        for _ in range(10):
            tick(world.clock.now(), other, memory)
            world.clock.advance(timedelta(minutes=30))
        assert [world.executor.finished(job) for job in ("1", "2", "3")] == [1, 1, 1]


class Interleaved:
    """A queue at whose call of a number another process runs a whole tick, an hour later by the clock it sees."""

    def __init__(self, queue: object, between: Callable[..., object], number: int) -> None:
        self._queue, self._between, self._left = queue, between, number

    def __getattr__(self, name: str) -> object:
        found = getattr(self._queue, name)

        def call(*given: object, **named: object) -> object:
            self._left -= 1
            if self._left == 0:
                from tests.engine.queue_scenario import START

                self._between(START + HOUR)
            return found(*given, **named)

        return call


def test_a_process_that_lost_the_lease_writes_nothing() -> None:
    world = World([100.0] * 96)
    job = world.job()
    queue = dataclasses.replace(world.doors, holder="nobody").queue
    assert queue.lease("first", world.clock.now(), world.clock.now() + HOUR)
    from greenai.engine.book import Book
    from greenai.model.queue import Held, Queued

    book = Book(queue, "nobody", world.clock.now())
    book.move(job, Held())
    assert book.write() == {job}
    assert book[job].status == Queued()
