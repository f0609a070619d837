"""`greenai optimize`: the least energy that is not worse, found on some data, confirmed on other, its own cost charged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from greenai._version import __version__
from greenai.training.arms import Arm
from greenai.training.baseline import prototype_baseline
from greenai.training.candidates import Candidate, Course, front
from greenai.training.family import Family, families
from greenai.training.gate import at_most
from greenai.training.measuring import Measure, Tally, default_measure, mean_energy_j, repeated, repeats_for
from greenai.training.paired import CONFIDENCE, Verdict, not_worse
from greenai.training.recipe import Recipe
from greenai.training.search import Search, rounds_of
from greenai.training.threads import ThreadTrial, thread_trial
from greenai.training.workload import FOLDS, Workload, to_search_and_confirm

SEARCH_SEEDS = tuple(range(FOLDS))
CONFIRM_SEEDS = tuple(range(5000, 5000 + 2 * FOLDS))

_GRADES = (0.05, 0.005, 0.0005)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Where the search stops: `trials` recipes, or `trainings` times the baseline's energy, whichever comes first.

    `most_rows` are looked at of a larger table.
    """

    trials: int = 40
    trainings: float = 20.0
    most_rows: int = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """A candidate's confirmation on data the search did not use."""

    recipe: Recipe
    verdict: Verdict
    energy_j: float

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {"recipe": self.recipe.document(), "verdict": self.verdict.document(), "energy_j": self.energy_j}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptimiseResult:
    """What the search found and what it cost.

    `chosen` is None when nothing was confirmed: the baseline stays. Energies are
    per training on `searched_rows`. `search_j` is everything the search used,
    the baseline's trainings included; after `pays_back_after` trainings it is
    earned, None if never.
    """

    workload: Workload
    baseline: Arm
    chosen: Recipe | None
    baseline_j: float
    chosen_j: float | None
    candidates: tuple[Candidate, ...]
    finals: tuple[Final, ...]
    confirmed_on: str
    threads: ThreadTrial | None
    searched_rows: int
    search_j: float
    notes: tuple[str, ...]

    @property
    def front(self) -> list[Candidate]:
        """The Pareto front of the complete candidates, in order of energy."""
        return front([candidate for candidate in self.candidates if candidate.complete])

    @property
    def pays_back_after(self) -> int | None:
        """Trainings after which the search has saved more than it used."""
        if self.chosen_j is None or self.chosen_j >= self.baseline_j:
            return None
        return math.ceil(self.search_j / (self.baseline_j - self.chosen_j))

    def document(self) -> dict[str, Any]:
        """The result as JSON-serialisable data; `candidates` and `front` are what a plot needs."""
        return {
            "dataset": self.workload.document(),
            "baseline": {"name": self.baseline.name, **self.baseline.described, "energy_j": self.baseline_j},
            "chosen": self.chosen.document() if self.chosen else None,
            "chosen_energy_j": self.chosen_j,
            "finals": [final.document() for final in self.finals],
            "confirmed_on": self.confirmed_on,
            "threads": self.threads.document() if self.threads else None,
            "searched_rows": self.searched_rows,
            "search_energy_j": self.search_j,
            "pays_back_after_trainings": self.pays_back_after,
            "front": [candidate.document() for candidate in self.front],
            "candidates": [candidate.document() for candidate in self.candidates],
            "notes": list(self.notes),
        }


def optimise(
    workload: Workload,
    *,
    measure: Measure | None = None,
    baseline: Arm | None = None,
    margin_share: float = 0.0,
    budget: Budget | None = None,
    search_seeds: Sequence[int] = SEARCH_SEEDS,
    confirm_seeds: Sequence[int] = CONFIRM_SEEDS,
    seed: int = 42,
    tell: Callable[[Candidate], None] | None = None,
) -> OptimiseResult:
    """Search, confirm, and say what it cost.

    A candidate is chosen only if, on the confirmation's data, a one-sided paired
    test finds it not worse than the baseline by more than `margin_share`. Up to
    three finalists are tried, the thriftiest first; the test's 5 % doubt is
    shared among them (Bonferroni), so that the winner is not picked by noise.

    Raises:
        InputError: something needed is not installed.
    """
    budget = budget or Budget()
    tally = Tally(measure or default_measure())
    baseline = baseline or prototype_baseline(classes=len(workload.classes))
    baseline.ready()
    looked_at = at_most(workload, budget.most_rows)
    search_on, confirm_on, confirmed_on = to_search_and_confirm(looked_at)
    usable, problems = families(workload.task)
    course = Course(search_on, baseline, seeds=search_seeds, measure=tally)
    candidates = _searched(course, usable, budget=budget, margin_share=margin_share, seed=seed, tell=tell, tally=tally)
    confirm = Course(confirm_on, baseline, seeds=confirm_seeds, measure=tally)
    finals = _confirmed(_finalists(candidates, course, margin_share), confirm, margin_share)
    winner = finals[-1] if finals and finals[-1].verdict.passed else None
    chosen = _signed(winner, workload) if winner else None
    threads = _threads(winner, confirm) if winner else None
    if chosen and threads:
        chosen = replace(chosen, threads=threads.best)
    theirs = confirm.baselines() if finals else course.baselines()
    return OptimiseResult(
        workload=workload,
        baseline=baseline,
        chosen=chosen,
        baseline_j=mean_energy_j([scored.use for scored in theirs]),
        chosen_j=winner.energy_j if winner else None,
        candidates=tuple(candidates),
        finals=tuple(finals),
        confirmed_on=confirmed_on,
        threads=threads,
        searched_rows=looked_at.rows,
        search_j=tally.total_j(),
        notes=problems + _notes(looked_at, workload),
    )


def _searched(
    course: Course,
    usable: Sequence[Family],
    *,
    budget: Budget,
    margin_share: float,
    seed: int,
    tell: Callable[[Candidate], None] | None,
    tally: Tally,
) -> list[Candidate]:
    first = course.baseline_on(course.seeds[0])
    train_rows = len(course.workload.split(course.seeds[0]).train)
    limit_j = budget.trainings * first.use.energy_j
    search = Search(course, usable, seed=seed, margin_share=margin_share)
    for plan in rounds_of(train_rows, budget.trials):
        search.run(plan, enough=lambda: tally.spent.energy_j >= limit_j, tell=tell)
    return search.candidates


def _finalists(candidates: Sequence[Candidate], course: Course, margin_share: float) -> list[Candidate]:
    """For each grade of doubt the thriftiest candidate that clears it, thriftiest first.

    The thriftiest that looks good at all often does by luck; so the list also
    holds ones that were convincing, up to a doubt of one in two thousand.
    """
    theirs = course.baselines()
    complete = sorted((one for one in candidates if one.complete), key=lambda one: one.energy_j)
    doubts = [not_worse(one.scored, theirs, margin_share=margin_share).p_share for one in complete]
    chosen = [next((place for place, p_share in enumerate(doubts) if p_share <= grade), None) for grade in _GRADES]
    return [complete[place] for place in sorted({place for place in chosen if place is not None})]


def _confirmed(finalists: Sequence[Candidate], course: Course, margin_share: float) -> list[Final]:
    """Try the finalists in turn; the last of the list is the winner if it passed."""
    finals: list[Final] = []
    for candidate in finalists:
        repeats = repeats_for(candidate.energy_j, course.baseline_on(course.seeds[0]).use.noise_floor_j)
        again = course.tried(candidate.recipe, to_the_end=True, repeats=repeats)
        verdict = not_worse(again.scored, course.baselines(), margin_share=margin_share, doubt=(1 - CONFIDENCE) / len(finalists))
        finals.append(Final(recipe=candidate.recipe, verdict=verdict, energy_j=again.energy_j))
        if verdict.passed:
            break
    return finals


def _signed(winner: Final, workload: Workload) -> Recipe:
    """The recipe with where it came from."""
    made = {
        "by": f"greenai {__version__} optimize",
        "dataset": workload.name,
        "sha256": workload.sha256,
        "rows": workload.rows,
        "metric": workload.metric,
        "change_ratio": winner.verdict.change_ratio,
        "upper_ratio": winner.verdict.upper_ratio,
    }
    return replace(winner.recipe, made=MappingProxyType(made))


def _threads(winner: Final, course: Course) -> ThreadTrial | None:
    floor_j = course.baseline_on(course.seeds[0]).use.noise_floor_j
    measure = repeated(course.measure, repeats_for(winner.energy_j, floor_j))
    return thread_trial(winner.recipe, course.workload, seed=course.seeds[0], measure=measure)


def _notes(looked_at: Workload, workload: Workload) -> tuple[str, ...]:
    if looked_at.rows == workload.rows:
        return ()
    return (f"searched and confirmed on {looked_at.rows} of {workload.rows} rows; energies are per training on those",)
