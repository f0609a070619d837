"""Every --json output has a published schema, and real outputs keep to it."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import click
import jsonschema
import pytest
from referencing import Registry, Resource
from tests.cli import fakes
from tests.cli.conftest import Cli, FakeApi
from tests.cli.test_recording import Report, Settled

from greenai.cli.root import COMMANDS, root

SCHEMAS = {
    entry.name.removesuffix(".schema.json"): json.loads(entry.read_text(encoding="utf-8"))
    for entry in files("greenai.schemas").iterdir()
    if entry.name.endswith(".schema.json")
}
REGISTRY: Registry[Any] = Registry().with_resources(
    (f"{name}.schema.json", Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)


def check(document: Any, name: str) -> None:
    """Raise unless the document keeps to the schema of that name."""
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(SCHEMAS[name], registry=REGISTRY, format_checker=checker).validate(document)


OWN_SCHEMA = {
    "now": "now",
    "forecast": "forecast",
    "zones": "zones",
    "skill": "skill",
    "regions": "regions",
    "history": "history",
    "plan": "plan",
    "backtest": "backtest",
    "run": "run",
    "measure": "run",
    "submit": "submit",
    "jobs list": "jobs",
    "jobs show": "jobs_show",
    "jobs logs": "jobs_logs",
    **{f"jobs {verb}": "jobs_change" for verb in ("cancel", "hold", "release", "pause", "resume", "retry")},
    "jobs wait": "jobs_wait",
    "daemon run": "job_event",
    "daemon status": "daemon_status",
    "daemon install": "daemon_install",
    "progress": "progress",
    "profile-scaling": "profile_scaling",
    "train": "run",
    "optimize": "optimize",
    "experiment": "experiment",
    "predict": "predict",
    "report": "report",
    "evidence list": "evidence_list",
    "evidence show": "evidence",
    "evidence verify": "verify",
    "evidence settle": "settle",
    "evidence export": "export",
    **{f"slurm {leaf}": f"slurm_{leaf}" for leaf in ("wrap", "pause", "energy", "begin", "slots", "lua")},
    "doctor": "doctor",
    "config show": "config_show",
    "config path": "config_path",
    "config init": "config_init",
    "plugins": "plugins",
    "testing grid": "testing_grid",
    "completion": "completion",
}


def commands() -> list[str]:
    context = click.Context(root)
    names = []
    for name in COMMANDS:
        command = root.get_command(context, name)
        below = command.list_commands(context) if isinstance(command, click.Group) else [""]
        names += [f"{name} {leaf}".strip() for leaf in below]
    return names


def test_every_command_has_a_schema() -> None:
    assert set(commands()) == set(OWN_SCHEMA)
    assert set(OWN_SCHEMA.values()) <= set(SCHEMAS)


@pytest.mark.parametrize("name", sorted(set(OWN_SCHEMA.values())))
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"{name}.schema.json"
    assert SCHEMAS[name]["title"]


@pytest.mark.parametrize(
    "reading",
    [fakes.reading(), fakes.reading(step="climatology", reason="no answer", issued_at=None, kind="modelled", scope="lifecycle")],
)
def test_now_and_forecast_keep_to_theirs(cli: Cli, api: FakeApi, reading: Any) -> None:
    api.answers("forecast", reading)
    check(json.loads(cli("now", "--json").out), "now")
    check(json.loads(cli("forecast", "--json").out), "forecast")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["config", "show"], "config_show"),
        (["config", "path"], "config_path"),
        (["config", "init"], "config_init"),
        (["plugins"], "plugins"),
        (["completion", "bash"], "completion"),
        (["doctor"], "doctor"),
    ],
)
def test_the_others_keep_to_theirs(cli: Cli, words: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_SERIES", "nowhere.csv")
    result = cli(*words, "--json")
    assert result.code in {0, 1}, result.err
    check(json.loads(result.out), name)


def test_reports_keep_to_theirs(cli: Cli, api: FakeApi) -> None:
    api.answers("verify", Report(problems=("a",), notes=("b",)))
    check(json.loads(cli("evidence", "verify", "--json").out), "verify")
    api.answers("settle", Settled(recovered=("x",), waiting=(("y", "not yet"),), warnings=("w",)))
    check(json.loads(cli("evidence", "settle", "--json").out), "settle")
    api.answers("evidence_list", [])
    check(json.loads(cli("evidence", "list", "--json").out), "evidence_list")
    check(json.loads(cli("evidence", "export", "--json", "--out", "x.csv").out), "export")


def test_a_wrong_document_is_refused() -> None:
    with pytest.raises(jsonschema.ValidationError):
        check({"ok": True, "records": 1, "evidences": 1, "problems": [3], "notes": []}, "verify")
    with pytest.raises(jsonschema.ValidationError):
        check({"written": "x", "surprise": 1}, "config_init")
