"""Runs, grids and ledgers made up for the tests of accounting and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from greenai.logic.evidencing import evidence_document, facts_document
from greenai.logic.spool import header_line, interval_line
from greenai.model.energy import EnergyInterval, EnergyTrace, MeterInfo, Quality
from greenai.model.evidence import RunFacts, sha256_of
from greenai.model.footprint import Embodied, Estimate
from greenai.model.intensity import Payload, Provider, Query, Reading
from greenai.model.series import IntensitySeries, Source
from greenai.model.units import iso_utc
from greenai.model.zone import Place

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SLOT = timedelta(minutes=30)
HOUR = timedelta(hours=1)

HALL = Place(zone="GB", pue=1.2, pue_source="setting pue", wue_l_per_kwh=0.5)
"""A building somebody described."""

SERVER = Embodied(
    total_g=Estimate(value=1_000_000.0, low=500_000.0, high=2_000_000.0), life_h=35_064.0, resource_share=1.0, source="made up"
)
"""The SCI specification's own example: 1000 kg over four years."""


def meter(name: str = "rapl:package-0", *, quality: Quality = "measured:counter", band: float = 0.05) -> MeterInfo:
    return MeterInfo(name=name, component="cpu", quality=quality, low_ratio=1 - band, high_ratio=1 + band)


def trace(
    *,
    start_at: datetime = START,
    power_w: Sequence[float] = (100.0,) * 12,
    step_s: float = 300.0,
    meters: Sequence[MeterInfo] = (meter(),),
    gap: str = "",
) -> EnergyTrace:
    """Equal intervals in which every meter draws the given power, all of it the job's."""
    intervals = []
    for number, power in enumerate(power_w):
        begins_at = start_at + timedelta(seconds=number * step_s)
        intervals.append(
            EnergyInterval(
                start_at=begins_at,
                end_at=begins_at + timedelta(seconds=step_s),
                duration_s=step_s,
                machine_j={one.name: power * step_s for one in meters},
                job_cpu_s=step_s,
                busy_cpu_s=step_s,
                gap=gap,
            )
        )
    return EnergyTrace(meters=tuple(meters), intervals=tuple(intervals))


def body_of(run: EnergyTrace) -> bytes:
    """The samples file of a trace."""
    return header_line(run) + b"".join(interval_line(interval) for interval in run.intervals)


def series(values: Sequence[float], *, start_at: datetime = START, step: timedelta = SLOT, **changes: Any) -> IntensitySeries:
    source = Source(provider="list", url="https://grid.invalid/", fetched_at=start_at, payload_sha256="0" * 64)
    given = {"start_at": start_at, "step": step, "values": np.array(values), "zone": "GB", "source": source}
    return IntensitySeries(**{**given, **changes})


def facts(**changes: Any) -> RunFacts:
    given = {
        "run_id": "run-1",
        "command": ("python", "train.py"),
        "runnable_at": START,
        "latest_start_at": START + 6 * HOUR,
        "started_at": START,
        "ended_at": START + HOUR,
        "exit_code": 0,
        "place": HALL,
        "embodied": SERVER,
        "version": "0.1",
        "samples_sha256": "5" * 64,
    }
    return RunFacts(**{**given, **changes})


def query(**changes: Any) -> Query:
    given = {"zone": "GB", "start_at": START, "end_at": START + 24 * HOUR, "now_at": START + 24 * HOUR, "purpose": "observed"}
    return Query(**{**given, **changes})


def reading(known: IntensitySeries | None, **changes: Any) -> Reading:
    return Reading(**{"series": known, "step": "live", "fallback_reason": None, "query": query(), **changes})


def _parse(payloads: Sequence[Payload], asked: Query) -> IntensitySeries:
    payload = payloads[0]
    kind, *values = payload.body.decode().split()
    source = Source(provider="list", url=payload.url, fetched_at=payload.fetched_at, payload_sha256=payload.sha256)
    return series([float(value) for value in values], zone=asked.zone, kind=kind, source=source)


GRID = Provider(
    name="list",
    title="half hours from START as numbers in words",
    live=True,
    covers=lambda zone: zone == "GB",
    requests=lambda _query, _access: [],
    parse=_parse,
)


def payload(values: Sequence[float], *, kind: str = "observed") -> Payload:
    body = (kind + " " + " ".join(repr(float(value)) for value in values)).encode()
    return Payload(url="https://grid.invalid/observed", body=body, sha256=sha256_of(body), fetched_at=START + 24 * HOUR)


def priced(values: Sequence[float], *, kind: str = "observed", **changes: Any) -> Reading:
    """A reading as the chain gives it, its payload parsed by GRID."""
    answer = payload(values, kind=kind)
    asked = query()
    given = {"series": _parse([answer], asked), "step": "live", "fallback_reason": None, "payloads": (answer,), "query": asked}
    return Reading(**{**given, **changes})


DIRTY_THEN_CLEAN = (300.0,) * 8 + (100.0,) * 40
"""A day that turns clean after four hours."""


def keep_run(
    ledger: Any, runs: Any, archive: Any, *, run_id: str, delay: timedelta = 5 * HOUR, read: Reading | None = None, **changes: Any
) -> dict[str, Any]:
    """Write one whole run the way the engine does; returns the evidence document."""
    started_at = START + delay
    run = trace(start_at=started_at, power_w=(100.0, 180.0, 60.0, 100.0))
    spool = runs.claim(run_id)
    known = facts(run_id=run_id, started_at=started_at, ended_at=None, exit_code=None, samples_sha256="", **changes)
    ledger.append("run_started", facts_document(known), started_at)
    spool.write(body_of(run))
    body = runs.body(run_id)
    known = replace(known, ended_at=started_at + timedelta(minutes=20), exit_code=0, samples_sha256=sha256_of(body))
    ended = {"ended_at": iso_utc(known.ended_at or START), "exit_code": 0, "samples_sha256": known.samples_sha256}
    ledger.append("run_ended", {"run_id": run_id, **ended, "intervals": len(run.intervals)}, known.ended_at)
    read = read or priced(DIRTY_THEN_CLEAN)
    archive.keep("list", read.query, read.payloads)
    document = evidence_document(known, run, read)
    ledger.append("evidence", document, known.ended_at)
    spool.close()
    return document
