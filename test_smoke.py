"""The whole way in one minute, without network: `python3 test_smoke.py`; also collected by pytest.

Trains both modes on a packaged sample, compares them, verifies the evidence and
writes the report, all in a directory that is thrown away.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

TABLE = Path(__file__).parent / "examples" / "metaData.csv"
CSV = ("--zone", "GB", "--ci", "csv", "--ci-csv", str(TABLE))
DIABETES = ("--sample", "diabetes")
STEPS: Sequence[tuple[str, Sequence[str]]] = (
    ("plans a start from an hour-of-day table", ("plan", "--zone", "GB", "--series", str(TABLE), "--duration", "1h")),
    ("trains the baseline, metered", ("run", "--mode", "baseline", *DIABETES, *CSV)),
    ("trains the optimised way behind the quality gate", ("run", "--mode", "optimized", *DIABETES, *CSV)),
    ("compares both in randomised pairs", ("experiment", "--runs", "4", *DIABETES, *CSV)),
    ("recomputes every number", ("evidence", "verify", "artifacts/evidence.csv")),
    ("writes the report from the ledger", ("report", "--out", "artifacts")),
)
EXPECTED = (
    "evidence.csv",
    "FOOTPRINT.md",
    "impact_math.csv",
    "data_card.md",
    "model_card.md",
    "energy_co2_bars.png",
    "report.html",
)


def run_all() -> list[str]:
    """Run the steps where they can do no harm; what failed, with what was said."""
    from greenai.cli import main

    failures = []
    with tempfile.TemporaryDirectory() as folder, _inside(folder):
        for title, words in STEPS:
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = main(list(words))
            sys.stdout.write(f"{'ok    ' if code == 0 else 'FAILED'} {title}\n")
            if code:
                failures.append(f"{title} (exit code {code}):\n{said.getvalue()}")
        missing = [name for name in EXPECTED if not Path("artifacts", name).exists()]
        sys.stdout.write(f"{'FAILED' if missing else 'ok    '} leaves {len(EXPECTED)} artifacts\n")
        failures += [f"artifacts/{name} was not written" for name in missing]
    return failures


@contextlib.contextmanager
def _inside(folder: str) -> Iterator[None]:
    """The working and state directory of the steps."""
    before, home = Path.cwd(), os.environ.get("GREENAI_HOME")
    os.chdir(folder)
    os.environ["GREENAI_HOME"] = str(Path(folder, "state"))
    try:
        yield
    finally:
        os.chdir(before)
        if home is None:
            del os.environ["GREENAI_HOME"]
        else:
            os.environ["GREENAI_HOME"] = home


def test_smoke() -> None:
    """As a user runs it, in a process of its own; it prints what it checks."""
    import pytest

    for needed in ("lightgbm", "sklearn", "matplotlib"):
        pytest.importorskip(needed)
    done = subprocess.run([sys.executable, "-W", "error", __file__], capture_output=True, text=True, check=False)
    if done.returncode or done.stdout.count("ok    ") != len(STEPS) + 1:
        raise AssertionError(done.stdout + done.stderr)


def _with_greenai() -> None:
    """Go on in the environment that run.sh made, if this Python has no greenai."""
    if importlib.util.find_spec("greenai") is not None:
        return
    own = Path(__file__).parent / ".venv" / "bin" / "python"
    if not own.exists() or Path(sys.executable) == own:
        sys.exit("greenai is not installed in this Python: bash run.sh sets it up, or: pip install -e '.[train,report]'")
    os.execv(own, [str(own), __file__])  # noqa: S606 # this file again, by the Python that has greenai


if __name__ == "__main__":
    _with_greenai()
    problems = run_all()
    sys.stderr.write("\n".join(problems))
    sys.exit(1 if problems else 0)
