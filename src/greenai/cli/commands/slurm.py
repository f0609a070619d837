"""`greenai slurm`: for clusters whose users keep their sbatch scripts."""

from __future__ import annotations

import click

from greenai.cli.lazy import LazyGroup

COMMANDS = {
    "wrap": ("slurm_wrap:wrap", "Plan a script and submit it to begin at the clean hour."),
    "pause": ("slurm_wrap:pause", "Let a script save and leave, and come back later."),
    "energy": ("slurm_site:energy", "What jobs used, beside what Slurm itself counted."),
    "begin": ("slurm_site:begin", "When a job of a length may begin: for scripts and filters."),
    "slots": ("slurm_site:slots", "The forecast of each partition as a small file, for job_submit.lua."),
    "lua": ("slurm_site:lua", "The two filters a site may install: print or write them."),
}


@click.group(cls=LazyGroup, table=COMMANDS, no_args_is_help=True)
def slurm() -> None:
    """Plan, submit and pause sbatch scripts; filters for a whole site.

    Commands that should wait in greenai's own queue go there with
    greenai submit --executor slurm -- CMD.
    """
