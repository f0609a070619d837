"""Run every bench and rewrite its table in docs/benchmarks.md.

    python bench/run_all.py --cats-env DIR --codecarbon-env DIR [--only NAME ...]

Each DIR is a virtual environment that has the peer (bench/requirements-peers.txt): peers are never installed into greenai's.
A bench is a script that takes `--json FILE` and writes its rows there: a list of flat objects, or an object of title ->
such lists. What stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` is replaced; the words around it stay.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"

Row = Mapping[str, Any]
Tables = Mapping[str, list[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One script of this folder and its arguments; `{cats}` and `{codecarbon}` stand for the peers' environments."""

    name: str
    title: str
    script: str
    arguments: tuple[str, ...] = field(default=())

    def command(self, peers: Mapping[str, str | None]) -> list[str] | None:
        """Its command line; None if it needs a peer that was not given."""
        needed = re.findall(r"\{(\w+)\}", " ".join(self.arguments))
        if any(not peers[peer] for peer in needed):
            return None
        return [f"bench/{self.script}", *(argument.format(**peers) for argument in self.arguments)]


BENCHES = (
    Bench(name="startup", title="Start-up", script="startup.py", arguments=("--cats-command", "{cats}/bin/cats")),
    Bench(name="planner", title="Planning", script="planner.py", arguments=("--cats-python", "{cats}/bin/python")),
    Bench(name="metering", title="Metering", script="metering.py", arguments=("--codecarbon-python", "{codecarbon}/bin/python")),
    Bench(name="savings", title="Savings", script="savings.py"),
    Bench(name="waitawhile", title="Let's Wait Awhile, reproduced", script="waitawhile.py"),
    Bench(name="gaia", title="GAIA, reproduced", script="gaia.py"),
    Bench(name="packing", title="Packing", script="packing.py", arguments=("--step-h", "53")),
    Bench(name="queue", title="The queue", script="queue_durable.py"),
    Bench(name="queue_tick", title="One tick over ten thousand jobs", script="queue_tick.py"),
    Bench(name="queue_sweep", title="A sweep through the queue", script="queue_sweep.py"),
    Bench(name="elastic", title="Elastic", script="elastic.py", arguments=("--step-h", "53")),
    Bench(name="learning", title="Learning from past runs", script="learning.py"),
    Bench(name="training", title="Green training", script="training.py"),
)


def machine() -> Tables:
    """What the tables were made on."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    facts = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{model.group(1) if model else platform.machine()}, {cpuinfo.count('processor')} cores",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        "numpy": version("numpy"),
        "greenai": f"{version('greenai')} ({commit.stdout.strip() or 'no commit'})",
    }
    return {"": [{"what": key, "value": value} for key, value in facts.items()]}


def results(command: list[str]) -> Tables:
    """Run one bench and read its rows."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        subprocess.run([sys.executable, *command, "--json", str(out)], cwd=ROOT, check=True)
        rows = json.loads(out.read_text(encoding="utf-8"))
    return rows if isinstance(rows, dict) else {"": rows}


def cell(value: Any) -> str:
    """A value as it stands in a table; floats to four figures."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def table(rows: Iterable[Row]) -> list[str]:
    """Rows of one shape as a Markdown table; column names are the keys, underscores read as spaces."""
    rows = list(rows)
    columns = list(rows[0])
    lines = [[column.replace("_", " ") for column in columns], ["---"] * len(columns)]
    lines += [[cell(row.get(column)).replace("|", "\\|") for column in columns] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def section(tables: Tables, command: list[str] | None) -> str:
    """What goes between a bench's markers."""
    lines = ["```bash", f"python {shlex.join(command)}", "```", ""] if command else []
    for title, rows in tables.items():
        lines += ([f"### {title}", ""] if title else []) + [*table(rows), ""]
    return "\n".join([*lines, ""])


def replaced(page: str, bench: Bench, body: str) -> str:
    """The page with this bench's part renewed, or added at its end."""
    begin, end = f"<!-- bench:{bench.name} -->", f"<!-- /bench:{bench.name} -->"
    if begin not in page:
        page = f"{page.rstrip()}\n\n## {bench.title}\n\n{begin}\n{end}\n"
    before, rest = page.split(begin, 1)
    return f"{before}{begin}\n{body}{end}{rest.split(end, 1)[1]}"


def shown(command: list[str], peers: Mapping[str, str | None]) -> list[str]:
    """The command as the page prints it: each peer's environment by its name, not by this machine's path."""
    words = command
    for peer, path in peers.items():
        words = [word.replace(path, f"{peer.upper()}_ENV") if path else word for word in words]
    return words


def main() -> None:
    """Run them, in order, and write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cats-env", help="an environment with CATS")
    parser.add_argument("--codecarbon-env", help="an environment with CodeCarbon")
    parser.add_argument("--only", nargs="*", choices=[bench.name for bench in BENCHES], help="these benches; else all")
    options = parser.parse_args()
    peers = {"cats": options.cats_env, "codecarbon": options.codecarbon_env}
    page = replaced(PAGE.read_text(encoding="utf-8"), Bench(name="machine", title="Machine", script=""), section(machine(), None))
    for bench in (bench for bench in BENCHES if not options.only or bench.name in options.only):
        command = bench.command(peers)
        if command is None:
            print(f"== {bench.name}: not run, it needs a peer (see --help)")
            continue
        print(f"== {bench.name}", flush=True)
        page = replaced(page, bench, section(results(command), shown(command, peers)))
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
