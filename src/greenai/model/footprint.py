"""What a run used and emitted: every number with its interval and its quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import inf

from greenai.errors import InputError
from greenai.model.energy import Component, Quality
from greenai.model.units import SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval [low, high], all in the unit named by the field that holds it."""

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Estimate:
        """A value known without error."""
        return cls(value=value, low=value, high=value)

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
    """The making of the hardware: total emissions, service life, share of it the run reserves, and the source.

    `resource_share` is RR/ToR of the SCI: 0.125 for one GPU of an eight-GPU server
    when `total_g` is the server's, 8 for eight GPUs when it is one GPU's.
    """

    total_g: Estimate
    life_h: float
    resource_share: float
    source: str

    def __post_init__(self) -> None:
        numbers = (self.total_g.low, self.total_g.value, self.total_g.high, self.resource_share)
        if not all(0 <= number < inf for number in numbers) or not 0 < self.life_h < inf:
            raise InputError(f"embodied emissions need a total and a share >= 0 and a life above 0 h, not {self}")
        if not self.total_g.low <= self.total_g.value <= self.total_g.high:
            raise InputError(f"the embodied total must lie between its low and high, not {self.total_g}")

    def over(self, reserved_s: float) -> Estimate:
        """Grams for so many seconds of reserved time: M = TE * (TiR / EL) * (RR / ToR) (GSF SCI 1.1.0)."""
        return self.total_g.scaled(reserved_s / SECONDS_PER_HOUR / self.life_h * self.resource_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sci:
    """Software Carbon Intensity, (E*I + M) per R (GSF SCI specification 1.1.0).

    R is `count` units named by `per`. `energy_kwh` and `embodied_g` are the
    run's totals, `value_g` the score; None where I or M is not known: without M
    there is no SCI.
    """

    value_g: float | None
    per: str
    count: float
    energy_kwh: float
    intensity_g_per_kwh: float | None
    embodied_g: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """One run's footprint. PUE is applied once, to get the facility's energy; water is WUE times IT energy.

    `quality` is the worst of the components'. What nobody measured or stated is
    None: unknown is not zero. `uncertainty` says in words what each interval rests on.
    """

    components: tuple[ComponentEnergy, ...]
    it_energy_kwh: Estimate
    facility_energy_kwh: Estimate
    operational_g: Estimate | None
    embodied_g: Estimate | None
    water_use_l: Estimate | None
    sci: Sci
    sci_g: Estimate | None
    quality: Quality
    uncertainty: Mapping[str, str]

    @property
    def it_kwh(self) -> float:
        """Energy of the job's hardware."""
        return self.it_energy_kwh.value

    @property
    def facility_kwh(self) -> float:
        """The same with the building's overhead."""
        return self.facility_energy_kwh.value

    @property
    def water_l(self) -> float | None:
        """Water evaporated on site."""
        return self.water_use_l.value if self.water_use_l else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same energy samples at two times on one series: nothing else is a saving.

    `actual_g` includes `hold_g`, what reserved hardware cost while the job waited or
    stood still. What the command drew while it was frozen is in `actual_g` alone.
    `counterfactual_g` is the run at the first runnable moment, `random_start_g`
    the mean over all admissible starts; None while the series does not reach that
    far. `deferred` is how much later than possible the run started, and how long it
    stood still; zero when it ran at once. Losses stay negative.
    """

    deferred: timedelta
    actual_g: Estimate | None
    counterfactual_g: Estimate | None
    saving_g: Estimate | None
    random_start_g: float | None
    hold_g: Estimate | None
