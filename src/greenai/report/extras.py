"""The libraries of the extra [report], imported when first used and named in one sentence when missing."""

from __future__ import annotations

import importlib
from typing import Any

from greenai.errors import InputError


def need(module: str) -> Any:
    """The imported module.

    Raises:
        InputError: it is not installed; names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise InputError(
            f"reports need {name}, which cannot be imported ({error})", hint="install it with: pip install 'greenai[report]'"
        ) from error
