"""`greenai progress`: a job says how far it is."""

from __future__ import annotations

import os

import click

from greenai.cli.command import Command, Session, pass_session


@click.command(cls=Command, epilog="\b\ngreenai progress 0.42")
@click.argument("share", type=click.FloatRange(0, 1))
@pass_session
def progress(session: Session, share: float) -> None:
    """Say that SHARE of the work is done, from 0 to 1, to whoever runs this job.

    Outside of a job of greenai's nobody hears it, which is no error. In Python:
    greenai.progress(0.42).
    """
    from greenai import pause

    heard = bool(os.environ.get(pause.PROGRESS_FILE) or os.environ.get(pause.PROGRESS_FD))
    pause.progress(share)
    if session.json:
        session.screen.document({"progress_share": share, "heard": heard})
    elif not heard:
        session.screen.note("nobody hears it: this is no job of greenai's (GREENAI_PROGRESS_FILE is not set)")
