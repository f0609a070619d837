"""greenai: run machine-learning training when the grid is clean, and prove what it did. Names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenai._version import __version__
from greenai.pause import Paused, progress

if TYPE_CHECKING:
    from greenai.api import (
        PlanAnswer,
        RunOutcome,
        SettleReport,
        Track,
        carbon_aware,
        evidence_list,
        evidence_show,
        forecast,
        measure,
        plan,
        run,
        settle,
        track,
        verify,
    )
    from greenai.config import Settings
    from greenai.errors import GreenaiError
    from greenai.model.job import Constraints, Job
    from greenai.model.plan import Decision, Plan, Window
    from greenai.model.series import IntensitySeries
    from greenai.model.zone import Place

__all__ = ["Constraints", "Decision", "GreenaiError", "IntensitySeries", "Job", "Place", "Plan", "PlanAnswer", "RunOutcome"]
__all__ += ["Settings", "SettleReport", "Track", "Window", "__version__", "carbon_aware", "evidence_list", "evidence_show"]
__all__ += ["Paused", "forecast", "measure", "plan", "progress", "run", "settle", "track", "verify"]

_HOMES = {
    "greenai.config": ("Settings",),
    "greenai.errors": ("GreenaiError",),
    "greenai.model.job": ("Constraints", "Job"),
    "greenai.model.plan": ("Decision", "Plan", "Window"),
    "greenai.model.series": ("IntensitySeries",),
    "greenai.model.zone": ("Place",),
}
"""Where the names live that are not in greenai.api."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'greenai' has no attribute {name!r}")
    from importlib import import_module

    home = next((home for home, names in _HOMES.items() if name in names), "greenai.api")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
