"""`greenai jobs`: the queue, read and changed."""

from __future__ import annotations

import click

from greenai.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("jobs_read:list_", "What runs, what will, what ended (also: greenai jobs)."),
    "show": ("jobs_read:show", "The life of one job, told."),
    "logs": ("jobs_logs:logs", "What a job printed; -f follows."),
    "cancel": ("jobs_change:cancel", "End jobs, whether they run or not."),
    "hold": ("jobs_change:hold", "Keep jobs back."),
    "release": ("jobs_change:release", "Let held jobs be planned."),
    "pause": ("jobs_change:pause", "Let running jobs give way."),
    "resume": ("jobs_change:resume", "Hand paused jobs back to the plan."),
    "retry": ("jobs_change:retry", "Run failed jobs again."),
    "wait": ("jobs_wait:wait", "Wait until jobs are over."),
}


@click.group(cls=LazyGroup, table=COMMANDS, default="list")
def jobs() -> None:
    """The jobs handed over with greenai submit; alone it lists them.

    JOB is a job's number, 12, one of an array, 12_3, or a whole array, 12.
    """
