"""The public verbs, on top of wiring; the face re-exports them. Names load on first use: `jobs` needs no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenai.api.backtesting import Asked, backtest
    from greenai.api.backtesting_jobs import backtest_jobs
    from greenai.api.exploring import Covered, history, other_basis, probe, zones
    from greenai.api.fleet import FleetAnswer, plan_jobs
    from greenai.api.judging import skill
    from greenai.api.measuring import EnergyUse, measured
    from greenai.api.places import PlacesAnswer, Region, plan_places, regions
    from greenai.api.planning import PlanAnswer, forecast, plan
    from greenai.api.queueing import (
        JobPage,
        cancel,
        hold,
        job,
        job_events,
        job_evidence,
        jobs,
        log_path,
        pause,
        release,
        resume,
        retry,
        running_holder,
    )
    from greenai.api.recording import evidence_list, evidence_show, settle, verify
    from greenai.api.replaying import series_of, trace_of_run
    from greenai.api.running import measure, run
    from greenai.api.scaling import profile_scaling, scaling_of
    from greenai.api.serving import serve, tick_once, wait
    from greenai.api.submitting import submit
    from greenai.api.tracking import Track, carbon_aware, track
    from greenai.engine.run import RunOutcome
    from greenai.engine.settle import SettleReport
    from greenai.engine.verify import VerifyReport
    from greenai.logic.scaling_document import elastic_document

_HOMES = {
    "greenai.api.backtesting": ("Asked", "backtest"),
    "greenai.api.backtesting_jobs": ("backtest_jobs",),
    "greenai.api.exploring": ("Covered", "history", "other_basis", "probe", "zones"),
    "greenai.api.fleet": ("FleetAnswer", "plan_jobs"),
    "greenai.api.judging": ("skill",),
    "greenai.api.measuring": ("EnergyUse", "measured"),
    "greenai.api.places": ("PlacesAnswer", "Region", "plan_places", "regions"),
    "greenai.api.planning": ("PlanAnswer", "forecast", "plan"),
    "greenai.api.queueing": (
        *("JobPage", "cancel", "hold", "job", "job_events", "job_evidence", "jobs"),
        *("log_path", "pause", "release", "resume", "retry", "running_holder"),
    ),
    "greenai.api.recording": ("evidence_list", "evidence_show", "settle", "verify"),
    "greenai.api.replaying": ("series_of", "trace_of_run"),
    "greenai.api.running": ("measure", "run"),
    "greenai.api.scaling": ("profile_scaling", "scaling_of"),
    "greenai.api.serving": ("serve", "tick_once", "wait"),
    "greenai.api.submitting": ("submit",),
    "greenai.api.tracking": ("Track", "carbon_aware", "track"),
    "greenai.engine.run": ("RunOutcome",),
    "greenai.engine.settle": ("SettleReport",),
    "greenai.engine.verify": ("VerifyReport",),
    "greenai.logic.scaling_document": ("elastic_document",),
}
"""Where each name lives."""

__all__ = [
    "Asked",
    "Covered",
    "EnergyUse",
    "FleetAnswer",
    "JobPage",
    "PlacesAnswer",
    "PlanAnswer",
    "Region",
    "RunOutcome",
    "SettleReport",
    "Track",
    "VerifyReport",
    "backtest",
    "backtest_jobs",
    "cancel",
    "carbon_aware",
    "elastic_document",
    "evidence_list",
    "evidence_show",
    "forecast",
    "history",
    "hold",
    "job",
    "job_events",
    "job_evidence",
    "jobs",
    "log_path",
    "measure",
    "measured",
    "other_basis",
    "pause",
    "plan",
    "plan_jobs",
    "plan_places",
    "probe",
    "profile_scaling",
    "regions",
    "release",
    "resume",
    "retry",
    "run",
    "running_holder",
    "scaling_of",
    "series_of",
    "serve",
    "settle",
    "skill",
    "submit",
    "tick_once",
    "trace_of_run",
    "track",
    "verify",
    "wait",
    "zones",
]


def __getattr__(name: str) -> Any:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'greenai.api' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
