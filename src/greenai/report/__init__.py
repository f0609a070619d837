"""Reports made from the ledger alone: cards, footprint, impact, plots and one page. Extra [report]; nothing is written by hand.

- `write_report`: all files of `greenai report`
- `draw_experiment`, `draw_pareto`: the plots of `greenai experiment` and `greenai optimize`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenai.report.plots import draw_experiment, draw_pareto
    from greenai.report.writing import write_report

_HOMES = {"draw_experiment": "plots", "draw_pareto": "plots", "write_report": "writing"}

__all__ = ["draw_experiment", "draw_pareto", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
