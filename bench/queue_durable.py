"""The durable queue: handing over, listing, coming back after kill -9, and what a daemon costs that has nothing to do.

    python bench/queue_durable.py [--jobs 10000] [--listed 50000] [--idle-s 60] [--json FILE]

Each job that is handed over alone waits for the disk once, so the rate at which the disk takes small synced writes stands
beside it, from one process and from several at once: one turn of the disk can serve all who wait for it. Everything is in a
temporary directory (`--in DIR` sets the disk). `jobs list` is the whole command, all jobs unfinished. A daemon comes back
after SIGKILL when its first tick is over, which plans all waiting jobs anew. Wall-clock seconds, with processor seconds in
brackets where the machine may be busy.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from greenai.adapters.store.queue import DurableQueue
from greenai.model.job import Constraints, Job
from greenai.model.queue import Submission

GREENAI = [sys.executable, "-m", "greenai.cli"]
PROCESSES = 4
ALONE = 150
LINE = b"x" * 700 + b"\n"
FIRST_TICK = """
import time
from greenai.engine.tick import Memory, tick
from greenai.wiring_queue import open_queue_doors, queue_settings
doors = open_queue_doors(queue_settings(None), role="daemon")
assert tick(doors.clock.now(), doors, Memory()).is_mine
"""
Row = dict[str, Any]


def draft(index: int | None, now_at: datetime) -> Submission:
    """A job of an hour with two days' time."""
    hour = timedelta(hours=1)
    limits = Constraints(earliest_at=now_at, deadline_at=now_at + 48 * hour, duration=hour)
    job = Job(id="", command=("python", "train.py", str(index)), zone="GB", submitted_at=now_at, constraints=limits)
    return Submission(job=job, cwd="/", array_index=index)


def array(number: int) -> list[Submission]:
    """Jobs that are handed over together."""
    now_at = datetime.now(UTC)
    return [draft(index, now_at) for index in range(1, number + 1)]


def write_synced(home: Path, begin: Callable[[], object] = int) -> None:
    """One process that writes one line after another for good, once `begin` returns."""
    log = os.open(home / "disk", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begin()
    for _ in range(ALONE):
        os.write(log, LINE)
        os.fdatasync(log)
    os.close(log)


def submit_alone(home: Path, begin: Callable[[], object] = int) -> None:
    """One process that hands over one job after another, once `begin` returns."""
    queue = DurableQueue(home, wait_s=60.0)
    begin()
    for _ in range(ALONE):
        now_at = datetime.now(UTC)
        queue.enqueue([draft(None, now_at)], now_at)


def submitting(home: Path, jobs: int) -> list[Row]:
    """Jobs a second, and beside them how often a second the same disk takes a line for good from as many processes."""
    drafts, queue = array(jobs), DurableQueue(home / "array")
    now_at = datetime.now(UTC)
    at_once = f"one after another by each of {PROCESSES} processes at once"
    alone, crowded = ALONE / seconds(lambda: write_synced(home))[0], PROCESSES * ALONE / together(write_synced, home)
    rows = [
        row(f"an array of {jobs:,}", jobs, alone, seconds(lambda: queue.enqueue(drafts, now_at))),
        row("one after another", ALONE, alone, seconds(lambda: submit_alone(home / "alone"))),
        row(at_once, PROCESSES * ALONE, crowded, (together(submit_alone, home / "crowd"), None)),
    ]
    assert len(DurableQueue(home / "crowd").unfinished()) == PROCESSES * ALONE
    return rows


def together(work: Callable[[Path, Callable[[], object]], None], home: Path) -> float:
    """Seconds that several processes take for the same work, begun at once."""
    spawn = get_context("spawn")
    ready = spawn.Barrier(PROCESSES + 1)
    crowd = [spawn.Process(target=work, args=(home, ready.wait)) for _ in range(PROCESSES)]
    for process in crowd:
        process.start()
    ready.wait()
    begun_s = time.perf_counter()
    for process in crowd:
        process.join()
    return time.perf_counter() - begun_s


def seconds(do: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of what this process does."""
    begun_s, used_s = time.perf_counter(), time.process_time()
    do()
    return time.perf_counter() - begun_s, time.process_time() - used_s


def row(name: str, jobs: int, disk_per_s: float, took: tuple[float, float | None]) -> Row:
    """Jobs a second, by the wall clock and by the processor's."""
    wall_s, cpu_s = took
    return {"handed over": name, "jobs_per_s": round(jobs / wall_s),
            "per_processor_s": cpu_s and round(jobs / cpu_s), "disk_syncs_per_s": round(disk_per_s)}  # fmt: skip


def command_times(command: Sequence[str], environment: dict[str, str], runs: int) -> tuple[float, float]:
    """Median wall and processor seconds of a whole command, its modules compiled as they are for whoever has it installed."""
    environment = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    walls, cpus = [], []
    for _ in range(runs):
        begun_s, used_s = time.perf_counter(), _children_s()
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - begun_s)
        cpus.append(_children_s() - used_s)
    return statistics.median(walls), statistics.median(cpus)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def listing(home: Path, listed: int) -> Row:
    """`greenai jobs list` as a user has it, and the same with --help for what the start alone takes."""
    queue = DurableQueue(home)
    for _ in range(0, listed, 10_000):
        queue.enqueue(array(min(10_000, listed)), datetime.now(UTC))
    environment = {**os.environ, "GREENAI_HOME": str(home)}
    wall_s, cpu_s = command_times([*GREENAI, "jobs", "list"], environment, 7)
    bare_s, bare_cpu_s = command_times([*GREENAI, "--help"], environment, 7)
    return {"what": f"jobs list over {listed:,}", "value": f"{wall_s:.2f} s ({cpu_s:.2f} s)",
            "beside": f"greenai --help {bare_s:.2f} s ({bare_cpu_s:.2f} s)"}  # fmt: skip


def waiting_world(home: Path, jobs: int) -> dict[str, str]:
    """A queue whose jobs all wait for a clean night ten hours from now; the environment of its daemon."""
    home.mkdir()
    first_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    moments = [first_at + number * timedelta(minutes=30) for number in range(4 * 48)]
    rows = [f"{at:%Y-%m-%dT%H:%M:%SZ},{400 if at < first_at + timedelta(hours=10) else 100}" for at in moments]
    (home / "series.csv").write_text("start_utc,g_per_kwh\n" + "\n".join(rows) + "\n", encoding="utf-8")
    DurableQueue(home).enqueue(array(jobs), datetime.now(UTC))
    given = {"HOME": str(home), "SERIES": str(home / "series.csv"), "ZONE": "GB", "CAPACITY_CPUS": "1000"}
    return {**os.environ, **{f"GREENAI_{name}": value for name, value in given.items()}}


def daemon_in(environment: dict[str, str], home: Path) -> subprocess.Popen[bytes]:
    """A daemon that has planned all there is."""
    daemon = subprocess.Popen([*GREENAI, "daemon"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    queue = DurableQueue(home)
    while queue.counts().get("queued", 0):
        assert daemon.poll() is None, "the daemon ended"
        time.sleep(0.5)
    return daemon


def recovery(home: Path, jobs: int) -> list[Row]:
    """SIGKILL for the daemon of a long queue, then a new process up to the end of its first tick; reading the jobs alone."""
    environment = waiting_world(home, jobs)
    daemon = daemon_in(environment, home)
    daemon.kill()
    daemon.wait()
    wall_s, cpu_s = command_times([sys.executable, "-c", FIRST_TICK], environment, 3)
    read_s, read_cpu_s = seconds(lambda: DurableQueue(home).unfinished())
    return [{"what": f"back after kill -9, {jobs:,} waiting", "value": f"{wall_s:.2f} s ({cpu_s:.2f} s)",
             "beside": "a new process, to the end of its first tick"},
            {"what": f"reading {jobs:,} that wait", "value": f"{read_s:.2f} s ({read_cpu_s:.2f} s)",
             "beside": "of it, the database to the jobs in memory"}]  # fmt: skip


def idle(home: Path, jobs: int, for_s: float) -> list[Row]:
    """What a daemon takes of a core and of memory while its jobs wait."""
    daemon = daemon_in(waiting_world(home, jobs), home)
    try:
        time.sleep(10.0)  # The ticks that follow its own writes are over.
        before_s = _cpu_s(daemon.pid)
        time.sleep(for_s)
        share = (_cpu_s(daemon.pid) - before_s) / for_s
        status = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii").splitlines()
    finally:
        daemon.kill()
        daemon.wait()
    resident_mb = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024 / 1e6
    what = f"idle daemon, {jobs:,} waiting"
    return [{"what": f"{what}: of a core", "value": f"{share:.2%}", "beside": f"over {for_s:g} s"},
            {"what": f"{what}: memory", "value": f"{resident_mb:.0f} MB", "beside": "resident"}]  # fmt: skip


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--listed", type=int, default=50_000)
    parser.add_argument("--idle-s", type=float, default=60.0)
    parser.add_argument("--in", dest="folder", type=Path, help="a directory on the disk to be measured")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        place = Path(folder)
        tables = {"Handing over": submitting(place, asked.jobs), "Reading, coming back, resting": []}
        for row in tables["Handing over"]:
            print(row, flush=True)
        rows = tables["Reading, coming back, resting"]
        for more in (
            lambda: [listing(place / "listed", asked.listed)],
            lambda: recovery(place / "recovery", asked.jobs),
            lambda: idle(place / "idle", 100, asked.idle_s),
        ):
            found = more()
            rows += found
            print(*found, sep="\n", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
