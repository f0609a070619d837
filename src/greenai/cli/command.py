"""The options every command has, and the session they fill."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from greenai.cli.screen import Screen
    from greenai.config import Settings


@dataclass
class Session:
    """What was said beside the command's own arguments; may be said before the command or after it."""

    json: bool = False
    quiet: bool = False
    verbose: int = 0
    zone: str | None = None
    forecaster: str | None = None
    history: str | None = None
    _screen: Screen | None = field(default=None, repr=False)

    @property
    def screen(self) -> Screen:
        """Where this session's output goes."""
        if self._screen is None:
            from greenai.cli.screen import Screen

            self._screen = Screen(json=self.json, quiet=self.quiet, verbose=self.verbose)
        return self._screen

    @property
    def local_zone(self) -> tzinfo:
        """The machine's time zone, in which times are read and shown."""
        from greenai.zones import local_timezone

        return local_timezone(os.environ)

    def now(self) -> datetime:
        """The present moment, UTC."""
        return datetime.now(UTC)

    def settings(self, **flags: Any) -> Settings:
        """Settings with the flags on top; a flag that is None was not given."""
        from greenai.config import load

        return load(os.environ, Path.cwd(), {"zone": self.zone, "forecaster": self.forecaster, "history": self.history, **flags})


pass_session = click.make_pass_decorator(Session, ensure=True)


def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Store an option in the session; one not given changes nothing."""
    if value and param.name:
        setattr(ctx.ensure_object(Session), param.name, value)


def common_options() -> list[click.Parameter]:
    """--zone, --json, --quiet and -v, fresh for one command."""
    kept: dict[str, Any] = {"expose_value": False, "callback": keep}
    return [
        click.Option(["--zone"], metavar="ZONE", help="Grid zone: GB, GB-13, DE, US-CAL-CISO.", **kept),
        click.Option(["--json"], is_flag=True, help="One JSON document on stdout, words on stderr.", **kept),
        click.Option(["-q", "--quiet"], is_flag=True, help="The answer only.", **kept),
        click.Option(["-v", "--verbose"], count=True, help="More detail.", **kept),
    ]


class Command(click.Command):
    """A command with the common options after its own."""

    def __init__(self, name: str | None, **kwargs: Any) -> None:
        own: Sequence[click.Parameter] = kwargs.pop("params", None) or ()
        super().__init__(name, params=[*own, *common_options()], **kwargs)
