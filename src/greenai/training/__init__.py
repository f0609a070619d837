"""Green training: the least energy at a quality that is not worse, measured, compared in pairs, proven before it is used.

- `load`, `sample`: a workload from a file, or one that needs no network
- `train`: one training, baseline or optimized behind the quality gate
- `optimise`: search for the least energy that is not worse; `save_recipe`, `load_recipe`
- `experiment`: two arms in randomised pairs, and what may be concluded

The heavy libraries come with the extra `train` and are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenai.training.arms import Arm, arm_of
    from greenai.training.baseline import baseline_of
    from greenai.training.comparing import ExperimentResult, Intensities, experiment
    from greenai.training.fitting import TrainResult, train
    from greenai.training.gate import Check, Verdicts, check
    from greenai.training.optimising import Budget, OptimiseResult, optimise
    from greenai.training.recipe import Recipe, load_recipe, packaged_recipe, save_recipe
    from greenai.training.samples import sample
    from greenai.training.workload import Workload, load

_HOMES = {
    "Arm": "arms",
    "arm_of": "arms",
    "baseline_of": "baseline",
    "ExperimentResult": "comparing",
    "Intensities": "comparing",
    "experiment": "comparing",
    "Check": "gate",
    "Verdicts": "gate",
    "check": "gate",
    "Budget": "optimising",
    "OptimiseResult": "optimising",
    "optimise": "optimising",
    "Recipe": "recipe",
    "load_recipe": "recipe",
    "packaged_recipe": "recipe",
    "save_recipe": "recipe",
    "sample": "samples",
    "TrainResult": "fitting",
    "train": "fitting",
    "Workload": "workload",
    "load": "workload",
}

__all__ = [
    "Arm",
    "Budget",
    "Check",
    "ExperimentResult",
    "Intensities",
    "OptimiseResult",
    "Recipe",
    "TrainResult",
    "Verdicts",
    "Workload",
    "arm_of",
    "baseline_of",
    "check",
    "experiment",
    "load",
    "load_recipe",
    "optimise",
    "packaged_recipe",
    "sample",
    "save_recipe",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
