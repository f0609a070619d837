"""Green training beside the prototype it replaces: energy, CPU time and error of the same task, in randomised pairs.

    python bench/training.py [--only nonlinear linear real process threads search network] [--quick] [--json FILE]
    python bench/training.py --write-checks      # the verdicts of the packaged recipes on the packaged samples

Every seed draws new rows (generated tasks) or deals new folds (real tables); all arms train on the same split, in random
order. Measured is what costs energy each time: preprocessing, fitting, predicting the test rows; data and imports are
loaded before, and shown apart under "whole process". A training too short for the meter is repeated inside one measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from greenai.training import packaged_recipe, sample
from greenai.training.arms import Arm, Scored, arm_of, trained
from greenai.training.baseline import baseline_of, gradient_boosting
from greenai.training.extras import import_lightgbm_alone, need
from greenai.training.measuring import default_measure, mean_energy_j, repeated, repeats_for
from greenai.training.paired import Interval, interval, is_by_row, loss_differences
from greenai.training.table import Table, numbers
from greenai.training.workload import Workload

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "src" / "greenai" / "facts" / "recipes.json"

SIZES = ((1200, 10), (10_000, 5), (100_000, 2), (500_000, 1))
"""Rows, and how many seeds: the baseline alone takes minutes of CPU time at the largest."""
QUICK_SIZES = ((1200, 4), (10_000, 2))
FEWEST_SEEDS_FOR_T = 5
HEAD_SWITCHES_AT = 5000
CHECKED = ("tab-1200", "seedlin-1200", "tabclass-1200", "tab-10000", "diabetes", "breast_cancer", "wine")

BASELINE, BEST, LEAST = "prototype baseline", "greenai, best", "greenai, least"

Rows = list[dict[str, Any]]


# The prototype's arms ------------------------------------------------------------------------------------------------


class HeadModel:
    """The prototype's LightGBM at HEAD, behind its preprocessing."""

    def __init__(self, scaler: Any, model: Any) -> None:
        self.scaler, self.model = scaler, model

    def predict(self, table: Table, /) -> Any:
        return self.model.predict(self.scaler.transform(table.numeric))


def head_lightgbm(name: str, threads: int) -> Arm:
    """500 trees of 31 leaves at 0.05, columns 0.8, stopped after 50 rounds without gain on a fifth of the rows."""

    def fit(table: Table, target: Any, seed: int) -> HeadModel:
        lightgbm, selection = need("lightgbm"), need("sklearn.model_selection")
        scaler = need("sklearn.preprocessing").StandardScaler()
        features = scaler.fit_transform(table.numeric)
        learn, held, target_learn, target_held = selection.train_test_split(features, target, test_size=0.2, random_state=seed)
        model = lightgbm.LGBMRegressor(
            n_estimators=500, learning_rate=0.05, num_leaves=31, subsample=0.8, colsample_bytree=0.8,
            random_state=seed, n_jobs=threads, verbose=-1,
        )  # fmt: skip
        stop = lightgbm.early_stopping(50, verbose=False)
        model.fit(learn, target_learn, eval_set=[(held, target_held)], callbacks=[stop])
        return HeadModel(scaler, model)

    modules = ("sklearn.model_selection", "sklearn.preprocessing", "lightgbm")
    return Arm(name=name, fit=fit, modules=modules)


def arms_for(workload: Workload) -> dict[str, Arm]:
    """The arms of a workload: the prototype's and ours."""
    classes = len(workload.classes)
    arms = {BASELINE: baseline_of(None, classes=classes)}
    doc = {"n_estimators": 80, "learning_rate": 0.08, "max_depth": 3, "subsample": 0.7}
    head = {"n_estimators": 50, "learning_rate": 0.15, "max_depth": 2, "subsample": 0.6}
    arms["prototype optimized (doc)"] = gradient_boosting("doc", doc, classes=classes)
    if workload.rows * 0.8 >= HEAD_SWITCHES_AT and not classes:
        arms["prototype optimized (HEAD)"] = head_lightgbm("head", -1)
        arms["prototype optimized (HEAD), 1 thread"] = head_lightgbm("head1", 1)
    else:
        arms["prototype optimized (HEAD)"] = gradient_boosting("head", head, classes=classes)
    for name, goal in ((BEST, "best"), (LEAST, "least")):
        arms[name] = arm_of(packaged_recipe(workload.task, workload.rows, goal=goal), classes=classes)  # type: ignore[arg-type]
    return arms


# Measuring -----------------------------------------------------------------------------------------------------------


def measured_training(arm: Arm, split: Any, workload: Workload, seed: int) -> Scored:
    """One training, or as many in one measurement as the meter needs to tell."""
    once = trained(arm, split, workload, seed=seed, measure=default_measure())
    times = repeats_for(once.use.energy_j, once.use.noise_floor_j)
    if times == 1:
        return once
    return trained(arm, split, workload, seed=seed, measure=repeated(default_measure(), times))


def scored_arms(workload: Workload, arms: dict[str, Arm], seeds: Sequence[int]) -> dict[str, list[Scored]]:
    """Every arm on every seed's split, in random order within a seed."""
    order = np.random.default_rng(0)
    scored: dict[str, list[Scored]] = {name: [] for name in arms}
    for arm in arms.values():
        arm.ready()
    for seed in seeds:
        split = workload.split(seed)
        for place in order.permutation(len(arms)):
            name = list(arms)[place]
            scored[name].append(measured_training(arms[name], split, workload, seed))
            print(f"  {workload.name} seed {seed} {name}: {scored[name][-1].use.cpu_s:.4g} CPU-s", file=sys.stderr, flush=True)
    return scored


def loss_change(ours: Sequence[Scored], theirs: Sequence[Scored]) -> tuple[Interval, str]:
    """The 95 % interval of the change of error in percent of the baseline's, and over what."""
    mean = float(np.mean([one.loss for one in theirs]))
    if is_by_row(ours):
        return interval(100 * loss_differences(ours, theirs) / mean), "rows of the table"
    if len(ours) >= FEWEST_SEEDS_FOR_T:
        return interval(100 * loss_differences(ours, theirs) / mean), "draws"
    rows = np.concatenate([a.row_losses - b.row_losses for a, b in zip(ours, theirs, strict=True)])
    return interval(100 * rows / mean), "judged rows, models as trained"


def table_of(workload: Workload, scored: dict[str, list[Scored]]) -> Rows:
    """A row per arm."""
    theirs = scored[BASELINE]
    base_j, base_cpu_s = mean_energy_j([one.use for one in theirs]), float(np.mean([one.use.cpu_s for one in theirs]))
    rows: Rows = []
    for name, ours in scored.items():
        energy_j, cpu_s = mean_energy_j([one.use for one in ours]), float(np.mean([one.use.cpu_s for one in ours]))
        change, over = loss_change(ours, theirs)
        same = name == BASELINE
        rows.append(
            {
                "task": workload.name,
                "arm": name,
                "CPU_s": cpu_s,
                "CPU_vs_baseline_%": None if same else round(100 * (cpu_s / base_cpu_s - 1), 2),
                "J": energy_j,
                "J_vs_baseline_%": None if same else round(100 * (energy_j / base_j - 1), 2),
                workload.metric: float(np.mean([one.loss for one in ours])),
                "error_vs_baseline_%": None if same else round(change.mean, 2),
                "95_%_interval": "-" if same else f"{change.low:+.2f} to {change.high:+.2f}",
                "interval_over": "-" if same else over,
                "seeds": len(ours),
            }
        )
    return rows


def verdicts(rows: Rows, metric: str) -> Rows:
    """What the issue asks of each task: 85 % less energy, not worse, and better than the prototype on both axes."""
    by_arm = {row["arm"]: row for row in rows}
    prototypes = [row for name, row in by_arm.items() if name.startswith("prototype optimized")]
    best, least = by_arm[BEST], by_arm[LEAST]
    return [
        {
            "task": best["task"],
            "best:_J_%": best["J_vs_baseline_%"],
            "best:_error_%": best["error_vs_baseline_%"],
            "least:_J_%": least["J_vs_baseline_%"],
            "least:_error_%": least["error_vs_baseline_%"],
            "both_85_%_less": "yes" if max(best["J_vs_baseline_%"], least["J_vs_baseline_%"]) <= -85 else "NO",
            "both_not_worse": "yes" if max(float(row["95_%_interval"].split(" to ")[1]) for row in (best, least)) <= 0 else "NO",
            "best_beats_all_prototype_arms": "yes"
            if all(best["J"] < row["J"] and best[metric] <= row[metric] for row in prototypes)
            else "NO",
        }
    ]


# Sections ------------------------------------------------------------------------------------------------------------


def sizes(kind: str, title: str, quick: bool) -> Iterator[tuple[str, Rows]]:
    """A generated task by size."""
    summary: Rows = []
    for rows, seeds in QUICK_SIZES if quick else SIZES:
        workload = sample(f"{kind}-{rows}")
        made = table_of(workload, scored_arms(workload, arms_for(workload), range(seeds)))
        summary += verdicts(made, workload.metric)
        yield f"{title}, {rows:,} rows", made
    yield f"{title}: what every size must show", summary


def nonlinear(quick: bool) -> Iterator[tuple[str, Rows]]:
    """House-like prices."""
    return sizes("tab", "Nonlinear task", quick)


def linear(quick: bool) -> Iterator[tuple[str, Rows]]:
    """The prototype's fallback data."""
    return sizes("seedlin", "Linear task", quick)


def real(quick: bool) -> Iterator[tuple[str, Rows]]:
    """Real tables, two rounds of five folds."""
    summary: Rows = []
    for name in ("diabetes", "breast_cancer", "wine"):
        workload = sample(name)
        made = table_of(workload, scored_arms(workload, arms_for(workload), range(5 if quick else 10)))
        summary += verdicts(made, workload.metric)
        yield f"{name}, {workload.rows} rows (real)", made
    yield "Real tables: what each must show", summary


def process(quick: bool) -> Iterator[tuple[str, Rows]]:
    """A whole process: interpreter, imports, one training; data from a file of arrays."""
    rows: Rows = []
    for size, runs in ((1200, 5), (10_000, 3)) if quick else ((1200, 7), (10_000, 5), (100_000, 1)):
        workload = sample(f"tab-{size}")
        names = [name for name in arms_for(workload) if not name.endswith("1 thread")]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "split.npz"
            split = workload.split(0)
            np.savez(file, train=split.train.numeric, target=split.train_target, test=split.test.numeric)
            uses: dict[str, list[Any]] = {name: [] for name in names}
            for run in range(runs + 1):
                for name in names:
                    use = whole_process([__file__, "--worker", name, str(size), str(file)])
                    if run:  # the first round fills the caches of the file system and is not counted
                        uses[name].append(use)
        base_cpu_s = np.median([use.cpu_s for use in uses[BASELINE]])
        for name in names:
            cpu_s = float(np.median([use.cpu_s for use in uses[name]]))
            rows.append(
                {
                    "task": workload.name,
                    "arm": name,
                    "CPU_s_of_the_process": cpu_s,
                    "vs_baseline_%": None if name == BASELINE else round(100 * (cpu_s / base_cpu_s - 1), 1),
                    "J": float(np.median([use.energy_j for use in uses[name]])),
                    "runs": runs,
                }
            )
    yield "Whole process, imports included (medians)", rows


def whole_process(arguments: list[str]) -> Any:
    """What a fresh interpreter used, bytecode caches on as they usually are."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return default_measure()(lambda: subprocess.run([sys.executable, *arguments], check=True, env=environment))[1]


def worker(name: str, size: int, file: str) -> None:
    """One training in this process, as greenai's own processes do it: LightGBM imported alone for our arms."""
    if name in {BEST, LEAST}:
        import_lightgbm_alone()
    arm = arms_for(sample(f"tab-{size}"))[name] if size < HEAD_SWITCHES_AT else large_arm(name, size)
    arm.ready()
    with np.load(file) as arrays:
        columns = tuple(str(place) for place in range(arrays["train"].shape[1]))
        fitted = arm.fit(numbers(arrays["train"], columns), arrays["target"], 0)
        fitted.predict(numbers(arrays["test"], columns))


def large_arm(name: str, size: int) -> Arm:
    """The arm of a large task without drawing its rows again."""
    small = sample("tab-1200")
    return arms_for(Workload(**{key: getattr(small, key) for key in small.__slots__} | {"rows": size}))[name]


def threads(quick: bool) -> Iterator[tuple[str, Rows]]:
    """One thread against all cores, on this machine as busy as it is."""
    from greenai.training.threads import thread_trial

    rows: Rows = []
    for size in (1200, 10_000) if quick else (1200, 10_000, 100_000):
        workload = sample(f"tab-{size}")
        trial = thread_trial(packaged_recipe("regression", size), workload, seed=0, measure=repeated(default_measure(), 5))
        if trial:
            rows.append(
                {
                    "task": workload.name,
                    "CPU_s,_1_thread": trial.one_cpu_s,
                    f"CPU_s,_{trial.cores}_threads": trial.all_cpu_s,
                    "times_the_CPU": round(trial.all_cpu_s / trial.one_cpu_s, 1),
                    "J,_1_thread": trial.one_j,
                    f"J,_{trial.cores}_threads": trial.all_j,
                    "load_average": round(os.getloadavg()[0], 1),
                }
            )
    yield "Threads: the same training with one and with all cores", rows


def search(quick: bool) -> Iterator[tuple[str, Rows]]:
    """What `greenai optimize` finds and costs."""
    from greenai.training import Budget, optimise

    rows: Rows = []
    for name in ("tab-1200", "diabetes") if quick else ("tab-1200", "seedlin-1200", "tab-10000", "diabetes", "breast_cancer"):
        result = optimise(sample(name), budget=Budget(trials=12 if quick else 40))
        last = result.finals[-1].verdict if result.finals else None
        rows.append(
            {
                "task": name,
                "chosen": result.chosen.family if result.chosen else "baseline stays",
                "rows_used": result.chosen.rows if result.chosen else None,
                "J_a_training": result.chosen_j,
                "baseline_J": result.baseline_j,
                "change_%": round(100 * (result.chosen_j / result.baseline_j - 1), 1) if result.chosen_j else None,
                "error_%": round(100 * last.change_ratio, 1) if last else None,
                "upper_bound_%": round(100 * last.upper_ratio, 1) if last else None,
                "recipes_tried": len(result.candidates),
                "search_J": result.search_j,
                "pays_back_after": result.pays_back_after,
            }
        )
    yield "The search: found, confirmed, and what it cost", rows


def network(quick: bool) -> Iterator[tuple[str, Rows]]:
    """The PyTorch loop: what each saving gives and whether the gate keeps it."""
    from greenai.training.torch_compare import compare_network

    try:
        need("torch", extra="torch")
    except ValueError as missing:
        print(f"not run: {missing}", file=sys.stderr)
        return
    for name in ("tabclass-1200",) if quick else ("tabclass-1200", "tab-1200"):
        result = compare_network(sample(name))
        rows = [
            {
                "step": step.technique,
                "kept": "yes" if step.kept else "no",
                "loss": step.loss,
                "J_a_training": step.training_j,
                "epochs": step.epochs,
                "J_an_epoch": step.epoch_j,
                "J_to_predict_20,000_rows": step.inference_j,
                "why": step.reason,
            }
            for step in result.steps
        ]
        yield f"A small network on {name} ({result.device})", rows


SECTIONS: MappingProxyType[str, Callable[[bool], Iterator[tuple[str, Rows]]]] = MappingProxyType(
    {
        "nonlinear": nonlinear,
        "linear": linear,
        "real": real,
        "process": process,
        "threads": threads,
        "search": search,
        "network": network,
    }
)


def write_checks() -> None:
    """Check the packaged recipes on the packaged samples and pack the verdicts, so that the first run need not."""
    from greenai.training.gate import check, verdict_key

    document = json.loads(RECIPES.read_text(encoding="utf-8"))
    document["checks"] = {}
    for name in CHECKED:
        workload = sample(name)
        classes = len(workload.classes)
        base = baseline_of(None, classes=classes)
        for goal in ("best", "least"):
            arm = arm_of(packaged_recipe(workload.task, workload.rows, goal=goal), classes=classes)  # type: ignore[arg-type]
            made = check(arm, workload, baseline=base, measure=default_measure())
            print(f"{name} {goal}: {made.verdict.sentence()}")
            document["checks"][verdict_key(workload, arm, base, 0.0)] = {"sample": name, **made.document()}
    RECIPES.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def show(title: str, rows: Rows) -> None:
    """A table as text."""
    print(f"\n{title}")
    for row in rows:
        print("  " + ", ".join(f"{key.replace('_', ' ')} {cell(value)}" for key, value in row.items()))


def cell(value: Any) -> str:
    """A value in four figures."""
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="small sizes and few seeds, about two minutes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write-checks", action="store_true")
    parser.add_argument("--worker", nargs=3, metavar=("ARM", "ROWS", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="(sklearn|lightgbm).*")
    if options.worker:
        worker(options.worker[0], int(options.worker[1]), options.worker[2])
        return
    if options.write_checks:
        write_checks()
        return
    tables: dict[str, Rows] = {}
    for section in options.only:
        for title, rows in SECTIONS[section](options.quick):
            show(title, rows)
            tables[title] = rows
            if options.json:
                options.json.write_text(json.dumps(tables, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
