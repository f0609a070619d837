"""How full a place is in a packing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from greenai.model.fleet import FleetJob, Packing
from greenai.model.series import FloatArray, IntensitySeries


def occupancy(jobs: Sequence[FleetJob], packing: Packing, grid: IntensitySeries, what: tuple[str, str]) -> FloatArray:
    """How much of a place's resource (`what` names both) the packed jobs hold in each slot of the grid, shape (T,)."""
    place, resource = what
    used, needs = np.zeros(len(grid)), {job.id: job.demands.get(resource, 0.0) for job in jobs}
    for allotment in packing.allotments:
        for window, where in zip(allotment.windows, allotment.places, strict=True):
            if where == place:
                first, last = ((edge - grid.start_at) // grid.step for edge in (window.start_at, window.end_at))
                used[first:last] += needs[allotment.job_id]
    return used
