"""The best meter for each component, none counted twice, and a reason for every one that was not taken.

Better grades come first: a counter, a sampled power, a share of a measurement, a
model, an assumption; between equals the order in which the detectors are given. A
power that the user states goes before a model: they may have read it off a socket.
A `node` meter covers processor and memory, so it excludes theirs and they exclude
it. GPUs are counted apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from greenai.errors import InputError
from greenai.logic.metering import METER_FAILURES
from greenai.model.energy import QUALITY_ORDER, Component, Detection, MeterEnvironment, MeterInfo, RejectedMeter

if TYPE_CHECKING:
    # ports know series, and series numpy, which metering has no use for.
    from greenai.ports import Meter

Detector = Callable[[MeterEnvironment], Detection[Any]]

BEST: Final = "auto"
COVERS: Final[Mapping[Component, frozenset[str]]] = {
    "cpu": frozenset({"cpu"}),
    "dram": frozenset({"dram"}),
    "gpu": frozenset({"gpu"}),
    "node": frozenset({"cpu", "dram"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterChain:
    """The meters to read, and all others with the reason each was left out."""

    meters: tuple[Meter, ...]
    rejected: tuple[RejectedMeter, ...]

    @classmethod
    def detect(cls, detectors: Mapping[str, Detector], environment: MeterEnvironment, chosen: str | None = None) -> MeterChain:
        """Try every detector and choose. `chosen` names detectors, separated by commas; None or "auto" for the best.

        Raises InputError when a chosen meter does not exist or measures nothing here.
        """
        names = _names(chosen, detectors)
        known = replace(environment, chosen=names)
        found = {name: _tried(name, detectors[name], known) for name in names or detectors}
        for name in names:
            _check_usable(name, found[name])
        meters, overlapping = _chosen(found, known)
        unasked = [_not_chosen(name, names) for name in detectors if name not in found]
        rejected = [item for detection in found.values() for item in detection.rejected]
        return cls(meters=meters, rejected=(*rejected, *overlapping, *unasked))

    @property
    def infos(self) -> tuple[MeterInfo, ...]:
        """What each meter is."""
        return tuple(meter.info for meter in self.meters)


def _names(chosen: str | None, detectors: Iterable[str]) -> tuple[str, ...]:
    if chosen is None or chosen == BEST:
        return ()
    names = tuple(name.strip() for name in chosen.split(","))
    known = sorted(detectors)
    for name in names:
        if name not in known:
            raise InputError(f"there is no meter {name!r}", hint=f"meters: {BEST}, {', '.join(known)}")
    return names


def _tried(name: str, detect: Detector, environment: MeterEnvironment) -> Detection[Meter]:
    """What a detector finds; each of its meters is read once, because some fail only then."""
    try:
        detection = detect(environment)
    except METER_FAILURES as error:
        return Detection(rejected=(_rejected(name, "node", f"its detection failed: {error!r}"),))
    meters, broken = [], []
    for meter in detection.meters:
        try:
            meter.read()
        except METER_FAILURES as error:
            broken.append(_rejected(meter.info.name, meter.info.component, str(error)))
        else:
            meters.append(meter)
    return Detection(meters=tuple(meters), rejected=(*detection.rejected, *broken))


def _check_usable(name: str, detection: Detection[Meter]) -> None:
    if not detection.meters:
        reasons = "; ".join(dict.fromkeys(item.reason for item in detection.rejected)) or "it found nothing"
        remedies = "; ".join(dict.fromkeys(item.remedy for item in detection.rejected if item.remedy))
        raise InputError(
            f"the meter {name} measures nothing here: {reasons}", hint=remedies or f"leave the choice to --meter {BEST}"
        )


def _chosen(
    found: Mapping[str, Detection[Meter]], environment: MeterEnvironment
) -> tuple[tuple[Meter, ...], list[RejectedMeter]]:
    """The meters taken, best first, and those that overlap with one taken."""
    candidates = [(name, meter) for name, detection in found.items() for meter in detection.meters]
    candidates.sort(key=lambda candidate: _rank(candidate[1].info, environment))
    owners: dict[str, str] = {}
    taken: list[Meter] = []
    rejected: list[RejectedMeter] = []
    for name, meter in candidates:
        parts = COVERS[meter.info.component]
        # One detector's meters never overlap: several GPUs, processor and memory.
        others = {part: owners[part] for part in sorted(parts) if owners.get(part, name) != name}
        if others:
            rejected.append(_overlapping(meter.info, others))
            continue
        owners.update(dict.fromkeys(parts, name))
        taken.append(meter)
    return tuple(taken), rejected


def _rank(info: MeterInfo, environment: MeterEnvironment) -> float:
    stated = info.quality == "assumed" and environment.assumed_w is not None
    return QUALITY_ORDER.index("modelled") - 0.5 if stated else QUALITY_ORDER.index(info.quality)


def _overlapping(info: MeterInfo, others: Mapping[str, str]) -> RejectedMeter:
    given = ", ".join(f"{owner} gives {part}" for part, owner in others.items())
    return _rejected(info.name, info.component, given)


def _not_chosen(name: str, names: Iterable[str]) -> RejectedMeter:
    return _rejected(name, "node", f"not chosen: the meter was set to {', '.join(names)}")


def _rejected(name: str, component: Component, reason: str, remedy: str = "") -> RejectedMeter:
    return RejectedMeter(name=name, component=component, reason=reason, remedy=remedy)
