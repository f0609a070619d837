"""How to find a saving where there is none, and how not to: numbers for docs/explanation/why-not-46-percent.md.

    python bench/honesty.py [--pairs 12] [--json FILE]

First each mistake of the prototype's comparison is made on purpose, mostly with two arms that are the same training, so
that the truth is known: no saving. Then the same question is asked properly. About five minutes.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from greenai.training import Intensities, arm_of, baseline_of, experiment, packaged_recipe, sample
from greenai.training.arms import Arm, Scored, trained
from greenai.training.baseline import gradient_boosting
from greenai.training.comparing import Compared
from greenai.training.measuring import default_measure
from greenai.training.paired import interval
from greenai.training.workload import Workload

ASSUMED_W = 100.0
"""The power the prototype assumed; its energy was 100 W times wall-clock time in every row."""
DOC = {"n_estimators": 80, "learning_rate": 0.08, "max_depth": 3, "subsample": 0.7}
"""The prototype's optimised settings, as its README described them."""
SUBMITTED_HOUR = 18
PUBLISHED_PAIRS = 6

Rows = list[dict[str, Any]]


def gb_day() -> list[float]:
    """A November weekday of Great Britain by hour, g/kWh: the packaged profile times the zone's mean."""
    facts = files("greenai.facts")
    with facts.joinpath("climatology_sources.csv").open(encoding="utf-8") as file:
        mean_g_per_kwh = next(float(row["mean_g_per_kwh"]) for row in csv.DictReader(file) if row["zone"] == "GB")
    with facts.joinpath("climatology.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["zone"], row["month"], row["weekend"]) == ("GB", "11", "0")]
    return [mean_g_per_kwh * float(row["ratio_mean"]) for row in sorted(rows, key=lambda row: int(row["hour_utc"]))]


def percent(part: float, whole: float) -> str:
    """A saving of part against whole, as it would be claimed."""
    return f"{100 * (1 - part / whole):.1f} %"


def run(arm: Arm, workload: Workload, seed: int) -> Scored:
    """One measured training on the split of a seed."""
    return trained(arm, workload.split(seed), workload, seed=seed, measure=default_measure())


def two_prices() -> dict[str, Any]:
    """The baseline priced at the day's median intensity, the same training at its minimum."""
    day = gb_day()
    claimed = percent(min(day), statistics.median(day))
    return row("Two prices", "one training; priced at the day's median, then at its minimum", claimed, "0 %: nothing was moved")


def cold_start() -> dict[str, Any]:
    """The first run of a process with its imports and its data in the window, the second without."""
    done = subprocess.run([sys.executable, __file__, "--cold"], capture_output=True, text=True, check=True)
    first_j, second_j = (float(word) for word in done.stdout.split())
    compared = "the same training twice in one process; the first imports and loads"
    return row("Cold start", compared, percent(second_j, first_j), "0 %")


def cold() -> None:
    """What `cold_start` runs: joules of the first and of the second run."""
    measure = default_measure()

    def training() -> None:
        workload = sample("tab-1200")
        arm = baseline_of(None, classes=0)
        arm.ready()
        split = workload.split(42)
        arm.fit(split.train, split.train_target, 42).predict(split.test)

    print(*(measure(training)[1].energy_j for _ in range(2)))


def same_twice(pairs: int) -> Iterator[dict[str, Any]]:
    """The baseline against itself, by assumed watts and wall-clock time, one pair after the other."""
    arm, workload = baseline_of(None, classes=0), sample("tab-1200")
    arm.ready()
    run(arm, workload, 42)
    seconds = [[run(arm, workload, 42).use.duration_s for _ in range(2)] for _ in range(pairs)]
    savings = [100 * (1 - second / first) for first, second in seconds]
    found = interval(savings)
    claimed = f"up to {max(savings[:PUBLISHED_PAIRS]):.1f} %"
    yield row("The best of six pairs", "the same training against itself, six pairs, the best reported", claimed, "0 %")
    claimed = f"single pairs say {min(savings):+.0f} to {max(savings):+.0f} %"
    truth = f"0 %; the mean is {found.mean:+.1f} % ({found.low:+.1f} to {found.high:+.1f})"
    yield row("Assumed watts", f"{pairs} such pairs, {ASSUMED_W:g} W times wall-clock time each", claimed, truth)


def one_split(splits: int = 40) -> dict[str, Any]:
    """How often the prototype's worse settings look as good on one split of 240 test rows."""
    base, doc, workload = baseline_of(None, classes=0), gradient_boosting("doc", DOC, classes=0), sample("tab-1200")
    base.ready()
    lucky, changes = 0, []
    for seed in range(splits):
        split = workload.split(seed)
        features, target = split.judge, split.judge_target
        said = [arm.fit(split.train, split.train_target, seed).predict(features) for arm in (base, doc)]
        few = [workload.row_losses(target[:240], one[:240]).mean() for one in said]
        all_rows = [workload.row_losses(target, one).mean() for one in said]
        lucky += few[1] <= few[0] * 1.01
        changes.append(100 * (all_rows[1] / all_rows[0] - 1))
    found = interval(changes)
    claimed = f"'same quality' (within 1 %) on {lucky} of {splits} seeds"
    truth = f"error {found.mean:+.1f} % ({found.low:+.1f} to {found.high:+.1f}) on 20,000 rows"
    return row("One split", "the prototype's optimised settings against its baseline, 240 test rows, one seed", claimed, truth)


def row(mistake: str, compared: str, found: str, truth: str) -> dict[str, Any]:
    """One row of the table of mistakes."""
    return {"mistake": mistake, "what_was_compared": compared, "what_it_claims": found, "truth": truth}


def in_percent(compared: Compared) -> str:
    """A mean difference with its 95 % interval, in percent of the baseline's mean."""
    found = compared.difference
    mean, low, high = (100 * value / compared.baseline_mean for value in (found.mean, found.low, found.high))
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def properly(pairs: int) -> Iterator[tuple[str, Rows]]:
    """The prototype's settings and ours in randomised pairs, energy and quality and both carbon terms."""
    day = gb_day()
    intensities = Intensities(
        baseline_g_per_kwh=day[SUBMITTED_HOUR], optimized_g_per_kwh=min(day), source="GB, typical November weekday (packaged)"
    )
    base = baseline_of(None, classes=0)
    treatments = {
        "the prototype's settings": gradient_boosting("doc", DOC, classes=0),
        "greenai's packaged recipe": arm_of(packaged_recipe("regression", 1200), classes=0),
        "the baseline against itself": base,
    }
    rows: Rows = []
    for name, arm in treatments.items():
        result = experiment(sample("tab-1200"), baseline=base, optimized=arm, runs=2 * pairs, intensities=intensities)
        rows.append(
            {
                "treatment": name,
                "energy_%": in_percent(result.energy),
                "energy_conclusion": result.energy.conclusion,
                "error_%": in_percent(result.quality),
                "gate": "not worse" if result.verdict.passed else "refused",
                "efficiency_mg": 1000 * result.carbon.efficiency_g if result.carbon else None,
                "timing_mg": 1000 * result.carbon.timing_g if result.carbon else None,
                "pairs": pairs,
            }
        )
    yield "The same question, asked properly", rows
    yield (
        "The two intensities",
        [
            {"when": f"at once, {SUBMITTED_HOUR}:00 UTC", "g_per_kWh": round(day[SUBMITTED_HOUR], 1)},
            {"when": f"cleanest hour, {int(np.argmin(day))}:00 UTC", "g_per_kWh": round(min(day), 1)},
        ],
    )


def cell(value: Any) -> str:
    """A value in four figures."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Make the mistakes, then ask properly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cold", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cold:
        cold()
        return
    mistakes = [two_prices(), cold_start(), *same_twice(options.pairs), one_split()]
    tables = {"Savings found where there are none": mistakes, **dict(properly(options.pairs))}
    for title, rows in tables.items():
        print(f"\n{title}")
        for one in rows:
            print("  " + "; ".join(f"{key.replace('_', ' ')}: {cell(value)}" for key, value in one.items()))
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
