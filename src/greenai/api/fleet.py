"""Many jobs planned together: `plan_jobs` gives each its time and place on shared machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from greenai.api.asking import Moment, Span, moment_of, span_of
from greenai.api.fleet_file import capacities_of, jobs_of
from greenai.config import Settings
from greenai.engine.foresee import foresee
from greenai.engine.foresight import Tell, tell_nobody
from greenai.engine.read import telling
from greenai.errors import InputError
from greenai.logic.packing import pack
from greenai.logic.packing_occupancy import occupancy
from greenai.model.fleet import FleetJob, Packing
from greenai.model.intensity import Query, Reading, Request
from greenai.model.series import IntensitySeries
from greenai.model.units import as_utc, iso_utc
from greenai.wiring import settings_with, sources_of, system_clock

MINUTE = timedelta(minutes=1)
STEPS = ((timedelta(days=4), timedelta(minutes=15)), (timedelta(days=8), timedelta(minutes=30)))
LONGEST_STEP = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAnswer:
    """A packing with the jobs it is about, the readings by place, and the grid it was made on."""

    jobs: tuple[FleetJob, ...]
    packing: Packing
    readings: Mapping[str, Reading]
    capacities: Mapping[str, Mapping[str, float]]
    made_at: datetime
    grid: Mapping[str, IntensitySeries]

    def busy(self, place: str) -> tuple[str, list[float]]:
        """The place's first resource, and how much of it is used in each slot."""
        resource = next(iter(self.capacities[place]))
        return resource, occupancy(self.jobs, self.packing, self.grid[place], (place, resource)).tolist()

    def document(self) -> dict[str, Any]:
        """The plan as JSON types; its schema is greenai/schemas/plan_jobs.schema.json."""
        packing = self.packing
        return {
            "made_at": iso_utc(self.made_at),
            "expected_g": packing.expected_g,
            "at_once_g": packing.at_once_g,
            "expected_saving": packing.expected_saving,
            "late": len(packing.unplaced),
            "unplaced": list(packing.unplaced),
            "conflict": list(packing.conflict),
            "proved": packing.proved,
            "over_budget": [{"day": day.isoformat(), "over_g": over_g} for day, over_g in packing.over_budget_g],
            "capacities": {place: dict(amounts) for place, amounts in self.capacities.items()},
            "sources": {
                place: {"provider": reading.series.source.provider, "kind": reading.series.kind}
                for place, reading in self.readings.items()
                if reading.series is not None
            },
            "jobs": [
                {
                    "id": allotment.job_id,
                    "emissions_g": allotment.emissions_g,
                    "windows": [
                        {"start_at": iso_utc(window.start_at), "end_at": iso_utc(window.end_at), "place": place}
                        for window, place in zip(allotment.windows, allotment.places, strict=True)
                    ],
                }
                for allotment in packing.allotments
            ],
        }


def plan_jobs(
    jobs: str | Path | Sequence[FleetJob],
    *,
    capacity: Sequence[str] | Mapping[str, Mapping[str, float]] = (),
    power_cap_w: float | None = None,
    carbon_budget_g_per_day: float | None = None,
    step: Span | None = None,
    at: Moment | None = None,
    series: str | Path | None = None,
    zone: str | None = None,
    require_live: bool = False,
    tell: Tell = tell_nobody,
    settings: Settings | None = None,
) -> FleetAnswer:
    """When and where many jobs should run: `plan_jobs("jobs.csv", capacity=["gpus=2,cpus=16"])`.

    `jobs` is a file (see docs/how-to/plan-many-jobs.md) or jobs. `capacity` is
    text, one for each place, or amounts by place and resource; a place is a grid
    zone. The cap in W holds for each place. Durations are rounded up to slots of
    `step`, by default 15 min, longer where the deadlines are far. `tell` hears of
    long reads.

    Raises:
        ProviderError: with `require_live`, when the service gives no usable answer.
        InputError: an argument, setting or file cannot be used.
    """
    known = settings_with(settings, zone=zone, series=series)
    wall_at = system_clock().now()
    now_at = wall_at if at is None else as_utc(moment_of(at, wall_at), name="at")
    now_at = now_at.replace(second=0, microsecond=0) + (MINUTE if now_at.second or now_at.microsecond else timedelta(0))
    capacities = capacity if isinstance(capacity, Mapping) else capacities_of(tuple(capacity), known.zone)
    if isinstance(jobs, str | Path):
        jobs = jobs_of(_text(jobs, known), str(jobs), now_at, next(iter(next(iter(capacities.values())))))
    slot, end_at = _slots(jobs, now_at, step)
    sources = telling(sources_of(known, network=at is None or known.series is not None), tell)
    queries = {
        place: Query(zone=place, start_at=now_at, end_at=end_at, now_at=now_at, purpose="forecast") for place in capacities
    }
    readings = {place: foresee(query, sources=sources, require_live=require_live) for place, query in queries.items()}
    grid = {place: _on_grid(queries[place], reading, slot) for place, reading in readings.items()}
    packing = pack(
        jobs,
        grid,
        capacities,
        now_at,
        power_caps_w=None if power_cap_w is None else dict.fromkeys(capacities, power_cap_w),
        carbon_budget_g_per_day=carbon_budget_g_per_day,
    )
    return FleetAnswer(jobs=tuple(jobs), packing=packing, readings=readings, capacities=capacities, made_at=now_at, grid=grid)


def _text(path: str | Path, settings: Settings) -> str:
    url = f"file://{quote(str(Path(path).absolute()))}"
    return sources_of(settings, network=False).door.fetch(Request(url=url)).body.decode("utf-8-sig")


def _slots(jobs: Sequence[FleetJob], now_at: datetime, step: Span | None) -> tuple[timedelta, datetime]:
    """Length of a slot and the end of the last."""
    span = max((job.deadline_at - now_at for job in jobs), default=LONGEST_STEP)
    chosen = next((each for within, each in STEPS if span <= within), LONGEST_STEP) if step is None else span_of(step)
    if chosen < MINUTE:
        raise InputError(f"a slot of {chosen} is too short", hint="a minute is the least")
    return chosen, now_at + max(1, math.ceil(span / chosen)) * chosen


def _on_grid(query: Query, reading: Reading, slot: timedelta) -> IntensitySeries:
    """The reading as time-weighted means of slots that begin now."""
    series = reading.series
    if series is None:
        raise InputError(
            f"nothing is known of the grid of {query.zone}", hint="greenai zones lists what is; or give --series FILE"
        )
    edges = np.arange((query.end_at - query.start_at) // slot + 1)
    edges_s = series.offset_s(query.start_at) + edges * slot.total_seconds()
    hours = slot / timedelta(hours=1)
    values = np.maximum(np.diff(series.cumulative_g_per_kw(edges_s)) / hours, 0.0)
    return replace(series, start_at=query.start_at, step=slot, values=values)
