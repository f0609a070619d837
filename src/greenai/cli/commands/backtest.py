"""`greenai backtest`: what would have been saved on a measured past."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from greenai.cli.bar import progress
from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from pathlib import Path

    from greenai.api.backtesting import Asked
    from greenai.logic.job_history import JobHistory

DURATION = "1h,4h"
IN_THE_JOBS = {
    "duration": "--duration",
    "from_at": "--from",
    "to_at": "--to",
    "interruptible": "--interruptible",
    "resume_cost": "--resume-cost",
}
FILE = click.Path(dir_okay=False)
ORACLE = "the cheapest plan of whole slots with the whole future known: no policy can save more"


WORTH_IT = 0.03
"""Below this share greenai itself would not wait (the default of --min-saving)."""
EXAMPLE = "Example: greenai backtest --series GB.csv --from 2022-01-01 --duration 4h --slack 24h"


@click.command(cls=Command, epilog=EXAMPLE)
@click.option(
    "--series", metavar="FILE", type=FILE, multiple=True, help="The measured intensities to play on; several: each is a zone."
)
@click.option("--history", metavar="FILE", type=FILE, help="Measured intensities before those of --series.")
@click.option("--jobs", metavar="FILE", help="Jobs that were run: sacct --parsable2 or CSV; ledger for greenai's own.")
@click.option("--weather", metavar="FILE", type=FILE, help="Hourly weather of the zone, for the forecaster lpr+weather.")
@click.option("--policy", metavar="P,...", default="rolling", show_default=True, help="Policies, separated by commas.")
@click.option(
    "--forecaster", metavar="F,...", default="lpr", show_default=True, help="lpr, seasonal-naive, lpr+weather, perfect, ..."
)
@click.option("--duration", metavar="SPAN,...", help="How long the jobs take.  [default: 1h,4h]")
@click.option("--slack", metavar="SPAN,...", default="24h", show_default=True, help="How much later they may be done.")
@click.option("--from", "from_at", metavar="WHEN", help="First arrival, 2022-01-01T00:00Z.  [default: after the first year]")
@click.option("--to", "to_at", metavar="WHEN", help="End of arrivals.  [default: the end of the series]")
@click.option("--interruptible", is_flag=True, help="The jobs may be cut into pieces.")
@click.option("--resume-cost", metavar="SPAN", help="Work lost at each resume, 6m; with --interruptible.")
@click.option("--plan-once", is_flag=True, help="Keep the plan made at arrival; without it the job is planned anew each slot.")
@click.option("--plot", metavar="FILE", type=FILE, help="Draw the savings too: .png, .svg or .pdf (extra [report]).")
@pass_session
def backtest(session: Session, /, series: tuple[str, ...], jobs: str | None, **asked: Any) -> None:
    """What would greenai have saved?

    Every slot of the period is the arrival of a job of 1 kW; with --jobs it is
    your own jobs, none begun earlier than it was. The policy knows the past only.
    --zone names the grid; without it the file's name does.
    """
    if not series:
        raise click.UsageError("backtest needs measured intensities: add --series FILE, for example --series GB.csv")
    for name, option in IN_THE_JOBS.items():
        if jobs is not None and asked[name]:
            raise click.UsageError(f"{option} is for made-up jobs, --jobs has its own: give one of them")
    for name, value in {
        "--zone": session.zone,
        "--jobs": jobs,
        "--history": asked["history"],
        "--weather": asked["weather"],
    }.items():
        if len(series) > 1 and value:
            raise click.UsageError(f"{name} belongs to one zone, there are {len(series)} --series: give one of them")
    # A year is thousands of small sums: more threads than one wait for each other, on a busy machine six times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from greenai.api.backtesting import backtest
    from greenai.api.backtesting_jobs import backtest_jobs

    plot = _plot(asked.pop("plot"))
    wanted = _asked(asked)
    files = {name: asked[name] for name in ("history", "weather")}
    with progress(session) as tell:
        told: dict[str, Any] = {"zone": session.zone, "asked": wanted, "tell": tell, "settings": session.settings()}
        answer = None if jobs is None else backtest_jobs(jobs, series[0], **files, **told)
        rows = answer.rows if answer else [row for file in series for row in backtest(file, **files, **told)]
    if session.json:
        session.screen.document(rows)
    else:
        _show(session, rows, None if answer is None else answer.history)
    if plot is not None:
        from greenai.report.backtests import draw_backtest

        drawn = draw_backtest(rows, plot)
        session.screen.detail(None if session.json else f"drawn: {drawn}")


def _plot(named: str | None) -> Path | None:
    """Where to draw, seen to be possible before hours are spent."""
    if named is None:
        return None
    from pathlib import Path

    from greenai.report.backtests import drawable

    drawable(Path(named))
    return Path(named)


def _asked(options: dict[str, Any]) -> Asked:
    """What the options ask for."""
    from greenai.api.backtesting import Asked

    return Asked(
        policies=_listed(options["policy"]),
        forecasters=_listed(options["forecaster"]),
        durations=_listed(options["duration"] or DURATION),
        slacks=_listed(options["slack"]),
        **{name: options[name] for name in ("from_at", "to_at", "interruptible", "plan_once", "resume_cost")},
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _show(session: Session, rows: list[dict[str, Any]], history: JobHistory | None) -> None:
    """The best line first, then all of them."""
    from greenai.cli.screen import facts, table
    from greenai.cli.words import share

    best = max(rows, key=lambda row: row["saving"])
    where = f"{best['policy']} with {best['forecaster']}, {_job(best)}"
    against = "running at once" if history is None else "how the jobs were run"
    verdict = "" if best["saving"] >= WORTH_IT else "; waiting is not worth it here"
    session.screen.answer(f"{best['zone']}: at best {share(best['saving'])} saved against {against} ({where}){verdict}")
    many = len({row["zone"] for row in rows}) > 1
    head = [
        *(("zone",) if many else ()),
        "policy",
        "forecaster",
        "job + slack",
        "of oracle",
        "saving",
        "95 % interval",
        "oracle saves",
        "mean delay",
        "late",
    ]
    head += [] if history is None else ["tight", "saved"]
    session.screen.detail(
        "", table(head, ((*((row["zone"],) if many else ()), *_line(row)) for row in rows), right=range(3 + many, len(head))), ""
    )
    arrivals = ", ".join(sorted({f"{row['arrivals']:,}" for row in rows}))
    of_arrivals = ("arrivals", f"{arrivals} of 1 kW each, none knowing its future")
    session.screen.detail(
        facts(
            [
                ("oracle", ORACLE),
                *([of_arrivals] if history is None else _jobs_facts(rows[0], history)),
                ("interval", "over days: weeks of days drawn again and again; a single day has none"),
            ]
        )
    )


def _jobs_facts(row: dict[str, Any], history: JobHistory) -> list[tuple[str, str]]:
    """What the jobs were, and which were left out."""
    from greenai.cli.words import energy

    unmeasured = sum(job.energy_kwh is None for job in history.jobs)
    assumed = f", {unmeasured:,} of them without a measured energy, taken as 1 kW" if unmeasured else ""
    return [
        ("jobs", f"{row['arrivals']:,}, {energy(row['energy_kwh'])}{assumed}; none begun earlier than it was"),
        ("left out", "; ".join(f"{count:,}: {reason}" for reason, count in history.left_out.items())),
        ("tight", "jobs that would have begun at their last moment"),
    ]


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    from greenai.cli.words import grams, share

    fraction = row["fraction_of_oracle"]
    return (
        row["policy"],
        row["forecaster"],
        _job(row),
        "-" if fraction is None else f"{fraction:.3f}",
        share(row["saving"]),
        "-" if row["saving_low"] == row["saving_high"] else f"{share(row['saving_low'])} to {share(row['saving_high'])}",
        share(row["oracle_saving"]),
        f"{row['mean_delay_h']:.1f} h",
        str(row["deadline_misses"]),
        *((f"{row['tight_deadlines']:,}", grams(row["saved_g"])) if "saved_g" in row else ()),
    )


def _job(row: dict[str, Any]) -> str:
    return f"{row['duration_h']:.4g} h + {row['slack_h']:g} h{' in pieces' if row['interruptible'] else ''}"
