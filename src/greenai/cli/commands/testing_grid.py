"""`greenai testing grid`: a grid service on this machine."""

from __future__ import annotations

from collections.abc import Callable

import click

from greenai.cli.command import Command, Session, pass_session

VARIABLE = "GREENAI_UK_URL="

HELP = """Serve a series file as the GB Carbon Intensity API does, until Ctrl-C.

\b
  greenai testing grid --series 2020.csv --at 2020-06-01T10:00Z &
  export GREENAI_UK_URL=http://127.0.0.1:PORT
  greenai plan --zone GB --duration 2h
"""


@click.command(cls=Command, help=HELP)
@click.option("--series", metavar="FILE", type=click.Path(), help="The series file to replay.  [default: a made-up day]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1.  [default: any free one]")
@click.option("--at", metavar="WHEN", help="The recorded moment that plays as now, such as 2020-06-01T10:00Z.")
@click.option("--noise", "noise_share", type=click.FloatRange(0, 1), default=0.0, help="How far its forecasts miss, as a share.")
@click.option("--fault", "faults", metavar="NAME[:N]", multiple=True, help="Fail this way, N times or always; may be repeated.")
@pass_session
def grid(session: Session, *, series: str | None, port: int, at: str | None, noise_share: float, faults: tuple[str, ...]) -> None:
    """Serve until interrupted."""
    from datetime import UTC, datetime

    from greenai.moments import parse_moment
    from greenai.testing.grid import serve

    at_moment = parse_moment(at, datetime.now(UTC), session.local_zone) if at else None
    serve(series=series, port=port, faults=faults, at=at_moment, noise_share=noise_share, tell=_teller(session, series))


def _teller(session: Session, series: str | None) -> Callable[[str], None]:
    """Prints the server's lines, or with --json one document when its address is known."""

    def tell(line: str) -> None:
        if not session.json:
            session.screen.answer(line, style="")
        elif VARIABLE in line:
            session.screen.document({"url": line.rpartition(VARIABLE)[2], "series": series})

    return tell
