"""Evidence as a card, and the short summary a run ends with."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from greenai.cli import words
from greenai.cli.screen import BAD, CALM, GOOD, WARN, facts, table
from greenai.model.energy import QUALITY_ORDER
from greenai.model.units import J_PER_KWH, parse_iso_utc

Document = Mapping[str, Any]
Row = tuple[str, str | Text]

GUESSES = {"modelled": Text("MODELLED", style=WARN), "assumed": Text("ASSUMED", style=BAD)}
"""Grades that rest on no measurement are written large."""


def headline(document: Document) -> str:
    """Energy, CO2 and verdict in one line."""
    co2 = f"{words.grams(document['operational_g'])} CO2e" if document["operational_g"] is not None else "CO2e unknown"
    state = "provisional" if document["provisional"] else document["verdict"]
    return f"{words.energy(document['it_kwh'])}, {co2}: run {document['run_id']}, {state}"


def command_line(document: Document, limit: int | None = None) -> str:
    """The command as a shell would take it, on one line, cut to `limit` characters."""
    line = " ".join(shlex.join(document["command"]).split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def summary_rows(document: Document) -> list[Row]:
    """Time, power, energy and CO2 of a run: four lines."""
    return [
        ("time", _elapsed(document)),
        ("power", _power(document)),
        ("energy", _energy(document)),
        ("CO2", _co2(document)),
    ]


def verdict_rows(document: Document) -> list[Row]:
    """What the shift in time was worth, and whether it may be claimed."""
    return [("saving", _saving(document)), ("verdict", _verdict(document))]


def card(document: Document, zone: tzinfo, *, verbose: int = 0) -> list[RenderableType]:
    """The whole evidence of one run."""
    blocks = [
        facts(_run_rows(document, zone)),
        _components(document["components"]),
        facts(_footprint_rows(document)),
        facts(_shift_rows(document)),
        facts([("" if place else "notes", note) for place, note in enumerate(document.get("notes", ()))]),
        facts(_rejected_rows(document, verbose)),
        facts(_chain_rows(document, verbose)),
    ]
    shown = [block for block in blocks if block is not None]
    return [part for block in shown[:-1] for part in (block, "")] + shown[-1:]


def _run_rows(document: Document, zone: tzinfo) -> list[Row]:
    started, ended = (_moment(document[name], zone) for name in ("started_at", "ended_at"))
    code = document["exit_code"]
    end = "its end was not seen" if code is None else f"exit code {code}"
    return [
        ("command", command_line(document)),
        ("started", started),
        ("ended", f"{ended} after {_elapsed(document)}, {end}"),
    ]


def _footprint_rows(document: Document) -> list[Row]:
    return [
        ("energy", _energy(document).append(_building(document), style="")),
        ("CO2", _co2(document)),
        ("embodied", _unless_none(document["embodied_g"], words.grams, "not stated (setting embodied_kg)")),
        ("water", _unless_none(document["water_l"], _litres, "not stated (setting wue_l_per_kwh)")),
        ("SCI", _sci(document["sci"])),
        ("intensity", _intensity(document["intensity"])),
    ]


def _building(document: Document) -> str:
    """The energy with the building's overhead, where one is stated."""
    if document["facility_kwh"] == document["it_kwh"]:
        return ""
    return f"; {words.energy(document['facility_kwh'])} with the building's overhead"


def _shift_rows(document: Document) -> list[Row]:
    return [
        ("at once", _unless_none(document["counterfactual_g"], words.grams, "not known yet")),
        ("at random", _unless_none(document["random_start_g"], words.grams, "not known yet")),
        *verdict_rows(document),
    ]


def _rejected_rows(document: Document, verbose: int) -> list[Row]:
    """The meters that were not taken, and why: with -v."""
    rejected = document.get("inputs", {}).get("rejected_meters", ()) if verbose else ()
    return [
        (f"not {meter['name']}", f"{meter['reason']}{'; ' if meter['remedy'] else ''}{meter['remedy']}") for meter in rejected
    ]


def _components(components: Sequence[Document]) -> RenderableType | None:
    if not components:
        return None
    rows = [
        (
            item["component"],
            words.energy(*(item[name] / J_PER_KWH for name in ("job_j", "low_j", "high_j"))),
            words.energy_of_j(item["machine_j"]),
            words.energy_of_j(item["idle_j"]),
            item["meter"],
            _grade(item["quality"]),
        )
        for item in components
    ]
    return table(("part", "job", "machine", "of it idle", "meter", "grade"), rows, right=(2, 3))


def _chain_rows(document: Document, verbose: int) -> list[Row]:
    length = 64 if verbose else 12
    first = set(document["previous_sha256"]) == {"0"}
    place = "the first record" if first else f"after {document['previous_sha256'][:length]}"
    return [("record", f"{document['sha256'][:length]}, {place}"), ("check it", "greenai evidence verify")]


def _duration(document: Document) -> timedelta | None:
    if document["started_at"] is None or document["ended_at"] is None:
        return None
    return parse_iso_utc(document["ended_at"]) - parse_iso_utc(document["started_at"])


def _elapsed(document: Document) -> str:
    duration = _duration(document)
    return words.UNKNOWN if duration is None else words.elapsed(duration)


def _moment(text: str | None, zone: tzinfo) -> str:
    return words.UNKNOWN if text is None else words.day_time(parse_iso_utc(text), zone)


def _power(document: Document) -> str:
    duration, energy_kwh = _duration(document), document["it_kwh"]
    if not duration or energy_kwh is None:
        return words.UNKNOWN
    return f"{words.number(energy_kwh * J_PER_KWH / duration.total_seconds())} W on average"


def _energy(document: Document) -> Text:
    """The job's energy with its interval and the worst grade in it."""
    if document["it_kwh"] is None:
        return Text(f"{words.UNKNOWN}: there are no samples")
    parts = document["components"]
    low_kwh, high_kwh = (sum(part[name] for part in parts) / J_PER_KWH for name in ("low_j", "high_j"))
    worst = max((part["quality"] for part in parts), key=QUALITY_ORDER.index, default="assumed")
    return Text(f"{words.energy(document['it_kwh'], low_kwh, high_kwh)}, ").append(_grade(worst))


def _co2(document: Document) -> str:
    source, energy_kwh = document["intensity"], document["facility_kwh"]
    if document["operational_g"] is None or source is None:
        return f"{words.UNKNOWN}: {'there are no samples' if energy_kwh is None else 'no intensity of the grid is known'}"
    grams = words.grams(document["operational_g"], document["low_g"], document["high_g"])
    mean = words.intensity(document["operational_g"] / energy_kwh) if energy_kwh else words.UNKNOWN
    return f"{grams}, at {mean} g/kWh ({source['provider']}, {source['kind']}, {source['zone']})"


def _intensity(source: Document | None) -> str:
    if source is None:
        return words.UNKNOWN
    parts = [source[name] for name in ("provider", "kind", "basis", "scope") if source.get(name)]
    return f"{source['zone']}: {', '.join(parts)}"


def _sci(sci: Document) -> str:
    if sci["value_g"] is None:
        return f"not known: it needs the embodied share and the intensity (R is one {sci['per']})"
    return f"{words.grams(sci['value_g'])} per {sci['per']}"


def _saving(document: Document) -> Text:
    """The saving against starting at once; a loss is called a loss."""
    saving_g, against_g = document["saving_g"], document["counterfactual_g"]
    if saving_g is None:
        return Text("not known yet", style=CALM)
    percent = f", {words.share(saving_g / against_g)} of starting at once" if against_g and saving_g else ""
    text = words.grams(saving_g, document["saving_low_g"], document["saving_high_g"]) + percent
    return Text(text if saving_g >= 0 else f"a loss: {text}", style=GOOD if saving_g > 0 else "")


def _verdict(document: Document) -> Text:
    provisional = "; provisional, greenai evidence settle completes it" if document["provisional"] else ""
    return Text(f"{document['verdict']}{provisional}", style=GOOD if document["verdict"] == "claimable" else "")


def _grade(quality: str) -> Text:
    return GUESSES.get(quality) or Text(quality)


def _litres(value_l: float) -> str:
    return f"{words.number(value_l)} L"


def _unless_none(value: float | None, show: Callable[[float], str], otherwise: str) -> str:
    return otherwise if value is None else show(value)
