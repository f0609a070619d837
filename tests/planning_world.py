"""A grid and a job for the tests of planning, from the night clocks change in Europe on: nothing may depend on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from greenai.model.job import Constraints, Job
from greenai.model.series import IntensitySeries, Source

T0 = datetime(2026, 3, 28, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def grid(values: Sequence[float], step: timedelta = 30 * MINUTE, **changes: Any) -> IntensitySeries:
    """A forecast from T0 on."""
    source = Source(provider="uk", url="https://grid.example/fw48h", fetched_at=T0, payload_sha256="ab" * 32)
    fields: dict[str, Any] = {"start_at": T0, "zone": "GB", "kind": "forecast", "issued_at": T0, "source": source, **changes}
    return IntensitySeries(step=step, values=np.array(values, dtype=float), **fields)


def limits(duration: timedelta, slack: timedelta, *, earliest_at: datetime = T0, **changes: Any) -> Constraints:
    """A job that may start from `earliest_at` on, up to `slack` later."""
    return Constraints(earliest_at=earliest_at, deadline_at=earliest_at + slack + duration, duration=duration, **changes)


def job(constraints: Constraints, policy: str = "greenest") -> Job:
    """The job of those limits."""
    return Job(id="j1", command=("train",), constraints=constraints, policy=policy, zone="GB", submitted_at=T0)
