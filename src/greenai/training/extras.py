"""The heavy libraries: imported when first needed, named in one sentence when they are missing."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from greenai.errors import InputError

_PROJECTS = MappingProxyType({"sklearn": "scikit-learn"})
_NOT_NEEDED_BY_LIGHTGBM = ("sklearn", "pandas", "pyarrow", "dask", "matplotlib", "cffi", "graphviz")


def need(module: str, *, extra: str = "train", what: str = "training") -> Any:
    """The imported module.

    Raises:
        InputError: it is not installed, or broken; names the extra to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.partition(".")[0]
        name = _PROJECTS.get(top, top)
        raise InputError(
            f"{what} needs {name}, which cannot be imported ({error})", hint=f"install it with: pip install 'greenai[{extra}]'"
        ) from error


def preload(modules: Iterable[str], *, extra: str = "train", what: str = "training") -> float:
    """Import modules ahead of a measurement; CPU seconds it took, 0 for those already there.

    Raises:
        InputError: one is not installed; names the extra.
    """
    begun_s = time.process_time()
    for module in modules:
        need(module, extra=extra, what=what)
    return time.process_time() - begun_s


def import_lightgbm_alone() -> None:
    """Import LightGBM without what it only offers to connect to; for processes that greenai owns.

    LightGBM pulls in scikit-learn, pandas and pyarrow if they are installed, and
    uses none of them to train on arrays: 2.2 CPU-seconds of imports, 0.3 without
    (bench/training.py), beside a fit of 0.01. In such a process `LGBMRegressor`
    does not work afterwards, so this is never done inside a user's program.
    Nothing happens where LightGBM is imported already.
    """
    if "lightgbm" in sys.modules:
        return
    hidden = [name for name in _NOT_NEEDED_BY_LIGHTGBM if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # None is the documented way to make an import fail
    try:
        need("lightgbm")
    finally:
        for name in hidden:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]
