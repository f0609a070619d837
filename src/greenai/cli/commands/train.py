"""`greenai train`: train now on your table, metered, the optimised way behind the quality gate."""

from __future__ import annotations

from typing import Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.learning import EVIDENCE_CSV, MODE, data, run_training, treatment
from greenai.cli.options import JSON_TO, SERIES, hardware, hardware_settings
from greenai.cli.waiting import HARDWARE_NAMES


@click.command(cls=Command)
@click.option("--mode", type=MODE, default="optimized", show_default=True)
@data
@treatment
@click.option("--out", metavar="FILE.csv", type=click.Path(dir_okay=False), default=EVIDENCE_CSV, show_default=True)
@SERIES
@hardware
@JSON_TO
@pass_session
def train(session: Session, /, mode: str, series: str | None, **asked: Any) -> int:
    """Train now and leave evidence: greenai run --mode, without waiting.

    The optimised way is used only after the quality gate has shown, on your own
    data, that it is not worse than the baseline; else the baseline is trained
    and the evidence says why.
    """
    hardware_asked = {name: asked.pop(name) for name in HARDWARE_NAMES}
    settings = session.settings(series=series, **hardware_settings(**hardware_asked))
    return run_training(session, settings, mode, {**asked, "policy": "asap"})
