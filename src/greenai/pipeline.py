"""The prototype's door: `from greenai.pipeline import train_and_eval`, onto greenai.training."""

from __future__ import annotations

from typing import Any

from greenai.training import Verdicts, load, sample, train
from greenai.training.fitting import Mode
from greenai.wiring import settings_with


def train_and_eval(
    mode: Mode,
    csv_path: str | None = None,
    target_col: str = "GreenScore",
    *,
    random_state: int = 42,
    n_jobs: int | None = None,
    feature_select: bool = False,
) -> dict[str, Any]:
    """Train once, measured, on four fifths of the rows, judged on the rest: of a packaged sample, or of the user's table.

    Returns plain data, as `json.dumps` takes it: `mae` (for a regression),
    `energy` in J with its interval, `trained_mode` and what the quality gate said.
    Nothing is written to the ledger; `greenai run --mode` does that.

    Raises:
        InputError: unknown mode, an unusable file, no such target (with the columns).
    """
    workload = sample() if csv_path is None else load(csv_path, target_col)
    verdicts = Verdicts(path=settings_with(None).home / "verdicts.json")
    done = train(mode, workload, seed=random_state, n_jobs=n_jobs, feature_select=feature_select, verdicts=verdicts)
    return done.document()
