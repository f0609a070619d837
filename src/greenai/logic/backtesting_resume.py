"""Jobs in pieces whose every resume costs work: the exact plan over whole slots, for all arrivals at once.

A resume loses `cost_slots` of a slot: so much more is drawn in the slot that
resumes, at that slot's intensity. The time it takes is not played: callers keep
one slot of slack free, in which it is made up (`cost_slots` is at most 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from greenai.logic.backtesting_kernel import TIE
from greenai.model.series import FloatArray

BoolArray = NDArray[np.bool_]
BLOCK = 1000
"""Arrivals played at once: bounds the tables, which have a cell for each slot and each amount of work left."""


def weights(runs: BoolArray, cost_slots: float) -> FloatArray:
    """What is drawn in each slot, in slots of load: 1 where the job runs, more where it resumes."""
    begins = runs & ~np.pad(runs, ((0, 0), (1, 0)))[:, :-1]
    resumes = begins & (np.cumsum(begins, axis=1) > 1)
    out: FloatArray = runs + cost_slots * resumes
    return out


def planned(seen: FloatArray, length: int, cost_slots: float) -> BoolArray:
    """The cheapest `length` of the slots of each row, its resumes paid; ties to the earliest slots. Shape as `seen`."""
    blocks = range(0, len(seen), BLOCK)
    return np.concatenate([_planned(seen[first : first + BLOCK], length, cost_slots) for first in blocks])


def _planned(seen: FloatArray, length: int, cost_slots: float) -> BoolArray:
    """Backwards: the least cost of what is left, by work left and by whether the slot before was run."""
    rows, span = seen.shape
    ahead = np.full((length + 1, 2, rows), np.inf)
    ahead[0] = 0.0
    run_at = np.zeros((span, length + 1, 2, rows), dtype=np.bool_)
    for slot in range(span - 1, -1, -1):
        run = np.full_like(ahead, np.inf)
        run[1:] = ahead[:-1, 1:] + seen[:, slot]
        run[1:length, 0] += cost_slots * seen[:, slot]
        idle = np.repeat(ahead[:, :1], 2, axis=1)
        run_at[slot] = run <= idle * (1 + TIE)
        run_at[slot, 0] = False
        ahead = np.minimum(run, idle)
    return _walked(run_at, length)


def rolling(seen: FloatArray, *, length: int, slack: int, arrivals: int, cost_slots: float) -> BoolArray:
    """Planned anew in every slot on the forecast of that slot, row a + k for arrival a; shape (arrivals, slack + length)."""
    span = slack + length
    blocks = [(first, min(first + BLOCK, arrivals)) for first in range(0, arrivals, BLOCK)]
    return np.concatenate(
        [_rolling(seen[first : stop + span - 1, :span], length, stop - first, cost_slots) for first, stop in blocks]
    )


def _rolling(seen: FloatArray, length: int, arrivals: int, cost_slots: float) -> BoolArray:
    """Forwards from every row at once: what running and idling now come to, for every end and amount of work at a time."""
    span, rows = seen.shape[1], len(seen)
    # By the first slot: run; idle and begin later for nothing; idle and resume later. Then work done, run in the last slot, row.
    least = np.full((3, length + 1, 2, rows), np.inf)
    least[0, 1, 1] = seen[:, 0]
    least[1:, 0, 0] = 0.0
    run_at = np.zeros((span, length + 1, 2, arrivals), dtype=np.bool_)
    for ahead in range(1, span + 1):
        run_at[span - ahead] = _better_run(least, seen[:, 0], cost_slots)[:, :, span - ahead : span - ahead + arrivals]
        if ahead < span:
            least = _a_slot_further(least, seen[:, ahead], cost_slots)
    return _walked(run_at, length)


def _better_run(least: FloatArray, now: FloatArray, cost_slots: float) -> BoolArray:
    """Whether running now is no dearer than idling, by work left and by whether the slot before was run."""
    run, free, paid = least.min(axis=2)
    idle = np.concatenate((paid[:-1], free[-1:]))
    resumed = run + cost_slots * now
    resumed[-1] = run[-1]
    better: BoolArray = np.stack((resumed, run), axis=1) <= idle[:, None] * (1 + TIE)
    better[0] = False
    return better


def _a_slot_further(least: FloatArray, price: FloatArray, cost_slots: float) -> FloatArray:
    """The least costs with one more slot looked at."""
    out = np.full_like(least, np.inf)
    out[:, :, 0] = least.min(axis=2)
    begin = least[:, :-1, 0] + cost_slots * price
    begin[1, 0] = least[1, 0, 0]
    out[:, 1:, 1] = price + np.minimum(least[:, :-1, 1], begin)
    return out


def _walked(run_at: BoolArray, length: int) -> BoolArray:
    """Each row from its first slot: run where the table says so for its work left and its last slot."""
    span, _, _, rows = run_at.shape
    left, before, row = np.full(rows, length), np.zeros(rows, dtype=np.int64), np.arange(rows)
    runs = np.zeros((rows, span), dtype=np.bool_)
    for slot in range(span):
        runs[:, slot] = run_at[slot, left, before, row]
        left -= runs[:, slot]
        before = runs[:, slot].astype(np.int64)
    return runs
