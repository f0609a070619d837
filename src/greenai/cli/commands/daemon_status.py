"""`greenai daemon status`."""

from __future__ import annotations

from typing import Any

import click

from greenai.cli.command import Command, Session, pass_session


@click.command(cls=Command)
@pass_session
def status(session: Session) -> None:
    """Whether a daemon runs the queue, what waits, and what jobs may take together."""
    from greenai import api
    from greenai.wiring_queue import capacity_of, executors_of, read_holder

    settings = session.settings()
    page = api.jobs(limit=1, settings=settings)
    capacity = capacity_of(settings)
    role, who = read_holder(page.holder) if page.holder else ("", "")
    document: dict[str, Any] = {
        "running": role == "daemon",
        "holder": page.holder,
        "home": str(settings.home),
        "counts": page.by_status,
        "capacity": {
            "amounts": dict(capacity.amounts),
            "power_cap_w": capacity.power_cap_w,
            "carbon_budget_g_per_day": capacity.carbon_budget_g_per_day,
        },
        "executors": sorted(executors_of(settings)),
    }
    if session.json:
        session.screen.document(document)
    else:
        _show(session, document, role, who)


def _show(session: Session, document: dict[str, Any], role: str, who: str) -> None:
    from greenai.cli.queue_words import amounts_words, counts_line
    from greenai.cli.screen import GOOD, WARN, facts

    running = document["running"]
    said = f"a daemon runs: {who}" if running else "no daemon runs"
    said = f"{said}; greenai jobs wait runs the queue ({who})" if role == "wait" else said
    session.screen.answer(said, style=GOOD if running else WARN)
    cap_w, budget_g = document["capacity"]["power_cap_w"], document["capacity"]["carbon_budget_g_per_day"]
    rows = [
        ("jobs", counts_line(document["counts"])),
        ("may take", amounts_words(document["capacity"]["amounts"])),
        ("power cap", f"{cap_w:g} W" if cap_w is not None else ""),
        ("carbon budget", f"{budget_g:g} g a UTC day" if budget_g is not None else ""),
        ("executors", ", ".join(document["executors"])),
        ("state", document["home"]),
    ]
    session.screen.detail(facts(rows))
    if not running:
        session.screen.note("start one with greenai daemon, or for good with greenai daemon install")
