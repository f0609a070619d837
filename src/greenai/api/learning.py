"""What past runs here tell of the next one: how long it takes, what it draws, what pausing it costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from greenai.config import Settings
from greenai.errors import GreenaiError, InputError
from greenai.logic.learned import degree_of, is_row_of, job_of_entry, kin_of, learned, leg_from_row, leg_of, leg_row, power_source
from greenai.model.learned import Kin, Learned, PastJob, PastLeg, PauseCost, PauseSeen
from greenai.model.queue import Entry, PauseWay
from greenai.ports import JobQueue
from greenai.wiring_queue import open_digest, open_queue, open_runs, queue_settings

CACHE_NAME = "learned-1.json"
"""Beside the ledger; may be deleted at any time."""

MOST_ENTRIES = 200
"""Ended jobs of the queue that are looked at, newest first."""

MOST_PAUSED = 20
"""Jobs whose pauses are looked at, newest first: their events and samples are read."""

Labels = Mapping[str, str] | None


def learned_for(command: Sequence[str], labels: Labels = None, *, settings: Settings | None = None) -> Learned | None:
    """What past runs of this command tell, or of its script with other arguments; None where there is none.

    The ledger is read once, and then only as far as it has grown. Where it knows
    no such run, the queue is asked: evidence may be on another machine.

    Raises:
        StoreError: the ledger or the queue cannot be read.
    """
    known, kin = queue_settings(settings), kin_of(command, labels or {})
    legs = past_legs(kin, known)
    return learned(kin, legs) or learned(kin, legs, _jobs_of_queue(kin, _ended(open_queue(known), command)))


def length_for(command: Sequence[str], labels: Labels = None, *, settings: Settings | None = None) -> Learned:
    """What past runs of this command tell of how long it takes.

    Raises:
        InputError: no run of it, or of its script, has completed here.
        StoreError: the ledger or the queue cannot be read.
    """
    past = learned_for(command, labels, settings=settings)
    if past is None:
        raise InputError(
            f"how long does {command[0] if command else 'the job'} take? No run of it has completed here yet",
            hint="add --duration, for example --duration 2h; once it has run here none is needed",
        )
    return past


def with_length(command: Sequence[str], ask: Mapping[str, Any], settings: Settings) -> tuple[dict[str, Any], str]:
    """What is asked of a run that may wait, its length filled in from past runs where none is given; and what that rests on.

    As it was, and no words, where past runs tell nothing, or the run starts at once anyway.
    """
    waits = any(ask.get(limit) is not None for limit in ("finish_by", "deadline", "max_wait"))
    past = learned_for(command, ask.get("labels"), settings=settings) if waits and ask.get("duration") is None else None
    return (dict(ask), "") if past is None else ({**ask, "duration": past.duration}, past.source)


def pause_cost_for(
    command: Sequence[str], labels: Labels = None, *, power_w: float | None = None, settings: Settings | None = None
) -> PauseCost | None:
    """The way to pause that cost less in the past of this kin, and what it costs; None where no pause was measured.

    `power_w` is what the job draws while it runs; without it freezing has no price.

    Raises:
        StoreError: the ledger or the queue cannot be read.
    """
    from greenai.logic.pause_costs import cheaper_way

    return cheaper_way(pauses_seen(command, labels, settings=settings), power_w)


def way_to_pause(entry: Entry, stands: timedelta | None, *, settings: Settings | None = None) -> tuple[PauseWay, str]:
    """How a queued job that may pause in any way is to do it now, by what its kin's pauses cost, and its own so far; and why.

    One that holds a GPU is asked to save if it can: frozen it would keep it.

    Raises:
        StoreError: the ledger or the queue cannot be read.
    """
    from greenai.logic.pause_costs import pauses_of, together, way_now

    job = entry.submission.job
    if entry.submission.demands.get("gpus"):
        return "auto", ""
    own = pauses_of(open_queue(queue_settings(settings)).events(entry.id))
    seen = together([pauses_seen(job.command, job.labels, settings=settings), own])
    if not (seen.saves and seen.held_w):
        return "auto", ""
    past = learned_for(job.command, job.labels, settings=settings)
    return way_now(seen, job.power_w or (past.power_w if past else None), stands=stands)


def pauses_seen(command: Sequence[str], labels: Labels = None, *, settings: Settings | None = None) -> PauseSeen:
    """What was measured of the pauses of jobs of this kin; raises StoreError."""
    from greenai.logic.pause_costs import pauses_of, together

    known, kin = queue_settings(settings), kin_of(command, labels or {})
    queue = open_queue(known)
    paused = [entry for entry in _ended(queue, command) if entry.resumes and _is_kin(kin, entry)][:MOST_PAUSED]
    lives = [pauses_of(queue.events(entry.id)) for entry in paused]
    stood = [leg for leg in past_legs(kin, known) if leg.stood][-MOST_PAUSED:]
    return together([*lives, PauseSeen(held_w=tuple(_held(known, stood)))])


def filled_in(command: Sequence[str], ask: Mapping[str, Any], settings: Settings) -> tuple[dict[str, Any], dict[str, str]]:
    """What is asked of a job, with what the past tells where nothing was said; and what each such value rests on, by its name.

    Filled in are `duration`, `power_w` and, for a job that may be interrupted,
    `resume_cost`. In which way it pauses is chosen when it pauses (`way_to_pause`).

    Raises:
        StoreError: the ledger or the queue cannot be read.
    """
    found, sources = dict(ask), dict[str, str]()
    labels = ask.get("labels")
    if ask.get("duration") is None:
        past = learned_for(command, labels, settings=settings)
        if past is not None:
            found["duration"], sources["duration"] = past.duration, past.source
    else:
        kin = kin_of(command, labels or {})
        past = learned(kin, past_legs(kin, settings))
    if ask.get("power_w") is None and past is not None and past.power_w:
        found["power_w"], sources["power_w"] = past.power_w, power_source(past)
    if ask.get("interruptible") and ask.get("resume_cost") is None:
        _fill_in_pauses(command, found, sources, settings)
    return found, sources


def _fill_in_pauses(command: Sequence[str], found: dict[str, Any], sources: dict[str, str], settings: Settings) -> None:
    cost = pause_cost_for(command, found.get("labels"), power_w=found.get("power_w"), settings=settings)
    if cost is None:
        return
    found["resume_cost"] = timedelta(seconds=round(cost.cost.total_seconds()))
    sources["resume_cost"] = cost.source


def past_legs(kin: Kin, settings: Settings) -> tuple[PastLeg, ...]:
    """Every ended run of a kin in the ledger, in the order of their records; raises StoreError."""
    ledger = settings.home / "ledger.jsonl"
    rows = _rows(settings.home, ledger.stat().st_size if ledger.exists() else 0)
    return tuple(leg_from_row(row) for row in rows if is_row_of(kin, row))


@lru_cache(maxsize=1)
def _rows(home: Path, _size: int) -> tuple[list[Any], ...]:
    """Asked again when the ledger has another size."""
    return tuple(open_digest(home, CACHE_NAME, "evidence", _row).rows())


def _row(document: Mapping[str, Any]) -> list[Any] | None:
    leg = leg_of(document)
    return None if leg is None else leg_row(leg)


def _ended(queue: JobQueue, command: Sequence[str]) -> tuple[Entry, ...]:
    """The newest ended jobs that may be of the same kin: the word that tells most of a command stands in theirs too."""
    telling = _telling_word(command)
    return queue.page(status="ended", words=telling, limit=MOST_ENTRIES) if telling else ()


def _telling_word(command: Sequence[str]) -> str:
    """The script, if there is one, else the longest word."""
    script = kin_of(command, {}).script.rpartition(" ")[2]
    return script or max(command, key=len, default="")


def _is_kin(kin: Kin, entry: Entry) -> bool:
    job = entry.submission.job
    return degree_of(kin, kin_of(job.command, job.labels)) is not None


def _jobs_of_queue(kin: Kin, entries: Iterable[Entry]) -> tuple[PastJob, ...]:
    """Jobs that completed and whose evidence may be elsewhere (a cluster's node)."""
    jobs = (job_of_entry(entry) for entry in entries if _is_kin(kin, entry))
    return tuple(job for job in jobs if job is not None)


def _held(settings: Settings, legs: Iterable[PastLeg]) -> Iterable[float]:
    """What frozen runs drew while they stood, W; a run whose evidence or samples are gone is passed over."""
    from greenai.api.recording import evidence_list
    from greenai.logic.facts_documents import facts_from_document
    from greenai.logic.pause_costs import held_w
    from greenai.logic.spool import trace_of

    wanted = {leg.run_id for leg in legs}
    documents = evidence_list(settings=settings) if wanted else []
    for document in documents:
        if document["run_id"] not in wanted:
            continue
        try:
            trace = trace_of(open_runs(settings).body(document["run_id"]))
            power_w = held_w(trace, facts_from_document(document).frozen)
        except GreenaiError:
            continue
        if power_w is not None:
            yield power_w
