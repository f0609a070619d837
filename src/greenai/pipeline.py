"""The prototype's door: `from greenai.pipeline import train_and_eval`, onto greenai.training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from greenai import wiring
from greenai.training import load, sample
from greenai.training.fitting import Mode
from greenai.training.running import Treatment, train_when_clean


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
    `energy` in J with its interval, `trained_mode`, what the quality gate said, and
    `run_id`: its evidence is in the ledger, priced with what is known of the grid
    without asking the network; `greenai evidence settle` completes it.

    Raises:
        InputError: unknown mode, an unusable file, no such target (with the columns).
    """
    workload = sample() if csv_path is None else load(csv_path, target_col)
    treatment = Treatment(mode=mode, seed=random_state, n_jobs=n_jobs, feature_select=feature_select)
    settings = wiring.settings_with(None)
    doors = wiring.open_doors(settings)
    trained = train_when_clean(
        workload,
        treatment,
        command=("greenai.pipeline.train_and_eval", mode),
        doors=replace(doors, sources=replace(doors.sources, network=False)),
        settings=settings,
        own_process=False,
    )
    return {**trained.result.document(), "run_id": trained.outcome.run_id}
