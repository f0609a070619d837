"""`greenai submit` and `progress`: what is stored, said and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.test_schemas import check

DURATION = ("--duration", "1h")


def test_a_job_is_kept_and_its_number_said_first(cli: Cli) -> None:
    done = cli("submit", *DURATION, "--finish-by", "5h", "--zone", "GB", "--", "sleep", "1")
    assert (done.code, done.out) == (0, "submitted job 1\n")
    assert "note: takes 1 h, to be done by " in done.err
    assert "note: zone GB" in done.err
    assert "warning: it is kept, but no daemon runs: start one with greenai daemon, or greenai jobs wait 1" in done.err
    assert "assumed" not in done.err


def test_an_assumed_deadline_is_said(cli: Cli) -> None:
    assert "(assumed, set it with --finish-by)" in cli("submit", *DURATION, "sleep", "1").err


def test_quiet_says_the_number_and_the_warning(cli: Cli) -> None:
    done = cli("-q", "submit", *DURATION, "sleep", "1")
    assert done.out == "submitted job 1\n"
    assert done.err.startswith("warning: it is kept")


def test_an_array_in_words_and_in_json(cli: Cli) -> None:
    assert cli("submit", *DURATION, "--array", "1-3", "--", "echo", "{index}").out == "submitted array 1, 3 jobs\n"
    done = cli("submit", "--json", *DURATION, "--array", "4,6", "--env", "A=b=c", "--label", "task=t", "--", "echo", "{index}")
    document = json.loads(done.out)
    check(document, "submit")
    assert [(job["job_id"], job["command"]) for job in document["jobs"]] == [("2_4", ["echo", "4"]), ("2_6", ["echo", "6"])]
    assert document["jobs"][0]["labels"] == {"task": "t"}
    assert "b=c" not in done.out
    assert not document["daemon"]


def test_options_of_the_command_are_its_own(cli: Cli) -> None:
    document = json.loads(cli("submit", "--json", *DURATION, "sleep", "--json", "1").out)
    assert document["jobs"][0]["command"] == ["sleep", "--json", "1"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((*DURATION,), "submit needs a command"),
        (("sleep", "1"), "how long does the job take"),
        ((*DURATION, "--label", "x", "sleep", "1"), "a label is written NAME=VALUE"),
        ((*DURATION, "--env", "=x", "sleep", "1"), "a variable is written NAME=VALUE"),
        ((*DURATION, "--min-chunk", "10m", "sleep", "1"), "--min-chunk is about pieces: add --interruptible"),
        ((*DURATION, "--gpus", "-1", "sleep", "1"), "invalid value for '--gpus'"),
        ((*DURATION, "--gpus", "99", "sleep", "1"), "the job takes 99 GPUs"),
        ((*DURATION, "--after", "7", "sleep", "1"), "the queue has no job '7'"),
        ((*DURATION, "--array", "1-20%4", "sleep", "1"), "an array is written"),
        ((*DURATION, "no-such-program"), "is not found on the PATH"),
        ((*DURATION, "--cwd", "nowhere", "sleep", "1"), "is not there"),
        ((*DURATION, "--policy", "threshold", "sleep", "1"), "the threshold policy needs a limit in g/kWh"),
        ((*DURATION, "--policy", "elastic", "sleep", "1"), "the queue cannot change how many workers a job has"),
        ((*DURATION, "--zone", "XX", "sleep", "1"), "no yearly mean is known for 'XX'"),
        ((*DURATION, "--places", "GB,DE", "sleep", "1"), "the executor local is in one place"),
        ((*DURATION, "--name", "a\nb", "sleep", "1"), "a name is one line of printable characters"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_stored(cli: Cli, words: tuple[str, ...], sentence: str) -> None:
    done = cli("submit", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert sentence in done.err
    assert json.loads(cli("jobs", "--json").out)["jobs"] == []


def test_a_job_that_does_not_fit_has_its_own_exit_code(cli: Cli) -> None:
    assert cli("submit", "--duration", "3h", "--finish-by", "1h", "sleep", "1").code == 3


def test_a_state_directory_that_cannot_be_made(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GREENAI_HOME", str(tmp_path / "file" / "home"))
    done = cli("submit", *DURATION, "sleep", "1")
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("error: ")


def test_progress_is_written_where_the_job_was_told(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GREENAI_PROGRESS_FILE", str(tmp_path / "progress"))
    assert cli("progress", "0.42") == cli("progress", "0.42")
    assert float((tmp_path / "progress").read_text()) == 0.42
    document = json.loads(cli("progress", "--json", "0.5").out)
    check(document, "progress")
    assert document == {"progress_share": 0.5, "heard": True}


def test_progress_outside_a_job_is_no_error(cli: Cli) -> None:
    done = cli("progress", "0.42")
    assert (done.code, done.out) == (0, "")
    assert "nobody hears it" in done.err
    assert cli("progress", "42").code == 2
