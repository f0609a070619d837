"""The workers of metering.py: each runs in an interpreter of its own and prints one JSON document.

greenai's run by this interpreter, CodeCarbon's by one that has it and not greenai; hence each imports what it measures.

    python bench/metering_workers.py NAME [NUMBER ...]
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

LENGTHS_S = (0.2, 1.0, 3.0)
REPEATS = 5
J_PER_KWH = 3.6e6

Rows = list[dict[str, Any]]


def burn(seconds: float) -> list[str]:
    """A command that uses so many CPU seconds."""
    return [sys.executable, "-S", "-c", f"import time\nwhile time.process_time() < {seconds}: pass"]


def children_cpu_s() -> float:
    """CPU seconds of children that have ended: the truth."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def milliseconds(call: Callable[[], Any], repeats: int) -> float:
    """Median wall time of a call."""
    spent = []
    for _ in range(repeats):
        begun_s = time.perf_counter()
        call()
        spent.append(time.perf_counter() - begun_s)
    return statistics.median(spent) * 1e3


def cpu_percent(seconds: float) -> float:
    """CPU that this process uses while it does nothing but be measured, percent of a core."""
    begun_s, used_s = time.monotonic(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - used_s) / (time.monotonic() - begun_s) * 100


def python_import() -> dict[str, float]:
    """What of the standard library metering loads anyway, in a fresh interpreter."""
    begun_s = time.perf_counter()
    for name in ("dataclasses", "datetime", "json", "pathlib", "threading", "typing", "weakref"):
        importlib.import_module(name)
    return {"import_ms": (time.perf_counter() - begun_s) * 1e3}


def greenai_import() -> dict[str, float]:
    """Import of everything that metering needs but the meters, in a fresh interpreter."""
    begun_s = time.perf_counter()
    for name in ("sampler", "cpu_time", "lease", "meters.chain"):
        importlib.import_module(f"greenai.adapters.{name}")
    return {"import_ms": (time.perf_counter() - begun_s) * 1e3}


def greenai_detectors() -> dict[str, Any]:
    """The detectors that the entry points name."""
    names = ("assumed", "codecarbon", "modelled", "nvml", "rapl")
    return {name: importlib.import_module(f"greenai.adapters.meters.{name}").detect for name in names}


def greenai_chain(visible: str | None = None) -> Any:
    """The meters as wiring finds them, from the environment this bench prepares."""
    from greenai.adapters.meters.chain import MeterChain
    from greenai.model.energy import MeterEnvironment

    root = os.environ.get("GREENAI_POWERCAP_ROOT", "/sys/class/powercap")
    environment = MeterEnvironment(powercap_root=root, visible_devices=visible)
    return MeterChain.detect(greenai_detectors(), environment)


def greenai_sampler(chain: Any, write: Callable[[bytes], Any] = lambda _line: None) -> Any:
    """A sampler as wiring builds it."""
    from greenai.adapters.cpu_time import JobCpu, cores_share
    from greenai.adapters.sampler import Sampler

    return Sampler(chain.meters, JobCpu(), write, rejected=chain.rejected, cores_share=cores_share())


def greenai_detect() -> dict[str, float]:
    """First detection in a fresh interpreter, its modules loaded: without a GPU, then with one."""
    greenai_detectors()
    importlib.import_module("greenai.adapters.meters.chain")
    spent_ms = []
    for visible in ("", None):
        begun_s = time.perf_counter()
        greenai_chain(visible)
        spent_ms.append((time.perf_counter() - begun_s) * 1e3)
    return {"detect_ms": spent_ms[0], "gpu_detect_ms": spent_ms[1]}


def greenai_costs(seconds: float) -> dict[str, Any]:
    """Start, stop, CPU at 1 Hz and bytes, this process watched."""
    chain = greenai_chain()
    starts, stops = [], []
    for _ in range(50):
        begun_s = time.perf_counter()
        sampler = greenai_sampler(chain)
        sampler.start()
        starts.append(time.perf_counter() - begun_s)
        begun_s = time.perf_counter()
        sampler.stop()
        stops.append(time.perf_counter() - begun_s)
    lines: list[bytes] = []
    sampler = greenai_sampler(chain, lines.append)
    sampler.start()
    sampler.watch(os.getpid())
    percent = cpu_percent(seconds)
    sampler.stop()
    return {
        "start_ms": statistics.median(starts) * 1e3,
        "stop_ms": statistics.median(stops) * 1e3,
        "cpu_percent": percent,
        "meters": len(chain.meters),
        "header_bytes": len(lines[0]),
        "interval_bytes": statistics.mean(len(line) for line in lines[1:]),
    }


def greenai_truth() -> Rows:
    """Joules reported for runs of known length, by component."""
    rows = []
    for seconds in LENGTHS_S:
        for _ in range(REPEATS):
            sampler = greenai_sampler(greenai_chain())
            sampler.start()
            begun_s = time.monotonic()
            time.sleep(seconds)
            ran_s = time.monotonic() - begun_s
            trace = sampler.stop()
            for info in trace.meters:
                joules = sum(interval.machine_j[info.name] for interval in trace.intervals)
                rows.append({"component": info.component, "seconds": seconds, "watts": joules / ran_s})
    return rows


def greenai_children(count: int, each_s: float) -> dict[str, float]:
    """CPU seconds seen of short children, over those they used."""
    sampler = greenai_sampler(greenai_chain())
    sampler.start()
    sampler.watch(os.getpid())
    before_s, own_s = children_cpu_s(), time.process_time()
    for _ in range(count):
        subprocess.run(burn(each_s), check=True)
    used_s = children_cpu_s() - before_s + time.process_time() - own_s
    trace = sampler.stop()
    return {"seen": sum(interval.job_cpu_s for interval in trace.intervals) / used_s}


def codecarbon_tracker(**changes: Any) -> Any:
    """An offline tracker with its defaults, silenced, writing nothing."""
    import logging

    import codecarbon

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    return codecarbon.OfflineEmissionsTracker(country_iso_code="GBR", output_methods=[], log_level="critical", **changes)


def codecarbon_import() -> dict[str, float]:
    """Import in a fresh interpreter."""
    begun_s = time.perf_counter()
    import codecarbon  # noqa: F401

    return {"import_ms": (time.perf_counter() - begun_s) * 1e3}


def codecarbon_detect() -> dict[str, float]:
    """Its detection is its first start."""
    tracker = codecarbon_tracker()
    begun_s = time.perf_counter()
    tracker.start()
    spent_s = time.perf_counter() - begun_s
    tracker.stop()
    return {"detect_ms": spent_s * 1e3}


def codecarbon_costs(seconds: float) -> dict[str, Any]:
    """Later starts and stops, and CPU when it measures each second."""
    codecarbon_detect()
    starts, stops = [], []
    for _ in range(20):
        begun_s = time.perf_counter()
        tracker = codecarbon_tracker()
        tracker.start()
        starts.append(time.perf_counter() - begun_s)
        begun_s = time.perf_counter()
        tracker.stop()
        stops.append(time.perf_counter() - begun_s)
    tracker = codecarbon_tracker(measure_power_secs=1)
    tracker.start()
    percent = cpu_percent(seconds)
    tracker.stop()
    return {"start_ms": statistics.median(starts) * 1e3, "stop_ms": statistics.median(stops) * 1e3, "cpu_percent": percent}


def codecarbon_truth(period_s: float) -> Rows:
    """Watts reported for runs of known length, by component."""
    codecarbon_detect()
    rows = []
    for seconds in LENGTHS_S:
        for _ in range(REPEATS):
            tracker = codecarbon_tracker(measure_power_secs=period_s)
            tracker.start()
            begun_s = time.monotonic()
            time.sleep(seconds)
            ran_s = time.monotonic() - begun_s
            tracker.stop()
            total = tracker.final_emissions_data
            modes = {type(part).__name__: getattr(part, "_mode", "") for part in tracker._hardware}
            energies = {"cpu": total.cpu_energy, "dram": total.ram_energy, "gpu": total.gpu_energy}
            for component, kwh in energies.items():
                counted = component != "cpu" or modes.get("CPU") == "intel_rapl"
                rows.append({"component": component, "seconds": seconds, "watts": kwh * J_PER_KWH / ran_s, "counted": counted})
    return rows


def codecarbon_children(count: int, each_s: float) -> dict[str, float]:
    """CPU energy in process mode over what its own model gives for the CPU seconds used."""
    codecarbon_detect()
    tracker = codecarbon_tracker(tracking_mode="process", force_mode_cpu_load=True)
    tracker.start()
    before_s, own_s = children_cpu_s(), time.process_time()
    for _ in range(count):
        subprocess.run(burn(each_s), check=True)
    used_s = children_cpu_s() - before_s + time.process_time() - own_s
    tracker.stop()
    (processor,) = [part for part in tracker._hardware if type(part).__name__ == "CPU"]
    model_j = processor._tdp * used_s / processor._cpu_count
    return {"seen": tracker.final_emissions_data.cpu_energy * J_PER_KWH / model_j}


WORKERS: dict[str, Callable[..., Any]] = {
    worker.__name__: worker
    for worker in (
        python_import, greenai_import, greenai_detect, greenai_costs, greenai_truth, greenai_children,
        codecarbon_import, codecarbon_detect, codecarbon_costs, codecarbon_truth, codecarbon_children,
    )
}  # fmt: skip


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(WORKERS[name](*(int(word) if word.isdigit() else float(word) for word in words))))
