"""How a job's speed grows with its workers: the user's scaling curve, as given or as measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite

from greenai.errors import InputError

EXAMPLE = "1=1,2=1.9,4=3.4"
TOLERANCE_RATIO = 1e-9
"""Two gains this close are one: shares written in decimals must not break a straight line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPoint:
    """One number of workers: its throughput and its power, both over those of the reference."""

    workers: int
    throughput_ratio: float
    power_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingCurve:
    """Throughput and power by number of workers, ascending.

    A job's duration is that with `reference_workers`, whose ratios are 1; they are
    the fewest of the curve as given. `power_w` is what the reference draws, None
    where only the ratios are known. What one more worker adds to the throughput
    must not grow from step to step (CarbonScaler, SIGMETRICS 2024, section 3):
    only then is a greedy plan the best one.
    """

    points: tuple[ScalingPoint, ...]
    reference_workers: int
    power_w: float | None = None

    def __post_init__(self) -> None:
        if not self.points:
            raise InputError("a scaling curve needs at least one number of workers", hint=f"for example {EXAMPLE}")
        for point in self.points:
            _require_numbers(point)
        for less, more in pairwise(self.points):
            if less.workers >= more.workers:
                raise InputError(f"a scaling curve names its workers in ascending order, not {more.workers} after {less.workers}")
        _require_no_growing_gain(self.points)

    @classmethod
    def of(
        cls,
        throughput: Mapping[int, float],
        *,
        drawn_w: Mapping[int, float] | None = None,
        worker_w: float | None = None,
        shared_w: float = 0.0,
        hull: bool = False,
    ) -> ScalingCurve:
        """The curve of throughputs by number of workers, in any unit.

        Power is `drawn_w` by number of workers where measured, else `worker_w` each
        and `shared_w` shared, drawn while any runs; without either it goes with the
        workers. `hull` leaves out the counts that break the rule on gains.

        Raises:
            InputError: an empty curve, a number that can be none, or a gain that grows, without `hull`.
        """
        if not throughput:
            raise InputError("a scaling curve needs at least one number of workers", hint=f"for example {EXAMPLE}")
        counts = sorted(throughput)
        power = {count: _power(count, drawn_w, worker_w, shared_w) for count in counts}
        base = counts[0]
        _require_positive(base, throughput[base], power[base])
        points = tuple(
            ScalingPoint(
                workers=count, throughput_ratio=throughput[count] / throughput[base], power_ratio=power[count] / power[base]
            )
            for count in counts
        )
        known_w = power[base] if drawn_w is not None or worker_w is not None else None
        return cls(points=_concave(points) if hull else points, reference_workers=base, power_w=known_w)

    @property
    def reference(self) -> ScalingPoint:
        """The number of workers all ratios are over."""
        return ScalingPoint(workers=self.reference_workers, throughput_ratio=1.0, power_ratio=1.0)

    @property
    def fastest(self) -> ScalingPoint:
        """The point of the greatest throughput."""
        return max(self.points, key=lambda point: point.throughput_ratio)

    def over(self, reference: ScalingPoint) -> ScalingCurve:
        """The same curve over another of its points."""
        return ScalingCurve(
            points=tuple(
                replace(
                    point,
                    throughput_ratio=point.throughput_ratio / reference.throughput_ratio,
                    power_ratio=point.power_ratio / reference.power_ratio,
                )
                for point in self.points
            ),
            reference_workers=reference.workers,
            power_w=None if self.power_w is None else self.power_w * reference.power_ratio,
        )

    def frugal(self) -> tuple[ScalingPoint, ...]:
        """The points worth running at: the lower convex hull of power over throughput, nothing run included.

        What runs at one of the others is done with less energy by two of these in
        turn. Energy for one more unit of work never falls from one to the next.
        """
        kept: list[ScalingPoint] = []
        for point in self.points:
            while kept and _watts_per_work(kept[-2] if len(kept) > 1 else None, kept[-1]) > _watts_per_work(kept[-1], point):
                kept.pop()
            if not kept or point.throughput_ratio > kept[-1].throughput_ratio:
                kept.append(point)
        return tuple(kept)


def _power(count: int, drawn_w: Mapping[int, float] | None, worker_w: float | None, shared_w: float) -> float:
    if drawn_w is not None:
        return drawn_w[count]
    if worker_w is not None:
        return shared_w + count * worker_w
    if shared_w:
        raise InputError(
            "the shared idle power says nothing without the power of a worker", hint="give the power of a worker too"
        )
    return float(count)


def _require_positive(count: int, throughput: float, power: float) -> None:
    if not (0 < throughput < float("inf") and 0 < power < float("inf")):
        raise InputError(f"{count} workers cannot have a throughput of {throughput:g} and draw {power:g} W: both are above 0")


def _require_numbers(point: ScalingPoint) -> None:
    numbers = (point.throughput_ratio, point.power_ratio)
    if point.workers < 1 or not all(isfinite(number) and number > 0 for number in numbers):
        raise InputError(
            f"a scaling curve cannot say {point.workers}={point.throughput_ratio:g}: at least one worker, a throughput above 0",
            hint=f"for example {EXAMPLE}",
        )


def _gain(less: ScalingPoint | None, more: ScalingPoint) -> float:
    """What each further worker adds to the throughput."""
    if less is None:
        return more.throughput_ratio / more.workers
    return (more.throughput_ratio - less.throughput_ratio) / (more.workers - less.workers)


def _watts_per_work(less: ScalingPoint | None, more: ScalingPoint) -> float:
    """Power for one more unit of throughput; without end where there is no more."""
    before_power, before_throughput = (0.0, 0.0) if less is None else (less.power_ratio, less.throughput_ratio)
    more_throughput = more.throughput_ratio - before_throughput
    if more_throughput <= 0:
        return float("inf") if more.power_ratio >= before_power else float("-inf")
    return (more.power_ratio - before_power) / more_throughput


def _require_no_growing_gain(points: Sequence[ScalingPoint]) -> None:
    """Name the first step that breaks the rule, and the way out."""
    limit = float("inf")
    for less, more in zip((None, *points), points, strict=False):
        gain = _gain(less, more)
        broken = gain > limit + TOLERANCE_RATIO * abs(limit)
        if broken or gain < 0:
            left_out = sorted({point.workers for point in points} - {point.workers for point in _concave(points)})
            before = f"the step before only {limit:.4g}" if broken else "a scaling curve must not fall"
            raise InputError(
                f"the step from {less.workers if less else 0} to {more.workers} workers adds {gain:.4g} of throughput "
                f"per worker, {before}",
                hint=f"measure again, or take the concave hull with --hull: it leaves out {', '.join(map(str, left_out))}",
            )
        limit = gain


def _concave(points: Sequence[ScalingPoint]) -> tuple[ScalingPoint, ...]:
    """The upper hull of throughput over workers, up to the greatest throughput."""
    kept: list[ScalingPoint] = []
    for point in points:
        if kept and point.throughput_ratio < kept[-1].throughput_ratio:
            continue
        while kept and _gain(kept[-1], point) > _gain(kept[-2] if len(kept) > 1 else None, kept[-1]) * (1 + TOLERANCE_RATIO):
            kept.pop()
        kept.append(point)
    return tuple(kept)
