"""Which intensities a run is charged: the measured ones if they are published, else the best known, which says so."""

from __future__ import annotations

from greenai.engine.doors import Doors
from greenai.engine.read import read_intensity
from greenai.errors import GreenaiError
from greenai.logic.evidencing import span_to_price
from greenai.model.evidence import RunFacts
from greenai.model.intensity import Purpose, Query, Reading
from greenai.model.units import iso_utc


def price(facts: RunFacts, doors: Doors, *, planned: Reading | None = None) -> Reading:
    """The intensity over an ended run: observed, else as planned, else by the whole chain.

    It starts at the first runnable moment, so that the counterfactual is priced
    from the same series as the run. `planned` is the reading of the last
    decision; when that one was not live, the service is not asked again.
    """
    if planned is None or planned.step == "live":
        observed = observed_over(facts, doors)
        if isinstance(observed, Reading):
            return observed
    if planned is not None and _covers(planned, facts):
        return planned
    return _best_known(_query(facts, doors, "forecast"), doors)


def observed_over(facts: RunFacts, doors: Doors) -> Reading | str:
    """The measured intensity over an ended run and its counterfactual, or in words why there is none (yet)."""
    try:
        reading = read_intensity(_query(facts, doors, "observed"), sources=doors.sources)
    except GreenaiError as error:
        # The evidence stays provisional and says so.
        return str(error)
    zone = facts.place.zone
    if reading.series is not None and reading.series.kind == "observed":
        if _covers(reading, facts):
            return reading
        return f"measured intensities of {zone} are published up to {iso_utc(reading.series.end_at)}, the run needs more"
    if reading.fallback_reason:
        return f"no measured intensities of {zone} yet: {reading.fallback_reason}"
    return f"no service publishes measured intensities of {zone}"


def _query(facts: RunFacts, doors: Doors, purpose: Purpose) -> Query:
    start_at, end_at = span_to_price(facts)
    return Query(zone=facts.place.zone, start_at=start_at, end_at=end_at, now_at=doors.clock.now(), purpose=purpose)


def _best_known(query: Query, doors: Doors) -> Reading:
    """The chain's answer; a run that has ended is never lost to a file that does not reach so far."""
    try:
        return read_intensity(query, sources=doors.sources)
    except GreenaiError as error:
        return Reading(series=None, step="none", fallback_reason=str(error), query=query)


def _covers(reading: Reading, facts: RunFacts) -> bool:
    """From the first runnable moment to the end of the run; the random-start mean may have to wait for more."""
    if reading.series is None or facts.ended_at is None:
        return False
    return reading.series.covers(span_to_price(facts)[0], facts.ended_at)
