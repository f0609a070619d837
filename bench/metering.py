"""What metering costs and how true it is: greenai beside CodeCarbon, in one run, against known watts.

    python -m venv /tmp/cc && /tmp/cc/bin/pip install codecarbon==3.3.2 nvidia-ml-py
    python bench/metering.py --codecarbon-python /tmp/cc/bin/python [--seconds 20] [--json FILE]

The watts come from greenai.testing: a powercap tree moved on by a process of its own each millisecond, and a
libnvidia-ml.so.1. CodeCarbon looks for the tree under /sys/class and nowhere else, so it is shown one there in a mount
namespace of this bench's own; that needs root, and without it CodeCarbon's processor rows are left out and said to be.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__)
ROOT = HERE.parents[1]
WATTS = {"cpu": 80.0, "dram": 9.0, "gpu": 300.0}
ZONES = ["package-0=50", "package-0/core=35", "package-0/dram=5", "package-1=30", "package-1/core=20", "package-1/dram=4"]
LENGTHS_S = (0.2, 1.0, 3.0)
REPEATS = 5
CHILDREN, CHILD_S = 10, 0.3
TREE_PERIOD_S = 0.001
J_PER_KWH = 3.6e6

Rows = list[dict[str, Any]]


# ---- workers: run by this interpreter for greenai, by CodeCarbon's for CodeCarbon; they print one JSON document ----


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


def greenai_chain() -> Any:
    """The meters as wiring finds them, from the environment this bench prepares."""
    from greenai.adapters.meters.chain import MeterChain
    from greenai.model.energy import MeterEnvironment

    environment = MeterEnvironment(powercap_root=os.environ.get("GREENAI_POWERCAP_ROOT", "/sys/class/powercap"))
    return MeterChain.detect(greenai_detectors(), environment)


def greenai_sampler(chain: Any, write: Callable[[bytes], Any] = lambda _line: None) -> Any:
    """A sampler as wiring builds it."""
    from greenai.adapters.cpu_time import JobCpu, cores_share
    from greenai.adapters.sampler import Sampler

    return Sampler(chain.meters, JobCpu(), write, rejected=chain.rejected, cores_share=cores_share())


def greenai_detect() -> dict[str, float]:
    """First detection in a fresh interpreter, its modules loaded."""
    greenai_detectors()
    importlib.import_module("greenai.adapters.meters.chain")
    begun_s = time.perf_counter()
    greenai_chain()
    return {"detect_ms": (time.perf_counter() - begun_s) * 1e3}


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
        greenai_import, greenai_detect, greenai_costs, greenai_truth, greenai_children,
        codecarbon_import, codecarbon_detect, codecarbon_costs, codecarbon_truth, codecarbon_children,
    )
}  # fmt: skip


# ---- the bench ----


def work(python: str, name: str, *arguments: float) -> Any:
    """Run a worker in a fresh interpreter and read what it prints."""
    command = [python, str(HERE), "--worker", name, *(str(argument) for argument in arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir())
    if run.returncode:
        raise SystemExit(f"{name} failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def median_of(python: str, name: str, key: str, runs: int = 9) -> float:
    """Median over fresh interpreters."""
    return statistics.median(work(python, name)[key] for _ in range(runs))


def costs(peer: str | None, seconds: float) -> Rows:
    """What it costs to be measured."""
    own = work(sys.executable, "greenai_costs", seconds)
    rows = [
        ("import, ms", median_of(sys.executable, "greenai_import", "import_ms"), "< 30"),
        ("detect in a fresh process, ms", median_of(sys.executable, "greenai_detect", "detect_ms"), "< 20"),
        ("start, ms", own["start_ms"], "< 5 with stop"),
        ("stop, ms", own["stop_ms"], ""),
        ("CPU at 1 Hz, % of a core", own["cpu_percent"], "< 0.05"),
        ("meters read", own["meters"], ""),
        ("bytes of the header", own["header_bytes"], ""),
        ("bytes of an interval", own["interval_bytes"], ""),
    ]
    theirs: dict[str, float] = {}
    if peer:
        other = work(peer, "codecarbon_costs", seconds)
        theirs = {
            "import, ms": median_of(peer, "codecarbon_import", "import_ms"),
            "detect in a fresh process, ms": median_of(peer, "codecarbon_detect", "detect_ms", runs=3),
            "start, ms": other["start_ms"],
            "stop, ms": other["stop_ms"],
            "CPU at 1 Hz, % of a core": other["cpu_percent"],
        }
    return [{"what": what, "greenai": value, "target": target, "codecarbon": theirs.get(what)} for what, value, target in rows]


def error_percent(rows: Iterable[dict[str, Any]], component: str, seconds: float) -> str | None:
    """Median and worst error of a component over runs of one length; None where the tool did not count."""
    found = [
        row["watts"] for row in rows if row["component"] == component and row["seconds"] == seconds and row.get("counted", True)
    ]
    if not found:
        return None
    errors = sorted(((watts / WATTS[component] - 1) * 100 for watts in found), key=abs)
    return f"{statistics.median(errors):+.2f} (worst {errors[-1]:+.2f})"


def truth(peer: str | None) -> Rows:
    """Error of the energy reported for runs of known length."""
    tools = {"greenai": work(sys.executable, "greenai_truth")}
    if peer:
        tools["codecarbon"] = work(peer, "codecarbon_truth", 15)
        tools["codecarbon, 1 s period"] = work(peer, "codecarbon_truth", 1)
    return [
        {"component": component, "true W": watts, "run, s": seconds}
        | {f"{tool}, error %": error_percent(rows, component, seconds) for tool, rows in tools.items()}
        for component, watts in WATTS.items()
        for seconds in LENGTHS_S
    ]


def children(peer: str | None) -> Rows:
    """Share of the CPU seconds of children that is seen."""
    cases = [(CHILDREN, CHILD_S), (1, 2.5), (1, 6.0)]
    return [
        {
            "children": f"{count} x {each_s} s",
            "greenai, % seen": work(sys.executable, "greenai_children", count, each_s)["seen"] * 100,
            "codecarbon (process mode), % seen": work(peer, "codecarbon_children", count, each_s)["seen"] * 100 if peer else None,
        }
        for count, each_s in cases
    ]


def prepared(powercap: Path, scratch: Path) -> subprocess.Popen[bytes]:
    """The fake tree running at `powercap`, and the environment that shows it and the fake GPU to both tools."""
    from greenai.testing.nvml import build_fake_nvml

    command = [sys.executable, "-m", "greenai.testing.powercap", str(powercap), "--period", str(TREE_PERIOD_S), *ZONES]
    tree = subprocess.Popen(command)
    while not (powercap / "intel-rapl:1:1" / "energy_uj").exists():
        if tree.poll() is not None:
            raise SystemExit("the fake powercap tree does not start")
        time.sleep(0.01)
    # As the kernel links them; CodeCarbon enters here.
    (powercap / "intel-rapl").symlink_to("devices/intel-rapl")
    (powercap / "intel-rapl" / "subsystem").symlink_to(powercap)
    build_fake_nvml(scratch)
    smi = scratch / "nvidia-smi"
    smi.write_text("#!/bin/sh\n", encoding="ascii")
    smi.chmod(0o755)
    os.environ["GREENAI_POWERCAP_ROOT"] = str(powercap)
    os.environ["LD_LIBRARY_PATH"] = f"{scratch}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    os.environ["PATH"] = f"{scratch}:{os.environ['PATH']}"
    os.environ["FAKE_NVML_WATTS"] = str(WATTS["gpu"])
    return tree


def all_tables(peer: str | None, seconds: float, powercap: Path | None) -> dict[str, Rows]:
    """Every table, with the fakes in place."""
    with tempfile.TemporaryDirectory() as folder:
        tree = prepared(powercap or Path(folder) / "powercap", Path(folder))
        try:
            return {
                "Cost": costs(peer, seconds),
                "Meter truth": truth(peer),
                "Short-lived children": children(peer),
            }
        finally:
            tree.terminate()
            tree.wait()


def in_namespace(arguments: list[str]) -> int:
    """Run this bench again where /sys/class is a file system of its own."""
    shell = 'mount -t tmpfs tmpfs /sys/class && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", shell, "sh", sys.executable, str(HERE), *arguments, "--inside"]
    return subprocess.run(command, check=False).returncode


def cell(value: Any) -> str:
    """A value as it stands in a table."""
    if value is None:
        return "-"
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


def show(tables: dict[str, Rows]) -> None:
    """Print the tables in Markdown."""
    for title, rows in tables.items():
        print(f"\n### {title}\n")
        print("| " + " | ".join(rows[0]) + " |")
        print("| " + " | ".join("---" for _ in rows[0]) + " |")
        for row in rows:
            print("| " + " | ".join(cell(value) for value in row.values()) + " |")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codecarbon-python", help="a Python that has CodeCarbon; without it greenai alone is measured")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the CPU use at 1 Hz is watched")
    parser.add_argument("--json", type=Path, help="write the tables here too")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Prepare, measure, print."""
    options = parsed()
    if options.worker:
        name, *arguments = options.worker
        print(json.dumps(WORKERS[name](*(int(text) if text.isdigit() else float(text) for text in arguments))))
        return
    peer = options.codecarbon_python
    if peer and not options.inside:
        if os.geteuid() == 0 and shutil.which("unshare"):
            raise SystemExit(in_namespace(sys.argv[1:]))
        print("CodeCarbon's processor rows are left out: showing it a tree under /sys/class needs root and unshare")
    begun_at = datetime.now(UTC)
    tables = all_tables(peer, options.seconds, Path("/sys/class/powercap") if options.inside else None)
    show(tables)
    print(f"\nmade {begun_at:%Y-%m-%d %H:%M} UTC in {(datetime.now(UTC) - begun_at) / timedelta(seconds=1):.0f} s")
    if options.json:
        options.json.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
