"""`greenai daemon install`: a systemd user unit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from greenai.config import Settings

ENABLE = "systemctl --user daemon-reload && systemctl --user enable --now greenai"
LINGER = "loginctl enable-linger"
BOOTED = Path("/run/systemd/system")
"""There where systemd runs the machine (sd_booted(3))."""

NO_SYSTEMD = "systemd does not run this machine, nothing will start it: start greenai daemon another way (nohup, cron's @reboot)"

UNIT = """# Written by greenai daemon install. Secrets belong into a settings file of mode 0600, not here.
[Unit]
Description=greenai: runs queued jobs when the grid is clean
After=network-online.target

[Service]
ExecStart={command}
{environment}WorkingDirectory=%h
Restart=on-failure
RestartSec=10
# The jobs outlive the daemon: only it is stopped, and only it is restarted.
KillMode=process
SuccessExitStatus=143

[Install]
WantedBy=default.target
"""


@click.command(cls=Command, epilog=f"\b\ngreenai daemon install\n{ENABLE}\n{LINGER}      to run it without being logged in")
@click.option("--print", "only_print", is_flag=True, help="Print the unit and write nothing.")
@click.option("--force", is_flag=True, help="Replace a unit that is there and differs.")
@pass_session
def install(session: Session, *, only_print: bool, force: bool) -> None:
    """Write a systemd user unit that runs the daemon from login on, also after a reboot."""
    from greenai.wiring_queue import user_unit_path

    text = unit(session.settings())
    path = user_unit_path()
    if not only_print:
        _write(path, text, force=force)
    verified = None if only_print else _verified(path)
    if session.json:
        written = None if only_print else str(path)
        session.screen.document({"path": written, "unit": text, "verified": verified, "enable": ENABLE})
    elif only_print:
        click.echo(text, nl=False)
    else:
        session.screen.answer(f"wrote {path}", style="")
        if verified is False:
            session.screen.warn(f"systemd finds fault with it: systemd-analyze verify --user {path} says what")
        if BOOTED.is_dir():
            session.screen.detail(f"  start it: {ENABLE}", f"  run it without being logged in: {LINGER}")
        else:
            session.screen.warn(NO_SYSTEMD)


def unit(settings: Settings) -> str:
    """The text of the unit: this Python, this state directory, this PATH and zone; no secret."""
    told = {"GREENAI_HOME": str(settings.home), "GREENAI_ZONE": settings.zone, "PATH": os.environ.get("PATH", "")}
    environment = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in told.items() if value)
    command = " ".join(_quoted(word).replace("$", "$$") for word in (sys.executable, "-m", "greenai.cli", "daemon", "run"))
    return UNIT.format(command=command, environment=environment)


def _quoted(word: str) -> str:
    """A word as systemd reads it back (systemd.syntax(7), specifiers doubled)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if any(mark in escaped for mark in ' "') else escaped


def _write(path: Path, text: str, *, force: bool) -> None:
    from greenai.errors import InputError, StoreError

    try:
        if path.exists() and path.read_text(encoding="utf-8") != text and not force:
            raise InputError(f"{path} is there and differs", hint="look at it, then add --force to replace it")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = "greenai daemon install --print shows the unit"
        raise StoreError(f"{path} cannot be written: {error.strerror}", hint=hint) from None


def _verified(path: Path) -> bool | None:
    """What systemd says of the unit; None where it cannot be asked."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return None
    command = [program, "verify", "--user", str(path)]
    with tempfile.TemporaryDirectory() as elsewhere:
        # Without a directory of a login session it would find fault with that, not with the unit.
        environ = {"XDG_RUNTIME_DIR": elsewhere, **os.environ}
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environ)
        except (OSError, subprocess.TimeoutExpired):
            return None
    return done.returncode == 0 and path.name not in done.stderr
