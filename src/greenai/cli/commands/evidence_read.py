"""`greenai evidence list`, `show` and `export`."""

from __future__ import annotations

from typing import Any

import click

from greenai.cli.command import Command, Session, pass_session

COMMAND_WIDTH = 40
"""Characters of a command in the list."""

WIDE_ENOUGH_FOR = {"started": 100, "command": 140}
"""Columns a terminal must have before these are listed too."""


@click.command("list", cls=Command)
@pass_session
def list_(session: Session) -> None:
    """All runs with evidence, newest last."""
    from greenai import api

    documents = api.evidence_list(settings=session.settings())
    if session.json:
        session.screen.document(documents)
    elif documents:
        _list(session, documents)
    else:
        session.screen.answer("no evidence yet", style="")
        session.screen.note("greenai run or greenai measure leaves some")


def _list(session: Session, documents: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from greenai.cli import words
    from greenai.cli.card import command_line
    from greenai.cli.screen import WARN, table
    from greenai.model.units import parse_iso_utc

    zone, width = session.local_zone, session.screen.out.width
    head = ["run", "energy", "CO2", "saving", "verdict"]
    rows = [
        [
            document["run_id"],
            words.energy(document["it_kwh"]),
            words.grams(document["operational_g"]),
            words.grams(document["saving_g"]),
            Text("provisional", style=WARN) if document["provisional"] else document["verdict"].partition(":")[0],
        ]
        for document in documents
    ]
    if width >= WIDE_ENOUGH_FOR["started"]:
        head.append("started")
        for row, document in zip(rows, documents, strict=True):
            at = document["started_at"]
            row.append(words.clock_time(parse_iso_utc(at), zone) if at else words.UNKNOWN)
    if width >= WIDE_ENOUGH_FOR["command"]:
        head.append("command")
        for row, document in zip(rows, documents, strict=True):
            row.append(command_line(document, COMMAND_WIDTH))
    session.screen.detail(table(head, rows, right=(1, 2, 3)))


@click.command(cls=Command)
@click.argument("run", default="last")
@pass_session
def show(session: Session, run: str) -> None:
    """The evidence of RUN: last, a run id, or the beginning of one."""
    from greenai import api

    document = api.evidence_show(run, settings=session.settings())
    if session.json:
        session.screen.document(document)
        return
    from greenai.cli.card import card, headline

    session.screen.answer(headline(document))
    session.screen.detail(*card(document, session.local_zone, verbose=session.verbose))


@click.command(cls=Command)
@click.option("--format", "form", type=click.Choice(["csv", "json", "jsonl"]), help="[default: csv; json with --json]")
@click.option("--out", metavar="FILE", type=click.Path(dir_okay=False), help="Write to FILE instead of stdout.")
@pass_session
def export(session: Session, *, form: str | None, out: str | None) -> None:
    """Write all evidence as CSV (the columns of evidence.csv), JSON or JSON lines.

    With --json the export itself is JSON; with a file to write to, stdout says
    in JSON what was written.
    """
    from greenai import api
    from greenai.cli.exporting import exported, write_file

    chosen = form or ("json" if session.json and out is None else "csv")
    if session.json and out is None and chosen != "json":
        raise click.UsageError(f"with --json stdout holds JSON, not {chosen}: leave one of them out, or add --out FILE")
    documents = api.evidence_list(settings=session.settings())
    text = exported(documents, chosen)
    if out is None:
        click.echo(text, nl=False)
        return
    write_file(out, text)
    if session.json:
        session.screen.document({"written": out, "format": chosen, "evidences": len(documents)})
    else:
        session.screen.answer(f"wrote {out}: {len(documents)} runs", style="")
