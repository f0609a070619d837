"""What metering costs and how true it is: greenai beside CodeCarbon, in one run, against known watts.

    python -m venv /tmp/cc && /tmp/cc/bin/pip install codecarbon==3.3.2 nvidia-ml-py
    python bench/metering.py --codecarbon-python /tmp/cc/bin/python [--seconds 20] [--json FILE]

The watts come from greenai.testing: a powercap tree moved on by a process of its own each millisecond, and a
libnvidia-ml.so.1. CodeCarbon looks for the tree under /sys/class and nowhere else, so it is shown one there in a mount
namespace of this bench's own; that needs root, and without it CodeCarbon's processor rows are left out and said to be.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__)
WORKERS = HERE.with_name("metering_workers.py")
WATTS = {"cpu": 80.0, "dram": 9.0, "gpu": 300.0}
ZONES = ["package-0=50", "package-0/core=35", "package-0/dram=5", "package-1=30", "package-1/core=20", "package-1/dram=4"]
LENGTHS_S = (0.2, 1.0, 3.0)
CHILDREN = ((10, 0.3), (1, 2.5), (1, 6.0))
TREE_PERIOD_S = 0.001

Rows = list[dict[str, Any]]


def ahead() -> list[str]:
    """What lets a timed process go before all others of a busy machine, where this one may (root)."""
    command = ["chrt", "-f", "10"]
    may = shutil.which("chrt") and subprocess.run([*command, "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0
    return command if may else []


def work(python: str, name: str, *arguments: float, timed: bool = True) -> Any:
    """Run a worker in a fresh interpreter and read what it prints."""
    command = [*(ahead() if timed else ()), python, str(WORKERS), name, *(str(argument) for argument in arguments)]
    # Compiled modules are kept, as where a package is installed.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir(), env=environment)
    if run.returncode:
        raise SystemExit(f"{name} failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def median_of(python: str, name: str, key: str, runs: int = 9) -> float:
    """Median over fresh interpreters, the first of which compiles."""
    work(python, name)
    return statistics.median(work(python, name)[key] for _ in range(runs))


def costs(peer: str | None, seconds: float) -> Rows:
    """What it costs to be measured."""
    own = work(sys.executable, "greenai_costs", seconds)
    rows = [
        ("import, ms", median_of(sys.executable, "greenai_import", "import_ms"), "< 30"),
        ("of it Python's own modules, ms", median_of(sys.executable, "python_import", "import_ms"), ""),
        ("detect in a fresh process, ms", median_of(sys.executable, "greenai_detect", "detect_ms"), "< 20"),
        ("the same with a GPU (imports nvidia-ml-py), ms", median_of(sys.executable, "greenai_detect", "gpu_detect_ms"), ""),
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
    return [
        {
            "children": f"{count} x {each_s} s",
            "greenai, % seen": work(sys.executable, "greenai_children", count, each_s, timed=False)["seen"] * 100,
            "codecarbon (process mode), % seen": work(peer, "codecarbon_children", count, each_s, timed=False)["seen"] * 100
            if peer
            else None,
        }
        for count, each_s in CHILDREN
    ]


def prepared(powercap: Path, scratch: Path) -> subprocess.Popen[bytes]:
    """The fake tree running at `powercap`, and the environment that shows it and the fake GPU to both tools."""
    from greenai.testing.nvml import build_fake_nvml

    command = [*ahead(), sys.executable, "-m", "greenai.testing.powercap", str(powercap), "--period", str(TREE_PERIOD_S), *ZONES]
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
    os.environ["PYTHONPYCACHEPREFIX"] = str(scratch / "compiled")
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
    return parser.parse_args()


def main() -> None:
    """Prepare, measure, print."""
    options = parsed()
    peer = options.codecarbon_python
    if peer and not options.inside:
        if os.geteuid() == 0 and shutil.which("unshare"):
            raise SystemExit(in_namespace(sys.argv[1:]))
        print("CodeCarbon's processor rows are left out: showing it a tree under /sys/class needs root and unshare")
    begun_at = datetime.now(UTC)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {'first' if ahead() else 'not first'} in the queue")
    tables = all_tables(peer, options.seconds, Path("/sys/class/powercap") if options.inside else None)
    show(tables)
    print(f"\nmade {begun_at:%Y-%m-%d %H:%M} UTC in {(datetime.now(UTC) - begun_at) / timedelta(seconds=1):.0f} s")
    if options.json:
        options.json.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
