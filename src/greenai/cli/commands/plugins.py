"""`greenai plugins`: what is installed under each extension point."""

from __future__ import annotations

import click

from greenai.cli.command import Command, Session, pass_session


@click.command(cls=Command)
@pass_session
def plugins(session: Session) -> None:
    """Policies, providers and meters that are installed, and those that cannot be loaded."""
    from greenai.plugins import GROUPS
    from greenai.plugins import plugins as installed

    found = installed()
    if session.json:
        names = ("group", "name", "target", "distribution", "version", "problem")
        session.screen.document([{name: getattr(plugin, name) for name in names} for plugin in found])
        return
    from rich.text import Text

    from greenai.cli.screen import BAD, GOOD, table

    rows = [
        (
            GROUPS[plugin.group],
            plugin.name,
            Text("ok", style=GOOD) if plugin.ok else Text(plugin.problem, style=BAD),
            f"{plugin.distribution} {plugin.version}".strip(),
        )
        for plugin in found
    ]
    session.screen.detail(table(("kind", "name", "state", "from"), rows))
