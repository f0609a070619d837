"""The search: Optuna proposes recipes, energy and error are its two objectives, small samples of the rows come first.

Successive halving over the rows: every round allows four times the rows of the
round before, with half its trials, and begins with the round's best so far. What
is bad on two thousand rows is never tried on a million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from greenai.training.candidates import Candidate, Course, front
from greenai.training.extras import need
from greenai.training.family import Choice, Family, Numbers
from greenai.training.recipe import PackagedRecipe, Recipe, Scalar, packaged_recipes

FIRST_ROWS = 2000
GROWTH = 4
FEWEST_ROWS = 200

_PROMOTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of the search: how many rows a recipe may use, how many are tried."""

    most_rows: int
    trials: int


def rounds_of(train_rows: int, trials: int) -> tuple[Round, ...]:
    """Rounds from few rows to all of them; the trials halve from round to round and add up to about `trials`."""
    caps = [min(FIRST_ROWS, train_rows)]
    while caps[-1] < train_rows:
        caps.append(min(caps[-1] * GROWTH, train_rows))
    weights = [2.0**-place for place in range(len(caps))]
    return tuple(
        Round(most_rows=cap, trials=max(2, round(trials * weight / sum(weights))))
        for cap, weight in zip(caps, weights, strict=True)
    )


class Search:
    """An Optuna study over recipes, and the candidates it has tried."""

    def __init__(self, course: Course, families: Sequence[Family], *, seed: int, margin_share: float = 0.0) -> None:
        self.course = course
        self.families = {family.name: family for family in families}
        self.margin_share = margin_share
        self.candidates: list[Candidate] = []
        self._optuna = need("optuna")
        with _quiet(self._optuna):
            self._study = self._optuna.create_study(
                directions=["minimize", "minimize"], sampler=self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
            )

    def run(self, plan: Round, *, enough: Callable[[], bool], tell: Callable[[Candidate], None] | None = None) -> None:
        """One round: first what is known to be good, then what the sampler proposes; stops when `enough` says so."""
        known = self._known(plan.most_rows)
        for recipe in known:
            self._enqueue(recipe)
        with _quiet(self._optuna):
            for _ in range(max(plan.trials, len(known))):
                if enough():
                    return
                self._one(plan.most_rows, tell)

    def _one(self, most_rows: int, tell: Callable[[Candidate], None] | None) -> None:
        trial = self._study.ask()
        recipe = self._proposed(trial, most_rows)
        again = next((one for one in self.candidates if one.recipe.sha256 == recipe.sha256), None)
        candidate = again or self.course.tried(recipe, margin_share=self.margin_share)
        self._study.tell(trial, [self._worth_j(candidate), candidate.loss_ratio])
        if again is None:
            self.candidates.append(candidate)
            if tell:
                tell(candidate)

    def _worth_j(self, candidate: Candidate) -> float:
        """What the sampler is told: a candidate that was given up saves nothing, however little it used."""
        if candidate.complete:
            return candidate.energy_j
        return max(candidate.energy_j, self.course.baseline_on(self.course.seeds[0]).use.energy_j)

    def _known(self, most_rows: int) -> list[Recipe]:
        """Recipes to try before any other: at first the packaged ones and each family's usual values, later the best so far."""
        task = self.course.workload.task
        if self.candidates:
            best = sorted(front([one for one in self.candidates if one.complete]), key=lambda one: one.loss_ratio)[:_PROMOTED]
            return [_with_rows(one.recipe, most_rows) for one in best]
        usual = [Recipe(task=task, family=family.name, params=family.params) for family in self.families.values()]
        packaged = [one.recipe for one in _smallest(packaged_recipes()) if one.recipe.task == task]
        return [_with_rows(recipe, most_rows) for recipe in (*packaged, *usual) if recipe.family in self.families]

    def _enqueue(self, recipe: Recipe) -> None:
        family = self.families[recipe.family]
        known = {"family": recipe.family, "float32": recipe.float32, "rows": recipe.rows}
        params = family.complete(recipe.params)
        known |= {f"{family.name}.{name}": _inside(params[name], within) for name, within in family.space.items()}
        self._study.enqueue_trial(known)

    def _proposed(self, trial: Any, most_rows: int) -> Recipe:
        family = self.families[trial.suggest_categorical("family", list(self.families))]
        rows = trial.suggest_int("rows", min(FEWEST_ROWS, most_rows), most_rows, log=True)
        params = {name: _suggested(trial, f"{family.name}.{name}", within) for name, within in family.space.items()}
        return Recipe(
            task=self.course.workload.task,
            family=family.name,
            params=MappingProxyType(params),
            rows=rows,
            float32=trial.suggest_categorical("float32", [True, False]),
        )


def _suggested(trial: Any, name: str, within: Numbers | Choice) -> Scalar:
    if isinstance(within, Choice):
        chosen: Scalar = trial.suggest_categorical(name, list(within.values))
        return chosen
    if within.whole:
        return int(trial.suggest_int(name, within.low, within.high, log=within.log))
    return float(trial.suggest_float(name, within.low, within.high, log=within.log))


def _inside(value: Scalar, within: Numbers | Choice) -> Scalar:
    """The nearest value the space holds: usual values such as 0 may lie outside a logarithmic range."""
    if isinstance(within, Choice):
        return value if value in within.values else within.values[0]
    nearest = min(max(float(value), within.low), within.high)
    return int(nearest) if within.whole else nearest


def _with_rows(recipe: Recipe, most_rows: int) -> Recipe:
    return Recipe(task=recipe.task, family=recipe.family, params=recipe.params, rows=most_rows, float32=recipe.float32, threads=1)


def _smallest(packaged: Sequence[PackagedRecipe]) -> list[PackagedRecipe]:
    """One of each goal and task: their parameters differ little, and every trial costs energy."""
    by_kind: Mapping[tuple[str, str], PackagedRecipe] = {(one.goal, one.recipe.task): one for one in reversed(packaged)}
    return list(by_kind.values())


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Optuna reports each trial on stderr; ours reports them itself."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
