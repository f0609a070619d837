"""What greenai would have saved on jobs that were run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from greenai.api.backtesting import (
    HOUR,
    LEADS,
    NO_FORECAST,
    Asked,
    Tell,
    fetched,
    forecaster_named,
    play_of,
    policies_of,
    read_weather,
    read_whole,
    slots_of,
    tasks_of,
)
from greenai.api.recording import evidence_list
from greenai.config import Settings
from greenai.logic import job_history as history_logic
from greenai.logic.backtesting import Ground
from greenai.logic.backtesting_matrix import LEAST, Period, forecast_matrix
from greenai.logic.job_history import JobHistory
from greenai.wiring import settings_with
from greenai.zones import local_timezone

LEDGER = "ledger"
"""Stands for the evidence greenai itself has recorded."""
REACH = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsAnswer:
    """Rows of the contract, one per policy, forecaster and slack, and the jobs they are about."""

    rows: list[dict[str, Any]]
    history: JobHistory


def backtest_jobs(
    jobs: str | Path,
    series: str | Path,
    *,
    history: str | Path | None = None,
    weather: str | Path | None = None,
    zone: str | None = None,
    asked: Asked | None = None,
    tell: Tell | None = None,
    settings: Settings | None = None,
) -> JobsAnswer:
    """What moving each job within its slack would have saved; `jobs` is a file, or "ledger" for greenai's own records.

    Of `asked` the policies, forecasters, slacks and `plan_once` are used: the rest is in the jobs.

    Raises:
        InputError: a file, policy or forecaster cannot be used, or no job can be played.
    """
    ask, say = asked or Asked(), tell or (lambda _what, _done, _of: None)
    known, name = settings_with(settings), zone or Path(series).stem
    tasks = list(tasks_of(policies_of(ask), tuple(ask.forecasters)))
    whole = read_whole([path for path in (history, series) if path is not None], name, known)
    sky = None if weather is None else read_weather(weather, name, known)
    slacks = [slots_of(slack, whole) for slack in ask.slacks]
    least = max(LEAST.get(forecaster, LEAST["seasonal-naive"]) for forecaster, _ in [*tasks, ("seasonal-naive", ())])
    moved, kept = history_logic.placed(read_jobs(jobs, known), whole, least=least, slack=max(slacks), reach=REACH // whole.step)
    first, last = int(moved.arrival.min()), int(moved.arrival.max())
    span = int(moved.length.max()) + max(slacks)
    period = Period(whole=whole, begin=first, end=min(last + span + 1, len(whole)), leads=max(span, LEADS // whole.step))
    rows: list[dict[str, Any]] = []
    for done, (forecaster, group) in enumerate(tasks):
        say(f"forecasting with {forecaster}", done, len(tasks))
        read = "perfect" if forecaster == NO_FORECAST else forecaster
        seen = forecast_matrix(period, read, plugin=forecaster_named, weather=sky)
        ground = Ground(
            zone=name,
            actual=period.actual,
            seen=seen,
            before=whole.values[:first],
            arrivals=last - first + 1,
            forecaster=forecaster,
            slot_h=whole.step / HOUR,
        )
        for policy in group:
            play = play_of(policy, whole, first, ask)
            chosen = [history_logic.Chosen(first=first, policy=policy, play=play, slack=slack) for slack in slacks]
            rows += [history_logic.job_row(moved, whole, ground, each) for each in chosen]
    say("done", len(tasks), len(tasks))
    return JobsAnswer(rows=rows, history=kept)


def read_jobs(jobs: str | Path, settings: Settings) -> JobHistory:
    """The jobs of a file, or those of greenai's own ledger."""
    if str(jobs) == LEDGER:
        return history_logic.collected(history_logic.of_evidence(document) for document in evidence_list(settings=settings))
    text = fetched(jobs, settings).body.decode("utf-8-sig")
    return history_logic.job_history(text, local_timezone(os.environ))
