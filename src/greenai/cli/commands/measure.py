"""`greenai measure`: run a command now and meter it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.options import JSON_TO, OUT, hardware, hardware_settings, unit_of_work

if TYPE_CHECKING:
    from greenai.api import RunOutcome
    from greenai.cli.watch import Watcher


@click.command(cls=Command, context_settings={"allow_interspersed_args": False})
@OUT
@hardware
@unit_of_work
@JSON_TO
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_session
def measure(
    session: Session,
    /,
    command: tuple[str, ...],
    *,
    out: str | None,
    per: str,
    count: float,
    json_to: str | None,
    **hardware: Any,
) -> int:
    """Run CMD now and measure it: time, power, energy and CO2 on stderr.

    CMD keeps its output and its exit code. With --json the document is alone on
    stdout and CMD's own stdout goes to stderr; --json-to FILE leaves both alone.
    """
    if not command:
        raise click.UsageError("measure needs a command, for example: greenai measure -- python train.py")
    from greenai import api
    from greenai.cli.running import run_watched

    settings = session.settings(**hardware_settings(**hardware))

    def start(watcher: Watcher) -> RunOutcome:
        return api.measure(command, out=out, per=per, count=count, settings=settings)

    return run_watched(session, settings, json_to, start, shift=False)
