"""What sbatch was told: limits, options of the command line and of the script, and the begin in a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenai.errors import InputError
from greenai.logic.slurm_words import begin_option, limit_of, stated


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("90:30", 90.5),
        ("2:00:00", 120),
        ("1-12", 36 * 60),
        ("1-12:30", 36 * 60 + 30),
        ("1-12:30:30", 36 * 60 + 30.5),
    ],
)
def test_limits_are_read_as_slurm_writes_them(text: str, minutes: float) -> None:
    assert limit_of(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["INFINITE", "UNLIMITED", "0", "-1", "2982616-04:14:00"])
def test_no_limit_is_none(text: str) -> None:
    assert limit_of(text) is None


@pytest.mark.parametrize("text", ["", "2h", "1:2:3:4", "1-", "x"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no time limit"):
        limit_of(text)


@pytest.mark.parametrize("words", [["--time=5"], ["--time", "5"], ["-t", "5"], ["-t5"], ["-t=5"], ["-t9", "job.sh", "-t5"]])
def test_options_are_found_however_they_are_written(words: list[str]) -> None:
    assert stated(words, "").limit == timedelta(minutes=5)


def test_the_command_line_goes_before_the_script_whose_options_end_at_its_first_command() -> None:
    script = "#!/bin/sh\n#SBATCH --time=9 -p gb,fr # as yet\n#SBATCH --requeue\n\n# a word\n#SBATCH -J 'x'\ntrue\n"
    script += "#SBATCH --begin=now\n"
    told = stated(["--time=5"], script)
    assert told.limit == timedelta(minutes=5)
    assert told.partitions == ("gb", "fr")
    assert told.options["--job-name"] == "x"
    assert told.has("--requeue", "--no-requeue")
    assert not told.has("--begin")
    assert stated([], "").limit is None
    assert stated([], "").partitions == ()


def test_the_begin_is_local_but_where_the_clock_shows_a_time_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert begin_option(datetime(2026, 11, 25, 3, tzinfo=UTC), berlin) == "--begin=2026-11-25T04:00:00"
    twice = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert begin_option(twice, berlin) == f"--begin=uts{int(twice.timestamp())}"


@given(st.integers(1_577_836_800, 2_051_222_400))
def test_the_begin_is_always_the_same_moment(second: int) -> None:
    moment, zone = datetime.fromtimestamp(second, UTC), ZoneInfo("America/New_York")
    text = begin_option(moment, zone).removeprefix("--begin=")
    if text.startswith("uts"):
        assert text == f"uts{second}"
    else:
        assert datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) == moment


@pytest.mark.parametrize(
    ("words", "rounds"),
    [
        ([], 1),
        (["--array=1-6"], 1),
        (["--array=1-6%2"], 3),
        (["-a", "1-7%2"], 4),
        (["-a0-9:3,20%3"], 2),
        (["--array=1-6%9"], 1),
        (["--array=6-1%2"], 1),
        (["--array=1-6%0"], 1),
        (["--array=x%2"], 1),
        (["--array=%2"], 1),
    ],
)
def test_an_array_of_which_not_all_tasks_run_at_once_takes_several_times_its_length(words: list[str], rounds: int) -> None:
    assert stated(words, "").rounds == rounds
