"""The machine's clock waits by what the wall clock shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenai.adapters.clock import LONGEST_SLEEP_S, SystemClock

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


class Wall:
    """A wall clock that may be set while somebody sleeps."""

    def __init__(self, jumps: dict[int, timedelta] | None = None) -> None:
        self.now_at, self.sleeps, self.jumps = NOW, [], jumps or {}

    def now(self) -> datetime:
        return self.now_at

    def sleep(self, seconds: float) -> None:
        self.now_at += timedelta(seconds=seconds) + self.jumps.get(len(self.sleeps), timedelta(0))
        self.sleeps.append(seconds)


def waited(wall: Wall, span: timedelta) -> Wall:
    SystemClock(now=wall.now, sleep=wall.sleep).wait_until(NOW + span)
    return wall


def test_it_wakes_on_time_from_short_sleeps():
    wall = waited(Wall(), timedelta(seconds=100))
    assert wall.now_at == NOW + timedelta(seconds=100)
    assert wall.sleeps == [30, 30, 30, 10]


def test_a_clock_set_forward_ends_the_wait_within_one_sleep():
    wall = waited(Wall({1: timedelta(hours=3)}), timedelta(hours=1))
    assert len(wall.sleeps) == 2
    assert max(wall.sleeps) <= LONGEST_SLEEP_S


def test_a_clock_set_back_prolongs_it():
    wall = waited(Wall({0: -timedelta(minutes=10)}), timedelta(minutes=1))
    assert wall.now_at >= NOW + timedelta(minutes=1)
    assert sum(wall.sleeps) == 11 * 60


def test_a_moment_that_has_passed_sleeps_not_at_all():
    assert waited(Wall(), timedelta(seconds=-5)).sleeps == []


def test_ctrl_c_passes_through():
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SystemClock(now=lambda: NOW, sleep=interrupt).wait_until(NOW + timedelta(hours=1))


def test_the_real_one_tells_utc_and_waits():
    clock = SystemClock()
    until = clock.now() + timedelta(milliseconds=20)
    clock.wait_until(until)
    assert clock.now() >= until
    assert clock.now().utcoffset() == timedelta(0)
