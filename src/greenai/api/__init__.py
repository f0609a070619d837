"""The public verbs, on top of wiring; the face re-exports them."""

from greenai.api.exploring import Covered, history, other_basis, probe, zones
from greenai.api.measuring import EnergyUse, measured
from greenai.api.places import PlacesAnswer, Region, plan_places, regions
from greenai.api.planning import PlanAnswer, forecast, plan
from greenai.api.recording import evidence_list, evidence_show, settle, verify
from greenai.api.replaying import series_of, trace_of_run
from greenai.api.running import measure, run
from greenai.api.scaling import profile_scaling, scaling_of
from greenai.api.tracking import Track, carbon_aware, track
from greenai.engine.run import RunOutcome
from greenai.engine.settle import SettleReport
from greenai.engine.verify import VerifyReport
from greenai.logic.scaling_document import elastic_document

__all__ = [
    "Covered",
    "EnergyUse",
    "PlacesAnswer",
    "PlanAnswer",
    "Region",
    "RunOutcome",
    "SettleReport",
    "Track",
    "VerifyReport",
    "carbon_aware",
    "elastic_document",
    "evidence_list",
    "evidence_show",
    "forecast",
    "history",
    "measure",
    "measured",
    "other_basis",
    "plan",
    "plan_places",
    "probe",
    "profile_scaling",
    "regions",
    "run",
    "scaling_of",
    "series_of",
    "settle",
    "trace_of_run",
    "track",
    "verify",
    "zones",
]
