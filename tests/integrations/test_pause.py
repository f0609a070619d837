"""The protocol itself: quiet outside greenai, cheap, light, and never in the way."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

import greenai
from greenai import pause
from greenai.errors import InputError
from greenai.integrations import _checkpoint
from greenai.integrations._framework import need
from greenai.integrations._random import random_state, set_random_state
from greenai.model.queue import PAUSED_EXIT_CODE


@pytest.fixture
def asked(tmp_path, monkeypatch):
    file = tmp_path / "pause"
    monkeypatch.setenv(pause.PAUSE_FILE, str(file))
    monkeypatch.setenv(pause.CHECKPOINT_DIR, str(tmp_path))
    return file


def test_outside_greenai_every_question_has_a_quiet_answer():
    assert not pause.possible()
    assert not pause.requested()
    assert pause.checkpoint_dir() is None
    assert pause.resumes() == 0
    pause.progress(0.5)
    pause.point(lambda: pytest.fail("nobody asked"))


def test_the_file_is_the_request(asked):
    saved = []
    pause.point(lambda: saved.append("too early"))
    asked.touch()
    with pytest.raises(pause.Paused) as ended:
        pause.point(lambda: saved.append("now"))
    assert saved == ["now"]
    assert ended.value.code == 75 == PAUSED_EXIT_CODE, "the model may not import what reads the environment"
    assert asked.with_name("pause.paused").exists(), "a launcher that ends with 1 hides the 75"


def test_paused_by_its_own_will_it_claims_no_request(asked):
    greenai.Paused()
    assert not asked.with_name("pause.paused").exists()


def test_the_first_question_says_that_the_program_will_hear(asked):
    heard = asked.with_name("pause.heard")
    assert not heard.exists()
    assert not pause.requested()
    assert heard.exists()


def test_a_file_that_cannot_be_there_is_no_request(monkeypatch, tmp_path):
    monkeypatch.setenv(pause.PAUSE_FILE, str(tmp_path / "missing" / "pause"))
    assert not pause.requested()


def test_paused_is_not_an_exception_and_survives_a_process_boundary():
    assert not issubclass(greenai.Paused, Exception)
    assert pickle.loads(pickle.dumps(greenai.Paused())).code == 75


def test_a_child_that_pauses_exits_with_75(asked):
    asked.touch()
    code = "import greenai\ntry:\n greenai.pause.point(print)\nexcept Exception:\n pass\nprint('not reached')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (75, "\n")


@pytest.mark.parametrize(("flags", "any_of_them"), [((0, 0), False), ((0, 1), True)])
def test_ranks_agree(flags, any_of_them):
    assert pause.requested_by_any(lambda own: max(own, *flags)) is any_of_them


@pytest.mark.parametrize(("said", "count"), [("", 0), ("0", 0), ("3", 3), ("-1", 0), ("many", 0)])
def test_resumes(said, count, monkeypatch):
    monkeypatch.setenv(pause.RESUMES, said)
    assert pause.resumes() == count


@pytest.mark.parametrize(("fraction", "line"), [(0.42, "0.420000\n"), (-1.0, "0.000000\n"), (7, "1.000000\n")])
def test_progress_is_one_whole_line(fraction, line, monkeypatch, tmp_path):
    file = tmp_path / "progress"
    monkeypatch.setenv(pause.PROGRESS_FILE, str(file))
    with (tmp_path / "stream").open("wb") as stream:
        monkeypatch.setenv(pause.PROGRESS_FD, str(stream.fileno()))
        greenai.progress(fraction)
    greenai.progress(float("nan"))
    assert file.read_text(encoding="ascii") == line
    assert (tmp_path / "stream").read_text(encoding="ascii") == line
    assert {one.name for one in tmp_path.iterdir()} == {"progress", "stream"}


def test_progress_never_raises(monkeypatch, tmp_path):
    monkeypatch.setenv(pause.PROGRESS_FILE, str(tmp_path / "missing" / "progress"))
    greenai.progress(0.5)
    monkeypatch.setenv(pause.PROGRESS_FD, "999999")
    greenai.progress(0.5)


def test_importing_it_is_light():
    code = "import sys, greenai.pause, greenai.integrations.lightning, greenai.integrations.sklearn; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "torch", "httpx", "sklearn", "lightning", "asyncio"} & set(loaded)


def test_a_missing_framework_names_its_extra():
    with pytest.raises(ImportError, match=r"pip install 'greenai\[keras\]'"):
        need("no_such_framework", extra="keras")


def test_a_write_that_breaks_off_leaves_the_checkpoint_before(asked):
    _checkpoint.write_record("a.json", {"epoch": 1})

    def breaks_off(file):
        file.write_text("{", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        _checkpoint.write("a.json", breaks_off)
    assert _checkpoint.read_record("a.json") == {"epoch": 1}


def test_without_a_directory_saving_is_one_sentence():
    with pytest.raises(InputError, match="GREENAI_CHECKPOINT_DIR is not set"):
        _checkpoint.directory()


def test_traps_are_refused_only_where_a_pause_is_possible(monkeypatch):
    _checkpoint.refuse_if(True, "wrong", remedy="do it right")
    monkeypatch.setenv(pause.PAUSE_FILE, "/somewhere")
    _checkpoint.refuse_if(False, "wrong", remedy="do it right")
    with pytest.raises(InputError, match=r"^wrong; do it right$"):
        _checkpoint.refuse_if(True, "wrong", remedy="do it right")


def test_random_numbers_go_on_where_they_were():
    import random

    import numpy as np

    state = random_state()
    drawn = random.random(), np.random.normal(), random.gauss()
    set_random_state(state)
    assert drawn == (random.random(), np.random.normal(), random.gauss())
