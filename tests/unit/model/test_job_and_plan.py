"""Limits that cannot be met by any job are refused when they are stated, each in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenai.errors import InputError
from greenai.model.job import Constraints
from greenai.model.plan import Window

START = datetime(2026, 11, 24, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def constraints(**changes) -> Constraints:
    return Constraints(**({"earliest_at": START, "deadline_at": START + 24 * HOUR, "duration": 2 * HOUR} | changes))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"duration": timedelta(0)}, "duration must be positive"),
        ({"min_chunk": -HOUR}, "cannot be negative"),
        ({"resume_cost": -HOUR}, "cannot be negative"),
        ({"max_segments": 0}, "at least one segment, not 0"),
        ({"percentile": 101.0}, "between 0 and 100, not 101"),
        ({"percentile": -1.0}, "between 0 and 100"),
        ({"min_saving": 1.0}, "below 1, not 1.0"),
        ({"min_saving": -0.1}, "from 0"),
        ({"max_g_per_kwh": -1.0}, "g/kWh cannot be -1"),
        ({"max_g_per_kwh": float("inf")}, "g/kWh cannot be inf"),
        ({"earliest_at": datetime(2026, 11, 24)}, "earliest_at .* no time zone"),  # noqa: DTZ001 - the point of the test
    ],
)
def test_impossible_limits_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        constraints(**change)


def test_limits_at_their_edges_are_allowed():
    allowed = constraints(max_segments=1, percentile=0.0, min_saving=0.0, max_g_per_kwh=0.0)
    assert (allowed.max_segments, allowed.max_g_per_kwh) == (1, 0.0)


def test_the_latest_start_leaves_the_whole_duration():
    assert constraints().latest_start_at == START + 22 * HOUR


def test_limits_describe_themselves():
    assert constraints().describe() == "2:00:00 between 2026-11-24T09:00:00Z and 2026-11-25T09:00:00Z"


@pytest.mark.parametrize("length", [timedelta(0), -HOUR])
def test_a_window_must_have_a_length(length):
    with pytest.raises(InputError, match="must end after it starts"):
        Window(start_at=START, end_at=START + length)


def test_a_window_knows_its_length():
    assert Window(start_at=START, end_at=START + HOUR).duration == HOUR
