"""What a run used and emitted: every number with its interval and its quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenai.model.energy import Component, Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval [low, high], all in the unit named by the field that holds it."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Estimate:
        """The same estimate times a known factor >= 0."""
        return Estimate(value=self.value * factor, low=self.low * factor, high=self.high * factor)

    def plus(self, other: Estimate) -> Estimate:
        """The sum; intervals add, which is conservative."""
        return Estimate(value=self.value + other.value, low=self.low + other.low, high=self.high + other.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentEnergy:
    """Energy of one meter over the run, in joules.

    `machine_j` is the whole machine's, `job_j` the job's share of it (with its
    interval low_j to high_j), `idle_j` the part of machine_j the machine would
    have drawn doing nothing; None where that is not known.
    """

    component: Component
    meter: str
    quality: Quality
    machine_j: float
    job_j: float
    idle_j: float | None
    low_j: float
    high_j: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Embodied:
    """The making of the hardware: total emissions, service life, share of the machine used, and the source."""

    total_g: Estimate
    life_h: float
    resource_share: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sci:
    """Software Carbon Intensity, (E*I + M) per R (GSF SCI specification 1.1.0). R is named by `per`."""

    value_g: float
    per: str
    count: float
    energy_kwh: float
    intensity_g_per_kwh: float
    embodied_g: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """One run's footprint. PUE is applied once, to get facility_kwh; water is WUE times IT energy.

    `quality` is the worst of the components'. `embodied_g` and `water_l` are
    None when nobody stated what they rest on: unknown is not zero.
    """

    components: tuple[ComponentEnergy, ...]
    it_kwh: float
    facility_kwh: float
    operational_g: Estimate
    embodied_g: Estimate | None
    water_l: float | None
    sci: Sci
    quality: Quality
    uncertainty: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same energy samples at two times on one series: nothing else is a saving.

    `actual_g` includes hold energy. `counterfactual_g` is the run at the first
    runnable moment, `random_start_g` the mean over all admissible starts; None
    while the series does not reach that far. Losses stay negative.
    """

    actual_g: float
    counterfactual_g: float | None
    saving_g: Estimate | None
    random_start_g: float | None
    hold_g: float
