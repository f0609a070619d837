"""CodeCarbon as a meter (extra `codecarbon`), for those who want its numbers: only when chosen, and its energy only.

The offline tracker makes no connection. Every parameter is given, because what is
not given it reads from ~/.codecarbon.config and CODECARBON_* variables. Its own
timer is set beyond any run: it measures beside whoever asks, without a lock, and
would count an interval twice (stop() and the timer, seen in 31 of 60 runs of
3.3.2; runs under a second are sound without it). We ask by flush(), and a handler
takes what it hands out. The first start takes one to two seconds (it starts six
programs), so a tracker is started and stopped before the one that counts.

How it came by a number CodeCarbon says only in a private field; where that is not
a counter, its figure may be three times off, which is what the grade says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any, Final

from greenai.errors import MeterUnavailable
from greenai.logic.metering import METER_FAILURES, sample
from greenai.model.energy import Component, Detection, EnergySample, MeterEnvironment, MeterInfo, Quality, RejectedMeter
from greenai.model.units import J_PER_KWH

NAME: Final = "codecarbon"

PARAMETERS: Final[Mapping[str, Any]] = {
    "country_iso_code": "GBR",
    "region": None,
    "cloud_provider": None,
    "cloud_region": None,
    "country_2letter_iso_code": None,
    "project_name": "greenai",
    "output_methods": [],
    "api_call_interval": 1,
    "output_dir": ".",
    "output_file": "emissions.csv",
    "emissions_endpoint": None,
    "electricitymaps_api_token": None,
    "experiment_id": None,
    "experiment_name": None,
    "allow_multiple_runs": True,
    "tracking_mode": "machine",
    "measure_power_secs": 1e8,
    "pue": 1.0,
    "wue": 0.0,
    # Its kilograms are zero, so that nobody can mix them in.
    "force_carbon_intensity_g_co2e_kwh": 0.0,
    "rapl_include_dram": False,
    "rapl_prefer_psys": False,
    "force_mode_cpu_load": False,
    "force_cpu_power": None,
    "force_ram_power": None,
    "gpu_ids": None,
    "log_level": "critical",
    "logger_preamble": "",
    "on_csv_write": "append",
    "metadata": None,
}

_HARDWARE: Final[Mapping[str, Component]] = {"CPU": "cpu", "RAM": "dram", "GPU": "gpu"}
_COUNTED_MODES: Final = frozenset({"intel_rapl", "windows_emi"})
_SAME_READ_S: Final = 0.05
"""One flush serves the meters of one read; it measures no more often itself."""


def detect(environment: MeterEnvironment) -> Detection[CodeCarbonMeter]:
    """A meter for each part CodeCarbon tracks, if it was chosen by name."""
    if NAME not in environment.chosen:
        return _none("only when chosen: --meter codecarbon")
    if find_spec(NAME) is None:
        return _none("CodeCarbon is not installed", "pip install 'greenai[codecarbon]'")
    try:
        import codecarbon  # type: ignore[import-not-found, unused-ignore]  # an extra

        # After the import, which sets it to INFO, and before the first tracker, which logs before it reads its log level.
        logging.getLogger(NAME).setLevel(logging.CRITICAL)
        warm = _tracker(codecarbon, None)
        warm.start()
        modes = _modes(warm)
        warm.stop()
    except METER_FAILURES as error:
        return _none(f"CodeCarbon does not start: {error}")
    source = _Source(lambda sink: _tracker(codecarbon, sink))
    version = getattr(codecarbon, "__version__", "?")
    return Detection(meters=tuple(CodeCarbonMeter(_info(part, mode, version), source) for part, mode in modes.items()))


class CodeCarbonMeter:
    """Implements `greenai.ports.Meter` for one of the parts that share a tracker."""

    def __init__(self, info: MeterInfo, source: _Source) -> None:
        self.info = info
        self._source = source

    def read(self) -> Sequence[EnergySample]:
        """Joules since the first read, by one sample; raises MeterUnavailable."""
        now_s = time.monotonic()
        energy_j = self._source.energy_j(now_s)[self.info.component]
        return sample(self.info, energy_j, taken_at=datetime.now(UTC), monotonic_s=now_s)


class _Source:
    """The tracker that counts, and what it last said."""

    def __init__(self, make: Callable[[Callable[[Any], None]], Any]) -> None:
        self._make = make
        self._tracker: Any = None
        self._asked_s = 0.0
        self._energy_j: dict[Component, float] = dict.fromkeys(_HARDWARE.values(), 0.0)
        self._heard = False

    def energy_j(self, now_s: float) -> Mapping[Component, float]:
        """Joules by component since the first call."""
        if self._tracker is None:
            self._tracker = self._make(self._hear)
            self._tracker.start()
            self._asked_s = time.monotonic()
        elif now_s - self._asked_s > _SAME_READ_S:
            self._asked_s, self._heard = now_s, False
            # flush() swallows every exception; a handler that heard nothing is how it shows.
            self._tracker.flush()
            if not self._heard:
                raise MeterUnavailable("CodeCarbon gave no figures")
        return self._energy_j

    def _hear(self, total: Any) -> None:
        self._energy_j = {
            "cpu": total.cpu_energy * J_PER_KWH,
            "dram": total.ram_energy * J_PER_KWH,
            "gpu": total.gpu_energy * J_PER_KWH,
        }
        self._heard = True


def _tracker(codecarbon: Any, hear: Callable[[Any], None] | None) -> Any:
    """A tracker as PARAMETERS say; it tells `hear` its totals at each flush."""
    from codecarbon.output_methods.base_output import (  # type: ignore[import-not-found, unused-ignore]  # an extra
        BaseOutput,
    )

    class Sink(BaseOutput):  # type: ignore[misc, unused-ignore]  # Any where CodeCarbon is not installed
        """Takes totals and writes nothing."""

        def out(self, total: Any, delta: Any) -> None:
            """Called by flush() and stop()."""
            if hear is not None:
                hear(total)

    return codecarbon.OfflineEmissionsTracker(**PARAMETERS, output_handlers=[Sink()])


def _modes(tracker: Any) -> dict[Component, str]:
    """What it tracks and by which method, from a private field: anything may be missing."""
    try:
        hardware = list(tracker._hardware)  # said nowhere else
    except (AttributeError, TypeError):
        return {"cpu": "unknown", "dram": "unknown"}
    found = {_HARDWARE.get(type(part).__name__, "cpu"): str(getattr(part, "_mode", "")) for part in hardware}
    return {part: mode or {"dram": "constant", "gpu": "nvml"}.get(part, "unknown") for part, mode in found.items()}


def _info(part: Component, mode: str, version: str) -> MeterInfo:
    counted = mode in _COUNTED_MODES or mode == "nvml"
    quality: Quality = "measured:counter" if counted else "assumed"
    return MeterInfo(
        name=f"{NAME}:{part}",
        component=part,
        quality=quality,
        low_ratio=0.9 if counted else 1 / 3,
        high_ratio=1.1 if counted else 3.0,
        detail=f"CodeCarbon {version}, method {mode}",
    )


def _none(reason: str, remedy: str = "") -> Detection[CodeCarbonMeter]:
    return Detection(rejected=(RejectedMeter(name=NAME, component="node", reason=reason, remedy=remedy),))
