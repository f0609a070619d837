"""What past runs tell: kin looked up among 10,000 ledger records, and progress read from output.

    python bench/learning.py [--records 10000] [--json FILE]

The evidence of one real run (`greenai measure`, one intensity for all times) is written again and again under 100 commands
of 20 scripts, a quarter with other labels, four records a run as the ledger has them. "first": without the file of digests;
"later": a new process, the file as it stands; "grown": after one more run; "again": in the same process. Processor
milliseconds, median of 5.
Progress: 100,000 lines of a training with a bar for each of 10 epochs, and one look at a log that has not grown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greenai.adapters.executors._output import OutputProgress
from greenai.adapters.ledger import FileLedger
from greenai.api import learning, measure
from greenai.config import Settings, load
from greenai.model.evidence import Record, next_record, record_line
from greenai.model.progress_lines import Seen, read_on
from greenai.model.units import parse_iso_utc

REPEATS = 5
COMMAND = ("python", "train_3.py", "--lr", "3")
BAR = "{share:3d}%|{fill:<20}| {done}/10000 [00:12<00:15, 37.50it/s]"


def grown(ledger: Path, template: dict[str, Any], number: int, last: Record | None) -> Record:
    """One more run at the end of the ledger, as four records."""
    arguments = number % 100
    payload = json.loads(json.dumps(template))
    payload["run_id"] = f"run-{number}"
    payload["command"] = ["python", f"train_{arguments % 20}.py", "--lr", str(arguments)]
    payload["inputs"]["labels"] = {"phase": "run", "model": "small" if number % 4 else "large"}
    at = parse_iso_utc(payload["ended_at"])
    with ledger.open("ab") as file:
        for kind in ("decision", "run_started", "run_ended", "evidence"):
            last = next_record(last, at=at, type=kind, payload=payload if kind == "evidence" else {"run_id": payload["run_id"]})
            file.write(record_line(last))
    assert last is not None
    return last


def timed_ms(work: Callable[[], object], prepare: Callable[[], object]) -> float:
    spans = []
    for _ in range(REPEATS):
        prepare()
        begun = time.process_time()
        work()
        spans.append((time.process_time() - begun) * 1e3)
    return statistics.median(spans)


def lookups(settings: Settings, records: int) -> dict[str, Any]:
    measure(["true"], settings=settings)
    ledger, cache = settings.home / "ledger.jsonl", settings.home / learning.CACHE_NAME
    template = next(dict(record.payload) for record in FileLedger(settings.home).records() if record.type == "evidence")
    ledger.unlink()
    last = None
    for number in range(records // 4):
        last = grown(ledger, template, number, last)
    number = records // 4

    def forget() -> None:
        learning._rows.cache_clear()

    def drop() -> None:
        forget()
        cache.unlink(missing_ok=True)

    def grow() -> None:
        nonlocal last, number
        last, number = grown(ledger, template, number, last), number + 1
        forget()

    def look() -> None:
        assert learning.learned_for(COMMAND, {"model": "small"}, settings=settings) is not None

    return {
        "records": records,
        "ledger_mb": round(ledger.stat().st_size / 1e6, 1),
        "first_ms": round(timed_ms(look, drop), 1),
        "later_ms": round(timed_ms(look, forget), 1),
        "grown_ms": round(timed_ms(look, grow), 1),
        "again_ms": round(timed_ms(look, lambda: None), 1),
    }


def progress(home: Path) -> dict[str, Any]:
    bars = "\r".join(BAR.format(share=done // 100, fill="#" * (done // 500), done=done) for done in range(10_001))
    text = "".join(f"Epoch {epoch}/10\n\r{bars}\n" for epoch in range(1, 11))
    log = home / "output.log"
    log.write_text(text)
    reader = OutputProgress(log)
    begun = time.process_time()
    assert read_on(Seen(), text).share == 1.0
    spent_s = time.process_time() - begun
    reader.share()
    return {
        "lines": 100_000,
        "us_per_line": round(spent_s * 10, 2),
        "first_look_ms": round(timed_ms(lambda: OutputProgress(log).share(), lambda: None), 1),
        "look_us": round(timed_ms(reader.share, lambda: None) * 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        environ = {"GREENAI_HOME": directory, "GREENAI_ZONE": "GB", "GREENAI_CONSTANT_G_PER_KWH": "200"}
        tables = {
            "Kin among ledger records": [lookups(load(environ, home), asked.records)],
            "Progress from output": [progress(home)],
        }
    print(json.dumps(tables, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(tables))


if __name__ == "__main__":
    main()
