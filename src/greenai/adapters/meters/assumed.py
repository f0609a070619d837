"""A constant power, for machines that neither count nor can be modelled: the weakest figure there is, and it says so.

100 W is the proxy of greenai's prototype: a server's processor and memory at work.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from greenai.logic.metering import sample
from greenai.model.energy import Detection, EnergySample, MeterEnvironment, MeterInfo

DEFAULT_W: Final = 100.0
FACTOR: Final = 3.0
"""A machine nobody described draws a third or three times as much as readily as the figure itself."""


def detect(environment: MeterEnvironment) -> Detection[AssumedMeter]:
    """Always one meter, of the whole node without its GPUs."""
    stated = environment.assumed_w
    power_w = DEFAULT_W if stated is None else stated
    info = MeterInfo(
        name="assumed",
        component="node",
        quality="assumed",
        low_ratio=1 / FACTOR,
        high_ratio=FACTOR,
        idle_w=environment.idle_w,
        detail=f"{power_w:g} W, {'for a machine nobody described' if stated is None else 'stated by the user'}",
    )
    return Detection(meters=(AssumedMeter(info, power_w),))


class AssumedMeter:
    """Implements `greenai.ports.Meter`: power times the time the machine was awake."""

    def __init__(self, info: MeterInfo, power_w: float) -> None:
        self.info = info
        self.power_w = power_w

    def read(self) -> Sequence[EnergySample]:
        """Joules since the machine started, by one sample."""
        now_s = time.monotonic()
        return sample(self.info, self.power_w * now_s, taken_at=datetime.now(UTC), monotonic_s=now_s)
