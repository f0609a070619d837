"""Where and when together: the place and the start with the least objective, exact, under hard limits.

At each place the job's policy plans over that grid (greenest and interruptible
are exact over real-valued starts), and waiting there must be worth it as
anywhere (`logic.deciding`). Of all places the one with the least objective is taken:

    J = PUE x E_IT x I(window) + transfer + w_money x money + w_water x WUE x E_IT      grams

E_IT is power x run time, longer by the restart cost away from home. Staying home
stands unless the best place saves the minimum share of home's J. With that share
at 0 the answer is the minimum over place x time. Intensities of two bases
(average, marginal) are never compared; two scopes (direct, lifecycle) only with
a flag. A place whose grid or a weighed price is not known is shown, not chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic.deciding import Policy, decide
from greenai.logic.moving import Known, Moving, PlaceLimits, Weights, broken, pue_taken, transfer_g, unstated
from greenai.logic.starts import TIE_RATIO, hours_of
from greenai.logic.wording import percent, span_words, when
from greenai.model.footprint import Estimate
from greenai.model.job import Job
from greenai.model.place import Site
from greenai.model.plan import Decision
from greenai.model.series import IntensitySeries
from greenai.model.zone import country_of

__all__ = ["Offer", "Question", "Routing", "route"]


DOUBTFUL = "if the network needs as much as the high end says, moving emits more than staying"
"""Flag of a place that saves only while sending the data costs little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A job that may run at several places; `power_kw` is what its hardware draws, `home` the place it runs at otherwise."""

    job: Job
    now_at: datetime
    home: str
    power_kw: float
    limits: PlaceLimits
    moving: Moving
    weights: Weights

    def __post_init__(self) -> None:
        if self.power_kw <= 0:
            raise InputError(f"the job's power must be above 0 kW, not {self.power_kw:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What a run at a place comes to. `total_g` is the run's and the transfer's; its interval is that of kWh/GB alone.

    `difference_g` is this place minus home, each at its own best time: below 0 the
    move saves. None where home is not known. `water_l` is evaporated on site.
    """

    it_kwh: float
    pue: float
    run_g: float
    transfer_g: Estimate
    total_g: Estimate
    water_l: float | None
    money: float | None
    delay: timedelta
    objective_g: float | None
    difference_g: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One place in the comparison. `refused` says why it cannot be chosen, `flags` what to keep in mind if it is."""

    known: Known
    at_home: bool
    decision: Decision | None
    priced: Priced | None
    refused: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def site(self) -> Site:
        """The place."""
        return self.known.site

    @property
    def objective_g(self) -> float | None:
        """What it is chosen by, None where it cannot be chosen."""
        return None if self.refused or self.priced is None else self.priced.objective_g


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """All offers, the best first and those that cannot be chosen last; the chosen one; home; and why."""

    offers: tuple[Offer, ...]
    chosen: Offer
    home: Offer
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What every place is compared on; `reference` is the series whose basis and scope the others must share."""

    question: Question
    policy: Policy
    home: Known
    reference: IntensitySeries | None


def route(question: Question, places: Sequence[Known], policy: Policy) -> Routing:
    """Choose place and time; `places` holds home and every candidate, each name once.

    Raises:
        NoFeasibleWindow: no place can be chosen; says why not, place by place.
        InputError: prices in several currencies where money decides, or a policy's own complaint.
    """
    _check_currencies(question, [known.site for known in places])
    home = next(known for known in places if known.site.name == question.home)
    reference = next((known.series for known in (home, *places) if known.series is not None), None)
    ground = _Ground(question=question, policy=policy, home=home, reference=reference)
    offers = [_offer(ground, known) for known in places]
    at_home = next(offer for offer in offers if offer.at_home)
    offers = [_compared(offer, at_home) for offer in sorted(offers, key=_rank)]
    at_home = next(offer for offer in offers if offer.at_home)
    best = offers[0]
    if best.objective_g is None:
        raise NoFeasibleWindow(
            f"no place can be chosen: {_why_none(offers)}",
            hint="allow more places or a later finish, or state what is not known of them",
        )
    chosen, reason = _settled(question, best, at_home)
    return Routing(offers=tuple(offers), chosen=chosen, home=at_home, reason=reason)


def _why_none(offers: Sequence[Offer]) -> str:
    """Why no place can be chosen, place by place, or once where all have the same reason."""
    reasons = dict.fromkeys(", ".join(offer.refused) for offer in offers)
    if len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(f"{offer.site.name}: {', '.join(offer.refused)}" for offer in offers)


def _check_currencies(question: Question, sites: Iterable[Site]) -> None:
    found = sorted({site.currency for site in sites if site.price_per_h is not None})
    if len(found) > 1 and (question.weights.g_per_money or question.limits.max_price_per_h is not None):
        raise InputError(f"prices in {' and '.join(found)} cannot be compared", hint="give all prices in one currency")


def _rank(offer: Offer) -> tuple[bool, float, bool]:
    """The least objective first, home before its equals, what cannot be chosen last and in the order given."""
    objective = offer.objective_g
    return objective is None, objective or 0.0, not offer.at_home


def _offer(ground: _Ground, known: Known) -> Offer:
    question, at_home = ground.question, known is ground.home
    out, doubts = _limits_kept(question, known.site, at_home=at_home)
    if known.series is None:
        return Offer(known=known, at_home=at_home, decision=None, priced=None, refused=(*out, _unknown(known)))
    mixed, flags = _unlike(known.series, ground.reference or known.series, strict=question.limits.same_scope)
    out += mixed
    flags += [*_flags(known, at_home=at_home), *doubts]
    try:
        decision = decide(_job_at(question, known.site, at_home=at_home), known.series, ground.policy, question.now_at)
    except NoFeasibleWindow as error:
        return Offer(known=known, at_home=at_home, decision=None, priced=None, refused=(*out, str(error)), flags=tuple(flags))
    if decision.action == "miss" or decision.expected_g_per_kwh is None:
        return Offer(known=known, at_home=at_home, decision=None, priced=None, refused=(*out, decision.reason))
    priced = _priced(question, known, decision, ground.home)
    out += _unweighable(question, priced)
    return Offer(known=known, at_home=at_home, decision=decision, priced=priced, refused=tuple(out), flags=tuple(flags))


def _limits_kept(question: Question, site: Site, *, at_home: bool) -> tuple[list[str], list[str]]:
    """What rules the site out, and what to keep in mind: at home what nobody stated is no bar, the job runs there anyway."""
    out, silent = list(broken(site, question.limits)), list(unstated(site, question.limits))
    return (out, silent) if at_home else (out + silent, [])


def _unknown(known: Known) -> str:
    return f"nothing is known of the grid of {known.site.place.zone}{f': {known.why}' if known.why else ''}"


def _job_at(question: Question, site: Site, *, at_home: bool) -> Job:
    """The job as it would run there: with the restart's extra run time away from home."""
    job = question.job
    extra = timedelta(0) if at_home else question.moving.restart_cost
    limits = replace(job.constraints, duration=job.constraints.duration + extra)
    return replace(job, zone=site.place.zone, constraints=limits)


def _unlike(series: IntensitySeries, reference: IntensitySeries, *, strict: bool) -> tuple[list[str], list[str]]:
    """What must not be compared with home, and what may be with a flag."""
    if series.basis != reference.basis:
        return [f"its source gives {series.basis} intensities, home's {reference.basis}: not to be compared"], []
    if series.scope == reference.scope:
        return [], []
    words = f"{series.scope} emissions against {reference.scope} ones of {reference.zone}: not the same sum"
    return ([words], []) if strict else ([], [words])


def _flags(known: Known, *, at_home: bool) -> list[str]:
    """What is weaker about this place's numbers than a live forecast of its own grid."""
    zone, step = known.site.place.zone, known.step
    whose = "" if zone == country_of(zone) or zone == "WORLD" else f" of the whole of {country_of(zone)}"
    steps = {
        "annual": f"a flat yearly mean{whose}",
        "climatology": "typical days, not a forecast",
        "old-archive": "an older forecast from the archive",
    }
    pue = f"PUE not stated, {pue_taken(known.site.place, at_home=at_home):g} taken"
    return [*([steps[step]] if step in steps else []), *([] if known.site.place.pue_stated else [pue])]


def _priced(question: Question, known: Known, decision: Decision, home: Known) -> Priced:
    site, moving, at_home = known.site, question.moving, known is home
    hours = sum(hours_of(window.duration) for window in decision.windows)
    it_kwh, pue = question.power_kw * hours, pue_taken(site.place, at_home=at_home)
    run_g = it_kwh * pue * (decision.expected_g_per_kwh or 0.0)
    moved = Estimate.exact(0.0)
    if not at_home and moving.data_gb and known.series is not None:
        span = (question.now_at, question.job.constraints.deadline_at)
        moved = transfer_g(moving.data_gb, (home.series, known.series), span)
    egress = 0.0 if at_home else moving.data_gb * moving.egress_price_per_gb
    priced = Priced(
        it_kwh=it_kwh,
        pue=pue,
        run_g=run_g,
        transfer_g=moved,
        total_g=moved.plus(Estimate.exact(run_g)),
        water_l=None if site.place.wue_l_per_kwh is None else site.place.wue_l_per_kwh * it_kwh,
        money=None if site.price_per_h is None else site.price_per_h * hours + egress,
        delay=decision.start_at - max(question.now_at, question.job.constraints.earliest_at),
        objective_g=None,
    )
    return replace(priced, objective_g=_objective(priced, question.weights))


def _objective(priced: Priced, weights: Weights) -> float | None:
    """J, None where something that weighs is not known."""
    total = priced.total_g.value
    for weight, amount in ((weights.g_per_money, priced.money), (weights.g_per_l, priced.water_l)):
        if weight and amount is None:
            return None
        total += weight * (amount or 0.0)
    return total


def _unweighable(question: Question, priced: Priced) -> list[str]:
    weights = question.weights
    known = ((weights.g_per_money, priced.money, "price"), (weights.g_per_l, priced.water_l, "WUE"))
    return [f"its {name} is weighed and not stated" for weight, amount, name in known if weight and amount is None]


def _compared(offer: Offer, home: Offer) -> Offer:
    """The offer with its signed difference to staying home, where both are known on one basis."""
    here, there = offer.priced, home.priced
    if here is None or there is None or offer.known.series is None or home.known.series is None:
        return offer
    if offer.known.series.basis != home.known.series.basis:
        return offer
    least = there.total_g.value
    difference = Estimate(value=here.total_g.value - least, low=here.total_g.low - least, high=here.total_g.high - least)
    doubt = (DOUBTFUL,) if difference.value < 0 < difference.high else ()
    return replace(offer, priced=replace(here, difference_g=difference), flags=(*offer.flags, *doubt))


def _settled(question: Question, best: Offer, home: Offer) -> tuple[Offer, str]:
    """The best place, or home where moving is not worth it."""
    objective, at_home = best.objective_g or 0.0, home.objective_g
    if best.at_home:
        return best, f"staying home is best, {_start_words(best)}"
    if at_home is None:
        why = ", ".join(home.refused)
        return best, f"{best.site.name} is the best that can be chosen; home ({home.site.name}) cannot be: {why}"
    share, least = 1 - objective / at_home if at_home > 0 else 0.0, question.job.constraints.min_saving
    if share < max(least, TIE_RATIO):
        below = f"{best.site.name} saves {percent(share)}, below the minimum of {percent(least)}"
        return home, f"not worth moving: {below}; {_start_words(home)}"
    return best, f"{best.site.name} saves {percent(share)} of staying home, {_start_words(best)}"


def _start_words(offer: Offer) -> str:
    """When it would start, in UTC."""
    if offer.decision is None or offer.priced is None or not offer.priced.delay:
        return "started at once"
    return f"started {when(offer.decision.start_at)}, after {span_words(offer.priced.delay)}"
