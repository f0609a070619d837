"""The rules of others, as array operations: what fixed signals and the published policies would choose.

"Let's Wait Awhile": Wiesner et al., Middleware 2021. GAIA: Hanafy et al., ASPLOS
2024 (lowest slot, lowest window, carbon-time). Ecovisor: Souza et al., ASPLOS 2023.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from greenai.logic.backtesting_kernel import IntArray, window_sums
from greenai.model.series import FloatArray

PERCENT = 30.0


def lowest_slots(seen: FloatArray, length: int) -> NDArray[np.bool_]:
    """The `length` slots forecast lowest, ties to the earliest: exactly so many, where a limit on the value overruns on ties."""
    order = np.argsort(seen, axis=1, kind="stable")[:, :length]
    runs = np.zeros(seen.shape, dtype=np.bool_)
    np.put_along_axis(runs, order, True, axis=1)
    return runs


def worth_the_wait(seen: FloatArray, length: int) -> IntArray:
    """The start with the most saving per slot from arrival to completion; ties to the earliest."""
    costs = window_sums(seen, length)
    per_slot = (costs[:, :1] - costs) / (np.arange(costs.shape[1]) + length)
    starts: IntArray = per_slot.argmax(axis=1)
    return starts


def below_past_percentile(actual: FloatArray, before: FloatArray, week: int) -> NDArray[np.bool_]:
    """Whether each value is at or below the 30th percentile of the `week` slots up to it."""
    past = np.concatenate((before[-(week - 1) :], actual))
    limits = np.percentile(sliding_window_view(past, min(week, len(past))), PERCENT, axis=1)
    below = np.zeros(len(actual), dtype=np.bool_)
    below[len(actual) - len(limits) :] = actual[len(actual) - len(limits) :] <= limits[-len(actual) :]
    return below


def first_signal(go: NDArray[np.bool_], slack: int) -> IntArray:
    """Slots from each arrival to the first signal, `slack` at most; for arrivals whose slack is covered."""
    ahead = sliding_window_view(go, slack + 1).copy()
    ahead[:, slack] = True
    starts: IntArray = ahead.argmax(axis=1)
    return starts


def runs_on_signal(go: NDArray[np.bool_], length: int, slack: int) -> NDArray[np.bool_]:
    """The slots run: on a signal while work is left, and whenever all time left is needed."""
    span = length + slack
    ahead = sliding_window_view(go, span)
    left = np.full(len(ahead), length)
    runs = np.zeros(ahead.shape, dtype=np.bool_)
    for slot in range(span):
        runs[:, slot] = (left > 0) & (ahead[:, slot] | (left >= span - slot))
        left -= runs[:, slot]
    return runs
