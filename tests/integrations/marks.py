"""What a program under test says to the test that runs it: which step is done (and waits for leave), and its result.

Without sleeps and without luck: at each mark the program stops until the test has answered, so a pause file made by
the test is there when the program looks for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

_FDS = os.environ.get("MARK_FDS", "").split(",")


def step(number: int) -> None:
    """Step `number` is done and its safe point comes next."""
    if len(_FDS) == 2:
        os.write(int(_FDS[1]), f"{number}\n".encode("ascii"))
        os.read(int(_FDS[0]), 1)


def finish(**arrays: Any) -> None:
    """The run's result: every parameter, and predictions."""
    np.savez(Path(os.environ["RESULT"]), **{name: np.asarray(value) for name, value in arrays.items()})
