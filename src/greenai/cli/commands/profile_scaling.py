"""`greenai profile-scaling`: how a command's speed and power grow with its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.options import hardware, hardware_settings

if TYPE_CHECKING:
    from greenai.logic.scaling_document import ScalingRun

NO_COMMAND = (
    "profile-scaling needs a command, for example: greenai profile-scaling --workers 1,2,4 -- python train.py --workers {workers}"
)


@click.command(cls=Command, context_settings={"allow_interspersed_args": False})
@click.option("--workers", metavar="N,...", default="1,2,4", show_default=True, help="Numbers of workers to try.")
@click.option("--repeat", metavar="N", type=click.IntRange(min=1), default=3, show_default=True, help="Runs with each of them.")
@click.option("--work-units", metavar="N", type=click.FloatRange(min=0, min_open=True), help="Work one run does: samples, steps.")
@click.option(
    "--out",
    metavar="FILE.json",
    type=click.Path(dir_okay=False),
    default="scaling.json",
    show_default=True,
    help="For plan --scaling FILE.",
)
@hardware
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_session
def profile_scaling(session: Session, /, command: tuple[str, ...], *, out: str, **asked: Any) -> None:
    """Measure CMD with 1, 2, 4 workers, for greenai plan --scaling.

    {workers} in CMD is replaced by each number; every run must do the same work.
    CMD's output goes to stderr. For example:
    greenai profile-scaling --workers 1,2,4 -- python train.py --workers {workers}
    """
    if not command:
        raise click.UsageError(NO_COMMAND)
    from pathlib import Path

    from greenai import api
    from greenai.api.scaling import words_in, write_profile
    from greenai.cli.running import check_writable
    from greenai.cli.scaling import workers
    from greenai.cli.streams import own_stdout

    kept = {name: asked.pop(name) for name in ("workers", "repeat", "work_units")}
    check_writable(out)

    def tell(run: ScalingRun, done: int, total: int) -> None:
        session.screen.note(f"{done} of {total}: {workers(run.workers)}, {run.duration_s:.3g} s, {run.power_w:.3g} W")

    with own_stdout(taken=True):
        document = api.profile_scaling(
            command,
            tuple(words_in(kept["workers"])),
            repeat=kept["repeat"],
            work_units=kept["work_units"],
            tell=tell,
            settings=session.settings(**hardware_settings(**asked)),
        )
    write_profile(Path(out), document)
    if session.json:
        session.screen.document(document)
    else:
        _show(session, document, out)


def _show(session: Session, document: dict[str, Any], out: str) -> None:
    """The best speed-up first, then each number of workers."""
    from greenai.cli import words
    from greenai.cli.scaling import workers
    from greenai.cli.screen import facts, fitting
    from greenai.logic.scaling_document import broken_step

    screen = session.screen
    points = document["points"]
    fastest = max(points, key=lambda point: point["throughput"])
    gain = f"{fastest['throughput']:.3g} times the speed with {workers(fastest['workers'])}"
    screen.answer(f"{'no faster with more workers' if fastest is points[0] else gain}; kept in {out}")
    rows = [
        (
            str(point["workers"]),
            _spread(point["throughput"], point["throughput_low"], point["throughput_high"]),
            words.number(point["duration_s"]),
            _spread(point["power_w"], point["power_low_w"], point["power_high_w"]),
            words.energy_of_j(point["energy_j"]),
        )
        for point in points
    ]
    screen.detail(
        "",
        fitting(("workers", "throughput", "seconds", "power, W", "energy"), rows, right=range(1, 5), width=screen.out.width),
        "",
    )
    repeats = document["repeats"]
    screen.detail(
        facts(
            [
                ("spread", f"least to most of {repeats} runs" if repeats > 1 else "unknown of one run: --repeat 3 shows it"),
                ("meter", f"{document['meter']}: {document['quality']}"),
                ("next", f"greenai plan --duration SPAN --scaling {out}"),
            ]
        )
    )
    broken = broken_step(document)
    if broken:
        screen.warn(f"{broken}; plan will ask for --hull")


def _spread(value: float, low: float | None, high: float | None) -> str:
    from greenai.cli import words

    return (
        words.number(value)
        if low is None or high is None
        else f"{words.number(value)} [{words.number(low)} to {words.number(high)}]"
    )
