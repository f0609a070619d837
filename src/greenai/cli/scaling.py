"""What an elastic plan adds to the words of `plan`: its options, the curve, and fixed numbers of workers beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from greenai.api import PlanAnswer

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--scaling", metavar="CURVE", help="Throughput by workers: 1=1,2=1.9,4=3.4, or a file of profile-scaling; plans workers."
    ),
    click.option(
        "--worker-w", metavar="W", type=click.FloatRange(min=0, min_open=True), help="Power of one worker, for --scaling."
    ),
    click.option("--shared-w", metavar="W", type=click.FloatRange(min=0), help="Power that workers share while any runs."),
    click.option("--hull", is_flag=True, help="Leave out the workers that break the rule of the scaling curve."),
)


def scaling(command: F) -> F:
    """--scaling and what describes it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_beside(asked: Mapping[str, Any], *, beside: bool) -> None:
    """The other basis is weighed for a constant load."""
    if beside and (asked["scaling"] or asked["policy"] == "elastic"):
        raise click.UsageError("--beside weighs a run of constant load, an elastic plan has none: leave one of them out")


def beside_fixed(answer: PlanAnswer) -> dict[str, Any]:
    """The curve and the fixed sizes under the key `elastic` of the document; nothing of another plan."""
    if answer.job.constraints.scaling is None:
        return {}
    from greenai import api

    document = api.elastic_document(answer.reading.series, answer.job.constraints, made_at=answer.decision.made_at)
    return {"elastic": document} if document else {}


def with_workers(answer: PlanAnswer) -> str:
    """Whose duration it is."""
    curve = answer.job.constraints.scaling
    return "" if curve is None else f" with {workers(curve.reference_workers)}"


def workers(count: int) -> str:
    """`1 worker`, `4 workers`."""
    return f"{count} worker" + "s" * (count != 1)


def fixed_sizes(answer: PlanAnswer, zone: tzinfo, width: int) -> tuple[RenderableType, ...]:
    """The elastic plan among fixed numbers of workers at the same deadline; nothing of another plan."""
    from greenai.cli import words
    from greenai.cli.screen import fitting

    document = beside_fixed(answer).get("elastic")
    if not document:
        return ()
    rows = [
        (
            f"{row['manner']}, {workers(row['workers'])}",
            words.clock_time(datetime.fromisoformat(row["end_at"]), zone),
            words.number(row["cost_g_per_kw"]),
            words.share(row["saving"]),
        )
        for row in document["fixed"]
    ]
    load = f"g per kW of {workers(document['reference_workers'])}"
    return "", fitting(("fixed workers, same deadline", "done", load, "saving"), rows, right=(2, 3), width=width)
