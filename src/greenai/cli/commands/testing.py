"""`greenai testing`: fakes that users can start too."""

from __future__ import annotations

import click

from greenai.cli.lazy import LazyGroup

COMMANDS = {"grid": ("testing_grid:grid", "Serve a series file as a grid service does.")}


@click.group(cls=LazyGroup, table=COMMANDS, no_args_is_help=True)
def testing() -> None:
    """A fake grid service for trying things out."""
