"""The command tree, and the one place where errors become words.

`greenai --help` reads the table below and imports no command; a command's module
imports numpy, httpx and rich only inside its function.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import click

from greenai._version import __version__
from greenai.cli.command import Session, common_options
from greenai.cli.exits import UNEXPECTED, exit_code_of
from greenai.cli.lazy import LazyGroup, UnknownCommand
from greenai.cli.streams import forget_stdout, prepare
from greenai.errors import GreenaiError

COMPLETE_VARIABLE = "_GREENAI_COMPLETE"
DEBUG_VARIABLE = "GREENAI_DEBUG"

COMMANDS: Mapping[str, tuple[str, str]] = {
    "now": ("now:now", "How clean is the grid at this moment?"),
    "forecast": ("forecast:forecast", "The next hours, drawn."),
    "zones": ("zones:zones", "Which grids are covered, by which source, with which key."),
    "skill": ("skill:skill", "How good have forecasts been, the services' and our own?"),
    "regions": ("regions:regions", "Which cloud regions there are, their grids and buildings."),
    "history": ("history:history", "What was measured, drawn or as a series file."),
    "plan": ("plan:plan", "When should a job run?"),
    "backtest": ("backtest:backtest", "What would have been saved on a measured past?"),
    "run": ("run:run", "Wait for the clean hour, run a command, leave evidence."),
    "train": ("train:train", "Train on your table now, behind the quality gate, metered."),
    "optimize": ("optimize:optimize", "Find the least energy that is not worse, and save how."),
    "experiment": ("experiment:experiment", "Baseline against optimised, in randomised pairs."),
    "predict": ("predict:predict", "Train on one table, predict another, measured."),
    "report": ("report:report", "Cards, footprint, impact and one page, from the ledger."),
    "submit": ("submit:submit", "Hand a command over to the queue, and walk away."),
    "jobs": ("jobs:jobs", "List, show, follow, cancel, pause and resume queued jobs."),
    "daemon": ("daemon:daemon", "Run the queue: plan, launch, pause and resume its jobs."),
    "progress": ("progress:progress", "Inside a job: say how much of the work is done."),
    "slurm": ("slurm:slurm", "Plan, submit and pause sbatch scripts; filters for a site."),
    "measure": ("measure:measure", "Run a command now and measure it."),
    "profile-scaling": ("profile_scaling:profile_scaling", "How speed and power grow with a command's workers."),
    "evidence": ("evidence:evidence", "List, show, verify, settle and export what was recorded."),
    "doctor": ("doctor:doctor", "What can be measured here, and how to fix what cannot."),
    "config": ("config:config", "Show the settings and where each one comes from."),
    "plugins": ("plugins:plugins", "Policies, providers and meters that are installed."),
    "testing": ("testing:testing", "A fake grid service for trying things out."),
    "completion": ("completion:completion", "Shell completion for bash, zsh or fish."),
}
"""Command -> (module:object under greenai.cli.commands, one line of help)."""

HELP = """Run machine-learning training when the grid is clean, and prove what it did.

\b
  greenai plan --duration 2h --finish-by 24h
  greenai run --duration 2h --finish-by 24h -- python train.py
  greenai evidence show last
"""


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"greenai {__version__}")
        ctx.exit()


root = LazyGroup(
    "greenai",
    table=COMMANDS,
    help=HELP,
    epilog="Exit codes: 0 ok, 2 usage, 3 no window, 4 grid service, 5 store or evidence, 130 interrupted; "
    "run and measure pass on the command's own.",
    params=[
        click.Option(
            ["-V", "--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Show the version and exit.",
        ),
        *common_options(),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors are printed as one sentence and a remedy."""
    if COMPLETE_VARIABLE in os.environ:
        root.main(prog_name="greenai")
    prepare()
    session = Session()
    try:
        code = _invoke(list(sys.argv[1:] if args is None else args), session)
        sys.stdout.flush()
    except (GreenaiError, click.ClickException, BrokenPipeError, KeyboardInterrupt) as error:
        return report(error)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE, "") not in {"", "0"}:
            raise
        _print_error(
            f"greenai failed unexpectedly: {type(error).__name__}: {error}",
            f"this is a defect in greenai; set {DEBUG_VARIABLE}=1 to see the traceback and report it",
        )
        raise SystemExit(UNEXPECTED) from error
    return code


def _invoke(args: list[str], session: Session) -> int:
    try:
        with root.make_context("greenai", args, obj=session) as ctx:
            code = root.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code
    return code if isinstance(code, int) else 0


def report(error: BaseException) -> int:
    """Print what went wrong, and return the exit code for it."""
    if isinstance(error, BrokenPipeError):
        forget_stdout()
    elif isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return 0
    elif isinstance(error, click.ClickException):
        _print_error(_sentence(error), _usage_hint(error))
        return error.exit_code
    elif isinstance(error, GreenaiError):
        _print_error(str(error), error.hint)
    else:
        _print_error("interrupted", None)
    return exit_code_of(error)


def _sentence(error: click.ClickException) -> str:
    """Click's message in this program's style: no capital, no full stop."""
    message = error.message if isinstance(error, click.exceptions.NoSuchOption) else error.format_message()
    message = message.rstrip(".")
    return message[:1].lower() + message[1:]


def _usage_hint(error: click.ClickException) -> str | None:
    if isinstance(error, UnknownCommand):
        return error.hint
    if isinstance(error, click.exceptions.NoSuchOption) and error.possibilities:
        return f"did you mean {' or '.join(error.possibilities)}?"
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "greenai"
    return f"see {path} --help"


def _print_error(message: str, hint: str | None) -> None:
    """`error: ...` and `hint: ...` on stderr, coloured only on a terminal that wants colour."""
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True, color=colour)
    if hint:
        click.echo(click.style("hint: ", fg="cyan") + hint, err=True, color=colour)
