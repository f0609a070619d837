"""A bar for long work."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from greenai.api.backtesting import Tell
    from greenai.cli.command import Session


def progress(session: Session) -> AbstractContextManager[Tell]:
    """A bar on stderr while work is told of, on a terminal and unless --quiet; gone when it is done."""
    from contextlib import contextmanager

    @contextmanager
    def bar() -> Iterator[Tell]:
        from rich.progress import Progress

        hidden = session.quiet or not session.screen.err.is_terminal
        with Progress(console=session.screen.err, transient=True, disable=hidden) as shown:
            task = shown.add_task("reading", total=None)
            yield lambda what, done, total: shown.update(task, description=what, completed=done, total=total)

    return bar()
