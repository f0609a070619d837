"""A bar for long work."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from greenai.api.backtesting import Tell
    from greenai.cli.command import Session


def progress(session: Session) -> AbstractContextManager[Tell]:
    """A bar on stderr from when work is first told of, on a terminal and unless --quiet; gone when it is done."""
    from contextlib import ExitStack, contextmanager

    hidden = session.quiet or not session.screen.err.is_terminal

    @contextmanager
    def bar() -> Iterator[Tell]:
        with ExitStack() as until_done:

            def begin() -> Tell:
                from rich.progress import Progress

                shown = until_done.enter_context(Progress(console=session.screen.err, transient=True))
                task = shown.add_task("", total=None)
                return lambda what, done, total: shown.update(task, description=what, completed=done, total=total)

            begun = cache(begin)
            yield lambda what, done, total: None if hidden else begun()(what, done, total)

    return bar()
