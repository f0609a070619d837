"""A grid whose service publishes what it measured, and a forecast only if the test gives it one; on virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from greenai.engine.doors import Doors
from greenai.engine.foresight import Foresight
from greenai.engine.progress import Progress
from greenai.engine.read import Sources
from greenai.errors import ProviderBadData, ProviderUnavailable
from greenai.model.evidence import sha256_of
from greenai.model.intensity import Access, Payload, Provider, Query, Request, source_of
from greenai.model.job import Constraints, Job
from greenai.model.series import IntensitySeries
from greenai.model.units import ceil_to, floor_to
from greenai.model.weather import WeatherPoint, WeatherSeries, WeatherService
from greenai.testing.clock import VirtualClock
from greenai.testing.fakes import FakeArchive, FakeExecutor, FakeLedger, FakeMetering, FakeRunStore

HOUR = timedelta(hours=1)
NOW = datetime(2022, 5, 3, 9, 20, tzinfo=UTC)
POINT = WeatherPoint(
    zone="GB", name="here", latitude_degrees=52.0, longitude_degrees=0.0, wind_share=1.0, solar_share=1.0, demand_share=1.0
)


def _requests(query: Query, _access: Access) -> Sequence[Request]:
    start_at, end_at = floor_to(query.start_at, HOUR), ceil_to(query.end_at, HOUR)
    return [Request(url=f"https://grid.invalid/{query.purpose}?from={start_at:%Y-%m-%dT%H}&to={end_at:%Y-%m-%dT%H}")]


def _parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    document = json.loads(payloads[0].body)
    points = {datetime.fromisoformat(at): value for at, value in document["points"]}
    first_at = floor_to(query.start_at, HOUR)
    values = []
    while (at := first_at + HOUR * len(values)) in points:
        values.append(points[at])
    if not values:
        raise ProviderBadData(f"no value for {first_at}")
    return IntensitySeries(
        start_at=first_at, step=HOUR, values=np.array(values), zone=query.zone, kind=document["kind"],
        source=source_of("meter", payloads),
    )  # fmt: skip


METER = Provider(
    name="meter", title="what was measured", live=True, covers=lambda zone: zone == "GB", requests=_requests, parse=_parse,
    forecasts=False,
)  # fmt: skip


def _weather(payloads: Sequence[Payload], points: Sequence[WeatherPoint]) -> WeatherSeries:
    document = json.loads(payloads[-1].body)
    wind = np.array(document["wind"])[None]
    flat = np.full_like(wind, 10.0)
    return WeatherSeries(
        zone="GB", start_at=datetime.fromisoformat(document["start"]), points=tuple(points), wind_km_per_h=wind,
        cloud_percent=flat, temperature_c=flat, humidity_percent=flat, source=source_of("sky", payloads),
    )  # fmt: skip


SKY = WeatherService(
    name="sky",
    points=Request(url="package:points"),
    points_of=lambda _payload, zone: (POINT,) if zone == "GB" else (),
    requests=lambda _points, _span, now_at, _access: [
        Request(url="https://sky.invalid/past"),
        Request(url=f"https://sky.invalid/present?day={now_at:%Y-%m-%d}"),
    ],
    parse=_weather,
)


class Grid:
    """The measured values of hours from `first_at` on; `foretold(at, lead)` is what the service says, None for nothing."""

    def __init__(self, values: np.ndarray, *, first_at: datetime, now_at: datetime = NOW, forecaster: str = "auto") -> None:
        self.values, self.first_at = values, first_at
        self.clock = VirtualClock(now_at)
        self.archive, self.ledger, self.runs = FakeArchive(), FakeLedger(), FakeRunStore()
        self.executor = FakeExecutor(self.clock, duration=2 * HOUR)
        self.asked: list[str] = []
        self.told: list[Progress] = []
        self.foretold: Callable[[datetime], np.ndarray | None] = lambda _now_at: None
        self.holes: set[datetime] = set()
        self.wind: np.ndarray | None = None
        self.down = False
        self.foresight = Foresight(forecaster=forecaster)
        self.network = True

    def fetch(self, request: Request) -> Payload:
        now_at = self.clock.now()
        if request.url.startswith("package:"):
            return self._payload(request, {})
        self.asked.append(request.url)
        if self.down:
            raise ProviderUnavailable("the service is down")
        if "sky.invalid" in request.url:
            if self.wind is None:
                raise ProviderUnavailable("no weather today")
            return self._payload(request, {"start": self.first_at.isoformat(), "wind": self.wind.tolist()})
        asked = parse_qs(urlsplit(request.url).query)
        start_at, end_at = (datetime.fromisoformat(asked[name][0]).replace(tzinfo=UTC) for name in ("from", "to"))
        if "/observed" in request.url:
            points = [(at, float(self.at(at))) for at in self.hours(start_at, min(end_at, floor_to(now_at, HOUR)))]
            return self._payload(request, {"kind": "observed", "points": [(at.isoformat(), g) for at, g in points]})
        said = self.foretold(now_at)
        first_at = floor_to(now_at, HOUR)
        points = [((first_at + HOUR * lead).isoformat(), float(g)) for lead, g in enumerate(said if said is not None else [])]
        return self._payload(request, {"kind": "forecast", "points": points})

    def hours(self, start_at: datetime, end_at: datetime) -> list[datetime]:
        count = max((end_at - start_at) // HOUR, 0)
        known = self.first_at, self.first_at + HOUR * len(self.values)
        every = [start_at + HOUR * number for number in range(count)]
        return [at for at in every if known[0] <= at < known[1] and at not in self.holes]

    def at(self, moment: datetime) -> float:
        return float(self.values[(moment - self.first_at) // HOUR])

    def _payload(self, request: Request, document: Any) -> Payload:
        body = json.dumps(document).encode()
        return Payload(url=request.url, body=body, sha256=sha256_of(body), fetched_at=self.clock.now())

    @property
    def sources(self) -> Sources:
        return Sources(providers=(METER,), door=self, archive=self.archive, foresight=self.foresight, network=self.network)

    @property
    def doors(self) -> Doors:
        return Doors(
            clock=self.clock, sources=self.sources, ledger=self.ledger, runs=self.runs, executor=self.executor,
            metering=lambda write: FakeMetering(self.clock, write), tell=self.told.append,
        )  # fmt: skip

    def restarted(self) -> None:
        """A new process: nothing in memory, the archive as it was."""
        self.foresight = replace(self.foresight, kept={})

    def query(self, hours: float = 24) -> Query:
        now_at = self.clock.now()
        return Query(zone="GB", start_at=now_at, end_at=now_at + hours * HOUR, now_at=now_at, purpose="forecast")

    def job(self, *, hours: float = 2, slack_hours: float = 22, min_saving: float = 0.03) -> Job:
        now_at = self.clock.now()
        limits = Constraints(
            earliest_at=now_at,
            deadline_at=now_at + (hours + slack_hours) * HOUR,
            duration=hours * HOUR,
            min_saving=min_saving,
        )
        return Job(id="run-1", command=("train",), constraints=limits, zone="GB", submitted_at=now_at)
