"""`greenai experiment`: baseline against optimised in randomised pairs, and what may be concluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.learning import DATA_NAMES, EVIDENCE_CSV, TREATMENT_NAMES, data, taken, treatment
from greenai.cli.options import OUT, hardware, placing
from greenai.cli.waiting import placed, waiting, with_series

if TYPE_CHECKING:
    from greenai.cli.watch import Watcher
    from greenai.config import Settings
    from greenai.training.comparing import Compared
    from greenai.training.proving import Experimented


@click.command(cls=Command)
@click.option(
    "--runs", metavar="N", type=int, default=10, show_default=True, help="Trainings of both arms; 4 or more to conclude."
)
@click.option("--repeats", metavar="N", type=click.IntRange(min=1), help="Trainings in each measurement.  [default: as needed]")
@click.option("--plots", metavar="DIR", type=click.Path(file_okay=False), help="Draw the comparison there.")
@data
@treatment
@placing
@waiting
@OUT
@hardware
@pass_session
def experiment(session: Session, /, runs: int, plots: str | None, **asked: Any) -> int:
    """Compare the baseline with the optimised way, on the same splits in random order.

    Each run is in the ledger and, as a row with its pair, in evidence.csv. The
    comparison says mean, median and 95 % interval of energy, time and quality,
    keeps what less energy saved apart from what the start saved, and concludes
    nothing below the meters' noise floor.
    """
    settings = with_series(placed(session, asked), asked)
    done = _experiment(session, settings, runs, asked)
    drawn = _drawn(done, plots, settings) if plots else []
    if session.json:
        document = {"experiment": done.experiment_id, **done.result.document(), "plots": drawn, "warnings": list(done.warnings)}
        session.screen.document({**document, "run_ids": [outcome.run_id for outcome in done.outcomes]})
    else:
        _show(session, done, drawn)
    return 0


def _experiment(session: Session, settings: Settings, runs: int, asked: dict[str, Any]) -> Experimented:
    from greenai.cli.learning import command_words, treatment_of, workload_of
    from greenai.cli.running import watched_clock
    from greenai.cli.watch import Watcher
    from greenai.training.proving import experiment_when_clean

    workload = workload_of(session, **taken(asked, DATA_NAMES))
    treated = treatment_of("optimized", **taken(asked, TREATMENT_NAMES))
    repeats, require_live = asked.pop("repeats"), asked.pop("require_live")
    ask: Any = {**asked, "out": asked["out"] or EVIDENCE_CSV}
    with Watcher(session.screen, session.local_zone) as watcher:
        return experiment_when_clean(
            workload,
            treated,
            runs=runs,
            command=command_words(),
            repeats=repeats,
            require_live=require_live,
            ask=ask,
            clock=watched_clock(watcher),
            tell=_once(watcher),
            tell_run=lambda run: session.screen.note(
                f"pair {run.pair}, {run.arm}: {run.scored.use.energy_j:.3g} J, loss {run.scored.loss:.4g}"
            ),
            settings=settings,
        )


def _once(watcher: Watcher) -> Any:
    """The waiting is told, the many starts of an experiment are not."""
    from greenai.engine.progress import Replanned, Waiting

    return lambda progress: watcher.tell(progress) if isinstance(progress, Waiting | Replanned) else None


def _drawn(done: Experimented, plots: str, settings: Settings) -> list[str]:
    from pathlib import Path

    from greenai import api
    from greenai.report import draw_experiment

    wanted = {outcome.run_id for outcome in done.outcomes}
    documents = [document for document in api.evidence_list(settings=settings) if document["run_id"] in wanted]
    return [str(path) for path in draw_experiment(documents, Path(plots))]


def _show(session: Session, done: Experimented, drawn: list[str]) -> None:
    from greenai.cli.screen import facts
    from greenai.training.fitting import METRIC_NAMES

    screen, result = session.screen, done.result
    for warning in done.warnings:
        screen.warn(warning)
    screen.answer(_headline(result.energy))
    metric = METRIC_NAMES[result.workload.metric]
    rows = [
        ("energy", _sentence(result.energy, " J")),
        ("time", _sentence(result.time, " s")),
        (metric, _sentence(result.quality, "")),
        ("quality gate", result.verdict.sentence()),
        ("carbon", _carbon(done)),
        ("pairs", f"{len(result.runs) // 2}, in random order after an uncounted warm-up, on {result.workload.name}"),
        *(("note", note) for note in result.notes),
        ("plots", ", ".join(drawn)),
        ("evidence", f"greenai report --experiment {done.experiment_id}"),
    ]
    screen.detail(facts(rows))


def _headline(energy: Compared) -> str:
    if energy.conclusion == "none":
        more = f"; about {energy.pairs_needed} pairs would tell" if energy.pairs_needed else ""
        return f"No conclusion on energy: {energy.reason}{more}"
    share = abs(energy.change_ratio)
    return f"The optimised training used {share:.1%} {energy.conclusion} energy than the baseline"


def _sentence(compared: Compared, unit: str) -> str:
    """Mean, median and interval of the paired differences, and their share of the baseline."""
    found = compared.difference
    spread = f"median {found.median:+.4g}, 95 % {found.low:+.4g} to {found.high:+.4g}" if found.count > 1 else "one pair"
    change = f"{compared.change_ratio:+.1%}: {found.mean:+.4g}{unit} a training"
    text = f"{change} ({spread}), baseline {compared.baseline_mean:.4g}{unit}"
    if compared.conclusion != "none":
        return text
    more = f"; about {compared.pairs_needed} pairs would tell" if compared.pairs_needed else ""
    return f"{text}; no conclusion: {compared.reason}{more}"


def _carbon(done: Experimented) -> str:
    carbon = done.result.carbon
    if carbon is None:
        return "nothing is known of the grid's intensity"
    from greenai.cli import words

    efficiency, timing = words.grams(carbon.efficiency_g), words.grams(carbon.timing_g)
    said = "saved per training" if done.result.energy.conclusion != "none" else "on these runs, no conclusion"
    return f"{said}: {efficiency} by less energy, {timing} by the time it ran ({carbon.source})"
