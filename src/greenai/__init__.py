"""greenai: run machine-learning training when the grid is clean, and prove what it did."""

from greenai._version import __version__

__all__ = ["__version__"]
