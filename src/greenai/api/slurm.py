"""The verbs for people who keep their sbatch scripts: plan and submit, pause, tables for a site's filters, energy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from greenai._values import pairs_of
from greenai.api.asking import Asking, Moment, moment_of, new_run_id
from greenai.api.planning import PlanAnswer, forecast, plan
from greenai.api.recording import evidence_list
from greenai.config import Settings
from greenai.errors import GreenaiError, InputError, NoFeasibleWindow, UnknownJob
from greenai.logic.slurm_words import Stated, begin_option, limit_of, stated
from greenai.model.units import J_PER_KWH, iso_utc
from greenai.wiring import settings_with, slurm_commands, system_clock
from greenai.zones import local_timezone

if TYPE_CHECKING:
    from greenai.adapters.executors.slurm_commands import Slurm, SlurmJob

GRACE = timedelta(seconds=120)
TAG = "greenai:run="
LARGEST_SCRIPT_BYTES = 4 * 1024 * 1024
"""Slurm's own max_script_size."""

COMES_BACK_WITHIN = timedelta(minutes=15)
SETTLES_AFTER_S = 1.0
SAME_BEGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """An sbatch command with its plan. `command` is what is run; `job_id` is empty until Slurm has taken it."""

    run_id: str
    answer: PlanAnswer
    command: tuple[str, ...]
    partition: str
    duration_source: str
    notes: tuple[str, ...] = ()
    job_id: str = ""

    @property
    def begin_at(self) -> datetime | None:
        """When Slurm may start it; None for at once."""
        decision = self.answer.decision
        return decision.start_at if decision.action == "wait" else None

    def document(self) -> dict[str, Any]:
        """As JSON types; its schema is greenai/schemas/slurm_wrap.schema.json."""
        return {
            "schema": "greenai.slurm_wrap/1",
            "job_id": self.job_id or None,
            "run_id": self.run_id,
            "command": list(self.command),
            "begin_at": iso_utc(self.begin_at) if self.begin_at else None,
            "partition": self.partition or None,
            "duration_s": self.answer.job.constraints.duration.total_seconds(),
            "duration_source": self.duration_source,
            "notes": list(self.notes),
            "plan": self.answer.document(),
        }


def wrap(
    arguments: Sequence[str],
    *,
    pausable: bool = False,
    anywhere: bool = False,
    settings: Settings | None = None,
    **ask: Unpack[Asking],
) -> Wrapped:
    """Plan what `sbatch *arguments` would submit; submits nothing.

    The script's time limit is taken for its length unless `duration` is given.
    `pausable`: the script saves when it gets USR1. `anywhere`: of the partitions
    of the setting slurm_partitions the one with the cleanest window is taken.

    Raises:
        InputError: no script, no length, or options that contradict each other.
        NoFeasibleWindow: the job does not fit before its end.
    """
    known = settings_with(settings)
    told, notes = stated(arguments, _script(arguments)), list[str]()
    if told.has("--begin"):
        raise InputError("sbatch is given a --begin already", hint="leave it out: greenai sets it")
    source = "given"
    if ask.get("duration") is None:
        ask["duration"], source = _length(told) * told.rounds, "the time limit, an upper bound"
        if told.rounds > 1:
            source = f"{told.rounds} times the time limit: not all tasks run at once"
    if ask.get("interruptible"):
        raise InputError("a script of Slurm is planned in one piece", hint="for pieces: greenai submit --executor slurm")
    answer, partition = _cleanest(told, known, ask, notes, anywhere=anywhere)
    if answer.decision.action == "miss":
        raise NoFeasibleWindow(answer.decision.reason, hint="allow a later finish (--finish-by) or a shorter run (--duration)")
    run_id = new_run_id(answer.decision.made_at)
    own = [begin_option(answer.decision.start_at, local_timezone(os.environ))] if answer.decision.action == "wait" else []
    own += [f"--partition={partition}"] if partition else []
    if told.has("--comment"):
        notes.append("the job keeps its own --comment: greenai's name of it is not written there")
    else:
        own.append(f"--comment={TAG}{run_id}")
    own += _pausing(told) if pausable else []
    return Wrapped(
        run_id=run_id,
        answer=answer,
        command=("sbatch", *own, *arguments),
        partition=partition,
        duration_source=source,
        notes=tuple(notes),
    )


def submit(wrapped: Wrapped) -> Wrapped:
    """Hand a planned command to Slurm; raises InputError where Slurm refuses it, StoreError where it does not answer."""
    return replace(wrapped, job_id=slurm_commands().submit(wrapped.command[1:], os.environ))


def pause(
    job_id: str,
    *,
    until: Moment | None = None,
    within: timedelta = COMES_BACK_WITHIN,
    signal: Literal["USR1", "USR2"] = "USR1",
) -> datetime | None:
    """Ask the script of a job to save and leave by USR1, and let it come back at `until`; without it, when it is released.

    The script comes back by RequeueExit=75 in slurm.conf, or by its own `scontrol requeue`.
    With USR2 all processes of the job are asked: so jobs of submitit are.
    A job that waits in line is only moved. The number of an array means all its tasks
    that are not over; 7_3 means one.

    Raises:
        UnknownJob: Slurm has no such job of this user.
        GreenaiError: it did not come back within `within`, or a task did not though others did.
    """
    slurm = slurm_commands()
    until_at = None if until is None else moment_of(until, system_clock().now()).astimezone(UTC)
    found = slurm.meant(job_id)
    if not found:
        raise UnknownJob(f"Slurm has no job {job_id} of yours", hint="squeue --me lists them")
    asked = [job.job_id for job in found if job.is_live or (job.job_id == job_id and not job.is_in_line)]
    # Those in line first: of an array that may not run all its tasks at once, the next begin where others leave.
    _put_off(slurm, job_id, until_at)
    for number in asked:
        slurm.signal(number, signal, all_of_it=signal == "USR2")
    _await(lambda: _is_back(slurm, job_id, asked), job_id, within)
    _await(lambda: _put_off(slurm, job_id, until_at), job_id, within)
    return until_at


def begin(*, limit: str, settings: Settings | None = None, **ask: Unpack[Asking]) -> tuple[datetime | None, str]:
    """For a site's cli_filter.lua: when a job with this time limit may begin, None for at once, and why."""
    span = limit_of(limit)
    if span is None:
        return None, "it has no time limit: its length is not known"
    ask["duration"] = span
    decision = plan(settings=settings, **ask).decision
    return (decision.start_at if decision.action == "wait" else None), decision.reason


def slots(*, hours: float | None = None, settings: Settings | None = None) -> tuple[str, ...]:
    """For a site's job_submit.lua: the forecast of each partition, a line each: partition, first second, step in s, g/kWh.

    Raises:
        ProviderError: nothing is known of a zone.
    """
    known = settings_with(settings)
    lines = []
    for partition, zone in {"*": known.zone, **_zones(known)}.items():
        series = forecast(zone, hours=hours, settings=replace(known, zone=zone)).series
        if series is not None:
            values = " ".join(f"{value:.1f}" for value in series.values)
            lines.append(f"{partition} {int(series.start_at.timestamp())} {int(series.step.total_seconds())} {values}")
    return tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The energy of one Slurm job by greenai's meters, and by Slurm's own; None where Slurm counts none."""

    job_id: str
    run_ids: tuple[str, ...]
    energy_kwh: float
    slurm_kwh: float | None


def energy(job_ids: Sequence[str] = (), *, settings: Settings | None = None) -> tuple[Beside, ...]:
    """What each job of Slurm used: the evidence of all its legs, and beside it what sacct counted.

    Tasks of an array are jobs by themselves; the number of an array means all of them.

    Raises:
        StoreError: the ledger cannot be read, or Slurm does not answer.
    """
    legs: dict[str, list[dict[str, Any]]] = {}
    for document in evidence_list(settings=settings):
        names = _names(_labels(document))
        if names and (not job_ids or any(name in job_ids for name in names)):
            legs.setdefault(names[0], []).append(document)
    slurm = slurm_commands()
    return tuple(_beside(slurm, job_id, documents) for job_id, documents in legs.items())


def _beside(slurm: Slurm, job_id: str, documents: Sequence[dict[str, Any]]) -> Beside:
    counted_j = slurm.consumed_j(job_id)
    return Beside(
        job_id=job_id,
        run_ids=tuple(document["run_id"] for document in documents),
        energy_kwh=sum(document["it_kwh"]["value"] for document in documents),
        slurm_kwh=None if counted_j is None else counted_j / J_PER_KWH,
    )


def _labels(document: dict[str, Any]) -> dict[str, str]:
    labels: dict[str, str] = document["inputs"]["labels"]
    return labels


def _names(labels: dict[str, str]) -> tuple[str, ...]:
    """How users call the job of some evidence, best first: 7_3, 9 and 7 for the task of an array; none outside Slurm."""
    job_id, array = labels.get("slurm_job_id", ""), labels.get("slurm_array", "")
    task = f"{array}_{labels.get('slurm_array_task', '')}" if array else ""
    return tuple(name for name in (task, job_id, array) if name) if job_id else ()


def _script(arguments: Sequence[str]) -> str:
    """The text of the script among the arguments; empty for --wrap and for a script that comes from stdin."""
    for word in arguments:
        path = Path(word)
        if not word.startswith("-") and path.is_file() and path.stat().st_size <= LARGEST_SCRIPT_BYTES:
            text = path.read_text(encoding="utf-8", errors="replace")
            if text.startswith("#!"):
                return text
    if not any(word.startswith("--wrap") for word in arguments):
        raise InputError(
            "sbatch is given no script that is here", hint="greenai slurm wrap -- job.sh, or -- --wrap 'python train.py'"
        )
    return ""


def _length(told: Stated) -> timedelta:
    if told.limit is None:
        raise InputError(
            "how long the job takes is not known: its script states no time limit",
            hint="add --duration 2h, or #SBATCH --time to the script",
        )
    return told.limit


def _zones(settings: Settings) -> dict[str, str]:
    """The zone of each partition."""
    return {partition: zone for zone, partition in pairs_of(settings.slurm_partitions)}


def _cleanest(told: Stated, settings: Settings, ask: Asking, notes: list[str], *, anywhere: bool) -> tuple[PlanAnswer, str]:
    """The plan, and the partition that had to be chosen for it, noting beside which; none where sbatch is told or may choose."""
    zones = _zones(settings)
    if not anywhere:
        named = [zones[name] for name in told.partitions if name in zones]
        return plan(zone=named[0] if len(set(named)) == 1 else None, settings=settings, **ask), ""
    if told.has("--partition"):
        raise InputError("--anywhere chooses the partition, and sbatch is given one", hint="leave one of them out")
    if not zones:
        raise InputError("no partition is known to stand in a zone", hint='set slurm_partitions = "GB=london,FR=paris"')
    plans = {partition: plan(zone=zone, settings=settings, **ask) for partition, zone in sorted(zones.items())}
    ranked = sorted(plans, key=lambda name: _expected(plans[name]))
    notes.append("cleanest of the partitions: " + ", ".join(f"{name} {_expected(plans[name]):.0f} g/kWh" for name in ranked))
    return plans[ranked[0]], ranked[0]


def _expected(answer: PlanAnswer) -> float:
    expected = answer.decision.expected_g_per_kwh
    return float("inf") if expected is None else expected


def _pausing(told: Stated) -> list[str]:
    """What lets a script be paused, as far as it does not say so itself."""
    own = []
    if not told.has("--signal"):
        own.append(f"--signal=B:USR1@{int(GRACE.total_seconds())}")
    if not told.has("--requeue", "--no-requeue"):
        own.append("--requeue")
    if not told.has("--open-mode"):
        own.append("--open-mode=append")
    return own


def _in_line(slurm: Slurm, job_id: str) -> list[SlurmJob]:
    return [job for job in slurm.meant(job_id) if job.is_in_line]


def _is_back(slurm: Slurm, job_id: str, asked: Sequence[str]) -> bool:
    """Whether all that were asked to leave wait in line again or, of an array, are done; raises GreenaiError where one is not."""
    jobs = slurm.meant(*asked)
    for job in jobs:
        is_done = job.job_id != job_id and job.state == "COMPLETED"
        if not (job.is_in_line or job.is_live or is_done):
            raise GreenaiError(
                f"job {job.job_id} ended as {job.state} and does not come back",
                hint="it must save, then exit 75 with RequeueExit=75 in slurm.conf, or call scontrol requeue itself",
            )
    return not any(job.is_live for job in jobs)


def _put_off(slurm: Slurm, job_id: str, moment: datetime | None) -> bool:
    """Hold what is in line, or let it begin then; whether Slurm keeps to that.

    While it puts a requeued job back in line it sets a begin of its own, two minutes off.
    """
    waiting = _in_line(slurm, job_id)
    for job in waiting:
        if moment is None:
            slurm.hold(job.job_id)
        else:
            slurm.start_at(job.job_id, moment)
    if waiting and moment is not None:
        time.sleep(SETTLES_AFTER_S)
    return moment is None or all(_begins_at(job, moment) for job in _in_line(slurm, job_id))


def _begins_at(job: SlurmJob, moment: datetime) -> bool:
    """Whether that is the begin of a job; later, or not known yet, is right too where something else keeps it back."""
    if job.start_at is not None and abs(job.start_at - moment) < SAME_BEGIN:
        return True
    return job.reason not in {"BeginTime", "None"} and (job.start_at is None or job.start_at > moment)


def _await(holds: Callable[[], bool], job_id: str, within: timedelta) -> None:
    give_up_s = time.monotonic() + within.total_seconds()
    while not holds():
        if time.monotonic() > give_up_s:
            raise GreenaiError(
                f"job {job_id} was asked to pause and still runs", hint="its script must trap USR1, save and leave"
            )
        time.sleep(0.5)
