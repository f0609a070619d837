"""`greenai daemon`: who runs the queue."""

from __future__ import annotations

import click

from greenai.cli.lazy import LazyGroup

COMMANDS = {
    "run": ("daemon_run:run", "Run the queue here until Ctrl-C (also: greenai daemon)."),
    "status": ("daemon_status:status", "Whether a daemon runs, and what jobs may take together."),
    "install": ("daemon_install:install", "Write a systemd user unit that runs it always."),
}


@click.group(cls=LazyGroup, table=COMMANDS, default="run")
def daemon() -> None:
    """Plan, launch, pause and resume the jobs of the queue; alone it does so here.

    Jobs that run go on when the daemon ends; the next one finds them again.
    """
