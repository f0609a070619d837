"""`greenai completion`: the script a shell sources."""

from __future__ import annotations

import click

from greenai.cli.command import Command, Session, pass_session

SHELLS = ("bash", "zsh", "fish")

HELP = """Shell completion for bash, zsh or fish.

\b
  bash: greenai completion bash > ~/.local/share/bash-completion/completions/greenai
  zsh:  greenai completion zsh > a directory of $fpath, as _greenai
  fish: greenai completion fish > ~/.config/fish/completions/greenai.fish
"""


@click.command(cls=Command, help=HELP)
@click.argument("shell", type=click.Choice(SHELLS))
@pass_session
def completion(session: Session, shell: str) -> None:
    """Print the script, or with --json one document that holds it."""
    from click.shell_completion import get_completion_class

    from greenai.cli.root import COMPLETE_VARIABLE, root

    completer = get_completion_class(shell)
    if completer is None:  # pragma: no cover - the choice above names only shells click knows
        raise click.UsageError(f"there is no completion for {shell}")
    script = completer(root, {}, "greenai", COMPLETE_VARIABLE).source()
    if session.json:
        session.screen.document({"shell": shell, "script": script})
    else:
        click.echo(script)
