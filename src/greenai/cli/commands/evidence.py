"""`greenai evidence`: what was recorded, and whether it still stands."""

from __future__ import annotations

import click

from greenai.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("evidence_read:list_", "All runs with evidence, newest last."),
    "show": ("evidence_read:show", "The evidence of one run."),
    "verify": ("evidence_check:verify", "Check the chain and recompute every number."),
    "settle": ("evidence_check:settle", "Complete provisional evidence and that of runs that died."),
    "export": ("evidence_read:export", "Write all evidence as CSV, JSON or JSON lines."),
}


@click.group(cls=LazyGroup, table=COMMANDS, no_args_is_help=True)
def evidence() -> None:
    """List, show, verify, settle and export what was recorded."""
