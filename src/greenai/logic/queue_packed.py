"""Few jobs placed by the packer, where the quick way leaves some out or could be cleaner.

The machine is one place to the packer, whatever zones its jobs name: what is
short is shared. Jobs of several zones are packed against the mean of what their
zones cost, so that all are in time; then each takes the cheapest place in its own
zone that leaves the others in time.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from greenai.logic.crowding import Arrangement, choose, improve, reserve
from greenai.logic.packing import pack
from greenai.logic.packing_grid import MOST_RANKS, PRIORITY_FACTOR, IntArray
from greenai.logic.queue_ground import Ground
from greenai.logic.sharing import hours_of
from greenai.model.fleet import FleetJob, Packing
from greenai.model.series import FloatArray, IntensitySeries, Source

PACKED_AT_MOST = 100
"""So few jobs are packed by the thorough and slow way where the quick one leaves some out."""

CLEANED_CELLS = 120_000
"""Jobs times slots up to which a plan that has all in time is packed too, in case that is cleaner."""

HERE = "here"
SAME = 1e-9


def fewer_out(
    arrangement: Arrangement, ground: Ground, out: IntArray, *, stay: IntArray, late: IntArray
) -> tuple[Arrangement, IntArray, IntArray]:
    """Look harder for room: the arrangement, who is out then, and who is proved to ask for too much.

    Args:
        arrangement: what the quick way found.
        ground: the time ahead.
        out: those for which it found no room in time.
        stay: those that keep the place they have.
        late: those that cannot be in time: after all others, as soon as there is room.
    """
    crowd = arrangement.crowd
    others = np.setdiff1d(np.arange(len(crowd.length)), np.concatenate((stay, late)))
    if not out.size or len(others) > PACKED_AT_MOST:
        return arrangement, out, out[:0]
    fresh = _kept(arrangement, stay)
    packing = _packing(fresh, ground, others)
    named = np.array([int(job_id) for job_id in packing.conflict] if packing.proved else [], np.int64)
    if len(packing.unplaced) >= len(out):
        return arrangement, out, named
    _put(fresh, ground, packing)
    if len(ground.zones) > 1:
        placed = others[fresh.start[others] >= 0]
        fresh = choose(fresh, placed[np.argsort(crowd.end[placed], kind="stable")], stay)
        improve(fresh, placed)
    still_out = np.array([int(job_id) for job_id in packing.unplaced], np.int64)
    fresh.end[still_out] = ground.slots
    last = np.flatnonzero(fresh.start < 0)
    reserve(fresh, last[np.lexsort((crowd.end[last], -crowd.rank[last]))])
    return fresh, still_out, named


def cleaner(arrangement: Arrangement, ground: Ground, *, stay: IntArray) -> Arrangement:
    """The same jobs packed, if that has them all in time too and is cleaner; else the arrangement.

    Only where all lie in one zone: elsewhere each has chosen for itself already.
    """
    crowd = arrangement.crowd
    others = np.setdiff1d(np.arange(len(crowd.length)), stay)
    if len(ground.zones) > 1 or arrangement.budgeted or not 1 < len(others) <= min(PACKED_AT_MOST, CLEANED_CELLS // ground.slots):
        return arrangement
    fresh = _kept(arrangement, stay)
    packing = _packing(fresh, ground, others)
    if packing.unplaced:
        return arrangement
    _put(fresh, ground, packing)
    return fresh if _weighted_g(fresh) < _weighted_g(arrangement) * (1 - SAME) else arrangement


def _kept(arrangement: Arrangement, stay: IntArray) -> Arrangement:
    """An arrangement of those that stay alone."""
    fresh = Arrangement(arrangement.crowd, arrangement.kinds)
    for job in stay.tolist():
        fresh.put(np.array([job]), arrangement.start[[job]])
    fresh.free = np.maximum(fresh.free, 0.0)
    return fresh


def _packing(around: Arrangement, ground: Ground, others: IntArray) -> Packing:
    """Jobs packed into what is free around those placed already."""
    crowd, step = around.crowd, ground.step
    rows = [
        FleetJob(
            id=str(j),
            duration=int(crowd.length[j]) * step,
            earliest_at=ground.at(int(crowd.first[j])),
            deadline_at=ground.at(int(crowd.end[j])),
            power_w=float(crowd.power_kw[j]) * 1000,
            demands=dict(zip(ground.resources, crowd.needs[j].tolist(), strict=True)),
            priority=int(crowd.rank[j]),
        )
        for j in others.tolist()
    ]
    free = dict(zip(ground.resources, around.free, strict=True))
    return pack(rows, {HERE: _series(ground, crowd.zone[others], step)}, {HERE: free})


def _series(ground: Ground, zones: IntArray, step: timedelta) -> IntensitySeries:
    """What a slot costs in g/kWh, the mean over the jobs' zones."""
    source = Source(provider="queue", url="", fetched_at=ground.start_at, payload_sha256="")
    values: FloatArray = ground.rates[zones].mean(axis=0) / hours_of(step)
    return IntensitySeries(start_at=ground.start_at, step=step, values=values, zone=HERE, source=source)


def _put(arrangement: Arrangement, ground: Ground, packing: Packing) -> None:
    for allotment in packing.allotments:
        slot = ground.floor(allotment.windows[0].start_at)
        arrangement.put(np.array([int(allotment.job_id)]), np.array([slot]))


def _weighted_g(arrangement: Arrangement) -> float:
    """Grams of all that is placed, those of a higher priority counting more, as the packer counts them."""
    crowd = arrangement.crowd
    edges = np.pad(np.cumsum(crowd.rates, axis=1), ((0, 0), (1, 0)))
    begin = np.maximum(arrangement.start, 0)
    end = np.minimum(begin + crowd.length, crowd.rates.shape[1])
    rank = np.maximum(crowd.rank - max(0, int(crowd.rank.max()) - MOST_RANKS), 0)
    weights = crowd.power_kw * PRIORITY_FACTOR**rank
    return float(((edges[crowd.zone, end] - edges[crowd.zone, begin]) * weights).sum())
