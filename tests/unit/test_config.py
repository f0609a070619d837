"""Settings: where each comes from, which one wins, and what is refused how."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from greenai import config
from greenai.config import Settings, load
from greenai.errors import ConfigError


@pytest.fixture
def world(tmp_path):
    """An environment of its own: XDG directories, a project directory below two parents."""
    project = tmp_path / "work" / "deep" / "project"
    project.mkdir(parents=True)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state"), "TZ": "Europe/London"}
    return World(tmp_path, project, environ)


class World:
    def __init__(self, root: Path, project: Path, environ: dict[str, str]) -> None:
        self.root, self.project, self.environ = root, project, environ

    @property
    def user_file(self) -> Path:
        return self.root / "config" / "greenai" / "config.toml"

    def write(self, path: Path, text: str, mode: int = 0o644) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def load(self, env: dict[str, str] | None = None, **flags) -> Settings:
        return load(self.environ | (env or {}), self.project, flags)


def test_defaults(world):
    settings = world.load()
    assert settings.zone == "GB"
    assert settings.origins["zone"] == "from the time zone Europe/London"
    assert settings.home == world.root / "state" / "greenai"
    assert settings.min_saving == 0.03
    assert settings.policy == "greenest"
    assert settings.powercap_root == Path("/sys/class/powercap")
    assert (dict(settings.urls), dict(settings.keys), settings.ignored_env) == ({}, {}, ())
    assert not settings.home.exists()


def test_the_last_layer_wins_and_each_value_keeps_its_origin(world):
    world.write(world.user_file, 'zone = "DE"\npue = 1.1\npolicy = "asap"\ninterval_s = 2\n')
    project = world.write(world.project.parents[1] / "greenai.toml", 'pue = 1.2\npolicy = "percentile"\ninterval_s = 3\n')
    settings = world.load({"GREENAI_POLICY": "threshold", "GREENAI_INTERVAL_S": "4"}, interval_s=5.0)
    assert (settings.zone, settings.pue, settings.policy, settings.interval_s) == ("DE", 1.2, "threshold", 5.0)
    assert settings.origins == {
        "zone": str(world.user_file),
        "pue": str(project),
        "policy": "GREENAI_POLICY",
        "interval_s": "command line",
    }


def test_pyproject_holds_settings_too_and_the_nearest_project_file_wins(world):
    world.write(world.project.parents[1] / "greenai.toml", 'zone = "FR"\n')
    world.write(world.project.parent / "pyproject.toml", '[project]\nname = "x"\n[tool.greenai]\nzone = "ES"\n')
    world.write(world.project / "pyproject.toml", '[project]\nname = "uses-greenai"\n')
    assert world.load().zone == "ES"
    assert config.project_file(world.project) == world.project.parent / "pyproject.toml"


def test_no_project_file(world):
    world.write(world.project / "pyproject.toml", "this is [not toml, and not ours\n")
    assert config.project_file(world.project) is None


def test_a_missing_flag_overrides_nothing(world):
    assert world.load({"GREENAI_ZONE": "DE"}, zone=None).zone == "DE"


def test_an_empty_variable_counts_as_unset(world):
    assert world.load({"GREENAI_ZONE": ""}).zone == "GB"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("zone", "gb-13", "GB-13"),
        ("zone", "us-cal-ciso", "US-CAL-CISO"),
        ("zone", "WORLD", "WORLD"),
        ("min_saving", "5%", 0.05),
        ("min_saving", "0.05", 0.05),
        ("embodied_kg", "150", (150.0, 150.0)),
        ("embodied_kg", "100-200", (100.0, 200.0)),
        ("embodied_kg", "1e3 to 1.5e3", (1000.0, 1500.0)),
        ("constant_g_per_kwh", "250", 250.0),
        ("nvml_library", "libfake.so", "libfake.so"),
        ("resource_share", "0.25", 0.25),
    ],
)
def test_variables_are_read(world, key, text, value):
    assert getattr(world.load({f"GREENAI_{key.upper()}": text}), key) == value


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("embodied_kg = [100, 200]", "embodied_kg", (100.0, 200.0)),
        ("embodied_kg = 150", "embodied_kg", (150.0, 150.0)),
        ("min_saving = 0.05", "min_saving", 0.05),
        ('min_saving = "5%"', "min_saving", 0.05),
        ("pue = 1", "pue", 1.0),
    ],
)
def test_typed_values_are_read_from_files(world, line, key, value):
    world.write(world.user_file, line)
    assert getattr(world.load(), key) == value


def test_paths_start_from_where_they_are_written(world, monkeypatch):
    monkeypatch.setenv("HOME", str(world.root / "me"))
    world.write(world.project.parent / "greenai.toml", 'series = "data/ci.csv"\nhome = "~/state"\n')
    settings = world.load({"GREENAI_POWERCAP_ROOT": "fake"}, proc_root=Path("/p"))
    assert settings.series == world.project.parent / "data" / "ci.csv"
    assert settings.home == world.root / "me" / "state"
    assert settings.powercap_root == world.project / "fake"
    assert settings.proc_root == Path("/p")


def test_a_stated_pue_without_source_says_so(world):
    assert world.load(pue=1.3).pue_source == "stated by the user, no source given"
    assert world.load(pue=1.3, pue_source="audit").pue_source == "audit"


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("zone", "Great Britain", "not a grid zone"),
        ("pue", "0.9", "out of range"),
        ("pue", "nan", "out of range"),
        ("pue", "inf", "out of range"),
        ("pue", "high", "not a number"),
        ("interval_s", "0", "out of range"),
        ("embodied_kg", "200-100", "goes down"),
        ("embodied_kg", "1-2-3", "not a number"),
        ("min_saving", "100%", "not between 0 and 1"),
        ("uk_url", "not a url", "not a web address"),
        ("uk_url", "ftp://grid.example", "not a web address"),
        ("uk_url", "http://[::1", "not a web address"),
        ("uk_url", "https://me:pw@grid.example", "user name or password"),
        ("policy", "  ", "not a text"),
    ],
)
def test_bad_values_name_key_origin_and_remedy(world, key, text, problem):
    name = f"GREENAI_{key.upper()}"
    with pytest.raises(ConfigError, match=problem) as caught:
        world.load({name: text})
    assert str(caught.value).startswith(f"{key} (from {name}): ")
    assert caught.value.hint
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("pue = true", "not a number"),
        ("pue = [1]", "not a number"),
        ("embodied_kg = [1, 2, 3]", "pair of numbers"),
        ('embodied_kg = [1, "x"]', "not a number"),
        ("zone = 5", "not a text"),
        ("zone = {}", "not a text"),
        ("min_saving = 3", "out of range"),
        ("pue = 1" + "0" * 400, "not a number"),
    ],
)
def test_values_of_a_wrong_type_in_a_file_name_the_file(world, line, problem):
    world.write(world.user_file, line)
    with pytest.raises(ConfigError, match=problem) as caught:
        world.load()
    assert str(world.user_file) in str(caught.value)


def test_an_unknown_key_in_a_file_is_refused_with_the_closest(world):
    file = world.write(world.project / "greenai.toml", "http_timeout = 5\n")
    with pytest.raises(ConfigError) as caught:
        world.load()
    assert str(caught.value) == f"{file} has an unknown key 'http_timeout'"
    assert "did you mean http_timeout_s?" in caught.value.hint


def test_an_unknown_key_like_no_other_is_refused_too(world):
    world.write(world.project / "greenai.toml", "banana = 5\n")
    with pytest.raises(ConfigError, match="banana") as caught:
        world.load()
    assert "did you mean" not in caught.value.hint


@pytest.mark.parametrize(
    ("name", "meant"), [("GREENAI_ZON", "GREENAI_ZONE"), ("GREENAI_ZNOE", "GREENAI_ZONE"), ("GREENAI_HOEM", "GREENAI_HOME")]
)
def test_a_variable_that_looks_like_a_typing_error_is_refused(world, name, meant):
    with pytest.raises(ConfigError, match=f"no setting {name}") as caught:
        world.load({name: "GB"})
    assert caught.value.hint == f"did you mean {meant}?"


@pytest.mark.parametrize("name", ["GREENAI_SOMETHING_ELSE", "GREENAI_DEBUG", "GREENAI_IMAGE", "GREENAI_VERSION", "GREENAI_ROOT"])
def test_a_variable_that_resembles_no_setting_is_left_to_others(world, name):
    assert world.load({name: "x"}).ignored_env == (name,)


def test_what_a_job_is_told_is_known(world):
    told = {name: "x" for name in config.CHILD_ENV if name != "GREENAI_ZONE"}
    assert world.load(told | {"GREENAI_ZONE": "DE"}).ignored_env == ()


def test_an_unknown_flag_is_refused(world):
    with pytest.raises(ConfigError, match="the command line"):
        world.load(zome="GB")


def test_services_of_any_provider(world):
    settings = world.load(
        {"GREENAI_UK_URL": "http://127.0.0.1:8123/", "GREENAI_ELECTRICITY_MAPS_KEY": "s3cret"}, watttime_url="https://w.example"
    )
    assert dict(settings.urls) == {"uk": "http://127.0.0.1:8123", "watttime": "https://w.example"}
    assert dict(settings.keys) == {"electricity_maps": "s3cret"}


def test_flags_on_top_of_loaded_settings(world):
    before = world.load({"GREENAI_PUE": "1.5", "GREENAI_PUE_SOURCE": "audit", "GREENAI_UK_URL": "http://a.example"}, zone="DE")
    after = config.with_flags(before, {"pue": 1.1, "zone": None, "series": "ci.csv", "em_url": "http://b.example"}, world.project)
    assert (after.pue, after.zone, after.series) == (1.1, "DE", world.project / "ci.csv")
    assert after.pue_source == "stated by the user, no source given"
    assert dict(after.urls) == {"uk": "http://a.example", "em": "http://b.example"}
    assert after.origins["pue"] == "command line"
    assert before.pue == 1.5
    with pytest.raises(ConfigError, match="pue"):
        config.with_flags(before, {"pue": "high"}, world.project)
    with pytest.raises(ConfigError, match="every user"):
        config.with_flags(before, {"uk_key": "s3cret"}, world.project)


def test_a_secret_shows_nowhere(world):
    settings = world.load({"GREENAI_UK_KEY": "s3cret"})
    shown = config.show(settings)
    assert "s3cret" not in repr(settings) + repr(shown)
    (line,) = [line for line in shown if line.key == "uk_key"]
    assert (line.value, line.origin) == ("(set, not shown)", "GREENAI_UK_KEY")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_secret_in_a_file_others_can_read_is_refused(world, mode):
    file = world.write(world.user_file, 'uk_key = "s3cret"\n', mode)
    with pytest.raises(ConfigError) as caught:
        world.load()
    assert caught.value.hint == f"chmod 600 {file}"
    assert "s3cret" not in str(caught.value)


def test_a_secret_in_a_private_file_is_read(world):
    world.write(world.user_file, 'uk_key = "s3cret"\n', 0o600)
    assert dict(world.load().keys) == {"uk": "s3cret"}


def test_a_secret_that_is_no_text_is_not_repeated(world):
    world.write(world.user_file, "uk_key = 12345\n", 0o600)
    with pytest.raises(ConfigError) as caught:
        world.load()
    assert "12345" not in str(caught.value) + str(caught.value.hint)


def test_a_secret_on_the_command_line_is_refused(world):
    with pytest.raises(ConfigError, match="every user of the machine") as caught:
        world.load(uk_key="s3cret")
    assert "GREENAI_UK_KEY" in caught.value.hint


def test_show_has_every_setting_with_its_origin(world):
    world.write(world.user_file, "pue = 1.2\n")
    shown = {line.key: line for line in config.show(world.load({"GREENAI_UK_URL": "http://x.example"}))}
    assert set(config.KEYS) < set(shown)
    assert shown["pue"].origin == str(world.user_file)
    assert shown["policy"].origin == "default"
    assert shown["uk_url"].value == "http://x.example"
    assert all(line.about for line in shown.values())


def test_the_template_is_made_of_usable_lines(world):
    lines = [line.removeprefix("# ") for line in config.template().splitlines() if " = " in line]
    assert set(tomllib.loads("\n".join(lines))) == {*config.KEYS, "uk_url"}
    world.write(world.user_file, "\n".join(lines))
    assert world.load().embodied_kg == (1000.0, 1500.0)


def test_the_template_as_written_changes_nothing(world):
    world.write(world.user_file, config.template())
    assert world.load() == world.load()
    assert world.load().policy == "greenest"


@pytest.mark.parametrize(
    ("body", "problem"),
    [(b"zone = GB\n", "not TOML"), (b'zone = "\xff"\n', "not UTF-8")],
)
def test_an_unreadable_file_is_named(world, body, problem):
    world.write(world.user_file, "").write_bytes(body)
    with pytest.raises(ConfigError, match=problem) as caught:
        world.load()
    assert str(world.user_file) in str(caught.value)


def test_a_directory_where_a_file_should_be_is_named(world):
    world.user_file.mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        world.load()


def test_tool_greenai_must_be_a_table(world):
    world.write(world.project / "pyproject.toml", "[tool]\ngreenai = 5\n")
    with pytest.raises(ConfigError, match="not a table"):
        world.load()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_named(world):
    world.write(world.user_file, "", 0o000)
    with pytest.raises(ConfigError, match="Permission denied"):
        world.load()


def test_relative_xdg_directories_are_not_taken_for_absolute_ones(world):
    environ = {"XDG_CONFIG_HOME": "relative", "XDG_STATE_HOME": "relative", "TZ": "UTC"}
    assert load(environ, world.project).home.is_absolute()


def test_every_setting_is_documented_and_read():
    readable = {item.name for item in fields(Settings) if "read" in item.metadata}
    assert readable == set(config.KEYS)
    page = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert [key for key in config.KEYS if f"| `{key}` |" not in page] == []
    assert [item.name for item in fields(Settings) if item.name in readable and item.metadata["about"] not in page] == []


def test_settings_load_neither_numpy_nor_httpx():
    code = "import sys, greenai.config; print(*sorted({'numpy', 'httpx', 'platformdirs', 'dateparser'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
