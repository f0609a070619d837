"""A queue on virtual time: a list of half hours, jobs that take time, a daemon that can be stopped, killed and doubled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
from tests.queue_world import HOUR, submission

from greenai.engine.daemon import run_ticks
from greenai.engine.doors import Capacity, QueueDoors
from greenai.engine.read import Sources
from greenai.engine.tick import Memory, Tick, tick
from greenai.logic.deciding import Policy
from greenai.logic.placing import greenest, interruptible
from greenai.model.intensity import Payload, Provider, Query, Request
from greenai.model.plan import Window
from greenai.model.queue import Ended, Entry, JobEvent, Moved, Status, Submission, Wished
from greenai.model.series import IntensitySeries, Source
from greenai.ports import JobQueue
from greenai.testing.clock import VirtualClock
from greenai.testing.fakes import FakeDoor
from greenai.testing.jobs import Behaviour, FakeJobExecutor
from greenai.testing.queue import MemoryQueue

START = datetime(2026, 11, 24, 9, tzinfo=UTC)
SLOT = timedelta(minutes=30)
POLICIES: Mapping[str, Policy] = {"greenest": greenest, "interruptible": interruptible}


def provider(values: list[float], start_at: datetime = START, zones: tuple[str, ...] = ("GB",)) -> Provider:
    """A service that knows these half hours, for ever the same."""

    def parse(payloads: Any, query: Query) -> IntensitySeries:
        payload: Payload = payloads[0]
        source = Source(provider="list", url=payload.url, fetched_at=payload.fetched_at, payload_sha256=payload.sha256)
        return IntensitySeries(
            start_at=start_at, step=SLOT, values=np.array(values), zone=query.zone, kind="forecast", source=source
        )

    return Provider(
        name="list",
        title="a list of half hours",
        live=True,
        covers=lambda zone: zone in zones,
        requests=lambda query, access: [Request(url="https://grid.invalid/")],
        parse=parse,
    )


class World:
    """One machine, one queue; each process that runs it has doors and a memory of its own."""

    def __init__(
        self, values: list[float], *, gpus: float = 1, queue: JobQueue | None = None, start_at: datetime = START, **capacity: Any
    ) -> None:
        self.clock = VirtualClock(start_at)
        self.queue: JobQueue = MemoryQueue() if queue is None else queue
        self.capacity = Capacity(amounts={"gpus": gpus, "cpus": 64.0}, **capacity)
        self.executor = FakeJobExecutor(self.clock, amounts=self.capacity.amounts)
        self.door = FakeDoor(self.clock, {"https://grid.invalid/": "list"})
        self.provider = provider(values, start_at)
        self.warnings: list[str] = []
        self.memory = Memory()
        self._runs = count(1)
        self.doors = self.doors_of("first")

    def doors_of(self, holder: str, **changes: Any) -> QueueDoors:
        """What one process sees."""
        fields: dict[str, Any] = {
            "clock": self.clock,
            "sources": Sources(providers=(self.provider,), door=self.door),
            "queue": self.queue,
            "executors": {"local": self.executor},
            "capacity": self.capacity,
            "policy": POLICIES.__getitem__,
            "new_run_id": lambda _: f"run-{next(self._runs)}",
            "holder": holder,
            "rest": self.clock.advance,
            "warn": self.warnings.append,
            **changes,
        }
        return QueueDoors(**fields)

    def submit(self, *drafts: Submission) -> tuple[Entry, ...]:
        return self.queue.enqueue(drafts, self.clock.now())

    def job(self, *, hours: float = 1.0, slack_hours: float = 12.0, work_hours: float | None = None, **given: Any) -> str:
        """Submit one; it takes `work_hours` in truth."""
        behaviour = given.pop("behaviour", {})
        (entry,) = self.submit(
            submission(
                **{
                    "duration": timedelta(hours=hours),
                    "slack": timedelta(hours=slack_hours),
                    "submitted_at": self.clock.now(),
                    "demands": {"gpus": 1.0},
                    **given,
                }
            )
        )
        self.executor.behaviours[entry.id] = Behaviour(work=timedelta(hours=work_hours or hours), **behaviour)
        return entry.id

    def tick(self) -> Tick:
        return tick(self.clock.now(), self.doors, self.memory)

    def run(self, until: timedelta, *, every: timedelta = timedelta(minutes=1)) -> None:
        """Let a daemon run for so long, or until nothing is left."""
        end_at = self.clock.now() + until

        def stop() -> bool:
            return self.clock.now() >= end_at or not self.queue.unfinished()

        run_ticks(self.doors, self.memory, stop=stop, every=every)

    def entry(self, job_id: str) -> Entry:
        return self.queue.entries([job_id])[0]

    def status(self, job_id: str) -> Status:
        return self.entry(job_id).status

    def reasons(self, job_id: str) -> list[str]:
        return [event.reason for event in self.queue.events(job_id)]

    def wish(self, job_id: str, wish: Any) -> None:
        entry = self.entry(job_id)
        event = JobEvent(job_id=job_id, version=entry.version + 1, at=self.clock.now(), change=Wished(wish=wish))
        assert self.queue.append([event]) == (True,)

    def move(self, job_id: str, status: Status, reason: str = "") -> None:
        entry = self.entry(job_id)
        event = JobEvent(
            job_id=job_id, version=entry.version + 1, at=self.clock.now(), change=Moved(status=status), reason=reason
        )
        assert self.queue.append([event]) == (True,)

    def outcome(self, job_id: str) -> str:
        status = self.status(job_id)
        return status.outcome if isinstance(status, Ended) else type(status).__name__

    def starts(self, job_id: str) -> list[float]:
        """When its runs began, in hours from the start."""
        return [(begin - START) / HOUR for begin, _ in self.executor.spans(job_id)]


def window(begin_h: float, end_h: float) -> Window:
    return Window(start_at=START + begin_h * HOUR, end_at=START + end_h * HOUR)
