"""A powercap tree with known watts: RAPL without the hardware.

In a test, step by step::

    tree = FakePowercap(tmp_path, [FakeZone("package-0", 50.0, children=[FakeZone("dram", 5.0)])])
    tree.step(60.0)                     # a minute passes: 3000 J and 300 J more
    detect(MeterEnvironment(powercap_root=str(tree.root)))

Against real time, for anything that reads /sys/class/powercap::

    with FakePowercap(tmp_path, server()).running():
        ...

From a shell, until it is ended::

    python -m greenai.testing.powercap DIRECTORY package-0=50 package-0/dram=5 psys=80
    GREENAI_POWERCAP_ROOT=DIRECTORY greenai doctor
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

INTEL_RANGE_UJ: Final = 262_143_328_850
"""After so many microjoules a package counter of Intel starts again: 1049 s at 250 W."""
DRAM_RANGE_UJ: Final = 65_712_999_613
AMD_RANGE_UJ: Final = 65_532_610_987

PERIOD_S: Final = 0.002
_WIDTH: Final = 20
"""Digits of a counter file: written in place at one length, it never reads half."""


@dataclass(slots=True, kw_only=True)
class _Running:
    """One zone with its files and its energy so far."""

    place: Path
    power_w: float
    range_uj: int
    start_uj: int
    energy_j: float = 0.0


@dataclass(frozen=True, slots=True)
class FakeZone:
    """One zone: its name as in the `name` file, its power, and what it is nested with.

    `denied` closes its counter to everybody but root, as kernels do since 2020;
    `system` is the driver, intel-rapl or intel-rapl-mmio; `start_uj` the count it
    begins at, near `range_uj` to see it wrap.
    """

    name: str
    power_w: float
    children: Sequence[FakeZone] = ()
    range_uj: int = INTEL_RANGE_UJ
    start_uj: int = 0
    system: str = "intel-rapl"
    denied: bool = field(default=False, kw_only=True)


def server() -> list[FakeZone]:
    """Two sockets of 50 and 30 W with 5 and 4 W of memory: 89 W."""
    return [
        FakeZone("package-0", 50.0, [FakeZone("core", 35.0), FakeZone("dram", 5.0, range_uj=DRAM_RANGE_UJ)]),
        FakeZone("package-1", 30.0, [FakeZone("core", 20.0), FakeZone("dram", 4.0, range_uj=DRAM_RANGE_UJ)]),
    ]


class FakePowercap:
    """A tree of zones under `root`, nested as under /sys/devices/virtual/powercap and linked flat as under /sys/class."""

    def __init__(self, root: Path, zones: Sequence[FakeZone]) -> None:
        self.root = root
        self._zones: dict[str, _Running] = {}
        self._lock = threading.Lock()
        counts: dict[str, int] = {}
        for zone in zones:
            number = counts[zone.system] = counts.get(zone.system, -1) + 1
            self._add(zone, root / "devices" / zone.system, f"{zone.system}:{number}", zone.name)

    def step(self, seconds: float) -> None:
        """Let time pass: every counter moves on by its power."""
        with self._lock:
            for zone in self._zones.values():
                zone.energy_j += zone.power_w * seconds
            self._write()

    def set_power_w(self, name: str, power_w: float) -> None:
        """Change the power of a zone, named package-0 or package-0/dram, from now on."""
        with self._lock:
            self._zones[name].power_w = power_w

    def energy_j(self, name: str) -> float:
        """What a zone has used so far: the truth."""
        with self._lock:
            return self._zones[name].energy_j

    def counter(self, name: str) -> Path:
        """The energy_uj file of a zone, to break it."""
        return self._zones[name].place / "energy_uj"

    @contextmanager
    def running(self, *, period_s: float = PERIOD_S) -> Iterator[FakePowercap]:
        """Move the counters on with the clock, by a thread, while the block lasts."""
        ended = threading.Event()
        writer = threading.Thread(target=self._follow, args=(ended, period_s), name="fake-powercap", daemon=True)
        writer.start()
        try:
            yield self
        finally:
            ended.set()
            writer.join()

    def _follow(self, ended: threading.Event, period_s: float) -> None:
        last_s = time.monotonic()
        while not ended.wait(period_s):
            now_s = time.monotonic()
            self.step(now_s - last_s)
            last_s = now_s

    def _add(self, zone: FakeZone, parent: Path, name: str, key: str) -> None:
        place = parent / name
        place.mkdir(parents=True)
        (self.root / name).symlink_to(place.relative_to(self.root))
        (place / "name").write_text(f"{zone.name}\n", encoding="ascii")
        (place / "max_energy_range_uj").write_text(f"{zone.range_uj}\n", encoding="ascii")
        twins = sum(other == key or other.startswith(f"{key}#") for other in self._zones)
        running = _Running(place=place, power_w=zone.power_w, range_uj=zone.range_uj, start_uj=zone.start_uj)
        self._zones[f"{key}#{twins + 1}" if twins else key] = running
        (place / "energy_uj").touch()
        _write_counter(running)
        if zone.denied:
            (place / "energy_uj").chmod(0)
        for number, child in enumerate(zone.children):
            self._add(child, place, f"{name}:{number}", f"{key}/{child.name}")

    def _write(self) -> None:
        for zone in self._zones.values():
            _write_counter(zone)


def _write_counter(zone: _Running) -> None:
    count_uj = zone.start_uj + int(zone.energy_j * 1e6)
    if zone.range_uj:
        count_uj %= zone.range_uj
    try:
        file = os.open(zone.place / "energy_uj", os.O_WRONLY)
    except OSError:
        # A test took it away.
        return
    try:
        os.pwrite(file, f"{count_uj:0{_WIDTH}d}\n".encode(), 0)
    finally:
        os.close(file)


def zones_of(words: Sequence[str]) -> list[FakeZone]:
    """Zones from NAME=WATTS and PARENT/NAME=WATTS. Raises ValueError."""
    watts = {name: float(number) for name, _, number in (word.partition("=") for word in words)}
    children = {name: number for name, number in watts.items() if "/" in name}
    return [
        FakeZone(
            name,
            number,
            [FakeZone(child.partition("/")[2], power_w) for child, power_w in children.items() if child.startswith(f"{name}/")],
        )
        for name, number in watts.items()
        if "/" not in name
    ]


def main() -> None:
    """Keep a tree running in a directory until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m greenai.testing.powercap", description="A powercap tree with known watts.")
    parser.add_argument("directory", type=Path, help="where to make it; must not hold one yet")
    parser.add_argument("zones", nargs="*", metavar="NAME=WATTS", help="default: two sockets with memory, 89 W")
    parser.add_argument("--period", type=float, default=PERIOD_S, help="seconds between two writes")
    options = parser.parse_intermixed_args()
    try:
        zones = zones_of(options.zones) if options.zones else server()
    except ValueError:
        parser.error("write zones as NAME=WATTS, for example package-0=50 package-0/dram=5")
    with FakePowercap(options.directory, zones).running(period_s=options.period):
        threading.Event().wait()


if __name__ == "__main__":
    main()
