"""RAPL: the energy counters of Intel and AMD processors, as Linux shows them under /sys/class/powercap.

What is counted (powercap(7), kernel documentation "Power Capping Framework"):

- package zones are the processor; core and uncore lie inside them and are left out;
- dram zones stand beside the package, not inside it, whether nested under it or on top;
- psys contains packages and memory and is read only where there is no package zone;
- one package shown by two drivers (intel-rapl and intel-rapl-mmio), by two zones of one
  name, or by dies that mirror one counter (AMD Zen 1 and 2) is counted once.

Each file is opened anew at each read: 10 us, and a zone that has gone is seen to be gone.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from greenai.errors import MeterUnavailable
from greenai.logic.metering import LIMIT_ZONE_W, Counter, advanced, sample
from greenai.model.energy import Component, Detection, EnergySample, MeterEnvironment, MeterInfo, RejectedMeter

UJ_PER_J: Final = 1_000_000

BANDS: Final[Mapping[Component, tuple[float, float]]] = {"cpu": (0.95, 1.05), "dram": (0.8, 1.2), "node": (0.9, 1.1)}
"""True energy as multiples of the counter's, an engineering judgement (docs/explanation/metering.md)."""

NO_ZONES: Final = (
    "on bare metal: sudo modprobe intel_rapl_msr; in a container: mount the host's /sys/devices/virtual/powercap and name it "
    "in GREENAI_POWERCAP_ROOT; a virtual machine has no counters unless its host exports them"
)

_ZONE: Final = re.compile(r"(?P<system>[\w-]*rapl[\w-]*?)(?P<numbers>(?::\w+)+)")
_DIE: Final = re.compile(r"(package-\d+)-die-\d+")
_PREFERRED: Final = "intel-rapl"
_LONGEST_NUMBER: Final = 64
_MIRROR_UJ: Final = UJ_PER_J
"""Two counters of one package this close are one: read a millisecond apart they differ by less than a joule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zone:
    """One zone. Zones with one `key` show the same silicon; `size` is the value after which the counter wraps, 0 unknown."""

    name: str
    file: str
    component: Component
    key: str
    size: int


def detect(environment: MeterEnvironment) -> Detection[RaplMeter]:
    """The processor's and the memory's counters, or why there are none."""
    root = Path(environment.powercap_root)
    try:
        zones = list(_zones(root))
    except FileNotFoundError:
        zones = []
    except OSError as error:
        return _none(f"{root} cannot be read: {error.strerror}", f"sudo chmod a+rx {root}")
    if not zones:
        return _none(f"no RAPL zones under {root}", NO_ZONES)
    has_packages = any(zone.component == "cpu" for zone in zones)
    components: tuple[Component, ...] = ("cpu", "dram") if has_packages else ("node", "dram")
    found = [_detected([zone for zone in zones if zone.component == part], part, environment) for part in components]
    rejected = [item for item in found if isinstance(item, RejectedMeter)]
    if has_packages and any(zone.component == "node" for zone in zones):
        rejected.append(_rejected("node", "psys contains the packages, which are read by themselves"))
    return Detection(meters=tuple(item for item in found if isinstance(item, RaplMeter)), rejected=tuple(rejected))


class RaplMeter:
    """Implements `greenai.ports.Meter` for the zones of one component, summed."""

    def __init__(self, info: MeterInfo, zones: Sequence[_Zone]) -> None:
        self.info = info
        self._zones = zones
        self._counters: dict[str, Counter] = {}

    def read(self) -> Sequence[EnergySample]:
        """Joules since the first read, by one sample; raises MeterUnavailable."""
        lost = [text for zone in self._zones if (text := self._advance(zone))]
        if lost:
            raise MeterUnavailable("; ".join(lost))
        total_uj = sum(counter.total for counter in self._counters.values())
        return sample(self.info, total_uj / UJ_PER_J, taken_at=datetime.now(UTC), monotonic_s=time.monotonic())

    def _advance(self, zone: _Zone) -> str:
        """Read one zone; what was lost, in words."""
        raw, read_s = _raw(zone.file), time.monotonic()
        known = self._counters.get(zone.name) or Counter(raw=raw, read_s=read_s)
        self._counters[zone.name], lost = advanced(known, raw, size=zone.size, read_s=read_s, limit_per_s=LIMIT_ZONE_W * UJ_PER_J)
        return f"{zone.key}: {lost}" if lost else ""


def _zones(root: Path) -> Iterator[_Zone]:
    """Every zone that counts something we count, the preferred driver's first."""
    places = {place.name: place for place in _places(root, depth=3)}
    tops: dict[tuple[str, Component], int] = {}
    for name in sorted(places, key=lambda name: (not name.startswith(f"{_PREFERRED}:"), name)):
        parent = places.get(name.rpartition(":")[0])
        label = _label(places[name], nested=parent is not None)
        component = _component(label)
        if component is None:
            continue
        key = label
        if component != "cpu":
            system = name.partition(":")[0]
            number = tops[system, component] = tops.get((system, component), 0) + 1
            key = f"{_label(parent, nested=False)}/{label}" if parent else f"{label} {number}"
        file = str(places[name] / "energy_uj")
        yield _Zone(name=name, file=file, component=component, key=key, size=_size(places[name]))


def _places(folder: Path, *, depth: int) -> Iterator[Path]:
    """Directories of zones, flat or nested. /sys/class/powercap shows a zone in both ways: the later one replaces the former."""
    for entry in sorted(folder.iterdir()):
        if "rapl" in entry.name and entry.is_dir():
            if _ZONE.fullmatch(entry.name):
                yield entry
            if depth > 1:
                yield from _places(entry, depth=depth - 1)


def _label(place: Path, *, nested: bool) -> str:
    """The zone's name; a host's export for its guests may have none."""
    try:
        return (place / "name").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return "?" if nested else f"package-{place.name.rpartition(':')[2]}"


def _component(label: str) -> Component | None:
    if label.startswith("package"):
        return "cpu"
    return {"dram": "dram", "psys": "node"}.get(label)  # type: ignore[return-value]  # mypy widens the literals of a dict display


def _size(place: Path) -> int:
    try:
        return max(0, _raw(str(place / "max_energy_range_uj")))
    except MeterUnavailable:
        return 0


def _raw(file: str) -> int:
    """A counter's value; raises MeterUnavailable, as PermissionError where that is the cause."""
    try:
        return int(_contents(file))
    except OSError as error:
        raise MeterUnavailable(f"{file}: {error.strerror}") from error
    except ValueError:
        raise MeterUnavailable(f"{file} holds no number") from None


def _contents(file: str) -> bytes:
    """A small file in one read: a quarter of the time pathlib takes, at each second of a run."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LONGEST_NUMBER)
    finally:
        os.close(descriptor)


def _detected(zones: Iterable[_Zone], component: Component, environment: MeterEnvironment) -> RaplMeter | RejectedMeter:
    """The meter of one component, or why it cannot be trusted: a sum with a part missing would be a wrong number."""
    readable: dict[str, tuple[_Zone, int]] = {}
    failed: dict[str, MeterUnavailable] = {}
    for zone in zones:
        if zone.key not in readable:
            try:
                readable[zone.key] = (zone, _raw(zone.file))
            except MeterUnavailable as error:
                failed[zone.key] = error
    missing = [trouble for key, trouble in failed.items() if key not in readable]
    if missing:
        return _unreadable(component, missing[0], environment)
    if not readable:
        return _rejected(component, "this processor has no such RAPL zone")
    kept = _without_mirrors(readable)
    low_ratio, high_ratio = BANDS[component]
    info = MeterInfo(
        name=f"rapl:{component}",
        component=component,
        quality="measured:counter",
        low_ratio=low_ratio,
        high_ratio=high_ratio,
        idle_w=environment.idle_w if component != "dram" else None,
        detail=", ".join(f"{zone.key} ({zone.name})" for zone in kept),
    )
    return RaplMeter(info, kept)


def _without_mirrors(readable: Mapping[str, tuple[_Zone, int]]) -> list[_Zone]:
    """Zones of dies whose package has no other zone with the same count: mirrors of one counter are counted once."""
    kept: list[tuple[str, int, _Zone]] = []
    for key, (zone, raw) in readable.items():
        die = _DIE.fullmatch(key)
        package = die[1] if die else key
        mirrored = raw > 0 and any(package == other and abs(raw - count) < _MIRROR_UJ for other, count, _ in kept)
        if not (die and mirrored):
            kept.append((package, raw, zone))
    return [zone for _, _, zone in kept]


def _unreadable(component: Component, error: MeterUnavailable, environment: MeterEnvironment) -> RejectedMeter:
    if not isinstance(error.__cause__, PermissionError):
        return _rejected(component, str(error))
    # Closed to all but root since CVE-2020-8694: energy read often enough betrays what is computed.
    now = f"until the next start: sudo chmod a+r {environment.powercap_root}/intel-rapl*/energy_uj"
    rule = 'SUBSYSTEM=="powercap", KERNEL=="intel-rapl*:*", RUN+="/bin/chmod a+r /sys%p/energy_uj"'
    for_good = f"for good: echo '{rule}' | sudo tee /etc/udev/rules.d/70-rapl.rules"
    return _rejected(component, f"permission denied: {error}", f"{now}; {for_good}")


def _none(reason: str, remedy: str) -> Detection[RaplMeter]:
    return Detection(rejected=(_rejected("cpu", reason, remedy), _rejected("dram", reason, remedy)))


def _rejected(component: Component, reason: str, remedy: str = "") -> RejectedMeter:
    return RejectedMeter(name=f"rapl:{component}", component=component, reason=reason, remedy=remedy)
