"""`greenai jobs list` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenai.api.queueing import JobPage
    from greenai.model.job import Job
    from greenai.model.queue import Entry, JobEvent, Submission

LEAST_COMMAND = 24
"""Characters a command has in the list on the narrowest terminal."""

LIST_EXAMPLES = """\b
greenai jobs
greenai jobs list --status ended --match resnet --limit 100
"""


@click.command("list", cls=Command, epilog=LIST_EXAMPLES)
@click.option("--status", metavar="STATUS", default="", help="Only these: held, queued, waiting, running, paused, ended.")
@click.option("--match", metavar="WORDS", default="", help="Only jobs with these words in name, command, id or label.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), default=30, show_default=True, help="Most jobs to show.")
@click.option("--all", "everything", is_flag=True, help="Show all of them.")
@pass_session
def list_(session: Session, *, status: str, match: str, limit: int, everything: bool) -> None:
    """What runs first, then what will by its start, then what ended, newest first."""
    from greenai import api

    page = api.jobs(status=status, match=match, limit=None if everything else limit, settings=session.settings())
    for repair in page.repairs:
        session.screen.warn(repair)
    if session.json:
        session.screen.document(page.document())
    else:
        _list(session, page, asked=bool(status or match))


def _list(session: Session, page: JobPage, *, asked: bool) -> None:
    from greenai.cli.queue_words import NO_DAEMON, counts_line

    screen = session.screen
    screen.answer(counts_line(page.by_status))
    if not page.counts:
        screen.note("greenai submit --duration 2h -- python train.py hands one over")
        return
    if page.jobs:
        screen.detail("", _table(session, page.jobs))
    elif asked:
        screen.note("none of them fits")
    if page.has_more:
        screen.detail(f"  and more: --limit {2 * len(page.jobs)} shows twice as many, --all every one")
    if page.unfinished and page.holder is None:
        screen.warn(NO_DAEMON)


def _table(session: Session, entries: Sequence[Entry]) -> Any:
    from rich.text import Text

    from greenai.cli.queue_words import called, length, status_text, when
    from greenai.cli.screen import UNFOLDED_WIDTH, columns, table

    zone, width = session.local_zone, session.screen.out.width
    now_at = session.now()
    rows = [
        [Text(entry.id), status_text(entry.status), Text(when(entry, zone, now_at)), Text(length(entry))] for entry in entries
    ]
    head = ("job", "status", "when", "length", "what")
    fixed = 10 + sum(max(len(head[place]), *(len(row[place]) for row in rows)) for place in range(4))
    room = None if width == UNFOLDED_WIDTH else max(LEAST_COMMAND, width - fixed)
    for row, entry in zip(rows, entries, strict=True):
        row.append(Text(called(entry.submission, room)))
    fits = fixed + LEAST_COMMAND <= width
    return columns(head, rows, right=(3,)) if fits else table(head, rows, right=(3,))


@click.command(cls=Command, epilog="\b\ngreenai jobs show 12\ngreenai jobs show 12_3 --json")
@click.argument("job")
@pass_session
def show(session: Session, job: str) -> None:
    """The life of JOB: planned, moved, started, paused, ended, and its evidence."""
    from greenai import api
    from greenai.logic.queue_document import event_document, job_document

    settings = session.settings()
    entry = api.job(job, settings=settings)
    events = api.job_events(entry.id, settings=settings)
    evidence = api.job_evidence(entry, settings=settings) if entry.run_ids else []
    if session.json:
        document = {"job": job_document(entry), "events": [event_document(event) for event in events], "evidence": evidence}
        session.screen.document(document)
        return
    _show(session, entry, events, evidence)


def _show(session: Session, entry: Entry, events: tuple[JobEvent, ...], evidence: list[dict[str, Any]]) -> None:
    from greenai.cli import words
    from greenai.cli.queue_words import amounts_words, command_of, life, moment, status_word, when
    from greenai.cli.screen import facts

    screen, zone, submission = session.screen, session.local_zone, entry.submission
    limits, named = submission.job.constraints, f" ({submission.name})" if submission.name else ""
    now_at = session.now()
    time = when(entry, zone, now_at)
    screen.answer(f"job {entry.id}{named}: {status_word(entry.status)}{f', {time}' if time else ''}")
    rows = [
        ("command", command_of(submission)),
        ("takes", f"{words.about(entry.duration)} ({entry.duration_source}); {amounts_words(submission.demands)}"),
        ("draws", f"about {submission.job.power_w:.3g} W" if submission.job.power_w else ""),
        ("each pause", _pause_words(submission)),
        ("done by", words.day_time(limits.deadline_at, zone)),
        ("policy", _policy_words(submission.job)),
        ("priority", str(submission.priority) if submission.priority else ""),
        ("retries", f"{entry.failures} of {submission.retries} used" if submission.retries else ""),
        ("zone", submission.job.zone),
        ("where", submission.cwd if submission.executor == "local" else f"{submission.cwd}, by {submission.executor}"),
        ("after", ", ".join(submission.after)),
        ("labels", ", ".join(f"{key}={value}" for key, value in submission.job.labels.items())),
    ]
    screen.detail("", facts(rows), "")
    screen.detail(facts([(moment(event.at, now_at, zone), text) for event, text in life(events, zone)]))
    if evidence:
        screen.detail("", facts(_evidence_rows(evidence)))


def _policy_words(job: Job) -> str:
    """How its time is chosen, where that is not what every job has."""
    from greenai.cli import words

    limits, said = job.constraints, []
    if job.policy == "threshold" and limits.max_g_per_kwh is not None:
        said.append(f"threshold, {limits.max_g_per_kwh:g} g/kWh")
    elif job.policy == "percentile":
        said.append(f"percentile {limits.percentile:g}")
    elif job.policy not in {"greenest", "interruptible"}:
        said.append(job.policy)
    if limits.interruptible:
        least = f", none shorter than {words.about(limits.min_chunk)}" if limits.min_chunk else ""
        most = f"at most {limits.max_segments} pieces" if limits.max_segments else "may be cut into pieces"
        said.append(f"{most}{least}")
    return "; ".join(said)


def _pause_words(submission: Submission) -> str:
    """What a pause is charged with; empty where there is none, or it costs nothing."""
    from greenai.cli import words

    limits, source = submission.job.constraints, submission.pause_cost_source
    if not limits.interruptible or not (limits.resume_cost or source):
        return ""
    return f"counts as {words.about(limits.resume_cost)} of running{f' ({source})' if source else ''}"


def _evidence_rows(evidence: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Energy, CO2 and saving of all legs together, and where each is; a sum only of what all legs know."""
    from greenai.cli import words

    def total(name: str) -> float | None:
        known = [document[name] for document in evidence]
        return None if None in known else sum(known)

    provisional = "; provisional: greenai evidence settle completes it" if any(one["provisional"] for one in evidence) else ""
    legs = f" in {len(evidence)} runs" if len(evidence) > 1 else ""
    return [
        ("energy", f"{words.energy(total('it_kwh'))}{legs}"),
        ("CO2", f"{words.grams(total('operational_g'))}{provisional}"),
        ("saving", words.grams(total("saving_g"))),
        ("evidence", ", ".join(f"greenai evidence show {one['run_id']}" for one in evidence)),
    ]
