"""`greenai plan --places`: where and when together; its options, and the table of places in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenai.api import PlacesAnswer
    from greenai.cli.command import Session
    from greenai.logic.routing import Offer

F = TypeVar("F", bound=Callable[..., Any])

AMOUNT = click.FloatRange(min=0)
POWER = click.FloatRange(min=0, min_open=True)

CHOOSING = (
    click.option(
        "--places", metavar="A,B,...", help="Choose the place too: aws:eu-west-2, gcp:europe-west1; see greenai regions."
    ),
    click.option(
        "--places-file", metavar="FILE", type=click.Path(), help="Places of your own, TOML or CSV: prices, PUE, hardware."
    ),
    click.option("--home", metavar="PLACE", help="Where the job runs otherwise: a place or a grid zone.  [default: the zone]"),
    click.option("--allow", metavar="WHERE,...", help="Only there: EU, EEA, countries like DE, names like aws:eu-*."),
    click.option("--max-price", metavar="N", type=AMOUNT, help="No place that costs more an hour."),
    click.option("--hardware", metavar="NAME", help="Only places that have it."),
    click.option("--near", metavar="LAT,LON", help="Where distance and latency are counted from.  [default: home]"),
    click.option("--within-km", metavar="KM", type=AMOUNT, help="No place farther away."),
    click.option("--max-latency-ms", metavar="MS", type=AMOUNT, help="No place that light in fibre needs longer to and back."),
    click.option("--same-scope", is_flag=True, help="No place whose source counts other emissions than home's."),
    click.option("--data-gb", metavar="GB", type=AMOUNT, help="Data to send if the job moves: its energy and price are charged."),
    click.option("--egress-price", metavar="N", type=AMOUNT, help="What a GB of it costs."),
    click.option("--restart-cost", metavar="SPAN", help="Work lost if the job moves, as run time."),
    click.option("--cost-weight", metavar="G", type=AMOUNT, help="Grams you would emit to save one unit of money."),
    click.option("--water-weight", metavar="G", type=AMOUNT, help="Grams you would emit to save one litre of water."),
    click.option("--power-kw", metavar="KW", type=POWER, help="What the job's hardware draws.  [default: 1]"),
)
NAMES = ("places", "places_file", "home", "allow", "max_price", "hardware", "near", "within_km", "max_latency_ms", "same_scope",
         "data_gb", "egress_price", "restart_cost", "cost_weight", "water_weight", "power_kw")  # fmt: skip


def choosing(command: F) -> F:
    """The options that choose a place."""
    for option in reversed(CHOOSING):
        command = option(command)
    return command


def taken(asked: dict[str, Any]) -> dict[str, Any] | None:
    """The options of places out of `asked`, None where no places were named; raises UsageError for one without the others."""
    given = {name: value for name in NAMES if (value := asked.pop(name)) is not None and value is not False}
    if "places" in given or "places_file" in given:
        return given
    if given:
        option = next(iter(given)).replace("_", "-")
        raise click.UsageError(f"--{option} is about choosing a place: add --places or --places-file")
    return None


def plan_places(session: Session, given: dict[str, Any], asked: dict[str, Any], *, require_live: bool) -> None:
    """Choose, and show or print."""
    from greenai import api
    from greenai.cli.bar import progress

    settings = session.settings()
    with progress(session) as tell:
        answer = api.plan_places(**given, **asked, require_live=require_live, tell=tell, settings=settings)
    if session.json:
        session.screen.document(answer.document())
        return
    show(session, answer, settings.origins.get("zone", "") if "home" not in given else "")


def show(session: Session, answer: PlacesAnswer, origin: str) -> None:
    """The answer, the table, and what it rests on."""
    from rich.text import Text

    from greenai.cli.screen import facts, fitting
    from greenai.logic.routing_document import bases_disagree

    screen, routing = session.screen, answer.routing
    screen.answer(_headline(answer, session))
    screen.detail(Text(routing.reason), "")
    rows = [_row(offer, answer, session) for offer in routing.offers]
    styles = [_style(offer, answer) for offer in routing.offers]
    other = next(iter(answer.beside.values()), None)
    head = (
        "  place",
        "zone",
        "start",
        "g/kWh",
        *([f"{other.basis}"] if other else []),
        "g",
        "to home",
        "L",
        "money",
        "delay",
        "basis",
    )
    screen.detail(fitting(head, rows, right=range(3, 8 + bool(other)), width=screen.out.width, styles=styles), "")
    if bases_disagree(routing, answer.beside):
        screen.warn("average and marginal intensities DISAGREE on whether moving saves")
    screen.detail(facts(_rests_on(answer, origin)))
    for offer in routing.offers:
        _show_doubts(offer, session)


def _rests_on(answer: PlacesAnswer, origin: str) -> list[tuple[str, str]]:
    """Home, the job, and what moving costs."""
    from greenai.cli import words
    from greenai.cli.source import zone_words
    from greenai.logic.moving import TRANSFER_KWH_PER_GB

    question, home, moving = answer.question, answer.routing.home.site, answer.question.moving
    each = TRANSFER_KWH_PER_GB
    assumed = "; assumed, set it with --power-kw" if answer.power_assumed else ""
    return [
        ("home", zone_words(home.name, origin) if home.title == "home" else home.name),
        ("job", f"{words.about(question.job.constraints.duration)}, {question.power_kw:g} kW{assumed}"),
        ("data", f"{moving.data_gb:g} GB at {each.value:g} kWh/GB ({each.low:g} to {each.high:g})" if moving.data_gb else ""),
        ("restart", words.about(moving.restart_cost) if moving.restart_cost else ""),
    ]


def _headline(answer: PlacesAnswer, session: Session) -> str:
    from greenai.cli import words

    chosen = answer.routing.chosen
    place = f"Stay at {chosen.site.name}" if chosen.at_home else f"Run at {chosen.site.name}"
    if chosen.decision is None or chosen.priced is None or not chosen.priced.delay:
        return f"{place}, now"
    return f"{place}, start {words.day_time(chosen.decision.start_at, session.local_zone)}"


def _row(offer: Offer, answer: PlacesAnswer, session: Session) -> Sequence[str]:
    ticked = "✓" if session.screen.unicode else "*"
    tick = ticked if offer is answer.routing.chosen else " "
    name = f"{offer.site.name} (home)" if offer.at_home else offer.site.name
    return (f"{tick} {name}", offer.site.place.zone, *_numbers(offer, answer, session))


def _style(offer: Offer, answer: PlacesAnswer) -> str:
    """What is chosen stands out, what cannot be stands back."""
    from greenai.cli.screen import CALM, GOOD

    return GOOD if offer is answer.routing.chosen else CALM if offer.refused else ""


def _numbers(offer: Offer, answer: PlacesAnswer, session: Session) -> Sequence[str]:
    from greenai.cli import words

    other = answer.beside.get(offer.site.name)
    beside = [words.intensity(other.planned_g_per_kwh) if other else ""] if answer.beside else []
    series, priced, decision = offer.known.series, offer.priced, offer.decision
    basis = f"{series.basis}, {series.scope}, {offer.known.step}" if series else offer.known.step
    if priced is None or decision is None:
        return ("", "", *beside, "", "", "", "", "", basis)
    money = "" if priced.money is None else f"{priced.money:,.2f} {offer.site.currency}"
    return (
        words.clock_time(decision.start_at, session.local_zone),
        words.intensity(decision.expected_g_per_kwh),
        *beside,
        words.number(priced.total_g.value),
        _signed(offer),
        "" if priced.water_l is None else words.number(priced.water_l, 2),
        money,
        words.about(priced.delay) if priced.delay else "none",
        basis,
    )


def _signed(offer: Offer) -> str:
    """The difference to home with its sign; home itself has none."""
    from greenai.cli import words

    difference = offer.priced.difference_g if offer.priced else None
    if offer.at_home or difference is None:
        return ""
    sign = "+" if difference.value > 0 else ""
    return f"{sign}{words.number(difference.value)}"


def _show_doubts(offer: Offer, session: Session) -> None:
    """Why a place is out, or what to keep in mind about it; and with -v why its first source did not answer."""
    from rich.text import Text

    from greenai.cli.screen import CALM, WARN

    name = offer.site.name
    if offer.refused:
        session.screen.detail(Text(f"  {name} cannot be chosen: {'; '.join(offer.refused)}", style=CALM))
    elif offer.flags:
        session.screen.detail(Text(f"  {name}: {'; '.join(offer.flags)}", style=WARN))
    if session.verbose and offer.known.why:
        session.screen.detail(Text(f"  {name}: {offer.known.why}", style=CALM))
