"""What pauses cost, out of lives of jobs made up so that the answer is known."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence_world import START, meter, trace
from tests.queue_world import HOUR, NOON, next_events, submission

from greenai.logic.pause_costs import USUAL_PAUSE, cheaper_way, held_w, pauses_of, together, way_now
from greenai.model.energy import EnergyTrace
from greenai.model.learned import PauseSeen
from greenai.model.plan import Window
from greenai.model.queue import Change, Entry, JobEvent, Moved, Paused, Pausing, Retimed, Running, Submitted, after

MINUTE = timedelta(minutes=1)


class Life:
    """The events of a job, written down in turn."""

    def __init__(self) -> None:
        self.events: list[JobEvent] = []
        self.add(NOON, Submitted(submission=submission("7")))

    def add(self, at: datetime, change: Change) -> Life:
        self.events.append(JobEvent(job_id="7", version=len(self.events) + 1, at=at, change=change))
        return self

    def runs(self, at: datetime, run_id: str) -> Life:
        return self.add(at, Moved(status=Running(run_id=run_id, started_at=at)))

    def asked(self, at: datetime, run_id: str, started_at: datetime) -> Life:
        return self.add(at, Moved(status=Pausing(run_id=run_id, started_at=started_at, asked_at=at)))

    def paused(self, at: datetime, seen_at: datetime | None = None, run_id: str = "") -> Life:
        return self.add(seen_at or at, Moved(status=Paused(since_at=at, run_id=run_id)))

    def done(self, at: datetime, share: float) -> Life:
        return self.add(at, Retimed(duration=HOUR, progress_share=share, source="its progress"))


def saved_and_back() -> Life:
    """60 min for 30 %, asked at 60, gone at 62; back at 100 min, seen at 32 % after 8 min: 4 were new work."""
    life = Life().runs(NOON, "a").done(NOON + 60 * MINUTE, 0.31)
    return (
        life.asked(NOON + 60 * MINUTE, "a", NOON)
        .paused(NOON + 62 * MINUTE)
        .runs(NOON + 100 * MINUTE, "b")
        .done(NOON + 103 * MINUTE, 0.31)
        .done(NOON + 108 * MINUTE, 0.33)
        .done(NOON + 120 * MINUTE, 0.40)
    )


def test_a_pause_by_checkpoint():
    seen = pauses_of(saved_and_back().events)
    assert seen.saves == (2 * MINUTE,)
    assert seen.pauses == (38 * MINUTE,)
    # 62 minutes for .31, so that .02 take 4 of the 8 minutes.
    assert [span.total_seconds() for span in seen.returns] == [pytest.approx(4 * 60, abs=1e-3)]


def test_an_end_that_is_seen_later_counts_from_when_it_was():
    life = Life().runs(NOON, "a").asked(NOON + HOUR, "a", NOON).paused(NOON + HOUR + MINUTE, NOON + 2 * HOUR)
    assert pauses_of(life.events).saves == (MINUTE,)


def test_a_job_that_froze():
    life = Life().runs(NOON, "a").asked(NOON + HOUR, "a", NOON).paused(NOON + HOUR, run_id="a").runs(NOON + 3 * HOUR, "a")
    assert pauses_of(life.events) == PauseSeen(pauses=(2 * HOUR,))


def test_a_program_that_leaves_unasked_shows_no_time_to_save():
    life = Life().runs(NOON, "a").paused(NOON + HOUR).runs(NOON + 2 * HOUR, "b")
    assert pauses_of(life.events) == PauseSeen(pauses=(HOUR,))


def test_a_program_that_tells_no_progress_shows_no_way_back():
    life = Life().runs(NOON, "a").asked(NOON + HOUR, "a", NOON).paused(NOON + HOUR + MINUTE)
    life.runs(NOON + 2 * HOUR, "b").done(NOON + 3 * HOUR, 0.5)
    assert pauses_of(life.events).returns == ()


def test_a_pause_that_is_planned_anew_is_one():
    life = Life().runs(NOON, "a").done(NOON + MINUTE, 0.1).asked(NOON + HOUR, "a", NOON).paused(NOON + HOUR)
    life.paused(NOON + HOUR, NOON + 2 * HOUR).runs(NOON + 3 * HOUR, "b").done(NOON + 3 * HOUR + MINUTE, 0.2)
    seen = pauses_of(life.events)
    assert (seen.saves, seen.pauses, seen.returns) == ((timedelta(0),), (2 * HOUR,), (timedelta(0),))


def test_no_life_no_pauses():
    assert pauses_of([]) == PauseSeen()


@given(st.data())
def test_no_life_costs_less_than_nothing(data):
    events: list[JobEvent] = []
    entry: Entry | None = None
    life = Life().events[0]
    for _ in range(data.draw(st.integers(0, 12))):
        entry = after(entry, life)
        events.append(life)
        life = data.draw(next_events(entry))
    seen = pauses_of(events)
    assert all(span >= timedelta(0) for span in (*seen.saves, *seen.returns, *seen.pauses))


# Energy held


def test_power_while_frozen():
    run = trace(power_w=(100.0, 100.0, 20.0, 20.0, 100.0), step_s=300.0)
    stood = Window(start_at=START + 10 * MINUTE, end_at=START + 20 * MINUTE)
    assert held_w(run, [stood]) == pytest.approx(20)
    assert held_w(run, []) is None
    assert held_w(EnergyTrace(meters=(meter(),)), [stood]) is None
    assert held_w(EnergyTrace(meters=(), intervals=run.intervals), [stood]) is None


# The cheaper way


def spans(*minutes: float) -> tuple[timedelta, ...]:
    return tuple(number * MINUTE for number in minutes)


def test_nothing_seen_nothing_said():
    assert cheaper_way(PauseSeen(), 100.0) is None
    assert cheaper_way(PauseSeen(held_w=(20.0,)), None) is None
    assert cheaper_way(together([]), 100.0) is None


def test_saving_costs_its_time_and_the_way_back():
    found = cheaper_way(PauseSeen(saves=spans(1, 2, 9), returns=spans(3, 5)), None)
    assert found is not None
    assert (found.way, found.cost) == ("checkpoint", 6 * MINUTE)
    assert found.source == "2 min to save, 4 min to be back where it was: median of 3 pauses"


def test_a_way_back_that_is_not_known_is_said():
    found = cheaper_way(PauseSeen(saves=spans(2)), None)
    assert found is not None
    assert (found.cost, found.source) == (2 * MINUTE, "2 min to save, the time to be back is not known: median of 1 pause")


@pytest.mark.parametrize(("pause_minutes", "way"), [(10, "freeze"), (60, "checkpoint")])
def test_a_short_pause_is_cheaper_frozen(pause_minutes, way):
    seen = together(
        [PauseSeen(saves=spans(2), returns=spans(4)), PauseSeen(held_w=(20.0,), pauses=spans(pause_minutes))],
    )
    found = cheaper_way(seen, 100.0)
    assert found is not None
    assert (found.way, found.cost) == (way, min(6 * MINUTE, pause_minutes * MINUTE / 5))


def test_a_frozen_job_is_charged_its_usual_pause():
    found = cheaper_way(PauseSeen(held_w=(20.0, 40.0)), 100.0)
    assert found is not None
    assert (found.way, found.cost) == ("freeze", USUAL_PAUSE * 0.3)
    assert found.source == "30 W while frozen for 1 h, 100 W while it runs: median of 2 pauses"


@given(st.floats(0, 1e3), st.floats(1, 1e3), st.integers(1, 600), st.integers(0, 600))
def test_the_cheaper_way_is_the_cheaper(drawn_w, power_w, save_s, pause_s):
    seen = PauseSeen(saves=(timedelta(seconds=save_s),), held_w=(drawn_w,), pauses=(timedelta(seconds=pause_s),))
    found = cheaper_way(seen, power_w)
    assert found is not None
    assert found.cost.total_seconds() == pytest.approx(min(save_s, pause_s * drawn_w / power_w), abs=1e-5)


# The way now

BOTH = PauseSeen(saves=spans(2), returns=spans(4), held_w=(20.0,), pauses=spans(60))
"""Six minutes to save and be back; frozen a fifth of how long it stands."""


@pytest.mark.parametrize(
    ("stands", "way", "why"),
    [
        (10 * MINUTE, "freeze", "to freeze, which costs 2 min of its run, where saving costs 6 min"),
        (30 * MINUTE, "auto", "to save if it can, which costs 6 min of its run, where freezing costs 6 min"),
        (2 * HOUR, "auto", "to save if it can, which costs 6 min of its run, where freezing costs 24 min"),
        (None, "auto", "to save if it can, which costs 6 min of its run, where freezing costs 12 min"),
    ],
)
def test_how_long_it_will_stand_decides(stands, way, why):
    assert way_now(BOTH, 100.0, stands=stands) == (way, why)


@pytest.mark.parametrize(
    ("seen", "power_w"),
    [
        (PauseSeen(), 100.0),
        (PauseSeen(held_w=(20.0,)), 100.0),
        (PauseSeen(saves=spans(2)), 100.0),
        (BOTH, None),
    ],
)
def test_where_not_both_were_measured_the_program_is_asked(seen, power_w):
    """One that was always frozen, for it knew nothing of pausing, may have learned it."""
    assert way_now(seen, power_w, stands=MINUTE) == ("auto", "")


@given(st.floats(0, 1e3), st.floats(1, 1e3), st.integers(1, 600), st.integers(1, 600))
def test_the_way_is_that_of_the_smaller_cost(drawn_w, power_w, save_s, stands_s):
    seen = PauseSeen(saves=(timedelta(seconds=save_s),), held_w=(drawn_w,))
    way, _ = way_now(seen, power_w, stands=timedelta(seconds=stands_s))
    freezing_s = stands_s * drawn_w / power_w
    if abs(freezing_s - save_s) > 1e-5:
        assert (way == "freeze") is (freezing_s < save_s)
