"""The three standard streams, whatever state the caller left them in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

NAMES = ("stdin", "stdout", "stderr")


def prepare() -> None:
    """Fill closed streams with nothing, and let no character end a command.

    A file opened later must not get the number of a closed stream, or the
    command that is run would write into it.
    """
    for number, name in enumerate(NAMES):
        stream = getattr(sys, name)
        if stream is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))
        elif number and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def forget_stdout() -> None:
    """Send what is still buffered nowhere: its reader is gone, and the interpreter would fail on it when it exits."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


@contextmanager
def own_stdout(*, taken: bool) -> Iterator[TextIO]:
    """The stdout for the JSON document. When taken, everybody else's stdout, child processes' too, is stderr meanwhile."""
    if not taken:
        yield sys.stdout
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as stdout:
            yield stdout
    finally:
        os.dup2(kept, 1)
        os.close(kept)
