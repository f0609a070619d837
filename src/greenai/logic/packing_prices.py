"""What a unit of each resource in each cell is worth to others: a subgradient ascent on the Lagrangian dual.

With the capacities relaxed each job simply takes its cheapest start (or, if it
may be cut, its cheapest slots) at rate plus price; prices rise where too many
want the same cell. At the best prices the value is that of the linear programme
over all starts, which no schedule of jobs in one piece beats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from greenai.logic.packing_grid import EPSILON, BoolArray, Grid, IntArray
from greenai.model.series import FloatArray

ROUNDS = 80
STRIDE = 0.1
"""Of the range of the rates: how far a price moves in the first round."""
MEMORY, SIZE_MEMORY = 0.8, 0.95
"""Of the excess and of its square (Adam's two means, Kingma and Ba 2015): plain subgradients swing and gain half as fast."""
FAR = 1e9
MOST_CHOICES = 4_000_000
"""Above this many starts in all the rounds are fewer: the prices are a guide, not the answer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Group:
    """Jobs (m,) of one length and kind, the cost of each choice (P, m, S), inf where not allowed, and its first slot (m, S)."""

    length: int
    cuttable: bool
    jobs: IntArray
    costs: FloatArray
    slots: IntArray


def prices_of(grid: Grid, members: IntArray) -> FloatArray:
    """Weighted grams per unit, shape (R, P, T); all 0 where everyone can have what they like best."""
    prices = np.zeros_like(grid.capacity)
    if not members.size:
        return prices
    groups = _groups(grid, members)
    choices = sum(group.costs.size for group in groups)
    needs = grid.demands[members]
    mean = np.where(needs > 0, needs, np.nan)
    scale = np.array([np.nanmean(column) if np.isfinite(column).any() else 1.0 for column in mean.T])[:, None, None]
    stride = STRIDE * float(np.ptp(grid.rates)) * float(grid.weight[members].mean()) / scale
    rounds = ROUNDS if choices <= MOST_CHOICES else ROUNDS // 4
    drift, size = np.zeros_like(prices), np.zeros_like(prices)
    for turn in range(rounds):
        # A cap that is no cap is infinite, and nobody fights over it.
        excess = np.maximum(_wanted(grid, groups, prices) - grid.capacity, -FAR)
        if turn == 0 and (excess <= 0).all():
            break
        drift = MEMORY * drift + (1 - MEMORY) * excess
        size = SIZE_MEMORY * size + (1 - SIZE_MEMORY) * excess**2
        mean_drift, mean_size = drift / (1 - MEMORY ** (turn + 1)), size / (1 - SIZE_MEMORY ** (turn + 1))
        step = stride * (1 - turn / rounds)
        prices = np.maximum(prices + step * mean_drift / (np.sqrt(mean_size) + EPSILON), 0.0)
    return prices


def _groups(grid: Grid, members: IntArray) -> list[_Group]:
    kinds = np.stack((grid.length[members], grid.cuttable[members]), axis=1)
    edges = np.pad(np.cumsum(grid.rates, axis=1), ((0, 0), (1, 0)))
    groups = []
    for length, cuttable in np.unique(kinds, axis=0).tolist():
        jobs = members[(kinds == (length, cuttable)).all(axis=1)]
        span = 1 if cuttable else length
        width = int((grid.end[jobs] - grid.first[jobs]).max()) - span + 1
        slots = grid.first[jobs][:, None] + np.arange(width)
        inside = slots + span <= grid.end[jobs][:, None]
        slots = np.minimum(slots, grid.slots - span)
        costs = (edges[:, slots + span] - edges[:, slots]) * grid.weight[jobs][:, None]
        costs[~(grid.allowed[:, jobs][:, :, None] & inside)] = np.inf
        groups.append(_Group(length=length, cuttable=bool(cuttable), jobs=jobs, costs=costs, slots=slots))
    return groups


def _wanted(grid: Grid, groups: list[_Group], prices: FloatArray) -> FloatArray:
    """How much of each resource would be used in each cell if each job took its cheapest choice, (R, P, T)."""
    change = np.zeros((*prices.shape[:2], grid.slots + 1))
    edges = np.pad(np.cumsum(prices, axis=2), ((0, 0), (0, 0), (1, 0)))
    for group in groups:
        span = 1 if group.cuttable else group.length
        priced = group.costs.copy()
        for r, need in enumerate(grid.demands[group.jobs].T):
            priced += need[:, None] * (edges[r][:, group.slots + span] - edges[r][:, group.slots])
        jobs, place, slot = _chosen(group, priced)
        for r, need in enumerate(grid.demands[group.jobs[jobs]].T):
            np.add.at(change[r], (place, slot), need)
            np.add.at(change[r], (place, slot + span), -need)
    wanted: FloatArray = np.cumsum(change, axis=2)[:, :, :-1]
    return wanted


def _chosen(group: _Group, priced: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Index within the group, place and first slot of what each job takes."""
    place = priced.argmin(axis=0)
    least = np.take_along_axis(priced, place[None], axis=0)[0]
    count = min(group.length, least.shape[1]) if group.cuttable else 1
    picked = least.argmin(axis=1)[:, None] if count == 1 else np.argpartition(least, count - 1, axis=1)[:, :count]
    jobs = np.repeat(np.arange(len(group.jobs)), count)
    at = picked.ravel()
    taken: BoolArray = np.isfinite(least[jobs, at])
    return jobs[taken], place[jobs, at][taken], group.slots[jobs, at][taken]
