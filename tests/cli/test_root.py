from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.cli.conftest import Cli

from greenai import errors
from greenai.cli import exits
from greenai.cli.root import COMMANDS, main, report, root

HEAVY = ("numpy", "httpx", "rich", "dateparser", "greenai.api", "greenai.config", "sqlite3")


def python(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, timeout=60, env={**os.environ, **env}, check=False
    )


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["evidence", "--help"], ["run", "--help"], ["pln"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = f"import sys; from greenai.cli import main; main({words!r}); print([m for m in {HEAVY!r} if m in sys.modules])"
    assert python("-c", code).stdout.splitlines()[-1] == "[]"


def test_help_imports_no_command() -> None:
    code = "import sys; from greenai.cli import main; main(['-h']); print([m for m in sys.modules if '.commands' in m])"
    done = python("-c", code)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout and line in done.stdout for name, (_, line) in COMMANDS.items())


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_loads_and_explains_itself(cli: Cli, name: str) -> None:
    result = cli(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: greenai {name}")
    assert "-h, --help" in result.out or "--help" in result.out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["completion"], "  bash: greenai completion bash > ~/.local/share/bash-completion/completions/greenai"),
        (["testing", "grid"], "  export GREENAI_UK_URL=http://127.0.0.1:PORT"),
    ],
)
def test_examples_in_help_keep_their_lines(cli: Cli, words: list[str], line: str) -> None:
    lines = cli(*words, "--help").out.splitlines()
    assert any(shown.strip() == line.strip() for shown in lines)
    assert not any("\\b" in shown for shown in lines)


def leaves_of_all() -> list[click.Command]:
    context = click.Context(root)
    leaves = [root.get_command(context, name) for name in COMMANDS]
    flat = [
        leaf.get_command(context, name) if isinstance(leaf, click.Group) else leaf
        for leaf in leaves
        for name in (leaf.list_commands(context) if isinstance(leaf, click.Group) else [""])
    ]
    return [leaf for leaf in flat if leaf is not None]


def test_every_leaf_has_the_common_options() -> None:
    for leaf in leaves_of_all():
        assert {"zone", "json", "quiet", "verbose"} <= {param.name for param in leaf.params}, leaf.name


@pytest.mark.parametrize("columns", [80, 120])
def test_no_help_shows_the_mark_that_keeps_lines_nor_joins_two_examples(columns: int) -> None:
    for leaf in leaves_of_all():
        shown = leaf.get_help(click.Context(leaf, info_name=leaf.name, terminal_width=columns))
        assert "\\b" not in shown, leaf.name
        assert "\b" not in shown, leaf.name
        assert not any(line.count("greenai ") > 1 and line.startswith("  greenai ") for line in shown.splitlines()), leaf.name


def test_help_of_the_table_and_of_the_command_agree() -> None:
    context = click.Context(root)
    for name, (_, line) in COMMANDS.items():
        command = root.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert line.endswith((".", "?"))


def test_both_ways_to_start() -> None:
    done = python("-m", "greenai.cli", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"greenai {greenai_version()}\n", "")
    script = Path(sys.executable).with_name("greenai")
    assert subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout == done.stdout


def greenai_version() -> str:
    import greenai

    return greenai.__version__


def test_no_command_shows_help(cli: Cli) -> None:
    result = cli()
    assert result.code == 0
    assert "Commands:" in result.out


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["pln"], "there is no command 'pln'", "did you mean 'plan'?"),
        (["xyz"], "there is no command 'xyz'", "commands: now, forecast"),
        (["evidence", "lst"], "there is no command 'lst'", "did you mean 'list'?"),
        (["config", "shw"], "there is no command 'shw'", "did you mean 'show'?"),
        (["plan", "--finishby", "24h"], "no such option '--finishby'", "did you mean --finish-by"),
        (["now", "--require", "dead"], "invalid value for '--require'", "see greenai now --help"),
        (["completion", "csh"], "invalid value for", "see greenai completion --help"),
    ],
)
def test_usage_errors_teach(cli: Cli, words: list[str], message: str, hint: str) -> None:
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    first, second = result.err.splitlines()
    assert first.startswith(f"error: {message}")
    assert second.startswith("hint: ")
    assert hint in second


EVERY_ERROR = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.GreenaiError)]
DOCUMENTED = {
    "GreenaiError": 2,
    "InputError": 2,
    "ConfigError": 2,
    "UnknownZone": 2,
    "SeriesError": 2,
    "SeriesGap": 2,
    "MixedSeries": 2,
    "UnknownJob": 2,
    "NoFeasibleWindow": 3,
    "ProviderError": 4,
    "ProviderUnavailable": 4,
    "ProviderRefused": 4,
    "ProviderBadData": 4,
    "StoreError": 5,
    "EvidenceDamaged": 5,
    "MeterUnavailable": 2,
}


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_has_its_documented_exit_code(kind: type[errors.GreenaiError]) -> None:
    assert exits.exit_code_of(kind()) == DOCUMENTED[kind.__name__]


def test_every_exit_code_is_explained() -> None:
    assert {code for _, code in exits.EXIT_CODES} <= {code for code, _ in exits.MEANINGS}


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_an_error_is_a_sentence_and_a_remedy(kind: type[errors.GreenaiError], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise kind("the thing broke", hint="mend it")

    monkeypatch.setattr(root, "invoke", fail)
    result = cli("now")
    assert result.code == DOCUMENTED[kind.__name__]
    assert (result.out, result.err) == ("", "error: the thing broke\nhint: mend it\n")


def test_an_error_without_a_remedy_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "invoke", failing(errors.StoreError("the disk is full")))
    assert cli("now").err == "error: the disk is full\n"


def failing(error: BaseException) -> object:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_ctrl_c_is_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "invoke", failing(KeyboardInterrupt()))
    result = cli("now")
    assert (result.code, result.err) == (130, "error: interrupted\n")


def test_a_defect_is_one_sentence_and_says_how_to_see_more(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "invoke", failing(ZeroDivisionError("division by zero")))
    result = cli("now")
    assert result.code == exits.UNEXPECTED
    assert result.err.splitlines() == [
        "error: greenai failed unexpectedly: ZeroDivisionError: division by zero",
        "hint: this is a defect in greenai; set GREENAI_DEBUG=1 to see the traceback and report it",
    ]


def test_with_debug_a_defect_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_DEBUG", "1")
    monkeypatch.setattr(root, "invoke", failing(ZeroDivisionError("division by zero")))
    with pytest.raises(ZeroDivisionError):
        main(["now"])


def test_errors_are_coloured_only_on_a_terminal_that_wants_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    report(errors.InputError("no"))
    assert "\x1b[" in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    report(errors.InputError("no"))
    assert "\x1b[" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m greenai.cli plugins --json | true"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_defect(closed: str) -> None:
    command = f"{sys.executable} -m greenai.cli config path {closed}; echo code $? >&3"
    done = subprocess.run(["bash", "-c", f"{{ {command}; }} 3>&1"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "code 0"
    assert "error" not in done.stdout + done.stderr


def test_a_stream_that_is_not_utf_8_takes_everything() -> None:
    done = python("-m", "greenai.cli", "config", "show", PYTHONIOENCODING="ascii", GREENAI_PUE_SOURCE="Bürger Ökostrom")
    assert done.returncode == 0
    assert "B\\xfcrger" in done.stdout
    done = python("-m", "greenai.cli", "config", "show", "--json", PYTHONIOENCODING="ascii", GREENAI_PUE_SOURCE="Bürger Ökostrom")
    assert json.loads(done.stdout)["pue_source"]["value"] == "Bürger Ökostrom"


def test_common_options_may_stand_before_or_after(cli: Cli) -> None:
    before, after = cli("--json", "config", "path"), cli("config", "path", "--json")
    assert before == after
    assert before.out.startswith("{")


def test_the_version_of_the_machine_readable_kind(cli: Cli) -> None:
    assert cli("--version").out == f"greenai {greenai_version()}\n"
