"""The files of `greenai report`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from greenai._version import __version__
from greenai.config import Settings
from greenai.errors import InputError
from greenai.logic.evidence_rows import decimal
from greenai.report import plots
from greenai.report.contents import Contents, contents_of
from greenai.report.extras import need
from greenai.report.fitness import fitness_of
from greenai.report.impact import SCENARIOS, impact_csv
from greenai.report.trainings import Document, training_of

PAGE = "report.html"
TEXTS = {"FOOTPRINT.md": "footprint.md.j2", "data_card.md": "data_card.md.j2", "model_card.md": "model_card.md.j2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was written, what was left out and why, and the conclusion in one line."""

    files: tuple[Path, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    conclusion: str = ""
    problems: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "files": [str(path) for path in self.files],
            "left_out": dict(self.left_out),
            "conclusion": self.conclusion,
            "problems": list(self.problems),
        }


def write_report(
    folder: str | Path,
    *,
    run: str | None = None,
    experiment: str | None = None,
    scenarios: Mapping[str, int] = SCENARIOS,
    equivalences: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Write FOOTPRINT.md, the cards, impact_math.csv, the plots and report.html from the ledger.

    The ledger is verified first; what does not hold is said at the top of every
    file. `run` is the run in the spotlight (default: the newest decided one),
    `experiment` the comparison (default: the newest).

    Raises:
        InputError: no evidence, no such run or experiment, a folder that cannot be written, jinja2 or matplotlib missing.
        StoreError: the ledger cannot be read.
    """
    folder = Path(folder)
    contents = contents_of(run=run, experiment=experiment, scenarios=scenarios, settings=settings)
    words = _values(contents, scenarios)
    texts = {name: _rendered(template, words) for name, template in TEXTS.items()}
    left_out: dict[str, str] = {}
    pictures: list[Path] = []
    if contents.comparison is None:
        left_out = dict.fromkeys(("impact_math.csv", "energy_co2_bars.png"), "the ledger holds no complete experiment")
    else:
        compared = contents.comparison.experiment
        texts["impact_math.csv"] = impact_csv(compared, scenarios, equivalences=equivalences)
        pictures = plots.draw_experiment([one.document for one in compared.trainings], folder)
    texts[PAGE] = _rendered("page.html.j2", {**words, **_drawings(contents)})
    files = [_written(folder / name, text) for name, text in texts.items()]
    sentence = contents.comparison.sentence if contents.comparison else ""
    return Report(files=(*files, *pictures), left_out=left_out, conclusion=sentence, problems=tuple(contents.problems))


def _values(contents: Contents, scenarios: Mapping[str, int]) -> dict[str, Any]:
    """What the templates may use."""
    return {
        "contents": contents,
        "run": contents.run,
        "comparison": contents.comparison,
        "model": contents.model,
        "fitness": fitness_of(contents),
        "scenarios": scenarios,
        "version": __version__,
        "rows": [_row(document) for document in contents.documents],
        "made_at": max(document["ended_at"] or document["started_at"] or "" for document in contents.documents),
    }


def _row(document: Document) -> dict[str, Any]:
    """One line of the table of runs."""
    training = training_of(document)
    labels = document["inputs"]["labels"]
    return {
        "run_id": document["run_id"],
        "sha256": document["sha256"],
        "phase": labels.get("phase", "run"),
        "pair": labels.get("pair_id", ""),
        "repeats": labels.get("repeats", "") or "1",
        "training": training,
        "document": document,
        "quality": labels.get("quality_metric_value", ""),
        "metric": labels.get("quality_metric_name", "") if labels.get("quality_metric_value") else "",
    }


def _drawings(contents: Contents) -> dict[str, str]:
    """The pictures of the page, as SVG elements; empty where there is nothing to draw."""
    draw = {"forecast_svg": "", "energy_svg": "", "bars_svg": "", "differences_svg": ""}
    if contents.series is not None:
        draw["forecast_svg"] = plots.svg(plots.forecast(contents.series, contents.run["decision"], contents.series.zone))
    if contents.trace is not None and contents.trace.intervals:
        draw["energy_svg"] = plots.svg(plots.energy(contents.trace))
    if contents.comparison is not None:
        draw["bars_svg"] = plots.svg(plots.bars(contents.comparison.experiment))
        draw["differences_svg"] = plots.svg(plots.differences(contents.comparison.experiment))
    return draw


def _rendered(template: str, values: Mapping[str, Any]) -> str:
    jinja = need("jinja2")
    environment = jinja.Environment(
        loader=jinja.PackageLoader("greenai.report"),
        autoescape=jinja.select_autoescape(("html.j2",), default=False),
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = {"fixed": decimal, "short": _short, "ref": _reference, "signed": partial(_short, sign="+"), "cell": _cell}
    environment.filters.update(filters)
    text: str = environment.get_template(template).render(**values)
    return text


def _short(value: float | None, sign: str = "") -> str:
    """Three digits, without an exponent; "unknown" for None, and an interval of one pair has no ends."""
    if value is None:
        return "unknown"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e5):
        digits = decimal(float(f"{value:.3g}")).rstrip("0").rstrip(".")
        return f"+{digits}" if sign and value > 0 else digits
    return f"{value:{sign}.3g}" if abs(value) < 1000 else f"{value:{sign}.0f}"


def _reference(document: Document) -> str:
    """The record a number came from: its run and the beginning of its hash."""
    return f"{document['run_id']} sha256:{document['sha256'][:12]}"


def _cell(text: Any) -> str:
    """A text that cannot break a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def _written(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", hint="choose another --out") from None
    return path
