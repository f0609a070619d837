"""Words in, words out. `main` is the console script."""

from greenai.cli.root import main

__all__ = ["main"]
