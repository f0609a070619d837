"""Settings become doors: the only room that sees all the others."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from greenai import config, pause, plugins
from greenai._version import __version__
from greenai.adapters.clock import SystemClock
from greenai.adapters.door import SchemeDoor
from greenai.adapters.executors import slurm_commands as slurm_doors
from greenai.adapters.executors.foreground import pausable
from greenai.adapters.executors.local import LocalExecutor, check_command
from greenai.adapters.exporters import decision_json, evidence_csv, series_csv
from greenai.adapters.files import FileDoor
from greenai.adapters.http import NetworkDoor
from greenai.adapters.ledger import FileLedger
from greenai.adapters.runs import RunDirectories
from greenai.adapters.store.archive import SqliteArchive
from greenai.adapters.turns import Turns
from greenai.config import Settings
from greenai.engine import foresight
from greenai.engine.asking import Keyring
from greenai.engine.doors import Doors, Write, tell_nobody
from greenai.engine.progress import Progress, Read
from greenai.engine.read import Sources, telling
from greenai.engine.run import RunOutcome
from greenai.errors import InputError, StoreError
from greenai.logic.embodied import GRAMS_PER_KG, HOURS_PER_YEAR, embodied_from_table
from greenai.logic.evidence_rows import COLUMNS, decision_entry, evidence_row
from greenai.model.energy import MeterEnvironment
from greenai.model.evidence import RunFacts
from greenai.model.footprint import Embodied, Estimate
from greenai.model.intensity import Access, Provider, Request
from greenai.model.job import Job
from greenai.model.queue import PauseWay
from greenai.model.series import IntensitySeries
from greenai.model.zone import Place
from greenai.ports import Clock, Executor, Metering

if TYPE_CHECKING:
    from greenai.adapters.meters.chain import MeterChain
    from greenai.engine.verify import VerifyReport
    from greenai.logic.deciding import Policy

__all__ = [
    "access_to",
    "check_command",
    "check_outputs",
    "check_series_file",
    "detect_meters",
    "every_provider",
    "export",
    "facts_of",
    "local_executor",
    "metering_of",
    "open_doors",
    "open_ledger",
    "pausable_executor",
    "policy_named",
    "run_environment",
    "settings_with",
    "slurm_commands",
    "sources_of",
    "system_clock",
    "verify_ledger",
    "write_series_file",
]

GIVEN = ("csv", "constant")
"""Providers of what the user gives: asked alone when it is given, never otherwise."""

_KEYRING = Keyring()
"""Log-ins live as long as this process, whoever asks in it."""


def system_clock() -> Clock:
    """The machine's clock."""
    return SystemClock()


def settings_with(settings: Settings | None, **flags: object) -> Settings:
    """The given settings, or those of this process and directory, with flags that are not None on top."""
    given = {name: value for name, value in flags.items() if value is not None}
    if settings is None:
        return config.load(os.environ, Path.cwd(), given)
    return config.with_flags(settings, given, Path.cwd()) if given else settings


def policy_named(name: str) -> Policy:
    """A policy by its entry point's name; raises InputError with the closest names, as the policy does whatever goes wrong."""
    return plugins.guarded(plugins.load("greenai.policies", name), f"the policy {name!r}")


def providers_of(settings: Settings) -> tuple[Provider, ...]:
    """What may be asked, in order: the user's own series alone if there is one, else services, then packaged facts."""
    given = _given(settings)
    if given:
        return (plugins.load("greenai.providers", next(iter(given))),)
    return tuple(provider for provider in every_provider(settings) if provider.basis == settings.basis)


def every_provider(settings: Settings) -> tuple[Provider, ...]:
    """All services and packaged facts of either basis, in order of preference."""
    known, _problems = plugins.load_all("greenai.providers")
    services = [provider for name, provider in known.items() if name not in GIVEN]
    return tuple(sorted(services, key=lambda provider: _preference(provider, settings)))


def _preference(provider: Provider, settings: Settings) -> tuple[bool, int, bool, bool, str]:
    """Services before packaged facts; among services those the user has a key for, then those without one, then the rest.

    What forecasts goes before what only knows the past, and the yearly mean is last.
    """
    access = access_to(provider.name, settings)
    place = 2 if provider.lacks(access) else (0 if provider.needs else 1)
    return not provider.live, place, not provider.forecasts, provider.name == "annual", provider.name


def access_to(name: str, settings: Settings) -> Access:
    """Base URL and key of a service, as far as they are set."""
    return Access(base_url=settings.urls.get(name, ""), key=settings.keys.get(name, ""))


def _given(settings: Settings) -> dict[str, Access]:
    if settings.series is not None:
        return {"csv": Access(base_url=_file_url(settings.series))}
    if settings.constant_g_per_kwh is not None:
        return {"constant": Access(base_url=f"data:text/plain,{settings.constant_g_per_kwh!r}")}
    return {}


def sources_of(settings: Settings, *, clock: Clock | None = None, network: bool = True) -> Sources:
    """The grid as these settings see it; `network` False: archive, files and packaged facts only."""
    clock = clock or SystemClock()
    foreseen = foresight_of(settings)
    reader = FileDoor(now=clock.now)
    web = NetworkDoor(now=clock.now, bound_s=settings.http_timeout_s, wait_turn=_turns_in(settings.home).wait)
    services = {name: access_to(name, settings) for name in {*settings.urls, *settings.keys}}
    return Sources(
        providers=providers_of(settings),
        access={**services, **_given(settings)},
        door=SchemeDoor({"https": web, "http": web, "file": reader, "package": reader, "data": reader}),
        archive=SqliteArchive(settings.home / "archive.sqlite"),
        network=network,
        foresight=foreseen,
        keyring=_KEYRING,
    )


@cache
def _turns_in(home: Path) -> Turns:
    """The turns at services that count, shared with every process of this state directory."""
    return Turns(home / "turns")


def foresight_of(settings: Settings) -> foresight.Foresight:
    """How greenai forecasts itself, as these settings say; raises InputError for a forecaster nobody knows.

    A series the user gives stands as it is, unless a forecaster of ours is named:
    then its part before now is the history, and nothing after now is known.
    """
    name, given = settings.forecaster, _given(settings)
    make = None if name in foresight.NAMES else _plugged_forecaster(name)
    if given and (name in {foresight.AUTO, foresight.SERVICE} or settings.series is None):
        return foresight.Foresight()
    from greenai.adapters.providers.csv import past
    from greenai.adapters.weather.openmeteo import service

    path = settings.history or settings.series
    return foresight.Foresight(
        forecaster=name,
        make=make,
        file=Request(url=_file_url(path)) if path else None,
        asks=settings.series is None,
        read_file=past,
        weather=service if settings.basis == "average" and settings.series is None else None,
    )


def _plugged_forecaster(name: str) -> foresight.Forecaster:
    known = sorted({*foresight.NAMES, *plugins.names("greenai.forecasters")})
    if name not in known:
        raise InputError(f"there is no forecaster {name!r}", hint=f"known: {', '.join(known)}")
    made: foresight.Forecaster = plugins.load("greenai.forecasters", name)
    return made


def _file_url(path: Path) -> str:
    return f"file://{quote(str(path.absolute()))}"


def open_ledger(settings: Settings) -> FileLedger:
    """The ledger of the state directory."""
    return FileLedger(settings.home)


def open_doors(
    settings: Settings,
    *,
    clock: Clock | None = None,
    tell: Callable[[Progress], None] = tell_nobody,
    network: bool = True,
    adopts: bool = False,
) -> Doors:
    """Every door, as these settings say; `adopts` as in `metering_of`."""
    clock = clock or SystemClock()
    return Doors(
        clock=clock,
        sources=telling(
            sources_of(settings, clock=clock, network=network), lambda what, done, of: tell(Read(what=what, done=done, of=of))
        ),
        ledger=open_ledger(settings),
        runs=RunDirectories(settings.home),
        executor=LocalExecutor(),
        metering=lambda write: metering_of(settings, write, adopts=adopts),
        tell=tell,
    )


def pausable_executor(
    settings: Settings, run_id: str, *, way: PauseWay, grace: timedelta
) -> tuple[Executor, dict[str, str], Callable[[], str]]:
    """Where a command in the foreground runs that may be asked to pause, what it is told of that, and what was done to it."""
    return pausable(settings.home, run_id, os.environ, way=way, grace=grace)


def local_executor() -> Executor:
    """Where commands run: this machine."""
    return LocalExecutor()


def slurm_commands() -> slurm_doors.Slurm:
    """The cluster whose commands stand on this process's path."""
    return slurm_doors.Slurm(os.environ)


def meter_environment(settings: Settings) -> MeterEnvironment:
    """Where meters look, as plain values."""
    return MeterEnvironment(
        powercap_root=str(settings.powercap_root),
        proc_root=str(settings.proc_root),
        sys_root=str(settings.sys_root),
        nvml_library=settings.nvml_library,
        visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
        assumed_w=settings.assumed_w,
        idle_w=settings.idle_w,
    )


def detect_meters(settings: Settings) -> MeterChain:
    """The best meter of each component here, and why the others were not taken."""
    from greenai.adapters.meters.chain import MeterChain

    # A broken plug-in of somebody else's must not stop a run: greenai plugins names it.
    detectors, _problems = plugins.load_all("greenai.meters")
    return MeterChain.detect(detectors, meter_environment(settings), chosen=settings.meter)


def metering_of(settings: Settings, write: Write, *, adopts: bool = False) -> Metering:
    """A measurement, not yet started, that spools each interval through `write`.

    `adopts`: this process exists to run the job, and may become the parent of
    descendants that outlive their own. Of several ranks on a node one measures.
    """
    from greenai.adapters.cpu_time import JobCpu, adopt_orphans, cores_share
    from greenai.adapters.lease import claim_node
    from greenai.adapters.sampler import Sampler, Unmetered

    lease = claim_node(os.environ)
    if lease.refusal:
        return Unmetered(lease.refusal, write)
    chain = detect_meters(settings)
    roots = {"proc_root": str(settings.proc_root), "sys_root": str(settings.sys_root)}
    return Sampler(
        chain.meters,
        JobCpu(**roots, adopts=adopts and adopt_orphans()),
        write,
        rejected=chain.rejected,
        cores_share=cores_share(**roots),
        interval_s=settings.interval_s,
        at_end=lease.release,
    )


def place_of(settings: Settings) -> Place:
    """The zone and the building."""
    return Place(zone=settings.zone, pue=settings.pue, pue_source=settings.pue_source, wue_l_per_kwh=settings.wue_l_per_kwh)


def embodied_of(settings: Settings) -> Embodied | None:
    """The making of the machine: as the user stated it, else the packaged row they named, else unknown.

    Raises:
        InputError: the table has no such row.
    """
    if settings.embodied_kg is not None:
        low_g, high_g = (kg * GRAMS_PER_KG for kg in settings.embodied_kg)
        return Embodied(
            total_g=Estimate(value=(low_g + high_g) / 2, low=low_g, high=high_g),
            life_h=settings.life_years * HOURS_PER_YEAR,
            resource_share=settings.resource_share,
            source="stated by the user (embodied_kg)",
        )
    if settings.embodied is None:
        return None
    table = files("greenai.facts").joinpath("embodied.csv").read_text(encoding="utf-8")
    return embodied_from_table(table, settings.embodied, resource_share=settings.resource_share)


def facts_of(
    job: Job, settings: Settings, *, unit: tuple[str, float], labels: Mapping[str, str], deferrable: bool, csv: Path | None = None
) -> RunFacts:
    """What the evidence of a job will rest on; `unit` names R of the SCI score and counts it."""
    limits = job.constraints
    return RunFacts(
        run_id=job.id,
        command=job.command,
        runnable_at=job.submitted_at,
        latest_start_at=limits.latest_start_at if deferrable else None,
        place=place_of(settings),
        embodied=embodied_of(settings),
        per=unit[0],
        count=unit[1],
        hold_w=settings.hold_w,
        threshold_g_per_kwh=limits.max_g_per_kwh,
        labels={**slurm_doors.job_labels(os.environ), **labels},
        machine={"os": platform.system(), "machine": platform.machine(), "python": platform.python_version()},
        version=__version__,
        csv_path=str(csv.absolute()) if csv else "",
    )


def run_environment(job: Job) -> dict[str, str]:
    """What the command is told: the names every integration keys on."""
    return {pause.RUN_ID: job.id, pause.ZONE: job.zone}


def check_outputs(csv: Path | None, decision_log: Path | None) -> None:
    """Refuse files that cannot be written before anything is started; raises InputError."""
    if csv is not None:
        evidence_csv.check_writable(csv, COLUMNS)
    if decision_log is not None:
        decision_json.check_writable(decision_log)


def check_series_file(path: Path) -> None:
    """Refuse a series file that cannot be made, before anything is asked; raises InputError."""
    series_csv.check_free(path)


def write_series_file(path: Path, series: IntensitySeries) -> None:
    """Write a series so that --series reads it back; raises StoreError."""
    series_csv.write(path, series)


def export(outcome: RunOutcome, *, csv: Path | None, decision_log: Path | None) -> tuple[str, ...]:
    """Write the files beside the ledger; what fails is a warning, the ledger has it all."""
    if outcome.evidence is None:
        return ()
    warnings: list[str] = []
    for path, write in ((csv, _write_row), (decision_log, _write_entry)):
        if path is not None:
            try:
                warnings += write(path, outcome)
            except StoreError as error:
                warnings.append(str(error))
    return tuple(warnings)


def _write_row(path: Path, outcome: RunOutcome) -> Sequence[str]:
    return evidence_csv.append_row(path, evidence_row(outcome.evidence or {}))


def _write_entry(path: Path, outcome: RunOutcome) -> Sequence[str]:
    return decision_json.append_entry(path, decision_entry(outcome.evidence or {}))


def verify_ledger(settings: Settings, csv_paths: Sequence[Path]) -> VerifyReport:
    """Check the ledger of the state directory, and evidence.csv files against it."""
    from greenai.engine.verify import verify, verify_csv

    ledger = open_ledger(settings)
    known, _problems = plugins.load_all("greenai.providers")
    archive = SqliteArchive(settings.home / "archive.sqlite")
    report = verify(ledger, RunDirectories(settings.home), archive, tuple(known.values()))
    records = tuple(ledger.records()) if csv_paths else ()
    problems = (f"{path}, {problem}" for path in csv_paths for problem in verify_csv(evidence_csv.read_rows(path), records))
    return replace(report, problems=(*report.problems, *problems))
