"""A whole life of a job on virtual time: fakes of every door, a grid that is a list of half hours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from greenai.engine.doors import Doors
from greenai.engine.progress import Progress
from greenai.engine.read import Sources
from greenai.engine.run import RunRequest
from greenai.errors import ProviderUnavailable
from greenai.logic.placing import greenest
from greenai.model.evidence import RunFacts
from greenai.model.intensity import Access, Payload, Provider, Query, Request
from greenai.model.job import Constraints, Job
from greenai.model.series import IntensitySeries, Source, series_from_rows
from greenai.model.zone import Place
from greenai.testing.clock import VirtualClock
from greenai.testing.fakes import FakeArchive, FakeDoor, FakeExecutor, FakeLedger, FakeMetering, FakeRunStore

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SLOT = timedelta(minutes=30)


def grid(values: list[float], *, kind: str = "forecast") -> str:
    """A day of half hours from START as the body of the scenario's service."""
    return f"{kind} " + " ".join(str(value) for value in values)


def _parse(payloads: Any, query: Query) -> IntensitySeries:
    payload: Payload = payloads[0]
    kind, *values = payload.body.decode().split()
    rows = [(START + SLOT * number, float(value)) for number, value in enumerate(values)]
    source = Source(provider="list", url=payload.url, fetched_at=payload.fetched_at, payload_sha256=payload.sha256)
    return series_from_rows(rows, step=SLOT, zone=query.zone, source=source, kind=kind)  # type: ignore[arg-type]  # the scenario's word


LIST = Provider(
    name="list",
    title="a list of half hours",
    live=True,
    covers=lambda zone: zone == "GB",
    requests=lambda query, access: [Request(url=f"https://grid.invalid/{query.purpose}")],
    parse=_parse,
)


class Scenario:
    """The doors of one test, and the request that goes through them."""

    def __init__(self, values: list[float], *, hours: float = 1.0, slack_hours: float = 12.0) -> None:
        self.clock = VirtualClock(START)
        self.door = FakeDoor(self.clock, {"https://grid.invalid/forecast": grid(values)})
        self.archive = FakeArchive()
        self.ledger = FakeLedger()
        self.runs = FakeRunStore()
        self.executor = FakeExecutor(self.clock, duration=timedelta(hours=hours))
        self.told: list[Progress] = []
        self.meterings: list[FakeMetering] = []
        self.duration = timedelta(hours=hours)
        self.slack = timedelta(hours=slack_hours)

    def metering(self, write: Callable[[bytes], None]) -> FakeMetering:
        self.meterings.append(FakeMetering(self.clock, write))
        return self.meterings[-1]

    def publish(self, values: list[float]) -> None:
        """The service now has measured values."""
        self.door.give("https://grid.invalid/observed", grid(values, kind="observed"))

    def foresee(self, *answers: Any) -> None:
        self.door.give("https://grid.invalid/forecast", *answers)

    @property
    def doors(self) -> Doors:
        sources = Sources(providers=(LIST,), access={"list": Access()}, door=self.door, archive=self.archive)
        return Doors(
            clock=self.clock,
            sources=sources,
            ledger=self.ledger,
            runs=self.runs,
            executor=self.executor,
            metering=self.metering,
            tell=self.told.append,
        )

    def job(self) -> Job:
        limits = Constraints(earliest_at=START, deadline_at=START + self.slack + self.duration, duration=self.duration)
        return Job(id="run-1", command=("train",), constraints=limits, zone="GB", submitted_at=START)

    def request(self, **changes: Any) -> RunRequest:
        job = self.job()
        facts = RunFacts(
            run_id=job.id,
            command=job.command,
            runnable_at=START,
            latest_start_at=job.constraints.latest_start_at,
            place=Place(zone="GB"),
            version="0",
        )
        return RunRequest(**{"facts": facts, "job": job, "policy": greenest, **changes})

    def at(self, hours: float, hook: Callable[[], object]) -> None:
        self.clock.at(START + timedelta(hours=hours), hook)


DOWN = ProviderUnavailable("the grid service is down")
