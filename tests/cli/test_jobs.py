"""`greenai jobs`: lists, lives, outputs and changes, on the real store."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text
from tests.cli.conftest import Cli
from tests.cli.test_schemas import check
from tests.queue_world import moved, submission

from greenai.adapters.store.queue import DurableQueue
from greenai.cli.command import Session
from greenai.cli.exits import exit_code_of_jobs
from greenai.cli.queue_words import amounts_words, life
from greenai.cli.screen import columns, table
from greenai.model.plan import Window
from greenai.model.queue import (
    Ended,
    Entry,
    Held,
    JobEvent,
    Moved,
    Paused,
    Pausing,
    Queued,
    Retimed,
    Running,
    Status,
    Submitted,
    Waiting,
    Wished,
    after,
)

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FOREVER = datetime(2999, 1, 1, tzinfo=UTC)


def window(hours: int) -> Window:
    return Window(start_at=AT + hours * HOUR, end_at=AT + (hours + 1) * HOUR)


def run_of(run_id: str = "r1", **given: Any) -> Running:
    return Running(run_id=run_id, started_at=AT, **given)


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days are seen from the day of the tests, whenever they run."""
    monkeypatch.setattr(Session, "now", lambda _session: AT)


@pytest.fixture
def queue(corner: Path) -> DurableQueue:
    return DurableQueue(Path(os.environ["GREENAI_HOME"]))


def put(queue: DurableQueue, *statuses: Status, **given: Any) -> Entry:
    """A new job that went through these states."""
    (entry,) = queue.enqueue([submission(zone="GB", **given)], AT)
    for status in statuses:
        assert all(queue.append([moved(entry, status, AT)]))
        (entry,) = queue.entries([entry.id])
    return entry


# Lists ---------------------------------------------------------------------------------------------------------------


def test_an_empty_queue_says_what_to_do(cli: Cli) -> None:
    done = cli("jobs")
    assert (done.code, done.out) == (0, "no jobs\n")
    assert "greenai submit" in done.err


def test_what_runs_comes_first_and_each_says_when(cli: Cli, queue: DurableQueue) -> None:
    put(queue, Waiting(windows=(window(3),)), name="later")
    put(queue, run_of(), Ended(outcome="failed", ended_at=AT + HOUR, exit_code=3))
    put(queue, run_of(handle="1:1"), command=("python", "train.py", "--name", "a b"))
    put(queue, Held())
    put(queue, after=("1",))
    put(queue, run_of(), Paused(since_at=AT, by_user=True))
    done = cli("jobs")
    lines = [line.split("  ") for line in done.out.splitlines()]
    assert lines[0] == ["1 held, 1 queued, 1 waiting, 1 running, 1 paused, 1 ended"]
    text = done.out
    assert "running  since Tue 13:00 CET (12:00 UTC)" in text
    assert "python train.py --name 'a b'" in text
    assert "waiting  Tue 16:00 CET (15:00 UTC)" in text
    assert "until you resume it" in text
    assert "after 1" in text
    assert "failed" in text
    assert text.index("running  since") < text.index("waiting  Tue") < text.index("failed ")
    assert "warning: no daemon runs" in done.err


def test_a_day_that_a_weekday_would_not_tell_has_its_date(cli: Cli, queue: DurableQueue) -> None:
    put(queue, Waiting(windows=(window(143),)))
    put(queue, Waiting(windows=(window(144),)))
    put(queue, run_of(), Ended(outcome="completed", ended_at=AT - 200 * HOUR, exit_code=0))
    text = cli("jobs").out
    assert "Mon 12:00 CET (11:00 UTC) " in text
    assert "Mon 30 Nov 2026 13:00 CET (12:00 UTC) " in text
    assert "Mon 16 Nov 2026 05:00 CET (04:00 UTC) " in text


def test_one_is_no_plural() -> None:
    assert amounts_words({"cpus": 1, "gpus": 2, "memory_gb": 1}) == "1 CPU core, 2 GPUs, 1 GB"
    assert amounts_words({"cpus": 0.5, "gpus": 0}) == "0.5 CPU cores, 0 GPUs"


def test_what_a_name_holds_cannot_break_the_list(cli: Cli, queue: DurableQueue) -> None:
    put(queue, name="two\nlines \x1b[31mred")
    put(queue, command=("sh", "-c", "echo \x1b[2J\n echo b"))
    text = cli("jobs").out
    assert "two lines \ufffd[31mred\n" in text
    assert "sh -c 'echo \ufffd[2J echo b'\n" in text


def test_a_page_is_limited_and_says_so(cli: Cli, queue: DurableQueue) -> None:
    queue.enqueue([submission() for _ in range(40)], AT)
    assert len(cli("jobs").out.splitlines()) == 1 + 1 + 1 + 30 + 1
    assert "and more: --limit 60 shows twice as many" in cli("jobs").out
    assert len(json.loads(cli("jobs", "--all", "--json").out)["jobs"]) == 40
    assert len(json.loads(cli("jobs", "list", "--limit", "7", "--json").out)["jobs"]) == 7
    assert json.loads(cli("jobs", "--limit", "7", "--json").out)["has_more"]


def test_a_list_is_narrowed(cli: Cli, queue: DurableQueue) -> None:
    put(queue, name="alpha")
    put(queue, Held(), name="beta")
    assert [job["name"] for job in json.loads(cli("jobs", "--status", "held", "--json").out)["jobs"]] == ["beta"]
    assert [job["name"] for job in json.loads(cli("jobs", "--match", "pha", "--json").out)["jobs"]] == ["alpha"]
    assert "none of them fits" in cli("jobs", "--match", "gamma").err
    refused = cli("jobs", "--status", "asleep")
    assert (refused.code, refused.out) == (2, "")


def test_the_list_keeps_to_its_schema_and_names_the_daemon(cli: Cli, queue: DurableQueue) -> None:
    put(queue, Waiting(windows=(window(3),)))
    queue.lease("daemon|elsewhere|b|1:1", datetime.now(UTC), FOREVER)
    document = json.loads(cli("jobs", "--json").out)
    check(document, "jobs")
    assert document["daemon"]
    assert "no daemon" not in cli("jobs").err


def test_on_a_narrow_terminal_commands_are_cut(cli: Cli, queue: DurableQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    put(queue, command=("python", "x" * 200))
    lines = cli("jobs").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 4, "one line a job"


def test_a_list_is_drawn_like_any_table() -> None:
    cells = [["1", "queued", "Wed 03:00 UTC", "2 h", "python train.py"], ["12_10", "wait", "", "1 h 30 min", "電力 \u2713"]]
    rows = [[Text(cell, style="dim") for cell in row] for row in cells]
    head = ("job", "status", "when", "length", "what")
    drawn = []
    for renderable in (columns(head, rows, right=(3,)), table(head, rows, right=(3,))):
        console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
        console.print(renderable)
        drawn.append([Text.from_ansi(line).plain.rstrip() for line in console.file.getvalue().splitlines()])
    assert drawn[0] == drawn[1]


def test_a_damaged_database_is_named_and_the_list_is_whole(cli: Cli, queue: DurableQueue) -> None:
    put(queue)
    queue.close()
    (Path(os.environ["GREENAI_HOME"]) / "queue.sqlite").write_bytes(b"no database" * 100)
    done = cli("jobs")
    assert done.code == 0
    assert "1 queued" in done.out
    assert "queue.sqlite was damaged: kept as" in done.err


# A life --------------------------------------------------------------------------------------------------------------


def story(*changes: tuple[Any, str]) -> list[str]:
    """The life of a job with these changes, in words."""
    what = submission("1")
    events = [JobEvent(job_id="1", version=1, at=AT, change=Submitted(submission=what))]
    entry = after(None, events[0])
    for change, reason in changes:
        step = change if isinstance(change, Wished | Retimed) else Moved(status=change)
        events.append(JobEvent(job_id="1", version=entry.version + 1, at=AT, change=step, reason=reason))
        entry = after(entry, events[-1])
    return [text for _, text in life(events, UTC)][1:]


def test_a_life_is_told_in_plain_words() -> None:
    told = story(
        (Waiting(windows=(window(15),)), "112 g, now 341"),
        (Waiting(windows=(window(14), window(16))), "new forecast"),
        (run_of(), "its time has come"),
        (run_of(handle="1:1"), "launched"),
        (Retimed(duration=2 * HOUR, progress_share=0.1, source="its progress"), ""),
        (Retimed(duration=3 * HOUR, progress_share=0.2, source="its progress"), ""),
        (Wished(wish="pause"), "asked"),
        (Pausing(run_id="r1", started_at=AT, asked_at=AT, handle="1:1"), "asked to pause by the user"),
        (Paused(since_at=AT), "saved its state and left"),
        (Paused(since_at=AT, windows=(window(5),)), "cleaner then"),
        (run_of("r2"), ""),
        (Ended(outcome="completed", ended_at=AT, exit_code=0), ""),
    )
    assert told == [
        "planned for Wed 03:00 UTC: 112 g, now 341",
        "moved to Wed 02:00 UTC, in 2 pieces: new forecast",
        "started: its time has come",
        "20 % done, takes 3 h in all (its progress)",
        "the user wants it paused",
        "asked to pause by the user",
        "saved its state and left",
        "to go on Tue 17:00 UTC: cleaner then",
        "resumed",
        "ended well",
    ]


def test_other_ends_of_a_life() -> None:
    assert story((Held(), ""), (Queued(), "released by the user"))[-2:] == ["held", "released by the user"]
    assert story((Waiting(windows=()), ""))[-1] == "planned for when there is room"
    assert story((Waiting(windows=(window(0),)), "clean now"))[-1] == "planned for now: clean now"
    assert story((run_of(), ""), (Ended(outcome="failed", ended_at=AT, exit_code=3), ""))[-1] == "failed with exit code 3"
    assert story((run_of(), ""), (Ended(outcome="lost", ended_at=AT), ""))[-1] == "lost: nobody saw its end"
    assert story((run_of(), ""), (Wished(wish="cancel"), ""), (Wished(wish=""), ""))[-2:] == [
        "the user wants it ended",
        "the user took that back",
    ]


def test_show_tells_the_life_and_what_the_job_is(cli: Cli, queue: DurableQueue) -> None:
    put(queue, Waiting(windows=(window(15),)), name="night", labels={"task": "t"}, demands={"gpus": 2.0, "memory_gb": 16.0})
    done = cli("jobs", "show", "1")
    assert done.out.startswith("job 1 (night): waiting, Wed 04:00 CET (03:00 UTC)\n")
    for words in ("python train.py", "2 GPUs, 16 GB", "zone     GB", "task=t", "planned for Wed 04:00 CET"):
        assert words in done.out
    document = json.loads(cli("jobs", "show", "1", "--json").out)
    check(document, "jobs_show")
    assert [event["kind"] for event in document["events"]] == ["submitted", "moved"]


def test_show_says_how_its_time_is_chosen(cli: Cli) -> None:
    pieces = ("--interruptible", "--min-chunk", "10m", "--max-segments", "3", "--priority", "5", "--retries", "2")
    for words in (
        pieces,
        ("--interruptible",),
        ("--threshold", "200"),
        ("--percentile", "20", "--policy", "percentile"),
        ("--policy", "asap"),
        (),
    ):
        assert cli("submit", "--duration", "1h", *words, "--", "sleep", "1").code == 0
    said = [cli("jobs", "show", number).out for number in ("1", "2", "3", "4", "5", "6")]
    assert "policy    at most 3 pieces, none shorter than 10 min\n" in said[0]
    assert "priority  5\n" in said[0]
    assert "retries   0 of 2 used\n" in said[0]
    for text, words in zip(said[1:5], ("may be cut into pieces", "threshold, 200 g/kWh", "percentile 20", "asap"), strict=True):
        assert f"policy   {words}\n" in text
    assert "policy" not in said[5]


def test_show_of_nothing(cli: Cli, queue: DurableQueue) -> None:
    put(queue)
    done = cli("jobs", "show", "9")
    assert (done.code, done.out) == (2, "")
    assert "error: the queue has no job '9'\nhint: greenai jobs list" in done.err
    assert cli("jobs", "show").code == 2


# Outputs -------------------------------------------------------------------------------------------------------------


def test_logs_are_the_bytes_of_the_run(cli: Cli, queue: DurableQueue) -> None:
    put(queue, run_of(), Ended(outcome="completed", ended_at=AT, exit_code=0))
    assert cli("jobs", "logs", "1").out == ""
    path = Path(os.environ["GREENAI_HOME"]) / "runs" / "r1" / "output.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"epoch 1\nepoch 2")
    assert cli("jobs", "logs", "1").out == "epoch 1\nepoch 2"
    assert cli("jobs", "logs", "-f", "1").out == "epoch 1\nepoch 2"
    document = json.loads(cli("jobs", "logs", "--json", "1").out)
    check(document, "jobs_logs")
    assert (document["path"], document["size_bytes"]) == (str(path), 15)
    assert cli("jobs", "logs", "--json", "-f", "1").code == 2
    assert "no leg 2" in cli("jobs", "logs", "--leg", "2", "1").err


def test_logs_of_a_job_that_has_not_run(cli: Cli, queue: DurableQueue) -> None:
    put(queue)
    done = cli("jobs", "logs", "1")
    assert (done.code, done.err) == (2, "error: job 1 has not run yet: it is queued\n")


def test_following_a_job_waits_for_its_start(cli: Cli, queue: DurableQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = put(queue)
    path = Path(os.environ["GREENAI_HOME"]) / "runs" / "r1" / "output.log"
    path.parent.mkdir(parents=True)
    steps: list[tuple[Status, bytes]] = [
        (Waiting(windows=(window(3),)), b""),
        (run_of(handle="1:1"), b"epoch 1\n"),
        (Ended(outcome="completed", ended_at=AT, exit_code=0), b"epoch 2\n"),
    ]

    def goes_on() -> None:
        nonlocal entry
        status, more = steps.pop(0)
        assert all(queue.append([moved(entry, status, AT)]))
        (entry,) = queue.entries([entry.id])
        with path.open("ab") as log:
            log.write(more)

    monkeypatch.setattr("greenai.cli.commands.jobs_logs._rest", goes_on)
    done = cli("jobs", "logs", "-f", "1")
    assert (done.code, done.out) == (0, "epoch 1\nepoch 2\n")
    assert done.err.splitlines() == [
        "note: job 1 has not run yet: it is queued; Ctrl-C leaves it alone",
        "warning: no daemon runs: start one with greenai daemon",
        "note: job 1 has not run yet: it is waiting, Tue 16:00 CET (15:00 UTC); Ctrl-C leaves it alone",
    ]


def test_following_does_not_wait_for_what_will_not_run(cli: Cli, queue: DurableQueue) -> None:
    put(queue, Held())
    done = cli("jobs", "logs", "-f", "1")
    assert (done.code, done.err) == (2, "error: job 1 has not run yet: it is held\n")


def test_a_wait_that_is_interrupted_says_what_becomes_of_the_jobs(
    cli: Cli, queue: DurableQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(queue)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("greenai.api.serving.wait", interrupted)
    done = cli("jobs", "wait", "1")
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines() == [
        "note: the jobs stay as they are: what runs goes on, greenai jobs wait takes up the waiting again",
        "error: interrupted",
    ]


# Changes -------------------------------------------------------------------------------------------------------------


def test_hold_release_cancel_and_retry(cli: Cli, queue: DurableQueue) -> None:
    put(queue)
    assert cli("jobs", "hold", "1").out == "job 1 is held\n"
    released = cli("jobs", "release", "1")
    assert released.out == "job 1 is queued\n"
    assert "no daemon runs" in released.err
    cancelled = cli("jobs", "cancel", "1")
    assert (cancelled.out, cancelled.err) == ("job 1 is cancelled\n", "")
    document = json.loads(cli("jobs", "retry", "1", "--json").out)
    check(document, "jobs_change")
    assert document["jobs"][0]["status"] == "queued"


def test_the_number_of_many_is_readable(cli: Cli, queue: DurableQueue) -> None:
    queue.enqueue([submission(array_index=number) for number in range(1200)], AT)
    assert cli("jobs", "hold", "1").out == "1,200 jobs: 1,200 held\n"
    assert "1 is an array of 1,200 jobs" in cli("jobs", "show", "1").err


def test_what_runs_is_asked_where_a_daemon_will_obey(cli: Cli, queue: DurableQueue) -> None:
    put(queue, run_of(handle="1:1"))
    queue.lease("daemon|elsewhere|b|1:1", datetime.now(UTC), FOREVER)
    assert cli("jobs", "pause", "1").out == "job 1 is asked to pause\n"
    assert cli("jobs", "cancel", "1").out == "job 1 is asked to end\n"


def test_many_jobs_are_counted(cli: Cli, queue: DurableQueue) -> None:
    queue.enqueue([submission(array_index=number) for number in range(12)], AT)
    assert cli("jobs", "hold", "1").out == "12 jobs: 12 held\n"


def test_one_wrong_number_does_not_stop_the_rest(cli: Cli, queue: DurableQueue) -> None:
    put(queue)
    put(queue, run_of(), Ended(outcome="completed", ended_at=AT, exit_code=0))
    put(queue)
    done = cli("jobs", "hold", "1", "2", "3", "77")
    assert (done.code, done.out) == (2, "job 1 is held\njob 3 is held\n")
    assert "error: job 2 is completed: only what has not started can be held\n" in done.err
    assert "error: the queue has no job '77'\n" in done.err
    document = json.loads(cli("jobs", "release", "1", "2", "3", "--json").out)
    check(document, "jobs_change")
    assert [job["job_id"] for job in document["jobs"]] == ["1", "3"]
    assert document["refused"] == [{"job_id": "2", "reason": "job 2 is completed: it is not held"}]


def test_a_job_that_is_named_twice_is_one(cli: Cli, queue: DurableQueue) -> None:
    queue.enqueue([submission(array_index=number) for number in (1, 2)], AT)
    assert cli("jobs", "hold", "1", "1_2", "1_2").out == "job 1_1 is held\njob 1_2 is held\n"
    released = cli("jobs", "release", "1_2", "1", "1_1")
    assert (released.code, released.out) == (0, "job 1_2 is queued\njob 1_1 is queued\n")
    cli("jobs", "hold", "1")
    assert cli("jobs", "wait", "1", "1_2").out == "2 held\n"


def test_where_none_can_be_changed_each_says_why(cli: Cli, queue: DurableQueue) -> None:
    put(queue)
    put(queue)
    done = cli("jobs", "resume", "1", "2")
    assert (done.code, done.out) == (2, "")
    assert [line for line in done.err.splitlines() if line.startswith("error")] == [
        "error: job 1 is queued: it is not paused",
        "error: job 2 is queued: it is not paused",
    ]


@pytest.mark.parametrize("verb", ["cancel", "hold", "release", "pause", "resume", "retry", "wait"])
def test_a_verb_needs_a_job_that_is_there(cli: Cli, queue: DurableQueue, verb: str) -> None:
    put(queue)
    assert cli("jobs", verb).code == 2
    done = cli("jobs", verb, "12")
    assert (done.code, done.out) == (2, "")
    assert "no job '12'" in done.err


def test_wait_returns_the_worst_code(cli: Cli, queue: DurableQueue) -> None:
    put(queue, run_of("a"), Ended(outcome="completed", ended_at=AT, exit_code=0))
    put(queue, run_of("b"), Ended(outcome="failed", ended_at=AT, exit_code=3))
    assert cli("jobs", "wait", "1").code == 0
    done = cli("jobs", "wait", "1", "2")
    assert (done.code, done.out) == (3, "1 completed, 1 failed\n")
    document = json.loads(cli("jobs", "wait", "1", "2", "--json").out)
    check(document, "jobs_wait")
    assert document["exit_code"] == 3


def test_wait_counts_where_many_changed_at_once(cli: Cli, queue: DurableQueue) -> None:
    for entry in queue.enqueue([submission(array_index=number) for number in range(11)], AT):
        assert all(queue.append([moved(entry, Held(), AT)]))
    done = cli("jobs", "wait", "1")
    assert "note: 11 held\n" in done.err
    assert "job 1_3" not in done.err


def test_wait_does_not_wait_for_what_is_held(cli: Cli, queue: DurableQueue) -> None:
    put(queue, Held())
    done = cli("jobs", "wait", "1")
    assert (done.code, done.out) == (1, "1 held\n")
    assert "greenai jobs release" in done.err


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ((), 0),
        ((Ended(outcome="completed", ended_at=AT, exit_code=0),), 0),
        ((Ended(outcome="failed", ended_at=AT, exit_code=3), Ended(outcome="failed", ended_at=AT, exit_code=137)), 137),
        ((Ended(outcome="cancelled", ended_at=AT),), 1),
        ((Ended(outcome="cancelled", ended_at=AT, exit_code=143),), 1),
        ((Ended(outcome="lost", ended_at=AT),), 1),
        ((Ended(outcome="failed", ended_at=AT),), 1),
        ((run_of(), Ended(outcome="failed", ended_at=AT, exit_code=3)), 124),
    ],
)
def test_the_worst_of_several(statuses: tuple[Status, ...], code: int) -> None:
    entries = [
        Entry(submission=submission(str(number)), status=status, duration=HOUR, duration_source="given", changed_at=AT)
        for number, status in enumerate(statuses)
    ]
    assert exit_code_of_jobs(entries) == code


def test_a_job_alone_is_no_command(cli: Cli) -> None:
    done = cli("jobs", "lst")
    assert done.code == 2
    assert "did you mean 'list'" in done.err
    assert "List" not in cli("jobs", "-h").out
    assert "cancel" in cli("jobs", "-h").out
