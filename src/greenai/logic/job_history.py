"""Jobs that were run, and what moving each of them within its slack would have saved.

A job could not have begun before it did (it may have waited for a machine): its
arrival is its own start, its deadline its own end plus the slack. Moving it by
whole slots keeps its length and its energy. Costs are exact: intensities are
constant within a slot, so grams are differences of a piecewise linear integral.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenai.errors import InputError
from greenai.logic.backtesting import Ground, Play, Scenario, interval, share_saved
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import J_PER_KWH, as_utc

HOUR = timedelta(hours=1)
ASSUMED_KW = 1.0
PREFIXES: Mapping[str, float] = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
NO_VALUE_J = 1e15
"""Slurm writes 2^64 - 2 where it has no value; no allocation draws a thousandth of that."""
UNKNOWN = frozenset({"", "unknown", "none", "n/a", "nan", "nat", "null", "-"})
"""What stands, in small letters, for a moment that has not come or was not recorded."""
ALIASES: Mapping[str, str] = {
    "started_at": "start",
    "start_time": "start",
    "ended_at": "end",
    "end_time": "end",
}
SHAPES = "sacct --parsable2 -o JobID,Submit,Start,End,ConsumedEnergyRaw, or CSV with submit,start,end,power_w or energy_kwh"

NEVER_STARTED = "never started"
STILL_RUNNING = "not ended yet"
UNREADABLE = "a time that is not like 2022-01-10T08:30"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastJob:
    """One job as it was run; `energy_kwh` is None where nobody measured it."""

    start_at: datetime
    end_at: datetime
    energy_kwh: float | None = None

    @property
    def weight_kwh(self) -> float:
        """Its energy; unmeasured, that of 1 kW."""
        return ASSUMED_KW * ((self.end_at - self.start_at) / HOUR) if self.energy_kwh is None else self.energy_kwh


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHistory:
    """The jobs of a file, and how many of its rows were left out, by reason."""

    jobs: tuple[PastJob, ...]
    left_out: Mapping[str, int]


def job_history(text: str, zone: tzinfo) -> JobHistory:
    """The jobs of `sacct --parsable2` output or of a CSV file; times without an offset are read in `zone`.

    Raises:
        InputError: neither shape, or a number that is none.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    head = lines[0] if lines else ""
    rows = list(csv.DictReader(lines, delimiter=next((mark for mark in "|;\t" if mark in head), ",")))
    table = [{_column(name): str(cell or "").strip() for name, cell in row.items()} for row in rows]
    missing = [name for name in ("start", "end") if not table or name not in table[0]]
    if missing:
        raise InputError(f"that is no job history: no column {' and '.join(missing)} with a row below", hint=f"it needs {SHAPES}")
    return _of_sacct(table, zone) if "jobid" in table[0] else collected(_job(row, _stated_kwh(row), zone) for row in table)


def _column(name: object) -> str:
    """A column's name in small letters, those of a few other tools by ours."""
    plain = str(name or "").strip().lower()
    return ALIASES.get(plain, plain)


def _of_sacct(table: Sequence[Mapping[str, str]], zone: tzinfo) -> JobHistory:
    """One job per allocation; where its own row states no energy, the most that one of its steps does."""
    steps_j: dict[str, float] = {}
    for row in table:
        job_id, dot, _step = row["jobid"].partition(".")
        if dot:
            steps_j[job_id] = max(steps_j.get(job_id, 0.0), _sacct_j(row))
    whole = [row for row in table if "." not in row["jobid"]]
    energies = [(_sacct_j(row) or steps_j.get(row["jobid"], 0.0)) / J_PER_KWH for row in whole]
    return collected(_job(row, kwh or None, zone) for row, kwh in zip(whole, energies, strict=True))


def _sacct_j(row: Mapping[str, str]) -> float:
    """Joules, 0 where none are stated: `ConsumedEnergyRaw`, else `ConsumedEnergy` with its prefix."""
    text = row.get("consumedenergyraw") or row.get("consumedenergy") or "0"
    stated_j = _number(text.rstrip("KMGTPE"), "ConsumedEnergy") * PREFIXES.get(text[-1], 1.0)
    return stated_j if stated_j < NO_VALUE_J else 0.0


def _stated_kwh(row: Mapping[str, str]) -> float | str | None:
    """The energy a CSV row states; as text the power in W, which needs the job's length."""
    if row.get("energy_kwh"):
        return _number(row["energy_kwh"], f"energy_kwh of the job of {row['start']}")
    return row.get("power_w") or None


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError(f"{name} is {text[:40]!r}", hint="an energy or a power is a number from 0 on, with a decimal point")
    return value


def _job(row: Mapping[str, str], energy: float | str | None, zone: tzinfo) -> PastJob | str:
    """The job of a row, or why there is none."""
    for name, reason in (("start", NEVER_STARTED), ("end", STILL_RUNNING)):
        if row[name].lower() in UNKNOWN:
            return reason
    try:
        start_at, end_at = (_moment(row[name], zone) for name in ("start", "end"))
    except ValueError:
        return UNREADABLE
    if end_at <= start_at:
        # When clocks are set back an hour is had twice: an end before its start is of the second time.
        end_at = _moment(row["end"], zone, fold=1)
    if end_at <= start_at:
        return "took no time"
    if isinstance(energy, str):
        energy = _number(energy, f"power_w of the job of {row['start']}") / 1000.0 * ((end_at - start_at) / HOUR)
    return "used no energy" if energy == 0 else PastJob(start_at=start_at, end_at=end_at, energy_kwh=energy)


def of_evidence(document: Mapping[str, Any]) -> PastJob | str:
    """The job an evidence document is about, or why there is none."""
    row = {"start": str(document["started_at"]), "end": str(document["ended_at"])}
    return _job(row, document["it_kwh"], UTC)


def _moment(text: str, zone: tzinfo, fold: int = 0) -> datetime:
    """A moment: ISO 8601, or seconds since 1970 as `SLURM_TIME_FORMAT=%s` writes; without an offset in `zone`."""
    moment = (
        datetime.fromtimestamp(int(text), UTC)
        if text.isdecimal() and len(text) > len("20220101")
        else datetime.fromisoformat(text)
    )
    return as_utc(moment if moment.tzinfo else moment.replace(tzinfo=zone, fold=fold), name="time")


def collected(found: Iterable[PastJob | str]) -> JobHistory:
    """Jobs, and the reasons counted."""
    items = list(found)
    reasons = Counter(item for item in items if isinstance(item, str))
    return JobHistory(jobs=tuple(item for item in items if isinstance(item, PastJob)), left_out=dict(reasons))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """Jobs on a series: begin and end in slots from its start (n,), their lengths rounded up, and energies in kWh."""

    begin: FloatArray
    end: FloatArray
    length: NDArray[np.int64]
    kwh: FloatArray

    @property
    def arrival(self) -> NDArray[np.int64]:
        """The slot each began in."""
        return np.floor(self.begin).astype(np.int64)


def placed(history: JobHistory, whole: IntensitySeries, *, least: timedelta, slack: int, reach: int) -> tuple[Placed, JobHistory]:
    """The jobs that can be played, and the history with the others' reasons.

    `least` is the past a forecast needs, `slack` the slots a job may wait, `reach` how many slots can be forecast.

    Raises:
        InputError: none can be played.
    """

    def judged(job: PastJob) -> PastJob | str:
        if job.start_at - whole.start_at < least:
            return "the series knows too little before them"
        if job.end_at + (slack + 1) * whole.step > whole.end_at:
            return "the series ends before they would be due"
        return "longer than can be forecast" if _slots(job, whole) + slack > reach else job

    kept = collected(judged(job) for job in history.jobs)
    reasons = {**history.left_out, **kept.left_out}
    if not kept.jobs:
        said = "; ".join(f"{count}: {reason}" for reason, count in reasons.items()) or "it is empty"
        remedy = (
            "give a series that covers them and 60 days before"
            if reasons
            else "name another file, or run jobs with greenai first"
        )
        raise InputError(f"no job of the history can be played ({said})", hint=remedy)
    begin, end = (
        np.array([(getattr(job, name) - whole.start_at) / whole.step for job in kept.jobs]) for name in ("start_at", "end_at")
    )
    length = np.array([_slots(job, whole) for job in kept.jobs], dtype=np.int64)
    kwh = np.array([job.weight_kwh for job in kept.jobs])
    return Placed(begin=begin, end=end, length=length, kwh=kwh), replace(kept, left_out=reasons)


def _slots(job: PastJob, whole: IntensitySeries) -> int:
    """How many slots its length takes, rounded up."""
    return -(-(job.end_at - job.start_at) // whole.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is played on jobs: the ground's first slot in the series, the policy's name and how it is played, slots of slack."""

    first: int
    policy: str
    play: Play
    slack: int


def delays(jobs: Placed, ground: Ground, chosen: Chosen) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Slots each job would have waited, and whether it would have been late."""
    waited, late = np.zeros(len(jobs.kwh), dtype=np.int64), np.zeros(len(jobs.kwh), dtype=np.bool_)
    arrival = jobs.arrival - chosen.first
    for length in np.unique(jobs.length).tolist():
        mine = jobs.length == length
        wanted = np.zeros(int(arrival[mine].max()) + 1, np.bool_)
        wanted[arrival[mine]] = True
        played = chosen.play(replace(ground, wanted=wanted), Scenario(length=length, slack=chosen.slack), len(wanted))
        waited[mine], late[mine] = played.delay_slots[arrival[mine]], played.late[arrival[mine]]
    return waited, late


def job_row(jobs: Placed, whole: IntensitySeries, ground: Ground, chosen: Chosen) -> dict[str, Any]:
    """The row of the contract for jobs.

    Besides the contract: `energy_kwh`, `saved_g` and `tight_deadlines`, how many jobs would have begun at their last moment.
    """
    slack = chosen.slack
    waited, late = delays(jobs, ground, chosen)
    sums = np.concatenate(([0.0], np.cumsum(whole.values)))
    g_per_kwh = _means(jobs, sums, np.arange(slack + 1))
    now_g, policy_g = jobs.kwh * g_per_kwh[:, 0], jobs.kwh * g_per_kwh[np.arange(len(waited)), waited]
    best_g, total_kwh = jobs.kwh * g_per_kwh.min(axis=1), float(jobs.kwh.sum())
    saving, oracle = (share_saved(now_g, grams) for grams in (policy_g, best_g))
    _, day = np.unique(np.floor(jobs.begin * (whole.step / timedelta(days=1))), return_inverse=True)
    by_day = [np.bincount(day, grams).astype(np.float64) for grams in (now_g, policy_g)]
    low, high = interval(by_day[0], by_day[1], 1)
    slot_h = whole.step / HOUR
    return {
        "zone": ground.zone,
        "policy": chosen.policy,
        "forecaster": ground.forecaster,
        "duration_h": round(float((jobs.end - jobs.begin).mean()) * slot_h, 4),
        "slack_h": slack * slot_h,
        "interruptible": False,
        "arrivals": len(waited),
        "run_now_g_per_kwh": float(now_g.sum()) / total_kwh,
        "policy_g_per_kwh": float(policy_g.sum()) / total_kwh,
        "oracle_g_per_kwh": float(best_g.sum()) / total_kwh,
        "saving": saving,
        "oracle_saving": oracle,
        "fraction_of_oracle": saving / oracle if oracle > 0 else None,
        "saving_low": low,
        "saving_high": high,
        "mean_delay_h": float(waited.mean()) * slot_h,
        "deadline_misses": int(late.sum()),
        "tight_deadlines": int((waited == slack).sum()),
        "energy_kwh": total_kwh,
        "saved_g": float(now_g.sum() - policy_g.sum()),
    }


def _means(jobs: Placed, sums: FloatArray, shifts: NDArray[np.int64]) -> FloatArray:
    """Mean intensity of each job moved by each shift, g/kWh, shape (jobs, shifts)."""
    edges = np.arange(len(sums))
    ends, begins = (np.interp(at[:, None] + shifts, edges, sums) for at in (jobs.end, jobs.begin))
    out: FloatArray = (ends - begins) / (jobs.end - jobs.begin)[:, None]
    return out
