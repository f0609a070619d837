"""How long `greenai --help` takes beside CATS's `--help`: run in turn, so that a busy machine slows both.

    python bench/startup.py --cats-command PATH/TO/cats [--runs 20] [--json FILE]

CATS (climate-aware-task-scheduler) goes into an environment of its own:
    python -m venv /tmp/cats && /tmp/cats/bin/pip install climate-aware-task-scheduler==1.2.1
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

WARM_UPS = 2


def seconds_of(command: Sequence[str]) -> float:
    """Wall seconds of one run of `command`, which must succeed."""
    begun_s = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun_s


def alternate(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Seconds per run by name; each round runs every command once, the first rounds are not counted."""
    rounds = [{name: seconds_of(command) for name, command in commands.items()} for _ in range(WARM_UPS + runs)]
    return {name: [timed[name] for timed in rounds[WARM_UPS:]] for name in commands}


def summary(timings: dict[str, list[float]]) -> list[dict[str, object]]:
    """A row per command: median and quartiles in milliseconds, and its median as a share of CATS's."""
    medians = {name: statistics.median(values) for name, values in timings.items()}
    rows: list[dict[str, object]] = []
    for name, values in timings.items():
        low, _, high = statistics.quantiles(values, n=4)
        row: dict[str, object] = {"command": f"{name} --help", "median_ms": round(medians[name] * 1e3, 1)}
        row |= {"quartiles_ms": f"{low * 1e3:.0f} to {high * 1e3:.0f}", "runs": len(values)}
        row["ratio_to_cats"] = round(medians[name] / medians["cats"], 3) if "cats" in medians else None
        rows.append(row)
    return rows


def main() -> None:
    """Time, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cats-command", help="the cats executable; without it only greenai is timed")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json", type=Path, help="write the rows here too")
    options = parser.parse_args()
    commands = {"greenai": [str(Path(sys.executable).with_name("greenai")), "--help"]}
    if options.cats_command:
        commands["cats"] = [options.cats_command, "--help"]
    rows = summary(alternate(commands, options.runs))
    for row in rows:
        print(row)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
