"""Fakes and contract tests that plug-in authors and users may use: a virtual clock, a grid server, meters with known watts.

The names load on first use; the modules under here are as public as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenai.testing.clock import VirtualClock
    from greenai.testing.contracts import MeterContract, PolicyContract, ProviderContract
    from greenai.testing.executors import JobExecutorContract
    from greenai.testing.fakes import (
        FakeArchive,
        FakeDoor,
        FakeExecutor,
        FakeLedger,
        FakeListener,
        FakeMeter,
        FakeMetering,
        FakeRunStore,
    )
    from greenai.testing.grid import FakeGrid

_HOMES = {
    "greenai.testing.clock": ("VirtualClock",),
    "greenai.testing.contracts": ("MeterContract", "PolicyContract", "ProviderContract"),
    "greenai.testing.executors": ("JobExecutorContract",),
    "greenai.testing.fakes": (
        "FakeArchive",
        "FakeDoor",
        "FakeExecutor",
        "FakeLedger",
        "FakeListener",
        "FakeMeter",
        "FakeMetering",
        "FakeRunStore",
    ),
    "greenai.testing.grid": ("FakeGrid",),
}

__all__ = ["FakeArchive", "FakeDoor", "FakeExecutor", "FakeGrid", "FakeLedger", "FakeListener", "FakeMeter", "FakeMetering"]
__all__ += ["FakeRunStore", "JobExecutorContract", "MeterContract", "PolicyContract", "ProviderContract", "VirtualClock"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'greenai.testing' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
