"""The order in which tests are dealt to workers."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from tests.dealing import dealt


def group_of(item: str) -> str | None:
    return item[0] if item[0].isupper() else None


def stretches(order: list[str], workers: int) -> list[list[str]]:
    """As pytest-xdist cuts them (scheduler/worksteal.py, check_schedule)."""
    left, cut = list(order), []
    for place in range(workers):
        size = len(left) // (workers - place)
        cut.append(left[:size])
        del left[:size]
    return cut


def test_groups_begin_the_stretches_in_turn():
    items = ["a1", "C1", "b1", "A1", "c1", "A2", "d1", "B1", "e1"]
    assert stretches(dealt(items, 2, group_of), 2) == [["A1", "A2", "C1", "a1"], ["B1", "b1", "c1", "d1", "e1"]]


def test_one_process_begins_with_them_too():
    assert dealt(["a1", "B1", "A1"], 1, group_of) == ["A1", "B1", "a1"]


@given(st.lists(st.text("abcAB", min_size=1, max_size=2), max_size=40), st.integers(1, 6))
def test_none_is_lost_or_doubled_and_the_rest_keeps_its_order(items, workers):
    order = dealt(items, workers, group_of)
    assert Counter(order) == Counter(items)
    assert [item for item in order if group_of(item) is None] == [item for item in items if group_of(item) is None]
