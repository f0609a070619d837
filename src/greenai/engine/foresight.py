"""What the engine needs to forecast itself: who is asked how, and what one process remembers of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from greenai.model.intensity import Payload, Request
from greenai.model.series import IntensitySeries

if TYPE_CHECKING:
    from greenai.logic.history import History
    from greenai.model.weather import WeatherService

Tell = Callable[[str, int, int], None]
"""Hears what is being read, how many parts are, and of how many."""


def tell_nobody(_what: str, _done: int, _of: int) -> None:
    """The default listener."""


Forecaster = Callable[["History", timedelta], IntensitySeries]
"""`(history, horizon) -> forecast from the last measured slot on`. Entry points: greenai.forecasters."""

SERVICE, AUTO, BLEND, LPR, LPR_WEATHER = "service", "auto", "blend", "lpr", "lpr+weather"
NAMES = (AUTO, SERVICE, BLEND, LPR, LPR_WEATHER)
"""The forecasters known by name; others are entry points."""
WITH_WEATHER = frozenset({AUTO, BLEND, LPR_WEATHER})
WITH_SERVICE = frozenset({AUTO, BLEND})


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """How greenai forecasts itself.

    `forecaster`: "service" never does; "auto" does where the service does not
    reach as far as is asked, or a history `file` is given; with `asks` False that
    file is all there is. `make` is the plug-in of any other name. `read_file(payload, zone)` gives the gapless pieces of a
    history file. `kept` is what a process remembers: the past read and the model
    fitted on it, by day. `tell` hears of long reads.
    """

    forecaster: str = SERVICE
    make: Forecaster | None = None
    file: Request | None = None
    asks: bool = True
    read_file: Callable[[Payload, str], Sequence[IntensitySeries]] = lambda _payload, _zone: ()
    weather: WeatherService | None = None
    kept: dict[Hashable, Any] = field(default_factory=dict)
    tell: Tell = tell_nobody
