"""A model for machines that expose no counter: cloud instances, containers, most laptops of others.

Processor: vCPUs * (min + use * (max - min)) watts, with min and max by
micro-architecture (Cloud Carbon Footprint; facts/power_coefficients.csv). Use is
taken from the busy CPU seconds of /proc/stat, so the energy is a running total
and nothing is lost between reads: J = vCPUs * min * seconds + busy seconds * (max - min).

Memory: 0.392 W per GB (10^9 bytes), used or not. The job's share of it is its
cgroup's memory limit. Its share of the processor, a CPU quota among the reasons,
is the sampler's to know.
"""

from __future__ import annotations

import csv
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from greenai import facts
from greenai.errors import MeterUnavailable
from greenai.logic.metering import busy_ticks, cgroup_paths, sample
from greenai.model.energy import Detection, EnergySample, MeterEnvironment, MeterInfo, RejectedMeter

LOW_RATIO: Final = 0.6
HIGH_RATIO: Final = 1.6
"""-40 to +60 %: the coefficients are means over servers that differ by as much (an engineering judgement)."""

BYTES_PER_GB: Final = 1e9
UNKNOWN: Final = "unknown processor"
MEMORY: Final = "memory per GB"

_COEFFICIENTS: Final = Path(facts.__file__).with_name("power_coefficients.csv")
_FIRST_PROCESSOR_BYTES: Final = 16_384
"""More than one processor's block of /proc/cpuinfo; the whole is 400 kB on a large server."""
_FIRST_LINE_BYTES: Final = 512
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What /proc/cpuinfo says of the first processor; `virtual` under a hypervisor that says so."""

    vendor: str = ""
    family: str = ""
    model: str = ""
    stepping: str = ""
    name: str = ""
    virtual: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """Watts per vCPU (of MEMORY: per GB) doing nothing and at full load."""

    architecture: str
    min_w: float
    max_w: float
    source: str


def detect(environment: MeterEnvironment) -> Detection[ModelMeter]:
    """A model of the processor and one of the memory, or why not."""
    proc = Path(environment.proc_root)
    try:
        return Detection(meters=(_processor_meter(proc, environment), _memory_meter(proc, Path(environment.sys_root))))
    except (OSError, ValueError) as error:
        reason = f"{proc} does not describe the machine: {error}"
        return Detection(
            rejected=(
                RejectedMeter(name="modelled:cpu", component="cpu", reason=reason),
                RejectedMeter(name="modelled:dram", component="dram", reason=reason),
            )
        )


class ModelMeter:
    """Implements `greenai.ports.Meter`: `energy_j` gives the model's joules at a monotonic time."""

    def __init__(self, info: MeterInfo, energy_j: Callable[[float], float]) -> None:
        self.info = info
        self._energy_j = energy_j

    def read(self) -> Sequence[EnergySample]:
        """Joules since the machine started, by one sample; raises MeterUnavailable."""
        now_s = time.monotonic()
        try:
            energy_j = self._energy_j(now_s)
        except (OSError, ValueError) as error:
            raise MeterUnavailable(f"{self.info.name}: {error}") from error
        return sample(self.info, energy_j, taken_at=datetime.now(UTC), monotonic_s=now_s)


def processor_of(cpuinfo: str) -> Processor:
    """The first processor of /proc/cpuinfo, x86 or Arm."""
    block = cpuinfo.partition("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    return Processor(
        vendor=fields.get("vendor_id", fields.get("CPU implementer", "")),
        family=fields.get("cpu family", ""),
        model=fields.get("model", fields.get("CPU part", "")),
        stepping=fields.get("stepping", ""),
        name=fields.get("model name", ""),
        virtual="hypervisor" in fields.get("flags", "").split(),
    )


def coefficients_of(processor: Processor) -> Coefficients:
    """The row that fits: by the marketing name, else by family and model, else the vendor's mean, else the general mean.

    An AMD guest's family and model are often those its hypervisor shows for all
    generations alike, so there only a name that tells the generation counts.
    """
    rows = [row for row in _table() if row["vendor"] == processor.vendor]
    alike = [row for row in rows if row["name_pattern"] and re.search(row["name_pattern"], processor.name, re.IGNORECASE)]
    named = [row for row in alike if row["models"]]
    hidden = processor.virtual and processor.vendor == "AuthenticAMD"
    numbered = [] if hidden else [row for row in rows if _fits(row, processor)]
    return next((_coefficients(row) for row in (*named, *numbered, *alike)), named_coefficients(UNKNOWN))


def named_coefficients(architecture: str) -> Coefficients:
    """The row of this name."""
    return next(_coefficients(row) for row in _table() if row["architecture"] == architecture)


def _fits(row: Mapping[str, str], processor: Processor) -> bool:
    if row["family"] != processor.family or processor.model not in row["models"].split():
        return False
    return not row["steppings"] or processor.stepping in row["steppings"].split()


def _coefficients(row: Mapping[str, str]) -> Coefficients:
    return Coefficients(
        architecture=row["architecture"],
        min_w=float(row["min_w_per_vcpu"]),
        max_w=float(row["max_w_per_vcpu"]),
        source=row["source"],
    )


def _table() -> list[dict[str, str]]:
    with _COEFFICIENTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _processor_meter(proc: Path, environment: MeterEnvironment) -> ModelMeter:
    with (proc / "cpuinfo").open(encoding="utf-8", errors="replace") as file:
        processor = processor_of(file.read(_FIRST_PROCESSOR_BYTES))
    stat = proc / "stat"
    vcpus = len(re.findall(rb"^cpu\d", stat.read_bytes(), re.MULTILINE))
    _busy_s(stat)
    each = coefficients_of(processor)
    idle_w = vcpus * each.min_w if environment.idle_w is None else environment.idle_w
    range_w = each.max_w - each.min_w
    info = MeterInfo(
        name="modelled:cpu",
        component="cpu",
        quality="modelled",
        low_ratio=LOW_RATIO,
        high_ratio=HIGH_RATIO,
        idle_w=idle_w,
        detail=f"{vcpus} vCPUs of {each.min_w:g} to {each.max_w:g} W, {each.architecture} ({each.source}); {processor.name}",
    )
    return ModelMeter(info, lambda now_s: idle_w * now_s + _busy_s(stat) * range_w)


def _busy_s(stat: Path) -> float:
    with stat.open("rb", buffering=0) as file:
        # One line is wanted; unbuffered, it costs a third.
        return busy_ticks(file.read(_FIRST_LINE_BYTES)) / _TICKS_PER_S


def _memory_meter(proc: Path, sys_root: Path) -> ModelMeter:
    total_gb = _total_memory(proc) / BYTES_PER_GB
    limit_gb = min(total_gb, _memory_limit(proc, sys_root) / BYTES_PER_GB)
    each = named_coefficients(MEMORY)
    power_w = total_gb * each.max_w
    info = MeterInfo(
        name="modelled:dram",
        component="dram",
        quality="modelled",
        low_ratio=LOW_RATIO,
        high_ratio=HIGH_RATIO,
        idle_w=power_w,
        idle_share=limit_gb / total_gb,
        detail=f"{total_gb:.1f} GB of {each.max_w:g} W, {limit_gb:.1f} GB of it the job's at most ({each.source})",
    )
    return ModelMeter(info, lambda now_s: power_w * now_s)


def _total_memory(proc: Path) -> float:
    found = re.search(r"^MemTotal:\s+([1-9]\d*) kB", (proc / "meminfo").read_text(encoding="ascii"), re.MULTILINE)
    if not found:
        raise ValueError("meminfo has no MemTotal")
    return int(found[1]) * 1024.0


def _memory_limit(proc: Path, sys_root: Path) -> float:
    """Bytes that this process's cgroup and those above it allow; infinite without a limit."""
    try:
        places = cgroup_paths((proc / "self" / "cgroup").read_text(encoding="utf-8"), "memory")
    except OSError:
        return float("inf")
    limits = (
        _limit(sys_root / "fs/cgroup" / place / name) for place in places for name in ("memory.max", "memory.limit_in_bytes")
    )
    return min(limits, default=float("inf"))


def _limit(file: Path) -> float:
    try:
        return float(int(file.read_bytes()))
    except (OSError, ValueError):
        # Absent, or the word "max".
        return float("inf")
