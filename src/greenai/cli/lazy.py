"""Groups whose commands are named in a table and imported only when one is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import click


class LazyGroup(click.Group):
    """A group whose commands are named in a table and imported when used; `default` is run where none is named."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], default: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command first where options or nothing stand."""
        asks_help = bool(args) and args[0] in ctx.help_option_names
        if self._default and not asks_help and (not args or args[0].startswith("-")):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the table's order."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command."""
        if cmd_name not in self._table:
            return None
        module, _, name = self._table[cmd_name][0].partition(":")
        return cast(click.Command, getattr(importlib.import_module(f"greenai.cli.commands.{module}"), name))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest."""
        if args and not args[0].startswith("-") and args[0] not in self._table and not ctx.resilient_parsing:
            raise unknown_command(args[0], list(self._table), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table itself: no command is imported for its help line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._table.items()])


class UnknownCommand(click.UsageError):
    """No such command; knows the nearest one."""

    def __init__(self, message: str, hint: str, ctx: click.Context) -> None:
        super().__init__(message, ctx)
        self.hint = hint


def unknown_command(name: str, known: Sequence[str], ctx: click.Context) -> UnknownCommand:
    """The error for a command that does not exist."""
    import difflib

    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return UnknownCommand(f"there is no command {name!r}", f"{hint}commands: {', '.join(known)}", ctx)
