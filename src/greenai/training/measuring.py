"""What a measurement of a function is here: injected, so that a test can hand in a meter of known joules."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_SHORTEST_S = 1e-6


class EnergyUse(Protocol):
    """What one measured call used, as `greenai.api.measured` reports it.

    `noise_floor_j` is the smallest difference between two such calls that the
    meter can tell from its own noise.
    """

    @property
    def duration_s(self) -> float:
        """Wall-clock time."""
        ...

    @property
    def cpu_s(self) -> float:
        """CPU time of this process and its children."""
        ...

    @property
    def energy_j(self) -> float:
        """Energy of the job."""
        ...

    @property
    def low_j(self) -> float:
        """Lower end of its interval."""
        ...

    @property
    def high_j(self) -> float:
        """Upper end of its interval."""
        ...

    @property
    def quality(self) -> str:
        """How it was found, one of `greenai.model.energy.Quality`."""
        ...

    @property
    def meter(self) -> str:
        """Which meters gave it."""
        ...

    @property
    def noise_floor_j(self) -> float:
        """Smallest difference the meter can tell."""
        ...


class Measure(Protocol):
    """Calls a function once and says what the call used."""

    def __call__(self, function: Callable[[], T], /) -> tuple[T, EnergyUse]:
        """The function's result and its energy."""
        ...


def default_measure() -> Measure:
    """`greenai.api.measured`: the meters of this machine."""
    from greenai import api

    return api.measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The sum of several measured calls."""

    duration_s: float = 0.0
    cpu_s: float = 0.0
    energy_j: float = 0.0
    calls: int = 0

    def plus(self, use: EnergyUse) -> Spent:
        """One more call."""
        return Spent(
            duration_s=self.duration_s + use.duration_s,
            cpu_s=self.cpu_s + use.cpu_s,
            energy_j=self.energy_j + use.energy_j,
            calls=self.calls + 1,
        )


class Tally:
    """A measure that also adds up what it measured, and the CPU time that passed between its calls.

    What a search costs is more than its trainings: the sampler that proposes
    them runs too. That rest is not metered call by call; it is charged at the
    joules per CPU-second of the calls.
    """

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.spent = Spent()
        self._begun_s = time.process_time()

    def __call__(self, function: Callable[[], T], /) -> tuple[T, EnergyUse]:
        """Measure one call and add it."""
        result, use = self.measure(function)
        self.spent = self.spent.plus(use)
        return result, use

    def total_j(self) -> float:
        """Joules of all calls and of the CPU time between them."""
        between_s = max(0.0, time.process_time() - self._begun_s - self.spent.cpu_s)
        j_per_cpu_s = self.spent.energy_j / self.spent.cpu_s if self.spent.cpu_s > 0 else 0.0
        return self.spent.energy_j + between_s * j_per_cpu_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One of several equal parts of a measured call."""

    duration_s: float
    cpu_s: float
    energy_j: float
    low_j: float
    high_j: float
    quality: str
    meter: str
    noise_floor_j: float


def repeated(measure: Measure, times: int) -> Measure:
    """A measure that calls the function `times` times in one measurement and gives each call its equal part.

    A training of ten milliseconds is below what most meters can tell; a hundred
    of them in a row are not. The floor is shared by the calls like the energy.
    """
    if times == 1:
        return measure

    def measured(function: Callable[[], T], /) -> tuple[T, EnergyUse]:
        def again() -> T:
            for _ in range(times - 1):
                function()
            return function()

        result, use = measure(again)
        return result, Shared(
            duration_s=use.duration_s / times,
            cpu_s=use.cpu_s / times,
            energy_j=use.energy_j / times,
            low_j=use.low_j / times,
            high_j=use.high_j / times,
            quality=use.quality,
            meter=use.meter,
            noise_floor_j=use.noise_floor_j / times,
        )

    return measured


def use_document(use: EnergyUse) -> dict[str, Any]:
    """One measurement as plain data."""
    return {
        "duration_s": use.duration_s,
        "cpu_s": use.cpu_s,
        "energy_j": use.energy_j,
        "low_j": use.low_j,
        "high_j": use.high_j,
        "quality": use.quality,
        "meter": use.meter,
        "noise_floor_j": use.noise_floor_j,
        "below_noise_floor": use.energy_j < use.noise_floor_j,
    }


FLOORS_PER_MEASUREMENT = 5
"""A measurement should hold at least five noise floors: its energy is then known to a fifth."""

MOST_REPEATS = 200


def repeats_for(energy_j: float, noise_floor_j: float) -> int:
    """How many equal calls lift one measurement well above the meter's floor."""
    if energy_j <= 0:
        return MOST_REPEATS if noise_floor_j > 0 else 1
    return min(MOST_REPEATS, max(1, math.ceil(FLOORS_PER_MEASUREMENT * noise_floor_j / energy_j)))


def mean_energy_j(uses: Sequence[EnergyUse], *, like: Sequence[EnergyUse] = ()) -> float:
    """Mean joules of several measured calls, at least one.

    Where the calls together stay below the meter's floor, its joules say nothing
    of them; their CPU time does. It is taken at the joules per CPU-second of
    `like`, larger calls of the same kind of work on the same machine.
    """
    if like and not told_apart(uses):
        per_cpu_s = sum(use.energy_j for use in like) / max(sum(use.cpu_s for use in like), _SHORTEST_S)
        return per_cpu_s * sum(use.cpu_s for use in uses) / len(uses)
    return sum(use.energy_j for use in uses) / len(uses)


def told_apart(uses: Sequence[EnergyUse]) -> bool:
    """Whether the meter tells these calls from nothing: their joules exceed five floors of as many readings."""
    floor_j = max(use.noise_floor_j for use in uses)
    return sum(use.energy_j for use in uses) >= FLOORS_PER_MEASUREMENT * floor_j * math.sqrt(len(uses))
