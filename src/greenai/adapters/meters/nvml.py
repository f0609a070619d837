"""NVIDIA GPUs, through NVML by nvidia-ml-py (extra `gpu`); the nvidia-smi program is not needed.

One meter per visible GPU, in this order of preference:

- the energy counter (millijoules since the driver was loaded; Volta and later);
- the instantaneous power (field 186), else the board's power, integrated by the
  trapezoid rule between reads: the sampler polls such a meter each second.

The counter is renewed about each 100 ms, hence `edge_s`. A counter that falls
belongs to a driver that was reloaded. Whose energy it is: all the job's while no
other process that we can see computes on the GPU, else by the share of SM time; of
a GPU cut into MIG slices the job's slices out of seven.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Final

from greenai.errors import MeterUnavailable
from greenai.logic.metering import Counter, advanced, sample
from greenai.model.energy import Detection, EnergySample, MeterEnvironment, MeterInfo, Quality, RejectedMeter

LIBRARY: Final = "libnvidia-ml.so.1"
EDGE_S: Final = 0.1
COUNTER_BAND: Final = (0.95, 1.05)
SAMPLED_BAND: Final = (0.75, 1.25)
"""Power is a sample, on A100 and H100 of a quarter of the time only (arXiv 2312.02741)."""
MIG_SLICES: Final = 7
MJ_PER_J: Final = 1000
MW_PER_W: Final = 1000.0


def detect(environment: MeterEnvironment) -> Detection[NvmlMeter]:
    """A meter for each visible GPU, or why there is none."""
    wanted = environment.visible_devices
    if wanted is not None and wanted.strip() in {"", "-1", "NoDevFiles"}:
        return _none("CUDA_VISIBLE_DEVICES hides every GPU")
    try:
        # Looked for before the bindings are imported: most machines have no GPU, and the import takes 24 ms.
        library = ctypes.CDLL(environment.nvml_library or LIBRARY)
    except OSError as error:
        return _none(f"no NVIDIA driver library: {error}")
    try:
        import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no types
    except ImportError:
        return _none("the NVIDIA driver is here, nvidia-ml-py is not", "pip install 'greenai[gpu]'")
    if environment.nvml_library:
        pynvml.nvmlLib = library
    try:
        pynvml.nvmlInit()
        devices = _devices(pynvml, wanted)
    except pynvml.NVMLError as error:
        return _none(f"NVML does not answer: {error}", "load the driver: sudo modprobe nvidia")
    found = [_detected(pynvml, index, slices, environment) for index, slices in sorted(devices.items())]
    rejected = tuple(item for item in found if isinstance(item, RejectedMeter))
    if not found:
        return _none("NVML lists no GPU that CUDA_VISIBLE_DEVICES names" if wanted else "NVML lists no GPU")
    return Detection(meters=tuple(item for item in found if isinstance(item, NvmlMeter)), rejected=rejected)


class NvmlMeter:
    """Implements `greenai.ports.SharedMeter` for one GPU. `slices` of it are the job's, 0 for a GPU that is not cut."""

    def __init__(self, info: MeterInfo, source: _CountedEnergy | _IntegratedPower, users: _Users, *, slices: int = 0) -> None:
        self.info = info
        self._source = source
        self._users = users
        self._slices = slices

    def read(self) -> Sequence[EnergySample]:
        """Joules since the first read, by one sample; raises MeterUnavailable."""
        now_s = time.monotonic()
        return sample(self.info, self._source.energy_j(now_s), taken_at=datetime.now(UTC), monotonic_s=now_s)

    def share(self, pids: frozenset[int]) -> float:
        """How much of the GPU's energy is that of these processes, 0 to 1."""
        return min(1.0, self._slices / MIG_SLICES) if self._slices else self._users.share(pids)


class _CountedEnergy:
    """The energy counter of one GPU."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._counter: Counter | None = None

    def energy_j(self, now_s: float) -> float:
        """Joules since the first call."""
        raw = _asked(self._nvml, self._nvml.nvmlDeviceGetTotalEnergyConsumption, self._handle)
        known = self._counter or Counter(raw=raw, read_s=now_s)
        self._counter, lost = advanced(known, raw, size=0, read_s=now_s, limit_per_s=inf)
        if lost:
            raise MeterUnavailable(f"GPU: {lost} mJ (the driver was reloaded)")
        return self._counter.total / MJ_PER_J


class _IntegratedPower:
    """Power readings of one GPU, integrated."""

    def __init__(self, nvml: Any, power_w: Callable[[], float]) -> None:
        self._nvml = nvml
        self._power_w = power_w
        self._last: tuple[float, float] | None = None
        self._energy_j = 0.0

    def energy_j(self, now_s: float) -> float:
        """Joules since the first call."""
        power_w = _asked(self._nvml, self._power_w)
        if self._last is not None:
            before_s, before_w = self._last
            self._energy_j += (now_s - before_s) * (before_w + power_w) / 2
        self._last = (now_s, power_w)
        return self._energy_j


class _Users:
    """Who computes on one GPU."""

    def __init__(self, nvml: Any, handle: Any, proc_root: str) -> None:
        self._nvml = nvml
        self._handle = handle
        self._proc = Path(proc_root)
        self._seen_us = 0

    def share(self, pids: frozenset[int]) -> float:
        """The SM time of these processes over that of all; 1 where nobody else is seen, or nothing is told.

        A process that our /proc does not show runs in another container: whether
        it is one of ours under another number cannot be told.
        """
        try:
            present = {process.pid for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)}
        except self._nvml.NVMLError:
            return 1.0
        others = {pid for pid in present - pids if (self._proc / str(pid)).exists()}
        if not others:
            return 1.0
        ours = present & pids
        used = self._sm_use(ours | others)
        total = sum(used.values())
        return sum(used[pid] for pid in ours) / total if total else len(ours) / len(ours | others)

    def _sm_use(self, pids: Iterable[int]) -> dict[int, int]:
        """Summed SM utilisation samples by process since the last call; zeros where NVML has none."""
        used = dict.fromkeys(pids, 0)
        try:
            samples = self._nvml.nvmlDeviceGetProcessUtilization(self._handle, self._seen_us)
        except self._nvml.NVMLError:
            return used
        for item in samples:
            self._seen_us = max(self._seen_us, item.timeStamp)
            if item.pid in used:
                used[item.pid] += item.smUtil
        return used


def _asked(nvml: Any, call: Callable[..., Any], *arguments: Any) -> Any:
    """What the driver answers; its errors as ours."""
    try:
        return call(*arguments)
    except nvml.NVMLError as error:
        raise MeterUnavailable(f"GPU: {error}") from error


def _devices(nvml: Any, wanted: str | None) -> dict[int, int]:
    """Index of each visible GPU, with the number of MIG slices named on it (0: the whole GPU).

    As in CUDA, the list ends at the first entry that names no GPU.
    """
    count = nvml.nvmlDeviceGetCount()
    if wanted is None:
        return dict.fromkeys(range(count), 0)
    devices: dict[int, int] = {}
    for entry in wanted.split(","):
        try:
            index, slices = _device(nvml, entry.strip(), count)
        except (LookupError, nvml.NVMLError):
            break
        devices[index] = devices.get(index, 0) + slices
    return devices


def _device(nvml: Any, entry: str, count: int) -> tuple[int, int]:
    if entry.isdecimal():
        return range(count)[int(entry)], 0
    if entry.startswith("MIG-"):
        part = nvml.nvmlDeviceGetHandleByUUID(entry)
        parent = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part)
        return nvml.nvmlDeviceGetIndex(parent), nvml.nvmlDeviceGetAttributes_v2(part).gpuInstanceSliceCount
    uuids = [nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]
    # CUDA takes any beginning of a UUID that fits one GPU alone.
    matches = [number for number, uuid in enumerate(uuids) if uuid.startswith(entry)]
    if len(matches) != 1:
        raise LookupError(entry)
    return matches[0], 0


def _detected(nvml: Any, index: int, slices: int, environment: MeterEnvironment) -> NvmlMeter | RejectedMeter:
    name = f"nvml:{index}"
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        title = f"{nvml.nvmlDeviceGetName(handle)}, {nvml.nvmlDeviceGetUUID(handle)}"
        source, how = _source(nvml, handle)
    except (nvml.NVMLError, MeterUnavailable) as error:
        return RejectedMeter(name=name, component="gpu", reason=f"GPU {index} tells neither energy nor power: {error}")
    counted = isinstance(source, _CountedEnergy)
    quality: Quality = "measured:counter" if counted else "measured:sampled"
    low_ratio, high_ratio = COUNTER_BAND if counted else SAMPLED_BAND
    cut = f", {slices} of {MIG_SLICES} MIG slices" if slices else ""
    info = MeterInfo(
        name=name,
        component="gpu",
        quality="attributed" if slices else quality,
        low_ratio=low_ratio,
        high_ratio=high_ratio,
        edge_s=EDGE_S,
        detail=f"{title}: {how}{cut}",
    )
    return NvmlMeter(info, source, _Users(nvml, handle, environment.proc_root), slices=slices)


def _source(nvml: Any, handle: Any) -> tuple[_CountedEnergy | _IntegratedPower, str]:
    """The best this GPU offers, tried once."""
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return _CountedEnergy(nvml, handle), "energy counter"
    except nvml.NVMLError:
        pass

    def instant_w() -> float:
        (value,) = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_POWER_INSTANT])
        if value.nvmlReturn != nvml.NVML_SUCCESS:
            raise nvml.NVMLError(value.nvmlReturn)
        return float(value.value.uiVal) / MW_PER_W

    def board_w() -> float:
        return float(nvml.nvmlDeviceGetPowerUsage(handle)) / MW_PER_W

    try:
        usable = instant_w() > 0
    except nvml.NVMLError:
        usable = False
    if usable:
        return _IntegratedPower(nvml, instant_w), "instantaneous power, integrated"
    _asked(nvml, board_w)
    return _IntegratedPower(nvml, board_w), "board power, integrated"


def _none(reason: str, remedy: str = "") -> Detection[NvmlMeter]:
    return Detection(rejected=(RejectedMeter(name="nvml", component="gpu", reason=reason, remedy=remedy),))
