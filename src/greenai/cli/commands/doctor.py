"""`greenai doctor`: what can be measured here, and how to fix what cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from greenai.doctor import Check

NOT_READY = "evidence made here would rest on assumed numbers, or could not be written"


@click.command(cls=Command)
@pass_session
def doctor(session: Session) -> int:
    """What can be measured here, what cannot, and the exact fix.

    Exit code 1 if evidence made here would rest on assumed numbers.
    """
    from greenai.cli.exits import OK, WORSE_THAN_MODELLED
    from greenai.doctor import examine

    checks = examine(session.settings())
    failed = [check for check in checks if check.status == "fail"]
    code = WORSE_THAN_MODELLED if failed else OK
    if session.json:
        names = ("name", "status", "detail", "remedy")
        document = {"ok": not failed, "checks": [{name: getattr(check, name) for name in names} for check in checks]}
        session.screen.document(document)
    else:
        _show(session, checks, failed=bool(failed))
    return code


def _show(session: Session, checks: tuple[Check, ...], *, failed: bool) -> None:
    """The verdict, then each check with its remedy; a remedy said just before is not said again."""
    from rich.text import Text

    from greenai.cli.screen import BAD, GOOD, WARN, facts

    styles = {"ok": GOOD, "warn": WARN, "fail": BAD}
    rows: list[tuple[str, str | Text, str]] = []
    said = ""
    for check in checks:
        rows.append((check.name, Text(check.status, style=styles[check.status]), check.detail))
        if check.remedy and check.status != "ok":
            rows.append(("", "fix", "the same" if check.remedy == said else check.remedy))
            said = check.remedy
    warnings = sum(check.status == "warn" for check in checks)
    ready = f"ready, with {warnings} {'warning' if warnings == 1 else 'warnings'}" if warnings else "ready"
    session.screen.answer(NOT_READY if failed else ready, style=BAD if failed else GOOD)
    session.screen.detail(facts(rows))
