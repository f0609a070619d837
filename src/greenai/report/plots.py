"""Pictures: comparison, paired differences, quality against energy, Pareto front, forecast, energy trace."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from greenai.errors import InputError
from greenai.model.energy import EnergyTrace
from greenai.model.series import IntensitySeries
from greenai.report.extras import need
from greenai.report.statistics import Paired, energy_of, loss_of
from greenai.report.trainings import ARMS, Document, Experiment, experiments_of

Axes = Any
Figure = Any

COLOURS = MappingProxyType(
    {"baseline": "#8a8f98", "optimized": "#1b7f4d", "line": "#24476b", "window": "#9fd8b4", "bad": "#b3402a"}
)

STYLE = MappingProxyType(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e6e8eb",
        "axes.edgecolor": "#9aa0a8",
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "svg.fonttype": "none",
        "svg.hashsalt": "greenai",
        "figure.dpi": 110,
    }
)


def draw_experiment(documents: Iterable[Document], folder: Path) -> list[Path]:
    """The plots of the newest experiment among the documents, as PNG files; the first is energy_co2_bars.png.

    Raises:
        InputError: there is no complete pair, the folder cannot be written, or matplotlib is missing.
    """
    found = experiments_of(documents)
    if not found:
        raise InputError("there is no complete pair to draw", hint="greenai experiment --runs 10 makes some")
    experiment = found[-1]
    named: dict[str, Callable[[Experiment], Figure]] = {
        "energy_co2_bars.png": bars,
        "paired_differences.png": differences,
        "quality_energy.png": quality_against_energy,
    }
    return [save(draw(experiment), folder / name) for name, draw in named.items()]


def draw_pareto(result: Mapping[str, Any], folder: Path) -> Path:
    """The candidates of `greenai optimize` and their Pareto front, as pareto.png."""
    return save(pareto(result), folder / "pareto.png")


def save(figure: Figure, path: Path) -> Path:
    """Write a figure in the format its name ends in.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None} if path.suffix.lower() == ".png" else None)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    return path


def svg(figure: Figure) -> str:
    """A figure as an SVG element that asks nothing of the network, its texts being text."""
    body = io.StringIO()
    with need("matplotlib").rc_context(dict(STYLE)):
        figure.savefig(body, format="svg", metadata={"Date": None, "Creator": None})
    element = body.getvalue()[body.getvalue().index("<svg") :]
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt" ', 'role="img" ', element, count=1)


def bars(experiment: Experiment) -> Figure:
    """Energy and emissions per training: means of the arms, runs as dots."""
    figure, (left, right) = _figure(1, 2, size=(8.4, 4.0))
    energy = energy_of(experiment)
    _bars(left, {arm: [one.energy_j for one in experiment.of(arm)] for arm in ARMS}, "Energy per training, J")
    grams = {arm: [one.emissions_g for one in experiment.of(arm) if one.emissions_g is not None] for arm in ARMS}
    if all(grams.values()):
        _bars(right, {arm: [value * 1000 for value in values] for arm, values in grams.items()}, "CO2e per training, mg")
    else:
        right.set_axis_off()
        right.text(0.5, 0.5, "nothing is known of\nthe grid's intensity", ha="center", va="center", color=COLOURS["bad"])
    figure.suptitle(_conclusion(energy), x=0.02, ha="left", fontsize=12, fontweight="bold")
    _foot(figure, experiment)
    return figure


def differences(experiment: Experiment) -> Figure:
    """Optimised - baseline of each pair, with mean and interval; energy, and quality where runs state it."""
    known = [("energy_j", "Energy, J", energy_of(experiment))]
    loss = loss_of(experiment)
    if loss is not None:
        name = experiment.pairs[0].baseline.labels.get("quality_metric_name", "loss")
        known.append(("loss", f"{name} (less is better)", loss))
    figure, axes = _figure(1, len(known), size=(4.4 * len(known), 4.0))
    for axis, (field, title, paired) in zip(axes if len(known) > 1 else [axes], known, strict=True):
        _differences(axis, experiment, field, title=title, paired=paired)
    figure.suptitle("Optimised minus baseline, pair by pair", x=0.02, ha="left", fontsize=12, fontweight="bold")
    _foot(figure, experiment)
    return figure


def quality_against_energy(experiment: Experiment) -> Figure:
    """Every run: energy across, loss up; lower left is better, and no run of the other arm lies there if the gate is right."""
    figure, axis = _figure(1, 1, size=(6.4, 4.2))
    for arm in ARMS:
        runs = [one for one in experiment.of(arm) if one.loss is not None]
        axis.scatter([one.energy_j for one in runs], [one.loss for one in runs], color=COLOURS[arm], s=42, label=arm)
    axis.set_xscale("log")
    axis.set_xlabel("Energy per training, J (log scale)")
    axis.set_ylabel(experiment.pairs[0].baseline.labels.get("quality_metric_name", "loss"))
    axis.set_title("Quality against energy: lower left is better", loc="left", fontweight="bold", fontsize=12)
    axis.legend(frameon=False)
    _foot(figure, experiment)
    return figure


def pareto(result: Mapping[str, Any]) -> Figure:
    """Candidates of a search: energy across, error against the baseline's up; the front joined, the chosen ringed."""
    figure, axis = _figure(1, 1, size=(6.8, 4.4))
    tried = result["candidates"]
    for complete, style in ((True, {"color": COLOURS["line"]}), (False, {"facecolors": "none", "edgecolors": "#9aa0a8"})):
        some = [one for one in tried if one["complete"] is complete]
        label = "tried on all seeds" if complete else "given up early"
        axis.scatter(
            [one["energy_j"] for one in some], [100 * (one["loss_ratio"] - 1) for one in some], s=34, label=label, **style
        )
    front = result["front"]
    axis.plot(
        [one["energy_j"] for one in front], [100 * (one["loss_ratio"] - 1) for one in front], color=COLOURS["optimized"], lw=1.5
    )
    axis.scatter([result["baseline"]["energy_j"]], [0], marker="s", s=60, color=COLOURS["baseline"], label="baseline")
    chosen = [one for one in front if result["chosen"] and one["recipe"]["params"] == result["chosen"]["params"]]
    for one in chosen[:1]:
        place = ([one["energy_j"]], [100 * (one["loss_ratio"] - 1)])
        axis.scatter(
            *place, s=150, facecolors="none", edgecolors=COLOURS["optimized"], linewidths=2, label="chosen and confirmed"
        )
    axis.axhline(0, color="#9aa0a8", lw=0.8)
    axis.set_xscale("log")
    axis.set_xlabel("Energy per training, J (log scale)")
    axis.set_ylabel("Error against the baseline's, %")
    axis.set_title("What the search found: lower left is better", loc="left", fontweight="bold", fontsize=12)
    axis.legend(frameon=False, fontsize=9)
    return figure


def forecast(series: IntensitySeries, decision: Mapping[str, Any], zone_name: str) -> Figure:
    """The intensities the decision saw, the start at once and the window chosen."""
    from greenai.model.units import parse_iso_utc

    figure, axis = _figure(1, 1, size=(8.4, 3.2))
    starts = [series.start_at + series.step * place for place in range(len(series) + 1)]
    values = [*series.values.tolist(), float(series.values[-1])]
    axis.step(starts, values, where="post", color=COLOURS["line"], lw=1.6)
    for number, window in enumerate(decision["windows"]):
        begin, end = (parse_iso_utc(window[name]) for name in ("start_at", "end_at"))
        axis.axvspan(begin, end, color=COLOURS["window"], alpha=0.8, label="window chosen" if number == 0 else None)
    axis.axvline(parse_iso_utc(decision["made_at"]), color=COLOURS["bad"], lw=1.2, ls="--", label="decided")
    axis.set_ylim(0, 1.1 * max([*values, 1.0]))
    axis.set_ylabel("gCO2e/kWh")
    axis.set_title(f"{zone_name}: what was expected when the start was chosen (UTC)", loc="left", fontweight="bold")
    _dates(axis)
    axis.legend(frameon=False, fontsize=9, loc="best")
    return figure


def energy(trace: EnergyTrace) -> Figure:
    """Power of machine and job over the run, W; a run of one interval is one step."""
    from greenai.logic.attributing import job_energy_j

    figure, axis = _figure(1, 1, size=(8.4, 3.0))
    seconds, machine, job = [0.0], [], []
    joules = job_energy_j(trace)
    for interval, job_j in zip(trace.intervals, joules, strict=True):
        span_s = interval.duration_s
        seconds.append(seconds[-1] + span_s)
        machine.append(sum(interval.machine_j.values()) / span_s if span_s > 0 else 0.0)
        job.append(float(job_j) / span_s if span_s > 0 else 0.0)
    for values, name, colour in ((machine, "machine", COLOURS["baseline"]), (job, "job", COLOURS["optimized"])):
        axis.stairs(values, seconds, fill=name == "job", color=colour, label=name, lw=1.6, alpha=0.85)
    axis.set_ylim(0, 1.15 * max([*machine, *job, 1e-9]))
    axis.set_xlim(0, max(seconds[-1], timedelta(milliseconds=1).total_seconds()))
    axis.set_xlabel("seconds since the start")
    axis.set_ylabel("W")
    axis.set_title("Power of the machine, and the job's part of it", loc="left", fontweight="bold")
    axis.legend(frameon=False, fontsize=9)
    return figure


def _figure(rows: int, columns: int, *, size: tuple[float, float]) -> tuple[Figure, Any]:
    """A figure that belongs to nobody's pyplot: no window, no global state."""
    style = need("matplotlib").rc_context(dict(STYLE))
    with style:
        figure = need("matplotlib.figure").Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(rows, columns)


def _bars(axis: Axes, values: Mapping[str, Sequence[float]], title: str) -> None:
    means = {arm: sum(some) / len(some) for arm, some in values.items()}
    axis.bar(list(means), list(means.values()), color=[COLOURS[arm] for arm in means], width=0.55)
    top = max(max(some) for some in values.values())
    for place, (arm, some) in enumerate(values.items()):
        axis.scatter([place + 0.02 * (n % 5 - 2) for n in range(len(some))], some, color="#20252b", s=9, zorder=3)
        axis.annotate(
            f"{means[arm]:.3g}", (place, max(some)), ha="center", va="bottom", xytext=(0, 4), textcoords="offset points"
        )
    axis.set_ylim(0, top * 1.18)
    axis.grid(axis="x", visible=False)
    axis.set_title(title, loc="left")


def _differences(axis: Axes, experiment: Experiment, field: str, *, title: str, paired: Paired) -> None:
    numbers = [pair.number for pair in experiment.pairs]
    values = [getattr(pair.optimized, field) - getattr(pair.baseline, field) for pair in experiment.pairs]
    colours = [COLOURS["optimized"] if value <= 0 else COLOURS["bad"] for value in values]
    axis.vlines(numbers, 0, values, color=colours, lw=2)
    axis.scatter(numbers, values, color=colours, s=30, zorder=3)
    axis.axhline(0, color="#20252b", lw=0.9)
    axis.axhline(
        paired.mean, color=COLOURS["line"], lw=1.2, ls="--", label=f"mean {paired.mean:+.3g} ({paired.change_ratio:+.1%})"
    )
    if paired.low > float("-inf"):
        axis.axhspan(paired.low, paired.high, color=COLOURS["line"], alpha=0.12, label="95 % interval of the mean")
    axis.set_xticks(numbers)
    axis.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    axis.set_xlabel("pair")
    low, high = min([*values, 0.0]), max([*values, 0.0])
    axis.set_ylim(low - 0.35 * (high - low), high + 0.1 * (high - low))
    axis.set_title(title, loc="left")
    axis.legend(frameon=False, fontsize=8.5, loc="lower left")


def _conclusion(energy: Paired) -> str:
    if energy.refusal:
        return f"No conclusion: {energy.refusal}"
    word = "less" if energy.mean < 0 else "more"
    return f"The optimised training used {abs(energy.change_ratio):.1%} {word} energy"


def _foot(figure: Figure, experiment: Experiment) -> None:
    first = experiment.pairs[0].baseline
    text = (
        f"{len(experiment.pairs)} pairs on {first.labels.get('dataset', '')}; energy {first.document['quality']['energy']}, "
        f"its scale known to x{first.band[0]:.2f} to x{first.band[1]:.2f} in both arms alike; experiment {experiment.id}"
    )
    figure.supxlabel(text, x=0.02, ha="left", fontsize=8, color="#5b626b")


def _dates(axis: Axes) -> None:
    dates = need("matplotlib.dates")
    locator = dates.AutoDateLocator(tz=UTC)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC))


def moment(value: datetime) -> str:
    """A moment as reports write it."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
