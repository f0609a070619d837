"""The names of legs that are handed over before they run."""

from __future__ import annotations

from greenai.model.evidence import canonical, sha256_of
from greenai.model.queue import Entry
from greenai.model.units import iso_utc


def leg_run_id(entry: Entry) -> str:
    """The run id of a job's next leg: the same whenever it is asked for, and that of no other leg of any queue.

    Nothing then has to be written down when a leg is handed over: whether it was,
    the engine that holds it knows.
    """
    job = entry.submission.job
    leg = [entry.id, len(entry.run_ids) + 1, iso_utc(job.submitted_at), list(job.command), entry.submission.cwd]
    return f"{job.submitted_at:%Y%m%dT%H%M%SZ}-{sha256_of(canonical(leg))[:12]}"
