"""Which savings a network can afford: each one added in turn, measured, and kept only through the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from greenai.training.arms import Scored, trained
from greenai.training.measuring import EnergyUse, Measure, default_measure, mean_energy_j, repeated, repeats_for
from greenai.training.paired import Verdict, interval, not_worse
from greenai.training.torch_loop import Network, Settings, device_of, has_bfloat16, network_arm
from greenai.training.torch_shrink import can_quantise
from greenai.training.workload import Split, Workload

SEEDS = tuple(range(5))
PRUNE_SHARE = 0.5

Technique = Literal["plain", "early stopping", "mixed precision", "pruning", "quantisation"]
Goal = Literal["training", "inference"]

GOALS: Mapping[Technique, Goal] = MappingProxyType(
    {"early stopping": "training", "mixed precision": "training", "pruning": "inference", "quantisation": "inference"}
)
"""What each technique is to make cheaper, in the order they are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One technique on top of those kept before it.

    Energies are means over the seeds: of a training, of one of its epochs, and of
    predicting the judged rows once. `saved_ratio` is the change of the energy it
    was to lower, against what was kept before. Figures are None where the
    technique is not to be had on this machine.
    """

    technique: Technique
    kept: bool
    reason: str
    loss: float | None = None
    training_j: float | None = None
    epochs: float | None = None
    epoch_j: float | None = None
    inference_j: float | None = None
    saved_ratio: float | None = None
    verdict: Verdict | None = None

    def document(self) -> dict[str, Any]:
        """As plain data."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "verdict"}
        return {**plain, "verdict": self.verdict.document() if self.verdict else None}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkResult:
    """The steps in order, and the settings that are left."""

    workload: Workload
    device: str
    steps: tuple[Step, ...]
    settings: Settings

    def document(self) -> dict[str, Any]:
        """The result as JSON-serialisable data."""
        return {
            "dataset": self.workload.document(),
            "device": self.device,
            "steps": [step.document() for step in self.steps],
            "settings": dict(network_arm(self.settings, classes=len(self.workload.classes)).described),
        }


def compare_network(
    workload: Workload,
    *,
    settings: Settings | None = None,
    seeds: Sequence[int] = SEEDS,
    margin_share: float = 0.0,
    measure: Measure | None = None,
    tell: Callable[[Step], None] | None = None,
) -> NetworkResult:
    """Train the plain network on every seed, then add one technique after the other, in turn with the network without it.

    One is kept if the network with it is not worse than the plain one by more
    than the margin (one-sided paired test), and the energy it is meant to lower
    is lower than before, with a 95 % interval on that side of zero.

    Raises:
        InputError: torch is not installed.
    """
    measure = measure or default_measure()
    settings = settings or Settings()
    device = device_of(settings.device)
    splits = {seed: workload.split(seed) for seed in seeds}
    _tried([settings], workload, dict(list(splits.items())[:1]), measure)  # a warm-up, not counted
    (plain,) = _tried([settings], workload, splits, measure)
    steps = [plain.step("plain", kept=True, reason="what the others are compared with")]
    for technique, goal in GOALS.items():
        if tell:
            tell(steps[-1])
        wanted, missing = _with(settings, technique, device)
        if missing:
            steps.append(Step(technique=technique, kept=False, reason=missing))
            continue
        before, tried = _tried([settings, wanted], workload, splits, measure)
        steps.append(_judged(technique, goal, tried=tried, before=before, plain=plain, margin_share=margin_share))
        settings = wanted if steps[-1].kept else settings
    if tell:
        tell(steps[-1])
    return NetworkResult(workload=workload, device=device, steps=tuple(steps), settings=settings)


def epoch_energies(
    workload: Workload, *, settings: Settings | None = None, seed: int = 42, measure: Measure | None = None
) -> list[EnergyUse]:
    """The energy of each epoch of one training, measured one by one.

    Raises:
        InputError: torch is not installed.
    """
    measure = measure or default_measure()
    uses: list[EnergyUse] = []

    def around(work: Callable[[], float]) -> float:
        loss, use = measure(work)
        uses.append(use)
        return loss

    split = workload.split(seed)
    arm = network_arm(settings or Settings(), classes=len(workload.classes), around=around)
    arm.ready()
    arm.fit(split.train, split.train_target, seed)
    return uses


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tried:
    """Settings with their trainings and the energy of predicting the judged rows once, per seed."""

    scored: tuple[Scored, ...]
    epochs: tuple[int, ...]
    inferences: tuple[EnergyUse, ...]

    def step(self, technique: Technique, *, kept: bool, reason: str, **rest: Any) -> Step:
        training_j = mean_energy_j([one.use for one in self.scored])
        epochs = sum(self.epochs) / len(self.epochs)
        return Step(
            technique=technique,
            kept=kept,
            reason=reason,
            loss=sum(one.loss for one in self.scored) / len(self.scored),
            training_j=training_j,
            epochs=epochs,
            epoch_j=training_j / epochs,
            inference_j=mean_energy_j(self.inferences),
            **rest,
        )

    def energies_j(self, goal: Goal) -> list[float]:
        uses = [one.use for one in self.scored] if goal == "training" else self.inferences
        return [use.energy_j for use in uses]


def _tried(candidates: Sequence[Settings], workload: Workload, splits: Mapping[int, Split], measure: Measure) -> list[_Tried]:
    """Every candidate on every split; which goes first alternates, so that a machine that grows busy burdens all alike."""
    made: list[dict[int, tuple[Scored, int, EnergyUse]]] = [{} for _ in candidates]
    for turn, (seed, split) in enumerate(splits.items()):
        for place in range(len(candidates))[:: -1 if turn % 2 else 1]:
            made[place][seed] = _once(candidates[place], workload, seed, split, measure=measure)
    return [
        _Tried(
            scored=tuple(one for one, _, _ in each.values()),
            epochs=tuple(epochs for _, epochs, _ in each.values()),
            inferences=tuple(use for _, _, use in each.values()),
        )
        for each in made
    ]


def _once(settings: Settings, workload: Workload, seed: int, split: Split, *, measure: Measure) -> tuple[Scored, int, EnergyUse]:
    arm = network_arm(settings, classes=len(workload.classes))
    arm.ready()
    scored = trained(arm, split, workload, seed=seed, measure=measure)
    network = scored.fitted
    assert isinstance(network, Network)  # noqa: S101 - tells the type checker what the arm above makes
    return scored, len(network.losses), _inference(network, split, measure)


def _inference(network: Network, split: Split, measure: Measure) -> EnergyUse:
    """Predicting the judged rows, repeated until the meter can tell it."""
    _, once = measure(lambda: network.predict(split.judge))
    times = repeats_for(once.energy_j, once.noise_floor_j)
    if times == 1:
        return once
    return repeated(measure, times)(lambda: network.predict(split.judge))[1]


def _judged(technique: Technique, goal: Goal, *, tried: _Tried, before: _Tried, plain: _Tried, margin_share: float) -> Step:
    verdict = not_worse(tried.scored, plain.scored, margin_share=margin_share)
    formers_j = before.energies_j(goal)
    saved = interval([after - former for after, former in zip(tried.energies_j(goal), formers_j, strict=True)])
    ratio = saved.mean / (sum(formers_j) / len(formers_j)) if sum(formers_j) > 0 else 0.0
    kept = verdict.passed and saved.high < 0
    cheaper = f"{goal} energy {ratio:+.1%}" + ("" if saved.high < 0 else ", not clearly less")
    return tried.step(technique, kept=kept, reason=f"{cheaper}; {verdict.sentence()}", saved_ratio=ratio, verdict=verdict)


def _with(settings: Settings, technique: Technique, device: str) -> tuple[Settings, str]:
    """The settings with a technique, or why it is not to be had here."""
    if technique == "early stopping":
        return replace(settings, early_stopping=True), ""
    if technique == "mixed precision":
        missing = "" if has_bfloat16(device) else f"this {device} does not compute in bfloat16, it would only imitate it"
        return replace(settings, mixed_precision=True), missing
    if technique == "pruning":
        return replace(settings, prune_share=PRUNE_SHARE), ""
    missing = "" if can_quantise(device) else f"there is no dynamic quantisation on {device} in this torch"
    return replace(settings, quantise=True), missing
