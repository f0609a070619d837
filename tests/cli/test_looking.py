"""config, plugins and completion."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.test_schemas import check


def test_config_show_names_value_and_origin(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_PUE", "1.25")
    lines = [line.split() for line in cli("config", "show", "--zone", "fr").out.splitlines()]
    assert ["zone", "FR", "command", "line"] in lines
    assert ["pue", "1.25", "GREENAI_PUE"] in lines
    assert ["wue_l_per_kwh", "not", "set", "default"] in lines


def test_config_show_in_detail_says_what_each_is(cli: Cli) -> None:
    assert "power usage effectiveness" in cli("config", "show", "-v").out


def test_config_show_as_json(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_EMBODIED_KG", "1000-1500")
    document = json.loads(cli("config", "show", "--json").out)
    assert document["embodied_kg"] == {"value": [1000.0, 1500.0], "origin": "GREENAI_EMBODIED_KG"}
    assert document["home"]["value"] == os.environ["GREENAI_HOME"]
    assert "1000 to 1500" in cli("config", "show").out


def test_a_secret_is_shown_nowhere(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_UK_KEY", "hush-hush")
    for words in (["config", "show"], ["config", "show", "--json"], ["config", "show", "-vv"]):
        result = cli(*words)
        assert "hush" not in result.out + result.err
        assert "set, not shown" in result.out


def test_an_unknown_setting_is_exit_2_with_the_nearest(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_ZON", "GB")
    result = cli("config", "show")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: there is no setting GREENAI_ZON\nhint: did you mean GREENAI_ZONE?\n"


def test_config_path_says_which_files_are_read(cli: Cli, corner: Path) -> None:
    assert "not there; greenai config init writes it" in cli("config", "path").out
    (corner / "greenai.toml").write_text('zone = "GB"\n')
    document = json.loads(cli("config", "path", "--json").out)
    assert document["project"] == str(corner / "greenai.toml")
    assert document["user"].endswith("config/greenai/config.toml")


def test_config_init_writes_a_file_once(cli: Cli) -> None:
    result = cli("config", "init")
    assert result.code == 0
    path = Path(result.out.removeprefix("wrote ").strip())
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {}
    again = cli("config", "init")
    assert again.code == 2
    assert again.err == f"error: {path} is already there\nhint: edit it, or move it away first\n"


def test_config_init_for_the_project(cli: Cli, corner: Path) -> None:
    assert json.loads(cli("config", "init", "--project", "--json").out) == {"written": str(corner / "greenai.toml")}


def test_config_init_where_nothing_can_be_written(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    result = cli("config", "init")
    assert result.code == 5
    assert "cannot be written" in result.err


def test_plugins_lists_every_kind(cli: Cli) -> None:
    out = cli("plugins").out
    for kind, name in (("policy", "greenest"), ("provider", "uk"), ("meter", "rapl")):
        assert any(line.split()[:2] == [kind, name] for line in out.splitlines())
    document = json.loads(cli("plugins", "--json").out)
    assert {"group", "name", "target", "distribution", "version", "problem"} == set(document[0])


def test_a_plugin_that_cannot_be_loaded_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from greenai import plugins

    broken = plugins.Plugin(
        group="greenai.meters", name="odd", target="odd:x", distribution="odd", version="1", problem="it is broken"
    )
    monkeypatch.setattr(plugins, "plugins", lambda: (broken,))
    result = cli("plugins")
    assert result.code == 0
    assert "it is broken" in result.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_the_shell_accepts(cli: Cli, shell: str, tmp_path: Path) -> None:
    script = cli("completion", shell).out
    assert "_GREENAI_COMPLETE" in script
    assert json.loads(cli("completion", shell, "--json").out)["script"].strip() == script.strip()
    if shutil.which(shell):
        (tmp_path / "script").write_text(script, encoding="utf-8")
        assert subprocess.run([shell, "-n", tmp_path / "script"], check=False, timeout=30).returncode == 0


def test_the_shell_is_offered_commands_and_options() -> None:
    def offered(*words: str) -> set[str]:
        environ = {
            **os.environ,
            "_GREENAI_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("greenai", *words)),
            "COMP_CWORD": str(len(words)),
        }
        done = subprocess.run(
            [sys.executable, "-m", "greenai.cli"], env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    assert {"plan", "plugins"} <= offered("pl")
    assert "--finish-by" in offered("plan", "--fin")
    assert "settle" in offered("evidence", "se")


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_addresses_are_shown_without_what_may_be_secret(cli: Cli, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("s3cr3t", "ghp_0123456789abcdefghij")
    monkeypatch.setenv("GREENAI_UK_URL", f"https://gate.example/v1?key={secrets[0]}&zone=GB")
    monkeypatch.setenv("GREENAI_EIA_URL", f"https://gate.example/{secrets[1]}/v2#{secrets[0]}")
    result = cli("config", "show", *words)
    assert result.code == 0
    assert not [secret for secret in secrets if secret in result.out]
    assert "https://gate.example/v1?***" in result.out
    assert "https://gate.example/***/v2#***" in result.out


def test_the_grid_is_served_until_stopped() -> None:
    command = [sys.executable, "-m", "greenai.cli", "testing", "grid", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            text = "".join(line for line in iter(server.stdout.readline, "}\n")) + "}"
            document = json.loads(text)
            check(document, "testing_grid")
            assert document["series"] is None
            with urllib.request.urlopen(f"{document['url']}/intensity", timeout=10) as answer:
                assert "data" in json.load(answer)
            server.send_signal(signal.SIGINT)
            _, err = server.communicate(timeout=30)
        finally:
            server.kill()
    assert (server.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--series", "nowhere.csv"], "the series file nowhere.csv cannot be read"),
        (["--fault", "odd"], "there is no fault 'odd'"),
        (["--fault", "outage_500:x"], "the fault 'outage_500:x' says no number of requests"),
        (["--at", "yesterday"], "'yesterday' names no time of day"),
    ],
)
def test_a_grid_that_cannot_be_served(cli: Cli, words: list[str], message: str) -> None:
    result = cli("testing", "grid", *words)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
