"""`greenai config`: the settings, and where each one comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from greenai.config import Shown

COMMANDS = {
    "show": ("config:show", "Every setting, its value and its origin."),
    "path": ("config:path", "The files settings are read from, and the directory of all state."),
    "init": ("config:init", "Write a file with every setting, explained and commented out."),
}


@click.group(cls=LazyGroup, table=COMMANDS, no_args_is_help=True)
def config() -> None:
    """Show the settings and where each one comes from."""


@click.command(cls=Command)
@pass_session
def show(session: Session) -> None:
    """Every setting, its value and its origin; secrets only as set."""
    from greenai import config as settings_module

    lines = settings_module.show(session.settings())
    if session.json:
        session.screen.document({line.key: {"value": _plain(_shown(line)), "origin": line.origin} for line in lines})
        return
    from greenai.cli.screen import table

    rows = [(line.key, _words(_shown(line)), line.origin, line.about) for line in lines]
    head = ("setting", "value", "from", "what it is") if session.verbose else ("setting", "value", "from")
    session.screen.detail(table(head, [row[: len(head)] for row in rows]))


@click.command(cls=Command)
@pass_session
def path(session: Session) -> None:
    """The files settings are read from, and the directory of all state."""
    from greenai.config import project_file, user_file

    project = project_file(Path.cwd())
    document = {
        "user": str(user_file(os.environ)),
        "project": str(project) if project else None,
        "home": str(session.settings().home),
    }
    if session.json:
        session.screen.document(document)
        return
    from greenai.cli.screen import facts

    absent = "" if Path(str(document["user"])).exists() else " (not there; greenai config init writes it)"
    session.screen.detail(
        facts(
            [
                ("user file", f"{document['user']}{absent}"),
                ("project file", document["project"] or "none from here upward"),
                ("state", str(document["home"])),
            ]
        )
    )


@click.command(cls=Command)
@click.option("--project", is_flag=True, help="Write ./greenai.toml instead of the user's file.")
@pass_session
def init(session: Session, *, project: bool) -> None:
    """Write a file with every setting, explained and commented out. An existing file is left as it is."""
    from greenai.config import template, user_file
    from greenai.errors import InputError, StoreError

    target = Path.cwd() / "greenai.toml" if project else user_file(os.environ)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError:
        raise InputError(f"{target} is already there", hint="edit it, or move it away first") from None
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}", hint="make its directory writable") from None
    if session.json:
        session.screen.document({"written": str(target)})
    else:
        session.screen.answer(f"wrote {target}", style="")


def _shown(line: Shown) -> Any:
    """The value as it may be shown: of an address no query, and nothing that looks like a key."""
    if not line.key.endswith("_url"):
        return line.value
    from urllib.parse import urlsplit, urlunsplit

    from greenai.logic.masking import MASK, masked

    parts = urlsplit(str(line.value))
    hidden = parts._replace(query=MASK if parts.query else "", fragment=MASK if parts.fragment else "")
    return masked((urlunsplit(hidden),))[0]


def _plain(value: Any) -> Any:
    """A value as JSON holds it."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def _words(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return " to ".join(f"{item:g}" for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
