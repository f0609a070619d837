"""Time is an argument, and the pure rooms do nothing but think."""

from __future__ import annotations

CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}
CLOCK_OWNERS = {"datetime", "date", "time", "datetime.datetime", "datetime.date", "dt.datetime"}
MAY_READ_THE_CLOCK = (
    "cli/",
    "testing/grid.py",
    "adapters/clock.py",
    # What they see happen (an end, a freeze) has its moment from them: nobody else was there.
    "adapters/executors/",
    "adapters/meters/",
    "adapters/sampler.py",
    "adapters/metering.py",
)
PURE = {"errors", "model", "logic", "ports"}
WORLD = {"open", "print", "input", "exec", "eval", "__import__", "globals"}


def reads_a_clock(call: str) -> bool:
    """Whether the dotted name is a wall clock's: datetime.now, time.time, date.today."""
    owner, _, verb = call.rpartition(".")
    return verb in CLOCKS and owner in CLOCK_OWNERS


def test_only_the_doors_of_time_read_the_clock(module):
    if module.place.startswith(MAY_READ_THE_CLOCK):
        return
    found = [f"{module.place}:{line} {call}" for line, call in module.calls() if reads_a_clock(call)]
    assert not found, f"time is an argument: {found}"


def test_pure_rooms_touch_nothing(module):
    if module.room not in PURE:
        return
    found = [f"{module.place}:{line} {call}" for line, call in module.calls() if call in WORLD]
    assert not found, f"no I/O in {module.room}: {found}"


def test_the_clock_rule_knows_a_clock():
    assert reads_a_clock("datetime.now")
    assert reads_a_clock("time.time")
    assert not reads_a_clock("time.monotonic")
    assert not reads_a_clock("clock.now")
