"""Plug-ins: found by name, loaded when asked, never fatal when broken."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import pytest

from greenai import plugins
from greenai.errors import InputError, NoFeasibleWindow


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a made-up distribution with these entry points and modules."""

    def install(name: str, entry_points: str, modules: dict[str, str], version: str = "1.2") -> None:
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
        for module, code in modules.items():
            (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")
            monkeypatch.delitem(sys.modules, module, raising=False)

    monkeypatch.syspath_prepend(str(tmp_path))
    return install


def test_a_plug_in_is_loaded_by_name(installed):
    installed("friendly", "[greenai.listeners]\nsay = friendly_mod:say\n", {"friendly_mod": "say = 'hello'\n"})
    assert plugins.names("greenai.listeners") == ("say",)
    assert plugins.load("greenai.listeners", "say") == "hello"


def test_names_load_nothing(installed):
    installed("lazy", "[greenai.listeners]\nlazy = lazy_mod:x\n", {"lazy_mod": "raise SystemExit\n"})
    assert plugins.names("greenai.listeners") == ("lazy",)
    assert "lazy_mod" not in sys.modules


def test_a_name_that_is_not_there_gets_the_closest():
    with pytest.raises(InputError, match="no policy named 'greenset'") as caught:
        plugins.load("greenai.policies", "greenset")
    assert "did you mean 'greenest'?" in caught.value.hint
    assert "asap" in caught.value.hint


def test_whatever_the_code_of_others_raises_names_it():
    def broken(number: int) -> int:
        """A policy."""
        return 1 // number

    asked = plugins.guarded(broken, "the policy 'broken'")
    assert (asked(1), asked.__doc__) == (1, "A policy.")
    with pytest.raises(InputError, match="the policy 'broken' failed: ZeroDivisionError: "):
        asked(0)

    def refusing() -> None:
        raise NoFeasibleWindow("it fits nowhere")

    with pytest.raises(NoFeasibleWindow):
        plugins.guarded(refusing, "the policy 'refusing'")()


def test_a_group_that_is_not_there_gets_the_closest():
    with pytest.raises(InputError) as caught:
        plugins.names("greenai.polices")
    assert "greenai.policies" in caught.value.hint


def test_an_empty_group_says_so():
    with pytest.raises(InputError) as caught:
        plugins.load("greenai.listeners", "say")
    assert caught.value.hint == "none is installed"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no GPU')", "RuntimeError: no GPU"),
        ("import not_installed_anywhere", "ModuleNotFoundError"),
        ("class Odd(Exception): pass\nraise Odd('x')", "Odd: x"),
        ("this is no python", "SyntaxError"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("other = 1", "AttributeError"),
    ],
)
def test_a_broken_plug_in_is_named_with_its_reason(installed, code, reason):
    installed("broken", "[greenai.listeners]\nbad = broken_mod:x\n", {"broken_mod": code})
    with pytest.raises(InputError, match="the listener 'bad' of broken cannot be loaded") as caught:
        plugins.load("greenai.listeners", "bad")
    assert reason in str(caught.value)
    assert "broken" in caught.value.hint


def test_a_broken_plug_in_leaves_the_rest_standing(installed):
    lines = "[greenai.listeners]\nbad = mixed_bad:x\ngood = mixed_good:x\n"
    installed("mixed", lines, {"mixed_bad": "raise OSError('gone')", "mixed_good": "x = 1"})
    loaded, problems = plugins.load_all("greenai.listeners")
    assert loaded == {"good": 1}
    assert set(problems) == {"bad"}
    by_name = {plugin.name: plugin for plugin in plugins.plugins() if plugin.group == "greenai.listeners"}
    assert by_name["good"].ok
    assert not by_name["bad"].ok
    assert "OSError: gone" in by_name["bad"].problem
    assert (by_name["good"].distribution, by_name["good"].version) == ("mixed", "1.2")


def test_no_package_replaces_a_built_in_unnoticed(installed):
    installed("sneaky", "[greenai.policies]\nasap = sneaky_mod:x\n", {"sneaky_mod": "x = 'sneaky'"})
    assert plugins.load("greenai.policies", "asap") != "sneaky"
    (hidden,) = [plugin for plugin in plugins.plugins() if plugin.distribution == "sneaky"]
    assert hidden.problem == "hidden by the one of the same name from greenai"


def test_the_built_in_policies_are_found():
    assert {"asap", "threshold", "percentile", "greenest", "interruptible"} <= set(plugins.names("greenai.policies"))


def test_the_packages_are_read_once_for_all_that_is_asked(installed, monkeypatch):
    installed("counted", "[greenai.listeners]\nsay = counted_mod:say\n", {"counted_mod": "say = 'once'\n"})
    read = []
    monkeypatch.setattr(plugins, "entry_points", lambda: read.append(1) or entry_points())
    assert [plugins.load("greenai.listeners", "say") for _ in range(3)] == ["once"] * 3
    assert plugins.load("greenai.policies", "asap")
    assert len(read) == 1


def test_a_directory_that_joins_the_path_is_read_too(tmp_path, monkeypatch):
    assert "late" not in plugins.names("greenai.listeners")
    info = tmp_path / "late" / "late-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[greenai.listeners]\nlate = late_mod:x\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "late"))
    assert "late" in plugins.names("greenai.listeners")
