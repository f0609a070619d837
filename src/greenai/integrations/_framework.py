"""The frameworks: imported when first needed, named in one sentence when missing."""

from __future__ import annotations

import importlib
from types import ModuleType


def need(module: str, *, extra: str) -> ModuleType:
    """The imported module.

    Raises:
        ImportError: it is not installed, or broken; names the extra to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"pausing needs {module}, which cannot be imported ({error}); install it with: pip install 'greenai[{extra}]'"
        ) from error


def callback(events: type, base: type, *, name: str) -> type:
    """`events` as a subclass of the framework's own callback class, which is there only once the framework is imported."""
    return type(name, (events, base), {"__doc__": events.__doc__, "__module__": events.__module__})
