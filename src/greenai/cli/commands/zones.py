"""`greenai zones`: which grids are covered, by which source, and what each wants."""

from __future__ import annotations

import click

from greenai.cli.command import Command, Session, pass_session


@click.command(cls=Command)
@click.argument("query", default="")
@pass_session
def zones(session: Session, query: str) -> None:
    """What is known of which grid, by which source.

    QUERY is a key (DE, US-CAL-CISO), the beginning of one, or part of a name.
    """
    from dataclasses import asdict

    from greenai import api

    found = api.zones(query or session.zone or "", settings=session.settings())
    if session.json:
        session.screen.document([asdict(source) for source in found])
        return
    from rich.text import Text

    from greenai.cli.screen import CALM, GOOD, table

    rows = [
        (
            source.zone,
            source.name,
            source.provider,
            f"{source.offers}, {source.basis}",
            Text("ready", style=GOOD) if source.ready else Text(source.needs or f"GREENAI_BASIS={source.basis}", style=CALM),
        )
        for source in found
    ]
    session.screen.detail(table(("zone", "name", "source", "what it gives", "state, or what it wants"), rows))
