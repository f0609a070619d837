"""Evidence as a card, and the short summary a run ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from greenai.cli import words
from greenai.cli.screen import BAD, CALM, GOOD, WARN, facts, table
from greenai.model.units import J_PER_KWH, parse_iso_utc

Document = Mapping[str, Any]

GUESSES = {"modelled": "MODELLED", "assumed": "ASSUMED"}
"""Grades that rest on no measurement are written large."""

QUALITY_STYLE = {"modelled": WARN, "assumed": BAD}


def summary(document: Document) -> RenderableType:
    """Time, power, energy and CO2 of a run: four lines."""
    seconds = _seconds(document)
    energy_kwh, low_kwh, high_kwh = _energy(document)
    power = f"{words.number(energy_kwh * J_PER_KWH / seconds)} W mean" if seconds > 0 else words.UNKNOWN
    return facts(
        [
            ("time", _time(document)),
            ("power", power),
            ("energy", Text(f"{_between(words.energy, energy_kwh, low_kwh, high_kwh)}, ").append(_quality(_worst(document)))),
            ("CO2", _co2(document)),
        ]
    )


def verdict_rows(document: Document) -> list[tuple[str, str | Text]]:
    """What the shift in time was worth, and whether it may be claimed."""
    return [("saving", _saving(document)), ("verdict", _verdict(document))]


def card(document: Document, zone: tzinfo, *, verbose: int = 0) -> list[RenderableType]:
    """The whole evidence of one run."""
    head = facts(
        [
            ("command", " ".join(document["command"])),
            ("started", words.day_time(parse_iso_utc(document["started_at"]), zone)),
            ("ended", f"{words.day_time(parse_iso_utc(document['ended_at']), zone)}, {_exit(document)}"),
        ]
    )
    return [
        head,
        "",
        _components(document["components"]),
        "",
        facts(
            [
                (
                    "energy",
                    f"{_between(words.energy, *_energy(document))}; {words.energy(document['facility_kwh'])} with the building",
                ),
                ("CO2", _co2(document)),
                (
                    "embodied",
                    _or(words.grams(document["embodied_g"]), document["embodied_g"], "not stated (embodied_kg in the settings)"),
                ),
                (
                    "water",
                    _or(
                        f"{words.number(document['water_l'] or 0)} L",
                        document["water_l"],
                        "not stated (wue_l_per_kwh in the settings)",
                    ),
                ),
                ("SCI", _sci(document["sci"])),
                ("intensity", _intensity(document)),
            ]
        ),
        "",
        facts(
            [
                ("at once", _or(words.grams(document["counterfactual_g"]), document["counterfactual_g"], "not known yet")),
                ("at random", _or(words.grams(document["random_start_g"]), document["random_start_g"], "not known yet")),
                *verdict_rows(document),
            ]
        ),
        "",
        facts(_chain(document, verbose)),
    ]


def _components(components: Sequence[Document]) -> RenderableType:
    rows = [
        (
            item["component"],
            words.energy_of_j(item["job_j"]),
            f"{words.energy_of_j(item['low_j'])} to {words.energy_of_j(item['high_j'])}",
            words.energy_of_j(item["machine_j"]),
            words.energy_of_j(item["idle_j"]),
            item["meter"],
            _quality(item["quality"]),
        )
        for item in components
    ]
    return table(("part", "job", "interval", "machine", "of it idle", "meter", "grade"), rows, right=(1, 3, 4))


def _chain(document: Document, verbose: int) -> list[tuple[str, str | Text]]:
    length = 64 if verbose else 12
    previous = (
        "the first record" if set(document["previous_sha256"]) == {"0"} else f"after {document['previous_sha256'][:length]}"
    )
    return [("record", f"{document['sha256'][:length]}, {previous}"), ("check it", "greenai evidence verify")]


def _seconds(document: Document) -> float:
    return (parse_iso_utc(document["ended_at"]) - parse_iso_utc(document["started_at"])).total_seconds()


def _time(document: Document) -> str:
    return words.elapsed(parse_iso_utc(document["ended_at"]) - parse_iso_utc(document["started_at"]))


def _energy(document: Document) -> tuple[float, float, float]:
    """The job's energy and its interval, kWh."""
    low_j, high_j = (sum(item[name] for item in document["components"]) for name in ("low_j", "high_j"))
    return document["it_kwh"], low_j / J_PER_KWH, high_j / J_PER_KWH


def _co2(document: Document) -> str:
    if document["operational_g"] is None:
        return f"{words.UNKNOWN}: no intensity of the grid is known"
    grams = _between(words.grams, document["operational_g"], document["low_g"], document["high_g"])
    source = document["intensity"]
    origin = f"{source['provider']}, {source['kind']}, {source['zone']}"
    return f"{grams}, at {words.intensity(_mean_g_per_kwh(document))} g/kWh ({origin})"


def _mean_g_per_kwh(document: Document) -> float | None:
    return document["operational_g"] / document["facility_kwh"] if document["facility_kwh"] else None


def _intensity(document: Document) -> str:
    source = document["intensity"]
    parts = [source[name] for name in ("provider", "kind", "basis", "scope") if source.get(name)]
    return f"{source['zone']}: {', '.join(parts)}"


def _sci(sci: Document) -> str:
    if sci["value_g"] is None:
        return f"not known: SCI needs the embodied share; R is {words.number(sci.get('count', 1))} {sci['per']}"
    return f"{words.grams(sci['value_g'])} per {sci['per']}"


def _saving(document: Document) -> Text:
    """The saving against starting at once; a loss is called a loss."""
    saving_g = document["saving_g"]
    if saving_g is None:
        return Text("not known yet", style=CALM)
    against = document["counterfactual_g"]
    percent = f", {words.share(saving_g / against)} of starting at once" if against else ""
    text = _between(words.grams, saving_g, document["saving_low_g"], document["saving_high_g"]) + percent
    return Text(text if saving_g >= 0 else f"a loss: {text}", style=GOOD if saving_g > 0 else "")


def _verdict(document: Document) -> Text:
    provisional = ", provisional: greenai evidence settle completes it" if document["provisional"] else ""
    return Text(f"{document['verdict']}{provisional}", style=GOOD if document["verdict"] == "claimable" else "")


def _quality(grade: str) -> Text:
    return Text(GUESSES.get(grade, grade), style=QUALITY_STYLE.get(grade, ""))


def _worst(document: Document) -> str:
    from greenai.model.energy import QUALITY_ORDER

    grades = [item["quality"] for item in document["components"]]
    return max(grades, key=QUALITY_ORDER.index) if grades else "assumed"


def _exit(document: Document) -> str:
    code = document["exit_code"]
    return "its end was not seen" if code is None else f"exit code {code}"


def _between(show: Any, value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return str(show(value))
    return f"{show(value)} [{show(low)} to {show(high)}]"


def _or(text: str, value: object, otherwise: str) -> str:
    return otherwise if value is None else text
