"""`greenai doctor`: what can be measured here, and how to fix what cannot."""

from __future__ import annotations

import click

from greenai.cli.command import Command, Session, pass_session

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
        return code
    from rich.text import Text

    from greenai.cli.screen import BAD, GOOD, WARN, facts

    styles = {"ok": GOOD, "warn": WARN, "fail": BAD}
    rows: list[tuple[str, str | Text]] = []
    said = ""
    for check in checks:
        rows.append((check.name, Text.assemble((f"{check.status:<6}", styles[check.status]), check.detail)))
        if check.remedy and check.status != "ok":
            rows.append(("", "      fix: the same" if check.remedy == said else f"      fix: {check.remedy}"))
            said = check.remedy
    warnings = sum(check.status == "warn" for check in checks)
    ready = f"ready, with {warnings} {'warning' if warnings == 1 else 'warnings'}" if warnings else "ready"
    screen = session.screen
    screen.answer(NOT_READY if failed else ready, style=BAD if failed else GOOD)
    screen.detail(facts(rows))
    return code
