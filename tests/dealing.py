"""The order in which tests are dealt to workers: the long ones begin first, those that share a costly start stay together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

Item = TypeVar("Item")


def long_group(item: pytest.Item) -> str | None:
    """The name of what must stay together and begin early; None for the many short tests."""
    if "integrations" in item.path.parts:
        return "integrations"  # a process that has imported a framework serves all tests of its worker
    return item.nodeid if item.get_closest_marker("slow") else None


def dealt(items: Sequence[Item], workers: int, group_of: Callable[[Item], str | None]) -> list[Item]:
    """The items with the groups at the fronts of the workers' stretches, in turn.

    pytest-xdist's worksteal gives each of n workers one stretch of the list, as
    long as the others within one; who has done with it takes from the others'
    ends. A test of minutes at an end would begin last, with nobody left to help.
    """
    groups: dict[str, list[Item]] = {}
    short: list[Item] = []
    for item in items:
        name = group_of(item)
        (short if name is None else groups.setdefault(name, [])).append(item)
    fronts: list[list[Item]] = [[] for _ in range(workers)]
    for place, name in enumerate(sorted(groups)):
        fronts[place % workers] += groups[name]
    order: list[Item] = []
    for place, front in enumerate(fronts):
        stretch = (len(items) - len(order)) // (workers - place)
        room = max(0, stretch - len(front))
        order += [*front, *short[:room]]
        del short[:room]
    return [*order, *short]
