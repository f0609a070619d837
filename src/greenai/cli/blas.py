"""Matrices on one thread."""

from __future__ import annotations

import os
from importlib import import_module

THREADS = "OPENBLAS_NUM_THREADS"


def one_thread() -> None:
    """Load numpy with one thread for its matrices, unless the user says how many, and leave the environment as it was.

    Forecasts are many small sums: more threads than one wait for each other, on a
    busy machine five to fifteen times as long. What this process starts, a
    training, chooses for itself: the variable is read when numpy is loaded, and
    is gone again before anything is launched.
    """
    if THREADS in os.environ:
        return
    os.environ[THREADS] = "1"
    try:
        import_module("numpy")
    finally:
        del os.environ[THREADS]
