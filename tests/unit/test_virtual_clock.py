"""Time that passes only when somebody waits for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenai.errors import InputError
from greenai.testing.clock import VirtualClock

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock():
    return VirtualClock(NOW)


def test_waiting_moves_the_time(clock):
    clock.wait_until(NOW + HOUR)
    assert clock.now() == NOW + HOUR
    assert clock.waits == [NOW + HOUR]
    assert clock.monotonic_s() == 3600


def test_a_moment_that_has_passed_returns_at_once(clock):
    clock.wait_until(NOW - HOUR)
    assert clock.now() == NOW
    assert clock.elapsed == timedelta(0)


def test_hooks_run_at_their_time_and_in_order(clock):
    seen = []
    clock.at(NOW + 2 * HOUR, lambda: seen.append(("late", clock.now())))
    clock.at(NOW + HOUR, lambda: seen.append(("first", clock.now())))
    clock.at(NOW + HOUR, lambda: seen.append(("second", clock.now())))
    clock.wait_until(NOW + HOUR * 1.5)
    assert seen == [("first", NOW + HOUR), ("second", NOW + HOUR)]
    clock.advance(HOUR)
    assert seen[2] == ("late", NOW + 2 * HOUR)
    assert clock.now() == NOW + 2.5 * HOUR


def test_a_hook_that_raises_leaves_the_clock_at_its_time(clock):
    def interrupt():
        raise KeyboardInterrupt

    clock.at(NOW + HOUR, interrupt)
    with pytest.raises(KeyboardInterrupt):
        clock.wait_until(NOW + 5 * HOUR)
    assert clock.now() == NOW + HOUR
    clock.wait_until(NOW + 5 * HOUR)
    assert clock.now() == NOW + 5 * HOUR


def test_a_jump_is_no_time_that_passes(clock):
    clock.jump(3 * HOUR)
    assert clock.now() == NOW + 3 * HOUR
    assert clock.monotonic_s() == 0
    clock.jump(-5 * HOUR)
    assert clock.now() == NOW - 2 * HOUR


def test_a_jump_during_a_wait_shortens_or_lengthens_it(clock):
    clock.at(NOW + HOUR, lambda: clock.jump(-3 * HOUR))
    clock.wait_until(NOW + 2 * HOUR)
    assert clock.now() == NOW + 2 * HOUR
    assert clock.elapsed == 5 * HOUR


def test_a_jump_past_the_end_of_a_wait_ends_it(clock):
    clock.at(NOW + HOUR, lambda: clock.jump(10 * HOUR))
    clock.wait_until(NOW + 2 * HOUR)
    assert clock.now() == NOW + 11 * HOUR
    assert clock.elapsed == HOUR


def test_a_hook_that_was_jumped_over_runs_at_the_next_wait(clock):
    seen = []
    clock.at(NOW + HOUR, lambda: seen.append(clock.now()))
    clock.jump(2 * HOUR)
    assert seen == []
    clock.wait_until(NOW)
    assert seen == [NOW + 2 * HOUR]


def test_a_hook_may_plan_another(clock):
    seen = []
    clock.at(NOW + HOUR, lambda: clock.at(NOW + 2 * HOUR, lambda: seen.append(clock.now())))
    clock.wait_until(NOW + 3 * HOUR)
    assert seen == [NOW + 2 * HOUR]


def test_naive_times_are_refused(clock):
    with pytest.raises(InputError):
        VirtualClock(NOW.replace(tzinfo=None))
    with pytest.raises(InputError):
        clock.wait_until(NOW.replace(tzinfo=None))
