"""The contract of executors of queued jobs catches what it is for: each defect, planted in a working one, fails a test."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.adapters.shim_world import environ, waited

from greenai.adapters.executors._run_files import RunFiles
from greenai.adapters.executors.shimmed import ShimExecutor
from greenai.model.queue import Exited, Unstarted
from greenai.testing import JobExecutorContract


class Twice(ShimExecutor):
    """Forgets that a run was begun."""

    def launch(self, task):
        files = RunFiles(self._home, task.run_id)
        if files.exited() is not None:
            waited(lambda: not files.has_life())
            for name in ("begun.json", "exit.json"):
                files.drop(name)
        return super().launch(task)


class Forgetful(ShimExecutor):
    """Knows only what it launched itself."""

    def look(self, run_id, handle):
        return super().look(run_id, handle) if run_id in self._shims else Unstarted()


class Deaf(ShimExecutor):
    """Asks nobody for anything."""

    def _ask(self, run_id, request):
        return


class Vague(ShimExecutor):
    """Every end is a good one."""

    def look(self, run_id, handle):
        state = super().look(run_id, handle)
        return Exited(exit_code=0, ended_at=state.ended_at) if isinstance(state, Exited) else state


class Talkative(ShimExecutor):
    """Tells jobs nothing of their own environment."""

    def launch(self, task):
        return super().launch(replace(task, environment={}))


def contract_of(executor, tmp_path):
    home, place = tmp_path / "home", tmp_path / "place"
    home.mkdir()
    place.mkdir()

    class Kept(JobExecutorContract):
        patience = 200

        def executor(self):
            return executor(home, environ(home))

        def place(self):
            return place

    return Kept()


@pytest.mark.parametrize(
    ("executor", "test"),
    [
        (Twice, "test_a_run_is_run_once_however_often_it_is_launched"),
        (Forgetful, "test_a_new_daemon_finds_it_without_a_handle"),
        (Deaf, "test_a_program_that_knows_saves_and_leaves"),
        (Deaf, "test_a_frozen_run_goes_on_where_it_stood"),
        (Deaf, "test_a_stopped_run_ends_and_may_be_stopped_again"),
        (Vague, "test_exit_codes_come_back"),
        (Talkative, "test_the_job_is_told_who_it_is"),
    ],
)
def test_a_defect_is_caught(executor, test, tmp_path):
    kept = contract_of(executor, tmp_path)
    try:
        with pytest.raises(AssertionError):
            getattr(kept, test)()
    finally:
        real = ShimExecutor(tmp_path / "home", environ(tmp_path))
        for place in (tmp_path / "home" / "runs").glob("*"):
            real.stop(place.name, "")


@pytest.mark.parametrize("name", ["executor", "place"])
def test_what_is_missing_is_named(name):
    with pytest.raises(NotImplementedError):
        getattr(JobExecutorContract(), name)()
