"""Re-planning every slot for every arrival at once: the kernels of the backtest.

`actual` has shape (T,), one value per slot; `seen` (T, m) is what is forecast at
each slot for it (column 0, known) and the m - 1 after it. A job of `length`
slots arrives at slot a and must be done by a + slack + length. A kernel gives,
for arrivals 0 .. n-1, the grams per kW of load and the delay of the end against
run-now, in slots. The decision rules are stated in docs/explanation/backtesting.md.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from greenai.model.series import FloatArray

IntArray = NDArray[np.int64]
TIE = 1e-10
"""Two forecasts this close are one: ties run now."""


def window_sums(values: FloatArray, length: int) -> FloatArray:
    """Sums of `length` neighbours along the last axis, whose size shrinks by length - 1."""
    sums = np.concatenate((np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)), axis=-1)
    out: FloatArray = sums[..., length:] - sums[..., :-length]
    return out


def contiguous_starts(seen: FloatArray, *, length: int, slack: int, arrivals: int) -> IntArray:
    """Delay of the start, in slots: at each slot start if and only if no later start is forecast to be better."""
    costs = window_sums(seen[: arrivals + slack, : slack + length], length)
    better = costs[:, 1:] < costs[:, :1] * (1 - TIE)
    first_better = np.where(better.any(axis=1), better.argmax(axis=1) + 1, slack + 1)
    first_better = np.concatenate((first_better, np.full(1, slack + 1)))
    start_now = sliding_window_view(first_better, slack + 1)[:arrivals] > slack - np.arange(slack + 1)
    start_now[:, slack] = True
    delays: IntArray = start_now.argmax(axis=1)
    return delays


def contiguous_costs(actual: FloatArray, starts: IntArray, *, length: int) -> FloatArray:
    """Grams per kW of running `length` slots from a + starts[a]."""
    costs: FloatArray = window_sums(actual, length)[np.arange(len(starts)) + starts]
    return costs


def interruptible_runs(seen: FloatArray, *, length: int, slack: int, arrivals: int) -> NDArray[np.bool_]:
    """Which slots after its arrival each job runs in, shape (arrivals, slack + length).

    A slot is run if and only if fewer than the remaining slots of work are
    forecast to be below it before the deadline: also the guard at the limit.
    """
    span = slack + length
    below = seen[: arrivals + span - 1, 1:span] < seen[: arrivals + span - 1, :1] * (1 - TIE)
    counts = np.concatenate((np.zeros((len(below), 1), np.int16), np.cumsum(below, axis=1, dtype=np.int16)), axis=1)
    left = np.full(arrivals, length, dtype=np.int16)
    runs = np.zeros((arrivals, span), dtype=np.bool_)
    for slot in range(span):
        run = (left > 0) & (counts[slot : slot + arrivals, span - 1 - slot] < left)
        runs[:, slot] = run
        left -= run
    return runs


def run_costs(actual: FloatArray, drawn: FloatArray) -> FloatArray:
    """Grams per kW of what is drawn in each slot after each arrival, in slots of load, shape (arrivals, slots)."""
    later = sliding_window_view(actual, drawn.shape[1])[: len(drawn)]
    costs: FloatArray = np.einsum("ij,ij->i", later, drawn)
    return costs


def oracle_costs(actual: FloatArray, *, length: int, slack: int, interruptible: bool) -> FloatArray:
    """The least grams per kW any plan of whole slots can reach, for every arrival the series covers."""
    if interruptible:
        later = sliding_window_view(actual, slack + length)
        least: FloatArray = np.partition(later, length - 1, axis=1)[:, :length].sum(axis=1)
        return least
    best: FloatArray = sliding_window_view(window_sums(actual, length), slack + 1).min(axis=1)
    return best
