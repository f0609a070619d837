"""Lengths and powers learned from past runs of the same kin.

The length to plan with is a high quantile, because a job that outlasts its plan
may be late and one that ends early costs little. By the rule of conformal
prediction (Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World,
2005): of n runs that might have come in any order, the k-th shortest is at least
as long as the next one with probability k / (n + 1) at least. For .9 that is the
ceil(.9 (n + 1))-th shortest. Fewer than nine runs cover less, even the longest of
them: it is stretched by the cover that is missing (one run: by .9 - 1/2 = 40 %).

Only what shows how long the work takes counts: a job that completed at its first
try, all its legs together, without what it stood frozen. Of a job that was tried
again nobody knows how much its last try found done.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import takewhile
from typing import Any

from greenai.errors import EvidenceDamaged
from greenai.logic.facts_documents import facts_from_document
from greenai.logic.masking import masked, printable
from greenai.logic.wording import percent
from greenai.model.evidence import canonical, sha256_of
from greenai.model.learned import Kin, KinDegree, Learned, PastJob, PastLeg
from greenai.model.queue import PAUSED_EXIT_CODE, Ended, Entry
from greenai.model.units import J_PER_KWH, iso_utc, parse_iso_utc

QUANTILE_SHARE = 0.9

NEWEST = 100
"""Programs change: so many of the last runs count."""

OURS = frozenset({"phase", "job_id", "leg", "name"})
SLURMS = "slurm_"
"""Labels that tell one run from another, not one kind of work from another; Slurm's begin so."""

RETRIED = "tried more than once"
FAILED = "did not complete"
UNFINISHED = "paused and not ended yet"

_VERSION = re.compile(r"[\d.]+$")
_SCRIPT = re.compile(r"[^-].*\.(?:py|ipynb|sh|bash|r|jl|pl|rb|js|ts|lua|m)", re.IGNORECASE)

_INTERPRETERS = frozenset("python pypy bash sh dash zsh env perl ruby node Rscript R julia uv make".split())
"""Programs that do what their arguments say, wherever they stand."""

HASH_DIGITS = 16


# What is compared ----------------------------------------------------------------------------------------------------


def kin_of(command: Sequence[str], labels: Mapping[str, str]) -> Kin:
    """What a run is compared by. Secrets are masked first, as they are in evidence."""
    return _kin(masked(command), labels)


def _kin(words: Sequence[str], labels: Mapping[str, str]) -> Kin:
    """The same for a command whose secrets are masked."""
    theirs = {printable(name): printable(value) for name, value in labels.items() if not _is_ours(name)}
    return Kin(command=_hash(list(words)), labels=_hash(theirs), script=script_of(words))


def _is_ours(label: str) -> bool:
    return label in OURS or label.startswith(SLURMS)


def _hash(value: Any) -> str:
    return sha256_of(canonical(value))[:HASH_DIGITS]


def script_of(command: Sequence[str]) -> str:
    """Program and script, "python train.py"; a program given by its path is its own script; empty where neither is there."""
    if not command:
        return ""
    program = command[0].rpartition("/")[2]
    name = _VERSION.sub("", program) or program
    script = _module_of(command) if name in {"python", "pypy"} else ""
    script = script or next((word for word in command[1:] if _SCRIPT.fullmatch(word)), "")
    if script:
        return f"{name} {script}"
    return command[0] if "/" in command[0] and name not in _INTERPRETERS else ""


def _module_of(command: Sequence[str]) -> str:
    """The module of `python -m MODULE`; empty for none."""
    options = list(takewhile(lambda word: word.startswith("-"), command[1:]))
    at = len(options) + 1
    return f"-m {command[at]}" if options[-1:] == ["-m"] and at < len(command) else ""


def degree_of(kin: Kin, other: Kin) -> KinDegree | None:
    """How near two runs are; None for not at all."""
    if kin.command == other.command:
        return "this command" if kin.labels == other.labels else "this command under other labels"
    return "this script with other arguments" if kin.script and kin.script == other.script else None


# Evidence and queue entries, in few words ----------------------------------------------------------------------------


def leg_of(document: Mapping[str, Any]) -> PastLeg | None:
    """The run that an evidence document is about; None for one that never ended, or a document that cannot be read."""
    try:
        facts = facts_from_document(document)
    except EvidenceDamaged:
        return None
    if facts.started_at is None or facts.ended_at is None or facts.ended_at <= facts.started_at:
        return None
    energy_kwh = document.get("it_kwh")
    return PastLeg(
        run_id=facts.run_id,
        kin=_kin(facts.command, facts.labels),
        job_id=facts.labels.get("job_id", ""),
        ended_at=facts.ended_at,
        worked=facts.ended_at - facts.started_at - facts.stood_still,
        stood=facts.stood_still,
        exit_code=facts.exit_code,
        energy_kwh=energy_kwh if isinstance(energy_kwh, int | float) else None,
    )


def leg_row(leg: PastLeg) -> list[Any]:
    """A leg as JSON types, for a cache."""
    kin = leg.kin
    spans = [leg.worked.total_seconds(), leg.stood.total_seconds()]
    return [
        leg.run_id,
        kin.command,
        kin.labels,
        kin.script,
        leg.job_id,
        iso_utc(leg.ended_at),
        *spans,
        leg.exit_code,
        leg.energy_kwh,
    ]


def is_row_of(kin: Kin, row: Sequence[Any]) -> bool:
    """Whether a row is of the same kin in any degree, without reading the rest of it."""
    return bool(row[1] == kin.command or (kin.script and row[3] == kin.script))


def leg_from_row(row: Sequence[Any]) -> PastLeg:
    """The leg out of its row; raises what reading data of another shape raises."""
    run_id, command, labels, script, job_id, ended_at, worked_s, stood_s, exit_code, energy_kwh = row
    return PastLeg(
        run_id=run_id,
        kin=Kin(command=command, labels=labels, script=script),
        job_id=job_id,
        ended_at=parse_iso_utc(ended_at),
        worked=timedelta(seconds=worked_s),
        stood=timedelta(seconds=stood_s),
        exit_code=exit_code,
        energy_kwh=energy_kwh,
    )


def job_of_entry(entry: Entry) -> PastJob | None:
    """A queued job as the queue knows it, for one whose evidence is elsewhere; None unless it completed at its first try."""
    status, job = entry.status, entry.submission.job
    if not isinstance(status, Ended) or status.outcome != "completed" or entry.failures or entry.worked <= timedelta(0):
        return None
    return PastJob(kin=kin_of(job.command, job.labels), run_ids=entry.run_ids, ended_at=status.ended_at, worked=entry.worked)


def jobs_of(legs: Iterable[PastLeg]) -> tuple[tuple[PastJob, ...], Mapping[str, int]]:
    """The jobs that legs of one kin make, and how many do not count, by reason. Legs are in the order of their ends."""
    grouped: dict[str, list[PastLeg]] = {}
    for leg in legs:
        grouped.setdefault(leg.job_id or f"run {leg.run_id}", []).append(leg)
    jobs, left_out = [], Counter[str]()
    for group in grouped.values():
        why_not = _why_not(group)
        if why_not:
            left_out[why_not] += 1
        else:
            jobs.append(_job(group))
    return tuple(jobs), dict(left_out)


def _why_not(legs: Sequence[PastLeg]) -> str:
    """Why legs do not show how long a job takes; empty if they do."""
    *before, last = (leg.exit_code for leg in legs)
    if any(code != PAUSED_EXIT_CODE for code in before):
        return RETRIED
    if last == PAUSED_EXIT_CODE:
        return UNFINISHED
    return "" if last == 0 else FAILED


def _job(legs: Sequence[PastLeg]) -> PastJob:
    worked = sum((leg.worked for leg in legs), timedelta(0))
    energies = [leg.energy_kwh for leg in legs if leg.energy_kwh is not None and not leg.stood]
    known = len(energies) == len(legs) and worked > timedelta(0)
    return PastJob(
        kin=legs[-1].kin,
        run_ids=tuple(leg.run_id for leg in legs),
        ended_at=legs[-1].ended_at,
        worked=worked,
        mean_w=math.fsum(energies) * J_PER_KWH / worked.total_seconds() if known else None,
    )


# Learning ------------------------------------------------------------------------------------------------------------


def learned(kin: Kin, legs: Iterable[PastLeg], others: Iterable[PastJob] = ()) -> Learned | None:
    """What the nearest kin tells that has any job that counts; None where none does.

    Args:
        kin: of the run to come.
        legs: past runs of any kin, in the order of their ends.
        others: jobs that are known from elsewhere; left out where a leg of them is among `legs`.
    """
    by_degree = _by_degree(kin, legs)
    elsewhere = tuple(others)
    for degree in _DEGREES:
        mine = by_degree.get(degree, [])
        seen = {leg.run_id for leg in mine}
        jobs, left_out = jobs_of(mine)
        jobs += tuple(job for job in elsewhere if degree_of(kin, job.kin) == degree and not seen & set(job.run_ids))
        if jobs:
            return _summed_up(degree, sorted(jobs, key=lambda job: job.ended_at)[-NEWEST:], left_out)
    return None


_DEGREES: tuple[KinDegree, ...] = ("this command", "this command under other labels", "this script with other arguments")


def _by_degree(kin: Kin, legs: Iterable[PastLeg]) -> dict[KinDegree, list[PastLeg]]:
    found: dict[KinDegree, list[PastLeg]] = {}
    for leg in legs:
        degree = degree_of(kin, leg.kin)
        if degree is not None:
            found.setdefault(degree, []).append(leg)
    return found


def _summed_up(degree: KinDegree, jobs: Sequence[PastJob], left_out: Mapping[str, int]) -> Learned:
    lengths_s = sorted(job.worked.total_seconds() for job in jobs)
    powers_w = sorted(job.mean_w for job in jobs if job.mean_w is not None)
    return Learned(
        degree=degree,
        runs=len(jobs),
        duration=timedelta(seconds=max(1, math.ceil(bound_of(lengths_s)))),
        source=source_of(len(jobs), degree),
        shortest=timedelta(seconds=lengths_s[0]),
        typical=timedelta(seconds=_median(lengths_s)),
        longest=timedelta(seconds=lengths_s[-1]),
        power_w=_median(powers_w) if powers_w else None,
        low_w=powers_w[0] if powers_w else None,
        high_w=powers_w[-1] if powers_w else None,
        power_runs=len(powers_w),
        left_out=left_out,
    )


def bound_of(lengths: Sequence[float], share: float = QUANTILE_SHARE) -> float:
    """What the next one stays below with probability `share` (see above); `lengths` are sorted, at least one."""
    number = len(lengths)
    rank = math.ceil(share * (number + 1) - 1e-9)
    if rank <= number:
        return lengths[max(rank, 1) - 1]
    return lengths[-1] * (1 + missing_share(number, share))


def missing_share(number: int, share: float = QUANTILE_SHARE) -> float:
    """By how much the longest of few runs covers less than it should; 0 for enough of them."""
    return max(0.0, share - number / (number + 1))


def source_of(number: int, degree: KinDegree) -> str:
    """What a learned length rests on, in words."""
    runs = _runs(number, degree)
    missing = missing_share(number)
    if missing <= 0:
        return f"{QUANTILE_SHARE:g} quantile of {runs}"
    return f"the longest of {runs}, and {percent(missing)} more" if number > 1 else f"{runs}, and {percent(missing)} more"


def power_source(past: Learned) -> str:
    """What a learned power rests on, in words."""
    return f"median of {_runs(past.power_runs, past.degree)}"


def _runs(number: int, degree: KinDegree) -> str:
    return f"{number} run{'s' if number != 1 else ''} of {degree}"


def _median(numbers: Sequence[float]) -> float:
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2
