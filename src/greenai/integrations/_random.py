"""The random numbers to come, of every generator a training uses, as plain data: readable without unpickling code."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import Any


def random_state() -> dict[str, Any]:
    """The state of Python's generator and of numpy's, torch's and CUDA's where they are in use: lists, numbers, strings."""
    version, words, gauss = random.getstate()
    state: dict[str, Any] = {"python": [version, list(words), gauss]}
    if numpy := sys.modules.get("numpy"):
        kind, key, *rest = numpy.random.get_state()
        state["numpy"] = [kind, key.tolist(), *rest]
    if torch := sys.modules.get("torch"):
        state["torch"] = torch.get_rng_state().tolist()
        if torch.cuda.is_available():
            state["cuda"] = [one.tolist() for one in torch.cuda.get_rng_state_all()]
    return state


def set_random_state(state: Mapping[str, Any], /) -> None:
    """Go on with the random numbers that `random_state` gave; a library that was not in use then is left alone."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and "numpy" in state:
        kind, key, *rest = state["numpy"]
        numpy.random.set_state((kind, numpy.asarray(key, dtype=numpy.uint32), *rest))
    if torch is not None and "torch" in state:
        torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
        if "cuda" in state:
            torch.cuda.set_rng_state_all([torch.tensor(one, dtype=torch.uint8) for one in state["cuda"]])
